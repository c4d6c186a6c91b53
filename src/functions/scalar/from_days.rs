//! `FROM_DAYS`: a number as a DATE.
//!
//! NULL fails the row instead of giving NULL.

use crate::functions::call::rows1;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "FROM_DAYS",
    shown: "from_days",
    category: "DATE / TIME",
    summary: "The DATE so many days after 1970-01-01.",
    examples: &[("FROM_DAYS(1)", "1970-01-02")],
    overloads: &[Overload {
        params: &[param("epochDays", T::Int)],
        returns: Returns::Is(SqlType::Date),
        body: |call| rows1(call, |days: Option<i32>| days.map(Some).ok_or("NULL".into())),
    }],
};
