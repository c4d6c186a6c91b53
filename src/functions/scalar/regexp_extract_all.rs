//! `REGEXP_EXTRACT_ALL`: all matches of a regular expression.

use arrow::array::ArrayRef;

use crate::functions::call::{Call, Fault};
use crate::functions::meaning::Meaning;
use crate::functions::pattern_cache::{extraction, group_of, matches};
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::{SqlType, Value};

pub(super) const FUNCTION: Scalar = Scalar {
    name: "REGEXP_EXTRACT_ALL",
    shown: "regexp_extract_all",
    category: "REGULAR EXPRESSION",
    summary: "All parts of a string that a regular expression matches, or a group of each.",
    examples: &[("REGEXP_EXTRACT_ALL('[a-z]([0-9])', 'a1 b2', 1)", "[1, 2]")],
    overloads: &[
        Overload {
            params: &[param("pattern", T::String).meaning(Meaning::Regex), param("input", T::String)],
            returns: Returns::By(|_, _| Ok(SqlType::array(SqlType::String))),
            body: extract,
        },
        Overload {
            params: &[
                param("pattern", T::String).meaning(Meaning::Regex),
                param("input", T::String),
                param("group", T::Int).meaning(Meaning::Group),
            ],
            returns: Returns::By(|_, _| Ok(SqlType::array(SqlType::String))),
            body: extract,
        },
    ],
};

fn extract(call: &mut Call) -> ArrayRef {
    extraction(call, |regex, text, group| {
        let part = |part: Option<&str>| part.map_or(Value::Null, |part| Value::String(part.to_owned()));
        let found = matches(regex, text)?;
        let parts = found.iter().map(|found| Ok(part(group_of(found, group)?))).collect::<Result<_, Fault>>()?;
        Ok(Some(Value::Array(parts)))
    })
}
