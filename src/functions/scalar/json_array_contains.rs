//! `JSON_ARRAY_CONTAINS`: whether a JSON array has an item.

use serde_json::Value as Json;

use crate::functions::json;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::{SqlType, Value};

pub(super) const FUNCTION: Scalar = Scalar {
    name: "JSON_ARRAY_CONTAINS",
    shown: "JSON_ARRAY_CONTAINS",
    category: "JSON",
    summary: "Whether a JSON array has an item of the same type and value.",
    examples: &[("JSON_ARRAY_CONTAINS('[1, 2]', 2)", "true"), ("JSON_ARRAY_CONTAINS('[1, 2]', '2')", "false")],
    overloads: &[Overload {
        params: &[param("jsonArray", T::String), param("val", T::Any('T'))],
        returns: Returns::Is(SqlType::Boolean),
        body: |call| {
            call.values(|args| {
                let Value::String(text) = &args[0] else { return Ok(None) };
                Ok(Some(Value::Boolean(json::any_item(text, |item| is_same(item, &args[1])))))
            })
        },
    }],
};

fn is_same(item: &Json, wanted: &Value) -> bool {
    match (item, wanted) {
        (Json::Null, Value::Null) => true,
        (Json::Bool(item), Value::Boolean(wanted)) => item == wanted,
        (Json::String(item), Value::String(wanted)) => item == wanted,
        (Json::Number(item), Value::Integer(wanted)) => item.to_string() == wanted.to_string(),
        (Json::Number(item), Value::Bigint(wanted)) => item.to_string() == wanted.to_string(),
        (Json::Number(item), Value::Double(wanted)) => {
            let item = item.to_string();
            item.contains(['.', 'e', 'E']) && item.parse() == Ok(*wanted)
        }
        _ => false,
    }
}
