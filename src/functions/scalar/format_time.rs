//! `FORMAT_TIME`: a time of day as text.
//!
//! A pattern with letters of dates or zones fails the row.

use crate::functions::call::rows2;
use crate::functions::meaning::Meaning;
use crate::functions::patterns;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;
use crate::types::pattern::Moment;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "FORMAT_TIME",
    shown: "format_time",
    category: "DATE / TIME",
    summary: "A time of day as text, by a pattern in the letters of Java.",
    examples: &[("FORMAT_TIME(CAST('10:20' AS TIME), 'HH.mm')", "10.20")],
    overloads: &[Overload {
        params: &[param("time", T::Time), param("formatPattern", T::String).meaning(Meaning::TimePattern)],
        returns: Returns::Is(SqlType::String),
        body: |call| rows2(call, |ms: i32, pattern: &str| patterns::print(pattern, &Moment::time(ms))),
    }],
};
