//! Which rows of a batch count, and for which windows.
//!
//! The order of the checks decides what a row is counted as: first a row without a value, then one with a NULL in its
//! key. Neither moves the stream time. Then the stream time moves, and only then is looked whether the window is
//! closed, so a row that moves the stream time is never late itself: every window that holds it ends after it.

use arrow::array::Array;

use super::Aggregate;
use crate::operators::{Context, Reason};
use crate::types::Batch;

/// The rows of a batch that count, each once for every window that takes it.
#[derive(Default)]
pub(super) struct Touches {
    /// Places in the batch, never falling.
    pub rows: Vec<u32>,
    /// The start of the window, in milliseconds since the epoch, one for each entry of `rows`; 0 without windows.
    pub starts: Vec<i64>,
    /// The rows at which the stream time went up, and the stream time then. Empty where it is not needed.
    ///
    /// Places in the batch and milliseconds since the epoch, both rising.
    pub advances: Vec<(u32, i64)>,
}

impl Aggregate {
    /// Which rows count, for which windows; the others are reported. The stream time advances row by row.
    ///
    /// A row that is late for two of its hopping windows counts twice under [`Reason::Late`], as Kafka Streams counts
    /// dropped records by window.
    pub(super) fn touches_of(&mut self, batch: &Batch, cx: &mut Context) -> Touches {
        let keys: Vec<&dyn Array> = self.spec.keys.iter().map(|(place, _)| batch.columns[*place].as_ref()).collect();
        let nullable = keys.iter().any(|k| k.null_count() > 0);
        let limit = cx.limits[0];
        let mut touches = Touches::default();
        touches.rows.reserve(batch.rows());
        touches.starts.reserve(batch.rows());
        let (mut without_value, mut without_group, mut late) = (Vec::new(), Vec::new(), Vec::new());
        let mut last = (0, 0);
        for row in 0..batch.rows() {
            if batch.is_absent(row) {
                without_value.push(row);
                continue;
            }
            if nullable && keys.iter().any(|k| k.is_null(row)) {
                without_group.push(row);
                continue;
            }
            let row_time = batch.time[row];
            let before = self.time.now();
            let now = self.time.advance(row_time, limit, || (cx.point_ms)(batch.seq.at(row)));
            if now > before && self.spec.last_only.is_some() {
                touches.advances.push((row as u32, now));
            }
            let Some(window) = &self.spec.window else {
                touches.rows.push(row as u32);
                touches.starts.push(0);
                continue;
            };
            let mut take = |start: i64| {
                if window.is_closed(start, now) {
                    late.push(row);
                } else {
                    touches.rows.push(row as u32);
                    touches.starts.push(start);
                }
            };
            // Windows without overlap: most rows are in that of the one before.
            if (last.0..last.1).contains(&row_time) {
                take(last.0);
                continue;
            }
            for start in window.starts(row_time) {
                take(start);
                last = if window.advance_ms == window.size_ms { (start, window.end(start)) } else { last };
            }
        }
        let seq = &batch.seq;
        cx.report(Reason::NoValue, seq, without_value, |_| "a row without a value is in no group".to_owned());
        cx.report(Reason::NoGroup, seq, without_group, |_| {
            "Group-by column resolved to null. The source row will be excluded from the table.".to_owned()
        });
        let now = self.time.now();
        cx.report(Reason::Late, seq, late, |_| format!("Skipping record for expired window, stream time {now}"));
        touches
    }
}
