//! `FORMAT_DATE`: a date as text.
//!
//! A pattern with letters of times or zones fails the row, since a DATE has neither.

use crate::functions::call::rows2;
use crate::functions::meaning::Meaning;
use crate::functions::patterns;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;
use crate::types::pattern::Moment;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "FORMAT_DATE",
    shown: "format_date",
    category: "DATE / TIME",
    summary: "A date as text, by a pattern in the letters of Java.",
    examples: &[("FORMAT_DATE(FROM_DAYS(18262), 'd MMM yyyy')", "1 Jan 2020")],
    overloads: &[Overload {
        params: &[param("date", T::Date), param("formatPattern", T::String).meaning(Meaning::DatePattern)],
        returns: Returns::Is(SqlType::String),
        body: |call| rows2(call, |days: i32, pattern: &str| patterns::print(pattern, &Moment::date(days))),
    }],
};
