//! `FLOOR`: the whole number below.
//!
//! The type stays: 1.80 becomes 1.00. An error if a DECIMAL has no room for the result: -9.50 as DECIMAL(3, 2).

use crate::functions::call::rows1;
use crate::functions::fault::within_256_bits;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::{Decimal, Rounding, SqlType};

pub(super) const FUNCTION: Scalar = Scalar {
    name: "FLOOR",
    shown: "Floor",
    category: "MATHEMATICAL",
    summary: "The largest whole number that is not greater, in the type of the value.",
    examples: &[("FLOOR(1.5e0)", "1.0"), ("FLOOR(-1.25)", "-2.00")],
    overloads: &[
        Overload {
            params: &[param("value", T::Int)],
            returns: Returns::Is(SqlType::Integer),
            body: |call| rows1(call, |v: i32| Ok(Some(v))),
        },
        Overload {
            params: &[param("value", T::Bigint)],
            returns: Returns::Is(SqlType::Bigint),
            body: |call| rows1(call, |v: i64| Ok(Some(v))),
        },
        Overload {
            params: &[param("value", T::Double)],
            returns: Returns::Is(SqlType::Double),
            body: |call| rows1(call, |v: f64| Ok(Some(v.floor()))),
        },
        Overload {
            params: &[param("value", T::Decimal)],
            returns: Returns::By(|args, _| Ok(args[0].clone())),
            body: |call| {
                rows1(call, |v: Decimal| {
                    let whole = v.rescale(0, Rounding::Floor);
                    within_256_bits(whole.and_then(|whole| whole.rescale(v.scale, Rounding::Exact)))
                })
            },
        },
    ],
};
