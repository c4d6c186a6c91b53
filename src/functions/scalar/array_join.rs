//! `ARRAY_JOIN`: the items of an array as a text.

use arrow::array::ArrayRef;

use crate::functions::call::Call;
use crate::functions::fault::{check_size, joined_size};
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::{SqlType, Value};

pub(super) const FUNCTION: Scalar = Scalar {
    name: "ARRAY_JOIN",
    shown: "array_join",
    category: "ARRAY",
    summary: "The texts of the items with a delimiter between them, a comma if none is given.",
    examples: &[("ARRAY_JOIN(ARRAY[1, 2])", "1,2"), ("ARRAY_JOIN(ARRAY['a', NULL], '; ')", "a; null")],
    overloads: &[
        Overload {
            params: &[param("array", T::Array(&T::Any('T')))],
            returns: Returns::Is(SqlType::String),
            body: joined,
        },
        Overload {
            params: &[param("array", T::Array(&T::Any('T'))), param("delimiter", T::String)],
            returns: Returns::Is(SqlType::String),
            body: joined,
        },
    ],
};

/// A NULL item is printed as `null`; a NULL delimiter joins without one.
///
/// # Errors
/// An item is not BOOLEAN, a number or a text, or the result is too long.
fn joined(call: &mut Call) -> ArrayRef {
    call.values(|args| {
        let Value::Array(items) = &args[0] else { return Ok(None) };
        let delimiter = match args.get(1) {
            None => ",",
            Some(Value::String(delimiter)) => delimiter,
            Some(_) => "",
        };
        let simple = |v: &Value| {
            matches!(v, Value::Null | Value::Boolean(_) | Value::Integer(_) | Value::Bigint(_) | Value::Double(_))
                || matches!(v, Value::Decimal(_) | Value::String(_))
        };
        if !items.iter().all(simple) {
            return Err("Only primitive types are allowed for ARRAY_JOIN".into());
        }
        let texts: Vec<String> = items.iter().map(Value::to_text).collect();
        check_size(joined_size(texts.iter().map(String::len), delimiter.len()))?;
        Ok(Some(Value::String(texts.join(delimiter))))
    })
}
