//! `DATEADD`: a day later.
//!
//! 25 hours after a day is the next day, and 23 hours after it is the day itself. Units are never longer than a day,
//! so there are no months to count.

use crate::functions::call::Reader;
use crate::functions::signature::{T, param};
use crate::functions::units::{out_of_range, shift_ms};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

const DAY_MS: i64 = 86_400_000;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "DATEADD",
    shown: "dateadd",
    category: "DATE / TIME",
    summary: "The date so many units later; a part of a day is cut off.",
    examples: &[("DATEADD(DAYS, 1, FROM_DAYS(2))", "1970-01-04")],
    overloads: &[Overload {
        params: &[param("unit", T::Unit), param("interval", T::Int), param("value", T::Date)],
        returns: Returns::Is(SqlType::Date),
        body: |call| {
            let args: Vec<Reader> = call.readers();
            call.rows(|row| {
                let shift = shift_ms(&args[0], &args[1], row)?;
                let (Some(shift), Some(days)) = (shift, args[2].get::<i32>(row)) else { return Ok(None) };
                let days = (i64::from(days) * DAY_MS + shift) / DAY_MS;
                i32::try_from(days).map(Some).map_err(|_| out_of_range("DATE"))
            })
        },
    }],
};
