//! `DATETOSTRING`: days as the text of a date.
//!
//! The older form of FORMAT_DATE, for days since the epoch. A pattern with letters of times fails the row.

use crate::functions::call::rows2;
use crate::functions::meaning::Meaning;
use crate::functions::patterns;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;
use crate::types::pattern::Moment;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "DATETOSTRING",
    shown: "datetostring",
    category: "DATE / TIME",
    summary: "Days since the epoch as the text of a date, by a pattern in the letters of Java.",
    examples: &[("DATETOSTRING(18262, 'yyyy-MM-dd')", "2020-01-01")],
    overloads: &[Overload {
        params: &[param("epochDays", T::Int), param("formatPattern", T::String).meaning(Meaning::DatePattern)],
        returns: Returns::Is(SqlType::String),
        body: |call| rows2(call, |days: i32, pattern: &str| patterns::print(pattern, &Moment::date(days))),
    }],
};
