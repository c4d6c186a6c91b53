//! `STRINGTODATE`: a text as days.

use crate::functions::call::rows2;
use crate::functions::meaning::Meaning;
use crate::functions::patterns;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;
use crate::types::pattern::Names;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "STRINGTODATE",
    shown: "stringtodate",
    category: "DATE / TIME",
    summary: "The days since the epoch of a date that a text says by a pattern in the letters of Java.",
    examples: &[("STRINGTODATE('1 Jan 2020', 'd MMM yyyy')", "18262")],
    overloads: &[Overload {
        params: &[param("formattedDate", T::String), param("formatPattern", T::String).meaning(Meaning::ReadPattern)],
        returns: Returns::Is(SqlType::Integer),
        body: |call| {
            rows2(call, |text: &str, pattern: &str| Ok(Some(patterns::read(pattern, text, Names::English)?.date()?)))
        },
    }],
};
