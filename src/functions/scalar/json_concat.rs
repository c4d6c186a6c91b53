//! `JSON_CONCAT`: JSON texts made into one.

use serde_json::{Map, Value};

use crate::functions::call::Reader;
use crate::functions::json::{self, Numbers};
use crate::functions::signature::{T, variadic};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "JSON_CONCAT",
    shown: "JSON_CONCAT",
    category: "JSON",
    summary: "Objects merged into one, later fields replacing earlier ones; else one array of all items, in which other \
              values are items.",
    examples: &[("JSON_CONCAT('{\"a\": 1}', '{\"b\": 2}')", "{\"a\":1,\"b\":2}"), ("JSON_CONCAT('[1]', '2')", "[1,2]")],
    overloads: &[Overload {
        params: &[variadic("jsonStrings", T::String)],
        returns: Returns::Is(SqlType::String),
        body: |call| {
            let args: Vec<Reader> = call.readers();
            call.rows(|row| {
                let texts: Option<Vec<&str>> = args.iter().map(|arg| arg.get::<&str>(row)).collect();
                let Some(texts) = texts.filter(|t| !t.is_empty()) else { return Ok(None) };
                let parsed: Vec<Value> = texts.into_iter().map(json::first).collect::<Result<_, _>>()?;
                Ok(Some(json::text(&joined(parsed), Numbers::Plain)))
            })
        },
    }],
};

/// `{"a":1}` and `{"a":2}` give `{"a":2}`; `[1]` and `2` give `[1,2]`; `1` and `{}` give `[1,{}]`.
fn joined(values: Vec<Value>) -> Value {
    if values.iter().all(Value::is_object) {
        let fields = values.into_iter().filter_map(|v| if let Value::Object(fields) = v { Some(fields) } else { None });
        return Value::Object(fields.flatten().collect::<Map<String, Value>>());
    }
    let items = values.into_iter().flat_map(|v| if let Value::Array(items) = v { items } else { vec![v] });
    Value::Array(items.collect())
}
