//! `REGEXP_EXTRACT`: the first match of a regular expression.

use arrow::array::ArrayRef;

use crate::functions::call::Call;
use crate::functions::meaning::Meaning;
use crate::functions::pattern_cache::{extraction, group_of};
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "REGEXP_EXTRACT",
    shown: "regexp_extract",
    category: "REGULAR EXPRESSION",
    summary: "The first part of a string that a regular expression matches, or a group of it.",
    examples: &[("REGEXP_EXTRACT('(.*) (.*)', 'hello there', 2)", "there")],
    overloads: &[
        Overload {
            params: &[param("pattern", T::String).meaning(Meaning::Regex), param("input", T::String)],
            returns: Returns::Is(SqlType::String),
            body: extract,
        },
        Overload {
            params: &[
                param("pattern", T::String).meaning(Meaning::Regex),
                param("input", T::String),
                param("group", T::Int).meaning(Meaning::Group),
            ],
            returns: Returns::Is(SqlType::String),
            body: extract,
        },
    ],
};

fn extract(call: &mut Call) -> ArrayRef {
    extraction(call, |regex, text, group| match regex.captures(text).map_err(|e| e.to_string())? {
        Some(found) => group_of(&found, group),
        None => Ok(None),
    })
}
