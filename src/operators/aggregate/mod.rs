//! Aggregate: for each key, and window, what the aggregate functions make of its rows.
//!
//! Results are emitted in one of three ways: one per row; one per changed group at the end of an epoch; or one per group and
//! window, when the window is closed.

mod bucket;
mod closing;
mod flush;
mod results;
mod rows;
mod state;
#[cfg(test)]
mod tests;
mod touches;

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
    pub keys: Vec<(usize, SqlType)>,
    /// The calls, in the order of their columns in the result.
    pub calls: Vec<Call>,
    /// The window that groups are cut into; `None` if a group takes rows of all times.
    pub window: Option<TimeWindow>,
    /// Whether every row gives a result; else those of an epoch are merged.
    pub every_row: bool,
    /// Set if only the last result of each window is handed on, when it is closed. Orders the groups of a window.
    pub last_only: Option<KeyBytes>,
    /// Whether something downstream asks for the result before each change.
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
    buckets: BTreeMap<BucketId, Bucket>,
    /// No earlier bucket is there, or will be.
    horizon: BucketId,
    /// The groups touched in this epoch, in the order of their first touch.
    dirty: Vec<Group>,
    /// The results of the dirty groups before their first touch, where something asks for them at the end of the epoch.
    before: Option<Before>,
    /// The groups whose entries are to be saved.
    changed: Vec<Group>,
    /// Whether a result can be large, so that batches of results are cut by their bytes.
    sized: bool,
    scratch: Scratch,
    /// Rows of the batch at hand that a call could not take in.
    failures: Vec<Failure>,
    left: Option<Left>,
    closing: Closing,
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
const HELD_BYTES: usize = 100;

/// Memory that is used again from batch to batch.
#[derive(Default)]
struct Scratch {
    keys: Vec<u8>,
    ends: Vec<usize>,
}

/// Whether every value of a type has the same few bytes.
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
        }
    }

    /// Sees that results are kept as they were before the epoch, where something downstream asks for them.
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
        self.dirty.len() * HELD_BYTES + self.before.as_ref().map_or(0, Before::bytes)
    }

    fn state(&mut self) -> Option<&mut dyn State> {
        Some(self)
    }
}
