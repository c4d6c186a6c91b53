//! `UNIX_DATE`: a DATE as a number.

use crate::functions::call::rows1;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "UNIX_DATE",
    shown: "unix_date",
    category: "DATE / TIME",
    summary: "The days of a DATE since 1970-01-01.",
    examples: &[],
    overloads: &[Overload {
        params: &[param("date", T::Date)],
        returns: Returns::Is(SqlType::Integer),
        body: |call| rows1(call, |days: i32| Ok(Some(days))),
    }],
};
