//! `DOUBLE_FROM_BYTES`: a number in bytes.

use crate::functions::call::{Outcome, rows1, rows2};
use crate::functions::meaning::Meaning;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "DOUBLE_FROM_BYTES",
    shown: "double_from_bytes",
    category: "CONVERSIONS",
    summary: "The number that 8 bytes are, the most significant first unless the order says otherwise.",
    examples: &[],
    overloads: &[
        Overload {
            params: &[param("value", T::Bytes)],
            returns: Returns::Is(SqlType::Double),
            body: |call| rows1(call, |bytes: &[u8]| number(bytes, Some("BIG_ENDIAN"))),
        },
        Overload {
            params: &[param("value", T::Bytes), param("byteOrder", T::String).meaning(Meaning::ByteOrder)],
            returns: Returns::Is(SqlType::Double),
            body: |call| rows2(call, |bytes: &[u8], order: Option<&str>| number(bytes, order)),
        },
    ],
};

/// The bits of IEEE 754.
///
/// # Errors
/// The bytes are not exactly 8, or the order is neither of the two names, in any case; a NULL order is an error too.
fn number(bytes: &[u8], order: Option<&str>) -> Outcome<f64> {
    let Some(order) = order.map(str::to_uppercase).filter(|o| o == "BIG_ENDIAN" || o == "LITTLE_ENDIAN") else {
        return Err(format!(
            "Byte order must be BIG_ENDIAN or LITTLE_ENDIAN. Unknown byte order '{}'.",
            order.unwrap_or("null")
        )
        .into());
    };
    let size = bytes.len();
    let bytes: [u8; 8] =
        bytes.try_into().map_err(|_| format!("Number of bytes must be equal to 8, but found {size}"))?;
    Ok(Some(if order == "BIG_ENDIAN" { f64::from_be_bytes(bytes) } else { f64::from_le_bytes(bytes) }))
}
