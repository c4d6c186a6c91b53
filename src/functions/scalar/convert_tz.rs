//! `CONVERT_TZ`: an instant moved from one zone to another.

use crate::functions::call::{Fault, rows3};
use crate::functions::fault::shortened;
use crate::functions::meaning::Meaning;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::{SqlType, pattern::zone::Zone};

pub(super) const FUNCTION: Scalar = Scalar {
    name: "CONVERT_TZ",
    shown: "convert_tz",
    category: "DATE / TIME",
    summary: "The instant at which clocks in one zone show the local time that clocks in another zone show now.",
    examples: &[("CONVERT_TZ(FROM_UNIXTIME(0), 'UTC', 'Asia/Tokyo')", "1970-01-01T09:00:00.000")],
    overloads: &[Overload {
        params: &[
            param("timestamp", T::Timestamp),
            param("fromTimeZone", T::String).meaning(Meaning::Zone),
            param("toTimeZone", T::String).meaning(Meaning::Zone),
        ],
        returns: Returns::Is(SqlType::Timestamp),
        body: |call| {
            rows3(call, |ms: i64, from: &str, to: &str| {
                let shift = offset(to, ms)? - offset(from, ms)?;
                Ok(Some(ms.saturating_add(i64::from(shift) * 1000)))
            })
        },
    }],
};

/// Seconds east of UTC. Java's older zones, which are meant here, know offsets as `GMT+1` and `+0100`, and take what they do
/// not know for UTC.
///
/// `ms` is the instant at which the offset is wanted.
///
/// # Errors
/// The name is no zone.
fn offset(name: &str, ms: i64) -> Result<i32, Fault> {
    let zone = Zone::parse(name).ok_or_else(|| Fault::shown(format!("Invalid time zone: {}", shortened(name))))?;
    let unknown = ["UTC", "UT"].iter().any(|p| name.strip_prefix(p).is_some_and(|rest| rest.starts_with(['+', '-'])));
    let unknown = unknown || name.starts_with(['+', '-']) && name.matches(':').count() > 1;
    Ok(if unknown { 0 } else { zone.older_offset_at(ms) })
}
