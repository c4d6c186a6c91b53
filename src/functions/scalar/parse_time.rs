//! `PARSE_TIME`: a text as a time of day.

use crate::functions::call::rows2;
use crate::functions::meaning::Meaning;
use crate::functions::patterns;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;
use crate::types::pattern::Names;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "PARSE_TIME",
    shown: "parse_time",
    category: "DATE / TIME",
    summary: "The time of day that a text says by a pattern in the letters of Java.",
    examples: &[("PARSE_TIME('10.20', 'HH.mm')", "10:20")],
    overloads: &[Overload {
        params: &[
            param("formattedTime", T::String),
            param("formatPattern", T::String).meaning(Meaning::ReadTimePattern),
        ],
        returns: Returns::Is(SqlType::Time),
        body: |call| {
            rows2(call, |text: &str, pattern: &str| Ok(Some(patterns::read(pattern, text, Names::English)?.time()?)))
        },
    }],
};
