//! `SIGN`: the sign of a number.

use crate::functions::call::rows1;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "SIGN",
    shown: "sign",
    category: "MATHEMATICAL",
    summary: "-1, 0 or 1 as the value is negative, zero or positive; 0 for NaN.",
    examples: &[("SIGN(-2.5)", "-1"), ("SIGN(0)", "0")],
    overloads: &[
        Overload {
            params: &[param("value", T::Int)],
            returns: Returns::Is(SqlType::Integer),
            body: |call| rows1(call, |v: i32| Ok(Some(v.signum()))),
        },
        Overload {
            params: &[param("value", T::Bigint)],
            returns: Returns::Is(SqlType::Integer),
            body: |call| rows1(call, |v: i64| Ok(Some(v.signum() as i32))),
        },
        Overload {
            params: &[param("value", T::Double)],
            returns: Returns::Is(SqlType::Integer),
            body: |call| rows1(call, |v: f64| Ok(Some(i32::from(v > 0.0) - i32::from(v < 0.0)))),
        },
    ],
};
