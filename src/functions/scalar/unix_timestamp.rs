//! `UNIX_TIMESTAMP`: a TIMESTAMP as a number.

use crate::functions::call::rows1;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "UNIX_TIMESTAMP",
    shown: "unix_timestamp",
    category: "DATE / TIME",
    summary: "The milliseconds of a TIMESTAMP since 1970-01-01T00:00:00Z.",
    examples: &[],
    overloads: &[Overload {
        params: &[param("timestamp", T::Timestamp)],
        returns: Returns::Is(SqlType::Bigint),
        body: |call| rows1(call, |ms: i64| Ok(Some(ms))),
    }],
};
