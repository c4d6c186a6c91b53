//! `JSON_ARRAY_LENGTH`: how many items a JSON array has.

use crate::functions::call::rows1;
use crate::functions::json;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "JSON_ARRAY_LENGTH",
    shown: "JSON_ARRAY_LENGTH",
    category: "JSON",
    summary: "The number of items of a JSON array; NULL if the text is something else.",
    examples: &[("JSON_ARRAY_LENGTH('[1, 2]')", "2")],
    overloads: &[Overload {
        params: &[param("jsonArray", T::String)],
        returns: Returns::Is(SqlType::Integer),
        body: |call| rows1(call, |text: &str| Ok(json::first(text)?.as_array().map(|items| items.len() as i32))),
    }],
};
