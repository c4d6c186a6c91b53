//! `DATESUB`: a day earlier.

use crate::functions::call::{Fault, Reader};
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::{SqlType, TimeUnit};

const DAY_MS: i64 = 86_400_000;

pub const FUNCTION: Scalar = Scalar {
    name: "DATESUB",
    shown: "datesub",
    category: "DATE / TIME",
    summary: "A day so many units earlier; what is left of a day is cut off.",
    examples: &[("DATESUB(DAYS, 1, FROM_DAYS(2))", "1970-01-02")],
    overloads: &[Overload {
        params: &[param("unit", T::Unit), param("interval", T::Int), param("value", T::Date)],
        returns: Returns::Is(SqlType::Date),
        body: |call| {
            let args: Vec<Reader> = call.readers();
            call.rows(|row| {
                let unit = args[0].get::<&str>(row).and_then(TimeUnit::parse).ok_or(Fault("no unit".into()))?;
                let (Some(count), Some(v)) = (args[1].get::<i32>(row), args[2].get::<i32>(row)) else {
                    return Ok(None);
                };
                let shift = -i64::from(count) * unit.ms();
                Ok(Some(((i64::from(v) * DAY_MS + shift) / DAY_MS) as i32))
            })
        },
    }],
};
