//! `ROUND`: the nearest number with fewer digits.
//!
//! An error if a DECIMAL has no room for the result: 9.50 as DECIMAL(3, 2) would become 10.

use crate::error::Error;
use crate::functions::call::{Outcome, rows1, rows2};
use crate::functions::fault::within_256_bits;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::{Decimal, Rounding, SqlType};

pub(super) const FUNCTION: Scalar = Scalar {
    name: "ROUND",
    shown: "Round",
    category: "MATHEMATICAL",
    summary: "The nearest whole number, or the nearest number with so many digits after the point; a half is rounded up.",
    examples: &[("ROUND(1.5e0)", "2"), ("ROUND(-1.5e0)", "-1"), ("ROUND(1.125e0, 2)", "1.13"), ("ROUND(2.45)", "2")],
    overloads: &[
        Overload {
            params: &[param("val", T::Int)],
            returns: Returns::Is(SqlType::Bigint),
            body: |call| rows1(call, |v: Option<i32>| v.map(|v| Some(i64::from(v))).ok_or("NULL".into())),
        },
        Overload {
            params: &[param("val", T::Bigint)],
            returns: Returns::Is(SqlType::Bigint),
            body: |call| rows1(call, |v: Option<i64>| v.map(Some).ok_or("NULL".into())),
        },
        Overload {
            params: &[param("val", T::Double)],
            returns: Returns::Is(SqlType::Bigint),
            body: |call| rows1(call, |v: f64| Ok(Some(nearest(v)))),
        },
        Overload {
            params: &[param("val", T::Double), param("decimalPlaces", T::Int)],
            returns: Returns::Is(SqlType::Double),
            body: |call| rows2(call, |v: f64, places: i32| round_double(v, places)),
        },
        Overload {
            params: &[param("val", T::Decimal)],
            returns: Returns::By(|args, _| match args[0] {
                SqlType::Decimal { precision, scale } if precision > scale => {
                    Ok(SqlType::decimal(precision - scale, 0))
                }
                _ => Err(Error::invalid("ROUND leaves no digit of a number below 1")),
            }),
            body: |call| rows1(call, |v: Decimal| within_256_bits(round(v, 0))),
        },
        Overload {
            params: &[param("val", T::Decimal), param("decimalPlaces", T::Int)],
            returns: Returns::By(|args, _| Ok(args[0].clone())),
            body: |call| {
                rows2(call, |v: Decimal, places: i32| {
                    within_256_bits(round(v, places).and_then(|r| r.rescale(v.scale, Rounding::Exact)))
                })
            },
        },
    ],
};

/// A half goes up; adding it before cutting would round what is a little less than a half.
///
/// A double beyond 64 bits gives the nearest BIGINT, and NaN gives 0, as a cast to `long` does in Java.
fn nearest(v: f64) -> i64 {
    let floor = v.floor();
    (if v - floor >= 0.5 { floor + 1.0 } else { floor }) as i64
}

/// To the nearest number with so many digits after the point: a half is rounded up, for negative numbers towards zero.
///
/// Halves go up as `Math.round` takes them: 2.5 becomes 3, and -2.5 becomes -2. A negative number of places rounds
/// before the point: 1250 with -2 becomes 1300.
fn round(value: Decimal, places: i32) -> Option<Decimal> {
    if places >= value.scale {
        return Some(value);
    }
    let negative = value.unscaled < arrow::datatypes::i256::ZERO;
    value.rescale(places, if negative { Rounding::HalfDown } else { Rounding::HalfUp })
}

/// The double counts as the shortest decimal that prints as it does, so 1.125 is exactly a half.
///
/// # Errors
/// An infinity or NaN.
fn round_double(value: f64, places: i32) -> Outcome<f64> {
    let decimal = Decimal::from_f64(value).ok_or("Infinite or NaN")?;
    Ok(round(decimal, places).map(|r| r.to_f64()))
}
