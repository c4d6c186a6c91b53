//! `TIMEADD`: a time of day later.
//!
//! The sum wraps around at midnight: 23:00 and two hours is 01:00.

use crate::functions::call::Reader;
use crate::functions::signature::{T, param};
use crate::functions::units::shift_ms;
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

const DAY_NS: i64 = 86_400_000_000_000;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "TIMEADD",
    shown: "timeadd",
    category: "DATE / TIME",
    summary: "A time of day so many units later; midnight is passed over.",
    examples: &[],
    overloads: &[Overload {
        params: &[param("unit", T::Unit), param("interval", T::Int), param("value", T::Time)],
        returns: Returns::Is(SqlType::Time),
        body: |call| {
            let args: Vec<Reader> = call.readers();
            call.rows(|row| {
                let shift = shift_ms(&args[0], &args[1], row)?;
                let (Some(shift), Some(ms)) = (shift, args[2].get::<i32>(row)) else { return Ok(None) };
                // Java computes in nanoseconds, and stops at the largest number of them.
                let shift = shift.saturating_mul(1_000_000) % DAY_NS;
                let nanos = i64::from(ms) * 1_000_000 + shift;
                Ok(Some((nanos.rem_euclid(DAY_NS) / 1_000_000) as i32))
            })
        },
    }],
};
