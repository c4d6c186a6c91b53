//! `EXTRACTJSONFIELD`: a part of a JSON text.
//!
//! | text | path | result |
//! |---|---|---|
//! | `{"a": {"b": "x"}}` | `$.a.b` | `x`, without quotes |
//! | `{"a": [1, 2.50]}` | `$.a` | `[1,2.50]` |
//! | `{"a": null}` | `$.a` | NULL |
//! | `{"a": 1}` | `$.b` | NULL |
//! | `[{"b": 1}, {"c": 2}]` | `$[*].b` | `[1]` |
//! | `{"a":` | any | an error |
//!
//! The text is parsed as a whole for every call: several calls over one text parse it several times.

use serde_json::Value;

use crate::functions::call::{Fault, rows2};
use crate::functions::fault::shortened;
use crate::functions::json::{self, Numbers};
use crate::functions::json_path::{FORM, Found, Path};
use crate::functions::meaning::Meaning;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "EXTRACTJSONFIELD",
    shown: "extractjsonfield",
    category: "JSON",
    summary: "The part of a JSON text at a path like $.a[0].b or $[\"a b\"]: a string as it is, NULL for null, everything \
              else as JSON. A star stands for all items: $.a[*].b gives an array.",
    examples: &[
        ("EXTRACTJSONFIELD('{\"a b\": [{\"c\": 1}, {\"c\": 2}]}', '$[''a b''][*].c')", "[1,2]"),
        ("EXTRACTJSONFIELD('{\"a\": null}', '$.a')", "null"),
        ("EXTRACTJSONFIELD('{\"a\": [{\"b\": \"x\"}]}', '$.a[0].b')", "x"),
    ],
    overloads: &[Overload {
        params: &[param("input", T::String), param("path", T::String).meaning(Meaning::JsonPath)],
        returns: Returns::Is(SqlType::String),
        body: |call| {
            rows2(call, |text: &str, path: &str| {
                let path = Path::parse(path)
                    .ok_or_else(|| Fault::shown(format!("Invalid JSON path: '{}'; {FORM}", shortened(path))))?;
                if text.trim().is_empty() {
                    // Jackson reads nothing at all as a node that is missing, which prints as nothing.
                    return Ok(path.is_root().then(String::new));
                }
                let parsed = json::first(text)?;
                Ok(match path.find(&parsed) {
                    None => None,
                    Some(Found::One(value)) => json::bare(value, Numbers::Java),
                    Some(Found::Many(values)) => {
                        Some(json::text(&Value::Array(values.into_iter().cloned().collect()), Numbers::Java))
                    }
                })
            })
        },
    }],
};
