//! Arithmetic with units of time: what the functions that add and subtract share.

use super::call::{Fault, Reader};
use crate::types::TimeUnit;

/// The milliseconds of so many units; `None` if the number is NULL.
///
/// The unit is the text of a bare word such as `DAYS`, which the binder passes as a constant; it is never NULL. A
/// product of an INTEGER and the longest unit fits 64 bits.
///
/// # Errors
/// The word is not a unit of time.
pub(super) fn shift_ms(unit: &Reader, count: &Reader, row: usize) -> Result<Option<i64>, Fault> {
    let name = unit.get::<&str>(row).unwrap_or_default();
    let unit = TimeUnit::parse(name).ok_or_else(|| Fault::shown(format!("'{name}' is not a unit of time")))?;
    Ok(count.get::<i32>(row).map(|count| i64::from(count) * unit.ms()))
}

/// The refusal of a result that its type cannot hold.
pub(super) fn out_of_range(sql_type: &str) -> Fault {
    format!("the result is out of the range of {sql_type}").into()
}
