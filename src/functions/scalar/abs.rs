//! `ABS`: the distance from zero.
//!
//! `ABS(-2147483648)` is -2147483648, since Java's `Math.abs` wraps around; the same for the smallest BIGINT. A
//! DECIMAL keeps its scale.

use crate::functions::call::rows1;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::{Decimal, SqlType};

pub(super) const FUNCTION: Scalar = Scalar {
    name: "ABS",
    shown: "Abs",
    category: "MATHEMATICAL",
    summary: "The absolute value; that of the smallest INTEGER or BIGINT is itself.",
    examples: &[("ABS(-2.50)", "2.50"), ("ABS(-3)", "3")],
    overloads: &[
        Overload {
            params: &[param("val", T::Int)],
            returns: Returns::Is(SqlType::Integer),
            body: |call| rows1(call, |v: i32| Ok(Some(v.wrapping_abs()))),
        },
        Overload {
            params: &[param("val", T::Bigint)],
            returns: Returns::Is(SqlType::Bigint),
            body: |call| rows1(call, |v: i64| Ok(Some(v.wrapping_abs()))),
        },
        Overload {
            params: &[param("val", T::Double)],
            returns: Returns::Is(SqlType::Double),
            body: |call| rows1(call, |v: f64| Ok(Some(v.abs()))),
        },
        Overload {
            params: &[param("val", T::Decimal)],
            returns: Returns::By(|args, _| Ok(args[0].clone())),
            body: |call| rows1(call, |v: Decimal| Ok(Some(Decimal { unscaled: v.unscaled.wrapping_abs(), ..v }))),
        },
    ],
};
