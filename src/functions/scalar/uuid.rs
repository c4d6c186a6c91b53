//! `UUID`: a random identifier, or one of bytes.

use crate::functions::call::rows1;
use crate::functions::random;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "UUID",
    shown: "UUID",
    category: "STRING",
    summary: "A random UUID, or the one that 16 bytes are.",
    examples: &[],
    overloads: &[
        Overload {
            params: &[],
            returns: Returns::Fresh(SqlType::String),
            body: |call| call.rows(|_| Ok(Some(made()))),
        },
        Overload {
            params: &[param("bytes", T::Bytes)],
            returns: Returns::Is(SqlType::String),
            body: |call| {
                rows1(call, |bytes: &[u8]| Ok(<[u8; 16]>::try_from(bytes).ok().map(|b| shown(u128::from_be_bytes(b)))))
            },
        },
    ],
};

/// A random UUID of version 4.
///
/// RFC 9562: 122 random bits, the version in the upper half of byte 6, the variant in the top two bits of byte 8.
fn made() -> String {
    let bits = u128::from(random::bits()) << 64 | u128::from(random::bits());
    let (version, variant) = (0xF << 76, 0x3 << 62);
    shown(bits & !version & !variant | 0x4 << 76 | 0x2 << 62)
}

fn shown(bits: u128) -> String {
    let digits = format!("{bits:032x}");
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}
