//! `JSON_KEYS`: the names of the fields of a JSON object.

use crate::functions::call::rows1;
use crate::functions::json;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::{SqlType, Value};

pub(super) const FUNCTION: Scalar = Scalar {
    name: "JSON_KEYS",
    shown: "JSON_KEYS",
    category: "JSON",
    summary: "The names of the fields of a JSON object; NULL if the text is something else.",
    examples: &[("JSON_KEYS('{\"a\": 1, \"b\": 2}')", "[a, b]")],
    overloads: &[Overload {
        params: &[param("jsonObj", T::String)],
        returns: Returns::By(|_, _| Ok(SqlType::array(SqlType::String))),
        body: |call| {
            rows1(call, |text: &str| {
                let parsed = json::first(text)?;
                let names = |fields: &serde_json::Map<_, _>| fields.keys().cloned().map(Value::String).collect();
                Ok(parsed.as_object().map(|fields| Value::Array(names(fields))))
            })
        },
    }],
};
