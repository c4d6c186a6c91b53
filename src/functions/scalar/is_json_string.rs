//! `IS_JSON_STRING`: whether a text is JSON.

use crate::functions::call::rows1;
use crate::functions::json;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "IS_JSON_STRING",
    shown: "is_json_string",
    category: "JSON",
    summary: "Whether the string is a JSON text; false for NULL.",
    examples: &[("IS_JSON_STRING('[1]')", "true")],
    overloads: &[Overload {
        params: &[param("input", T::String)],
        returns: Returns::Is(SqlType::Boolean),
        body: |call| rows1(call, |text: Option<&str>| Ok(Some(text.is_some_and(is_json)))),
    }],
};

fn is_json(text: &str) -> bool {
    json::first(text).is_ok()
}
