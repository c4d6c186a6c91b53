//! Windows: the written clause to the window of an aggregation, with ksqlDB's defaults and refusals.

use crate::error::{Error, Result};
use crate::sql::query::{Emit, Window, WindowKind};
use crate::types::window::{DEFAULT_SPAN_MS, TimeWindow};

/// The window that is meant.
///
/// # Errors
/// A size is not positive, the advance is larger than the size, or the retention is too short.
pub(super) fn time_window(written: &Window, emit: Option<Emit>) -> Result<TimeWindow> {
    let (size_ms, advance_ms) = match written.kind {
        WindowKind::Tumbling { size } => (size.ms(), size.ms()),
        WindowKind::Hopping { size, advance } => (size.ms(), advance.ms()),
        WindowKind::Session { .. } => {
            return Err(Error::unsupported("session windows").at(written.span).hint("use TUMBLING or HOPPING windows"));
        }
    };
    if size_ms <= 0 {
        return Err(Error::invalid("Size must be positive").at(written.span));
    }
    if advance_ms <= 0 || advance_ms > size_ms {
        let message = format!(
            "Window advancement interval should be more than zero and less than window duration which is {size_ms} ms, \
             but given advancement interval is: {advance_ms} ms"
        );
        return Err(Error::invalid(message).at(written.span));
    }
    let default_grace = if emit == Some(Emit::Final) { 0 } else { (DEFAULT_SPAN_MS - size_ms).max(0) };
    let grace_ms = written.grace.map_or(default_grace, |g| g.ms());
    let least = size_ms.saturating_add(grace_ms);
    let retention_ms = written.retention.map_or(least, |r| r.ms());
    if retention_ms < least {
        let message = format!(
            "The retention period of the window store must be no smaller than its window size plus the grace period. \
             Got size=[{size_ms}], grace=[{grace_ms}], retention=[{retention_ms}]"
        );
        let hint = "without GRACE PERIOD the grace fills up a day; say how late rows may be, or a longer RETENTION";
        return Err(Error::invalid(message).at(written.span).hint(hint));
    }
    Ok(TimeWindow { size_ms, advance_ms, grace_ms, retention_ms })
}
