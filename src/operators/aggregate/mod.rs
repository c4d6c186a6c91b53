//! Aggregate: for each key, and window, what the aggregate functions make of its rows.
//!
//! Results are emitted in one of three ways: one per row; one per changed group at the end of an epoch; or one per group and
//! window, when the window is closed.
//!
//! A group is a key in a window, or a key alone where there are no windows. It has a dense number in its bucket,
//! and every aggregate function keeps its states in columns that are indexed by that number. A batch is worked off
//! column by column: the keys are encoded, the table finds the groups of many rows at once, and then each function
//! takes all rows in with one call. So the costs of a row are one look-up in a hash table for each window that takes
//! it, and an update of some bytes for each call.
//!
//! ```text
//! results                    when                             in which order
//! every row (`every_row`)    at once                          as the rows came
//! changed groups             at the end of an epoch           of the first touch in the epoch
//! last result (`last_only`)  when the window is closed        by closing row, window, key
//! ```
//!
//! The second way is what ksqlDB does with its record cache, the first what it does without one
//! (`cache.max.bytes.buffering` = 0). The third is EMIT FINAL, the `suppress` of Kafka Streams.
//!
//! Buckets whose windows have all expired are dropped whole. A group is never deleted by itself.

mod bits;
mod bucket;
mod closing;
mod flush;
mod read;
mod results;
mod rows;
mod shown;
mod state;
#[cfg(test)]
mod tests;
mod touches;
mod undo;
mod walk;

use std::collections::BTreeMap;

use super::{Context, Flow, KeyBytes, Operator, OperatorTime, Output, State};
use crate::error::{Error, Result};
use crate::functions::aggregate::BoundAggregate;
use crate::state::BucketId;
use crate::types::window::TimeWindow;
use crate::types::{Batch, SqlType, View, key};
use bucket::{Bucket, Windows};
use closing::Closing;
use flush::{Before, Flush};
use read::Readers;
use rows::{Failure, Rows};

/// A call of an aggregate function over columns of the input.
pub struct Call {
    /// The aggregate function with its overload.
    pub function: BoundAggregate,
    /// The places of the arguments.
    pub args: Vec<usize>,
}

/// How an aggregation is made.
pub struct Spec {
    /// The places and types of the grouping columns.
    ///
    /// A row in which one of them is NULL is in no group, as in ksqlDB; it is counted under [`super::Reason::NoGroup`].
    pub keys: Vec<(usize, SqlType)>,
    /// The calls, in the order of their columns in the result.
    ///
    /// The result has the keys first, then the start and the end of the window where there are windows, then the calls.
    pub calls: Vec<Call>,
    /// The window that groups are cut into; `None` if a group takes rows of all times.
    pub window: Option<TimeWindow>,
    /// Whether every row gives a result; else those of an epoch are merged.
    ///
    /// True if `cache.max.bytes.buffering` is 0, unless `last_only` is set.
    pub every_row: bool,
    /// Set if only the last result of each window is handed on, when it is closed. Orders the groups of a window.
    ///
    /// Then `every_row` is false, and nothing is handed on at the end of an epoch.
    pub last_only: Option<KeyBytes>,
    /// Whether something downstream asks for the result before each change.
    ///
    /// Costs a copy of the results at the first touch of each group in an epoch, or before each row with `every_row`.
    pub old: bool,
}

/// A group: its bucket and its number in it.
type Group = (BucketId, u32);

/// Groups rows and keeps a state for each group. Hands on the grouping columns, the window's start and end if there is one,
/// and the results of the calls.
pub struct Aggregate {
    spec: Spec,
    time: OperatorTime,
    windows: Windows,
    /// Ordered by event time, so that the expired ones stand first.
    buckets: BTreeMap<BucketId, Bucket>,
    /// No earlier bucket is there, or will be.
    horizon: BucketId,
    /// The groups touched in this epoch, in the order of their first touch.
    ///
    /// No group is in it twice: a bit in the bucket says whether a group is in it.
    dirty: Vec<Group>,
    /// The results of the dirty groups before their first touch, where something asks for them at the end of the epoch.
    before: Option<Before>,
    /// The groups whose entries are to be saved.
    ///
    /// Filled at the end of an epoch from `dirty`, and emptied by [`State::take_changes`].
    changed: Vec<Group>,
    /// Whether a result can be large, so that batches of results are cut by their bytes.
    sized: bool,
    scratch: Scratch,
    /// Rows of the batch at hand that a call could not take in.
    ///
    /// Empty between two batches.
    failures: Vec<Failure>,
    /// `None` unless the last call returned [`Flow::Left`].
    left: Option<Left>,
    closing: Closing,
    readers: Readers,
}

/// Work that waits until the output has room again.
enum Left {
    /// A batch of which rows are left.
    Rows(Box<Rows>),
    /// Results of windows that are closed.
    Closing,
    /// The end of an epoch.
    Flush(Flush),
}

