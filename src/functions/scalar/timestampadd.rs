//! `TIMESTAMPADD`: an instant later.
//!
//! A result that 64 bits of milliseconds do not hold fails the row. A day is 24 hours, whatever the zone.

use crate::functions::call::Reader;
use crate::functions::signature::{T, param};
use crate::functions::units::{out_of_range, shift_ms};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "TIMESTAMPADD",
    shown: "timestampadd",
    category: "DATE / TIME",
    summary: "An instant so many units later.",
    examples: &[("TIMESTAMPADD(HOURS, 1, FROM_UNIXTIME(7200000))", "1970-01-01T03:00:00.000")],
    overloads: &[Overload {
        params: &[param("unit", T::Unit), param("interval", T::Int), param("value", T::Timestamp)],
        returns: Returns::Is(SqlType::Timestamp),
        body: |call| {
            let args: Vec<Reader> = call.readers();
            call.rows(|row| {
                let shift = shift_ms(&args[0], &args[1], row)?;
                let (Some(shift), Some(ms)) = (shift, args[2].get::<i64>(row)) else { return Ok(None) };
                ms.checked_add(shift).map(Some).ok_or_else(|| out_of_range("TIMESTAMP"))
            })
        },
    }],
};
