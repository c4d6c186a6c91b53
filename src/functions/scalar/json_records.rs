//! `JSON_RECORDS`: the fields of a JSON object as a map.
//!
//! A text that is no JSON fails the row; JSON that is no object gives NULL. The entries keep the order of the fields.

use crate::functions::call::rows1;
use crate::functions::json::{self, Numbers};
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::{SqlType, Value};

pub(super) const FUNCTION: Scalar = Scalar {
    name: "JSON_RECORDS",
    shown: "JSON_RECORDS",
    category: "JSON",
    summary: "The fields of a JSON object: strings as they are, NULL for null, everything else as JSON; NULL if the text is \
              something else.",
    examples: &[
        ("JSON_RECORDS('{\"a\": \"x\", \"b\": [1]}')", "{a=x, b=[1]}"),
        ("JSON_RECORDS('{\"a\": null}')['a'] IS NULL", "true"),
    ],
    overloads: &[Overload {
        params: &[param("jsonObj", T::String)],
        returns: Returns::By(|_, _| Ok(SqlType::map(SqlType::String, SqlType::String))),
        body: |call| {
            rows1(call, |text: &str| {
                let parsed = json::first(text)?;
                let entry = |(name, value): (&String, &serde_json::Value)| {
                    (Value::String(name.clone()), json::bare(value, Numbers::Plain).map_or(Value::Null, Value::String))
                };
                Ok(parsed.as_object().map(|fields| Value::Map(fields.iter().map(entry).collect())))
            })
        },
    }],
};
