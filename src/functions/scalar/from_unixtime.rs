//! `FROM_UNIXTIME`: a number as a TIMESTAMP.

use crate::functions::call::rows1;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "FROM_UNIXTIME",
    shown: "from_unixtime",
    category: "DATE / TIME",
    summary: "The TIMESTAMP so many milliseconds after 1970-01-01T00:00:00Z.",
    examples: &[("FROM_UNIXTIME(0)", "1970-01-01T00:00:00.000")],
    overloads: &[Overload {
        params: &[param("epochMilli", T::Bigint)],
        returns: Returns::Is(SqlType::Timestamp),
        body: |call| rows1(call, |ms: i64| Ok(Some(ms))),
    }],
};
