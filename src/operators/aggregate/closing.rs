//! Windows that are closed, where only the last result of each is handed on.
//!
//! This is EMIT FINAL. A window `[start, start + size)` is closed when the stream time has reached `start + size +
//! grace`; from then on it takes no rows and its groups are handed on once. With windows of five minutes and a grace of
//! one minute, the window that starts at 10:00 is closed by the first row at 10:06 or later.
//!
//! A row can close many windows at once: all whose closing time lies between the stream time before and after it.
//! Finding them costs a walk over the groups of the buckets concerned and a sort of those found.

use std::collections::VecDeque;

use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute;

use super::{Aggregate, Group};
use crate::error::Result;
use crate::operators::{Flow, Output};
use crate::types::{Batch, Seq, arrow_error};

/// Results that are to be handed on: of windows that are closed.
#[derive(Default)]
pub(super) struct Closing {
    /// In the order in which they are handed on.
    waiting: VecDeque<Closed>,
    /// The headers of the rows that closed the windows, for those in `waiting` that have a row.
    headers: Option<ArrayRef>,
}

/// A group of a closed window.
struct Closed {
    /// The row that closed the window, in the batch that `headers` belong to.
    row: u32,
    /// The ordinal of that row.
    seq: u64,
    group: Group,
}

impl Aggregate {
    /// Notes the windows that were closed by the rows of a batch since the stream time was `before`.
    ///
    /// `advances` holds the rows of the batch at which the stream time rose, with the time after the row, in ascending
    /// order. A window's result gets the ordinal and the headers of the first row that closed it.
    pub(super) fn close(&mut self, before: i64, batch: &Batch, advances: &[(u32, i64)]) -> Result<()> {
        if self.spec.last_only.is_none() || advances.is_empty() {
            return Ok(());
        }
        self.closing.headers = batch.headers.clone();
        self.note(before, |now| {
            let by = advances.partition_point(|(_, at)| *at < now);
            let row = advances.get(by).map_or(0, |(row, _)| *row);
            (row, batch.seq.at(row as usize))
        })
    }

    /// Notes the windows that were closed since the stream time was `before` without a row of their own.
    ///
    /// Happens where a partition becomes idle or its limit rises: results then get the ordinal of the turn's end and no
    /// headers.
    pub(super) fn close_by(&mut self, before: i64, seq: u64) -> Result<()> {
        if self.spec.last_only.is_none() || self.time.now() <= before {
            return Ok(());
        }
        self.closing.headers = None;
        self.note(before, |_| (0, seq))
    }

    /// Notes closed windows in the order in which they are handed on: by the row that closed them, by window, and in a window
    /// by key. `by` gives the row at which the stream time reached a time, and its ordinal.
    ///
    /// Nothing may be waiting when it is called: what was noted before is replaced. `before` and the times that `by`
    /// gets are milliseconds since the epoch. A window is closed at most once, since its closing time lies between two
    /// values of a stream time that never goes back.
    fn note(&mut self, before: i64, by: impl Fn(i64) -> (u32, u64)) -> Result<()> {
        let (Some(window), Some(key_bytes)) = (self.spec.window, &self.spec.last_only) else { return Ok(()) };
        let (now, span) = (self.time.now(), window.size_ms.saturating_add(window.grace_ms));
        // The starts of the windows that are closed now and were not before.
        let (last, first) = (now.saturating_sub(span), before.saturating_sub(span).max(-1) + 1);
        if last < first || last / window.advance_ms * window.advance_ms < first {
            return Ok(());
        }
        let (mut closed, mut keys) = (Vec::new(), Vec::new());
        for (id, bucket) in self.buckets.range(self.windows.bucket(first)..=self.windows.bucket(last)) {
            for group in bucket.table.numbers() {
                let (key, start) = self.windows.split(*id, bucket.table.key(group));
                if (first..=last).contains(&start) {
                    let (row, seq) = by(start.saturating_add(span));
                    closed.push((seq, row, start, (*id, group)));
                    keys.push(key);
                }
            }
        }
        let keyed = closed.into_iter().zip(key_bytes(&keys)?);
        let mut closed: Vec<_> = keyed.map(|((seq, row, start, group), key)| (seq, row, start, key, group)).collect();
        closed.sort_unstable();
        self.closing.waiting = closed.into_iter().map(|(seq, row, _, _, group)| Closed { row, seq, group }).collect();
        Ok(())
    }

    /// Hands on what was noted.
    ///
    /// Returns [`Flow::Left`] with the ordinal of the next closing row where the output has no room.
    pub(super) fn emit_closed(&mut self, out: &mut Output) -> Result<Flow> {
        while let Some(next) = self.closing.waiting.front() {
            if !out.has_room() {
                return Ok(Flow::Left(next.seq));
            }
            let groups: Vec<Group> = self.closing.waiting.iter().take(out.batch_rows()).map(|c| c.group).collect();
            let count = self.fitting(&groups, out);
            let mut made = self.batch_of(&groups[..count])?;
            let taken: Vec<Closed> = self.closing.waiting.drain(..count).collect();
            made.seq = Seq::Each(taken.iter().map(|closed| closed.seq).collect::<Vec<_>>().into());
            if let Some(headers) = &self.closing.headers {
                let rows = UInt32Array::from_iter_values(taken.iter().map(|closed| closed.row));
                made.headers = Some(compute::take(headers, &rows, None).map_err(arrow_error)?);
            }
            let bytes = if self.sized { made.bytes() } else { 0 };
            out.push_sized(made, bytes);
        }
        self.closing.headers = None;
        Ok(Flow::Done)
    }
}