/// About how many bytes a changed group takes in ksqlDB's cache, for which the size of the cache is given.
///
/// The size that a user gives in `cache.max.bytes.buffering` then leads to about as many updates as in ksqlDB.
const HELD_BYTES: usize = 100;

/// How many of those bytes an epoch may have besides, where no result waits for its end.
const MOST_CHANGED_BYTES: usize = 32 << 20;

/// Memory that is used again from batch to batch.
#[derive(Default)]
struct Scratch {
    keys: Vec<u8>,
    ends: Vec<usize>,
}

/// Whether every value of a type has the same few bytes.
///
/// Only such results are counted by rows alone; others are counted by bytes too, which costs a look at each result.
fn is_fixed(sql_type: &SqlType) -> bool {
    !sql_type.is_nested() && !matches!(sql_type, SqlType::String | SqlType::Bytes)
}

impl Aggregate {
    /// An aggregation without any group.
    pub fn new(spec: Spec) -> Self {
        Aggregate {
            windows: Windows::new(spec.window.as_ref()),
            sized: !spec.calls.iter().all(|call| is_fixed(&call.function.returns)),
            spec,
            time: OperatorTime::default(),
            buckets: BTreeMap::new(),
            horizon: BucketId::MIN,
            dirty: Vec::new(),
            before: None,
            changed: Vec::new(),
            scratch: Scratch::default(),
            failures: Vec::new(),
            left: None,
            closing: Closing::default(),
            readers: Readers::default(),
        }
    }

    /// Sees that results are kept as they were before the epoch, where something downstream asks for them.
    ///
    /// Called before rows are taken in. It does nothing where results are handed on row by row, since these carry their
    /// old side with them.
    fn keep_before(&mut self) {
        if self.before.is_none() && self.spec.old && !self.spec.every_row && self.spec.last_only.is_none() {
            self.before = Some(Before::default());
        }
    }
}

impl Operator for Aggregate {
    fn process(&mut self, _: usize, batch: Batch, cx: &mut Context, out: &mut Output) -> Result<Flow> {
        self.keep_before();
        self.take_rows(Box::new(Rows::new(batch)), cx, out)
    }

    fn advance(&mut self, cx: &mut Context, out: &mut Output) -> Result<Flow> {
        self.keep_before();
        let before = self.time.now();
        self.time.lift(cx.limit_after(0));
        self.close_by(before, cx.end)?;
        let flow = self.emit_closed(out)?;
        if let Flow::Left(_) = flow {
            self.left = Some(Left::Closing);
        }
        Ok(flow)
    }

    fn flush(&mut self, cx: &mut Context, out: &mut Output) -> Result<Flow> {
        let groups = std::mem::take(&mut self.dirty);
        if self.spec.every_row || self.spec.last_only.is_some() {
            self.settle(&groups);
            return Ok(Flow::Done);
        }
        let before = self.before.take();
        self.take_flush(Flush::new(groups, before), cx.end, out)
    }

    fn resume(&mut self, cx: &mut Context, out: &mut Output) -> Result<Flow> {
        let flow = match self.left.take() {
            Some(Left::Flush(flush)) => return self.take_flush(flush, cx.end, out),
            Some(left) => (left, self.emit_closed(out)?),
            None => return Err(Error::bug("an aggregation left nothing")),
        };
        match flow {
            (left, Flow::Left(seq)) => {
                self.left = Some(left);
                Ok(Flow::Left(seq))
            }
            (Left::Rows(rows), Flow::Done) => self.take_rows(rows, cx, out),
            (_, Flow::Done) => Ok(Flow::Done),
        }
    }

    fn touches(&self, _: usize, batch: &Batch, touch: &mut dyn FnMut(BucketId, &[u8])) {
        let views: Vec<View> = self.spec.keys.iter().map(|(p, t)| View::new(batch.columns[*p].as_ref(), t)).collect();
        let mut bytes = Vec::new();
        for row in (0..batch.rows()).filter(|row| !batch.is_absent(*row)) {
            if views.iter().any(|view| view.is_null(row)) {
                continue;
            }
            let starts: Vec<i64> = match &self.spec.window {
                Some(window) => window.starts(batch.time[row]).collect(),
                None => vec![0],
            };
            for start in starts {
                bytes.clear();
                key::encode(&views, row, &mut bytes);
                self.windows.put(start, &mut bytes);
                touch(self.windows.bucket(start), &bytes);
            }
        }
    }

    fn held_bytes(&self) -> usize {
        let changed = self.dirty.len() * HELD_BYTES;
        if self.spec.every_row || self.spec.last_only.is_some() {
            // No result waits for the end of the epoch, but what is saved then should not grow without bound.
            return changed.saturating_sub(MOST_CHANGED_BYTES);
        }
        changed + self.before.as_ref().map_or(0, Before::bytes)
    }

    fn state(&mut self) -> Option<&mut dyn State> {
        Some(self)
    }
}
