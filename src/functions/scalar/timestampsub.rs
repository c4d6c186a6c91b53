//! `TIMESTAMPSUB`: an instant earlier.

use crate::functions::call::{Fault, Reader};
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::{SqlType, TimeUnit};

pub const FUNCTION: Scalar = Scalar {
    name: "TIMESTAMPSUB",
    shown: "timestampsub",
    category: "DATE / TIME",
    summary: "An instant so many units earlier.",
    examples: &[("TIMESTAMPSUB(HOURS, 1, FROM_UNIXTIME(7200000))", "1970-01-01T01:00:00.000")],
    overloads: &[Overload {
        params: &[param("unit", T::Unit), param("interval", T::Int), param("value", T::Timestamp)],
        returns: Returns::Is(SqlType::Timestamp),
        body: |call| {
            let args: Vec<Reader> = call.readers();
            call.rows(|row| {
                let unit = args[0].get::<&str>(row).and_then(TimeUnit::parse).ok_or(Fault("no unit".into()))?;
                let (Some(count), Some(v)) = (args[1].get::<i32>(row), args[2].get::<i64>(row)) else {
                    return Ok(None);
                };
                let shift = -i64::from(count) * unit.ms();
                Ok(Some(v.checked_add(shift).ok_or("the instant is out of range")?))
            })
        },
    }],
};
