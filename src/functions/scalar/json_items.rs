//! `JSON_ITEMS`: the items of a JSON array as JSON texts.
//!
//! A text that is JSON but no array fails the row. Numbers are written without exponents.

use crate::functions::call::rows1;
use crate::functions::json::{self, Numbers};
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::{SqlType, Value};

pub(super) const FUNCTION: Scalar = Scalar {
    name: "JSON_ITEMS",
    shown: "JSON_ITEMS",
    category: "JSON",
    summary: "The items of a JSON array, each as a JSON text, NULL for null.",
    examples: &[("JSON_ITEMS('[1, [2], \"x\"]')", "[1, [2], \"x\"]"), ("JSON_ITEMS('[null]')[1] IS NULL", "true")],
    overloads: &[Overload {
        params: &[param("jsonItems", T::String)],
        returns: Returns::By(|_, _| Ok(SqlType::array(SqlType::String))),
        body: |call| {
            rows1(call, |text: &str| {
                let parsed = json::first(text)?;
                let items = parsed.as_array().ok_or("the text is not a JSON array")?;
                let item = |item: &serde_json::Value| match item {
                    serde_json::Value::Null => Value::Null,
                    item => Value::String(json::text(item, Numbers::Plain)),
                };
                Ok(Some(Value::Array(items.iter().map(item).collect())))
            })
        },
    }],
};
