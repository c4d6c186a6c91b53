//! `TIMESUB`: a time of day earlier.

use crate::functions::call::{Fault, Reader};
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::{SqlType, TimeUnit};

const DAY_NS: i64 = 86_400_000_000_000;

pub const FUNCTION: Scalar = Scalar {
    name: "TIMESUB",
    shown: "timesub",
    category: "DATE / TIME",
    summary: "A time of day so many units earlier; midnight is passed over.",
    examples: &[],
    overloads: &[Overload {
        params: &[param("unit", T::Unit), param("interval", T::Int), param("value", T::Time)],
        returns: Returns::Is(SqlType::Time),
        body: |call| {
            let args: Vec<Reader> = call.readers();
            call.rows(|row| {
                let unit = args[0].get::<&str>(row).and_then(TimeUnit::parse).ok_or(Fault("no unit".into()))?;
                let (Some(count), Some(v)) = (args[1].get::<i32>(row), args[2].get::<i32>(row)) else {
                    return Ok(None);
                };
                // Java computes in nanoseconds, and stops at the largest number of them.
                let shift = (i64::from(count) * unit.ms()).saturating_mul(1_000_000) % DAY_NS;
                let nanos = i64::from(v) * 1_000_000 - shift;
                Ok(Some((nanos.rem_euclid(DAY_NS) / 1_000_000) as i32))
            })
        },
    }],
};
