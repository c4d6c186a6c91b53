//! `ARRAY_LENGTH`: how many items an array has.

use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::{SqlType, Value};

pub(super) const FUNCTION: Scalar = Scalar {
    name: "ARRAY_LENGTH",
    shown: "array_length",
    category: "ARRAY",
    summary: "The number of items.",
    examples: &[("ARRAY_LENGTH(ARRAY[1, 2])", "2")],
    overloads: &[Overload {
        params: &[param("array", T::Array(&T::Any('T')))],
        returns: Returns::Is(SqlType::Integer),
        body: |call| {
            call.values(|args| {
                Ok(if let Value::Array(items) = &args[0] { Some(Value::Integer(items.len() as i32)) } else { None })
            })
        },
    }],
};
