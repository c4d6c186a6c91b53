//! `TRUNC`: a number without its last digits.

use crate::error::Error;
use crate::functions::call::{rows1, rows2};
use crate::functions::fault::within_256_bits;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::{Decimal, Rounding, SqlType};

pub(super) const FUNCTION: Scalar = Scalar {
    name: "TRUNC",
    shown: "trunc",
    category: "MATHEMATICAL",
    summary: "The number with the digits after the point, or after a place, cut off.",
    examples: &[("TRUNC(-1.9e0)", "-1"), ("TRUNC(1.29, 1)", "1.20")],
    overloads: &[
        Overload {
            params: &[param("value", T::Int)],
            returns: Returns::Is(SqlType::Bigint),
            body: |call| rows1(call, |v: i32| Ok(Some(i64::from(v)))),
        },
        Overload {
            params: &[param("value", T::Bigint)],
            returns: Returns::Is(SqlType::Bigint),
            body: |call| rows1(call, |v: i64| Ok(Some(v))),
        },
        Overload {
            params: &[param("value", T::Double)],
            returns: Returns::Is(SqlType::Bigint),
            body: |call| rows1(call, |v: f64| Ok(Some(v as i64))),
        },
        Overload {
            params: &[param("value", T::Double), param("places", T::Int)],
            returns: Returns::Is(SqlType::Double),
            body: |call| {
                rows2(call, |v: f64, places: i32| {
                    Ok(cut(Decimal::from_f64(v).ok_or("Infinite or NaN")?, places).map(|d| d.to_f64()))
                })
            },
        },
        Overload {
            params: &[param("value", T::Decimal)],
            returns: Returns::By(|args, _| match args[0] {
                SqlType::Decimal { precision, scale } if precision > scale => {
                    Ok(SqlType::decimal(precision - scale, 0))
                }
                _ => Err(Error::invalid("TRUNC leaves no digit of a number below 1")),
            }),
            body: |call| rows1(call, |v: Decimal| within_256_bits(v.rescale(0, Rounding::Down))),
        },
        Overload {
            params: &[param("value", T::Decimal), param("places", T::Int)],
            returns: Returns::By(|args, _| Ok(args[0].clone())),
            body: |call| {
                rows2(call, |v: Decimal, places: i32| {
                    within_256_bits(cut(v, places).and_then(|d| d.rescale(v.scale, Rounding::Exact)))
                })
            },
        },
    ],
};

/// Towards zero. A negative number of places makes zeros before the point.
fn cut(value: Decimal, places: i32) -> Option<Decimal> {
    if places >= value.scale { Some(value) } else { value.rescale(places, Rounding::Down) }
}
