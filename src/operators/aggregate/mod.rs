//! Aggregate: for each key, and window, what the aggregate functions make of its rows.
//!
//! Results are emitted in one of three ways: one per row; one per changed group at the end of an epoch; or one per group and
//! window, when the window is closed.

mod bucket;
mod closing;
mod results;
mod state;
mod touches;

use std::collections::BTreeMap;

use arrow::buffer::BooleanBuffer;

use super::{Context, Flow, KeyBytes, Operator, OperatorTime, Output, State};
use crate::error::{Error, Result};
use crate::functions::aggregate::BoundAggregate;
use crate::state::BucketId;
use crate::types::window::TimeWindow;
use crate::types::{Batch, Builder, OldSide, SqlType, View, key};
use bucket::{Bucket, Windows};
use closing::Closing;
use results::Results;
use touches::Touches;

/// A call of an aggregate function over columns of the input.
pub struct Call {
    pub function: BoundAggregate,
    /// The places of the arguments.
    pub args: Vec<usize>,
}

/// How an aggregation is made.
pub struct Spec {
    /// The places and types of the grouping columns.
    pub keys: Vec<(usize, SqlType)>,
    pub calls: Vec<Call>,
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
    /// The results of the dirty groups before their first touch, and whether there was none.
    before: Option<(Vec<Builder>, Vec<bool>)>,
    /// The groups whose entries are to be saved.
    changed: Vec<Group>,
    /// Whether a result can be large, so that batches of results are cut by their bytes.
    sized: bool,
    scratch: Scratch,
    left: Option<Left>,
    closing: Closing,
}

/// Work that waits until the output has room again.
enum Left {
    /// A batch, from this row on.
    Rows(Batch, usize),
    /// Results of windows that are closed.
    Closing,
    /// The end of an epoch.
    Flush(Flush),
}

/// The results that are handed on at the end of an epoch, from the group `next` on.
struct Flush {
    groups: Vec<Group>,
    next: usize,
    before: Option<OldSide>,
}

/// About how many bytes a changed group takes in ksqlDB's cache, for which the size of the cache is given.
const HELD_BYTES: usize = 100;

/// Memory that is used again from batch to batch.
#[derive(Default)]
struct Scratch {
    keys: Vec<u8>,
    ends: Vec<usize>,
    groups: Vec<u32>,
}

impl Aggregate {
    /// An aggregation without any group.
    pub fn new(spec: Spec) -> Self {
        let fixed = |call: &Call| {
            matches!(
                call.function.returns,
                SqlType::Boolean
                    | SqlType::Integer
                    | SqlType::Bigint
                    | SqlType::Double
                    | SqlType::Decimal { .. }
                    | SqlType::Date
                    | SqlType::Time
                    | SqlType::Timestamp
            )
        };
        Aggregate {
            windows: Windows::new(spec.window.as_ref()),
            sized: !spec.calls.iter().all(fixed),
            spec,
            time: OperatorTime::default(),
            buckets: BTreeMap::new(),
            horizon: BucketId::MIN,
            dirty: Vec::new(),
            before: None,
            changed: Vec::new(),
            scratch: Scratch::default(),
            left: None,
            closing: Closing::default(),
        }
    }

    /// Works off a batch from a row on.
    fn take_rows(&mut self, batch: Batch, from: usize, cx: &mut Context, out: &mut Output) -> Result<Flow> {
        let mut next = from;
        while next < batch.rows() {
            if !out.has_room() {
                let seq = batch.seq.at(next);
                self.left = Some(Left::Rows(batch, next));
                return Ok(Flow::Left(seq));
            }
            let count = self.chunk(&batch, next, out);
            self.take_chunk(&batch.slice(next, count), cx, out)?;
            next += count;
            if let Flow::Left(seq) = self.emit_closed(out)? {
                self.left = Some(Left::Rows(batch, next));
                return Ok(Flow::Left(seq));
            }
        }
        Ok(Flow::Done)
    }

    /// How many rows to take at once, so that their results are not much more than a batch.
    fn chunk(&self, batch: &Batch, from: usize, out: &Output) -> usize {
        let left = batch.rows() - from;
        let windows = self.spec.window.map_or(1, |w| (w.size_ms / w.advance_ms).max(1) as usize);
        if !self.spec.every_row {
            return left;
        }
        let rows = left.min((out.batch_rows() / windows).max(1));
        if !self.sized && windows == 1 {
            return rows;
        }
        let keys: Vec<usize> = self.spec.keys.iter().map(|(place, _)| *place).collect();
        let mut bytes = 0;
        let fits = |row: &usize| {
            let result = if self.sized { self.result_bytes(batch, *row) } else { 0 };
            bytes += windows * (batch.row_bytes(*row, &keys) + result);
            bytes <= out.batch_bytes()
        };
        (from..from + rows).take_while(fits).count().max(1)
    }

    /// Takes rows and hands on what they give.
    fn take_chunk(&mut self, batch: &Batch, cx: &mut Context, out: &mut Output) -> Result<()> {
        let before = self.time.now();
        let touches = self.touches_of(batch, cx);
        if !touches.rows.is_empty() {
            let results = self.update(batch, &touches)?;
            if self.spec.every_row {
                let made = self.every_row(batch, touches, results)?;
                if self.sized {
                    let bytes = made.bytes();
                    out.push_sized(made, bytes);
                } else {
                    out.push(made);
                }
                return Ok(());
            }
        }
        self.close(before, batch, &touches.advances)
    }

    /// Takes the rows into their groups and gives the results after each row, if every row is to have one.
    fn update(&mut self, batch: &Batch, touches: &Touches) -> Result<Results> {
        let keys: Vec<View> = self.spec.keys.iter().map(|(p, t)| View::new(batch.columns[*p].as_ref(), t)).collect();
        let args: Vec<Vec<View>> = self
            .spec
            .calls
            .iter()
            .map(|call| {
                let types = call.args.iter().zip(&call.function.args);
                types.map(|(place, t)| View::new(batch.columns[*place].as_ref(), t)).collect()
            })
            .collect();
        let mut results = Results::new(&self.spec, touches.rows.len());
        let mut from = 0;
        while from < touches.rows.len() {
            let bucket = self.windows.bucket(touches.starts[from]);
            let run = touches.starts[from..].iter().take_while(|s| self.windows.bucket(**s) == bucket).count();
            let range = from..from + run;
            self.encode_keys(&keys, &touches.rows[range.clone()], &touches.starts[range.clone()]);
            self.update_run(
                bucket,
                &Taken { times: &batch.time, rows: &touches.rows[range], args: &args },
                &mut results,
            )?;
            from += run;
        }
        Ok(results)
    }

    /// The keys of these rows, each followed by its window.
    fn encode_keys(&mut self, keys: &[View], rows: &[u32], starts: &[i64]) {
        let Scratch { keys: bytes, ends, .. } = &mut self.scratch;
        bytes.clear();
        ends.clear();
        for (row, start) in rows.iter().zip(starts) {
            key::encode(keys, *row as usize, bytes);
            self.windows.put(*start, bytes);
            ends.push(bytes.len());
        }
    }

    /// Takes rows of one bucket into their groups.
    fn update_run(&mut self, id: BucketId, taken: &Taken, results: &mut Results) -> Result<()> {
        let calls = &self.spec.calls;
        let bucket = self.buckets.entry(id).or_insert_with(|| Bucket::new(calls.iter().map(|c| &c.function)));
        let mut groups = std::mem::take(&mut self.scratch.groups);
        groups.clear();
        bucket.groups(&self.scratch.keys, &self.scratch.ends, &mut groups);
        if self.spec.old && self.spec.every_row {
            self.update_one_by_one(id, taken, &groups, results)?;
            self.scratch.groups = groups;
            return Ok(());
        }
        for group in &groups {
            if !bucket.touch(*group) {
                continue;
            }
            self.dirty.push((id, *group));
            if let Some((columns, absent)) = &mut self.before {
                absent.push(bucket.is_new(*group));
                bucket.results(*group, columns);
            }
        }
        for (group, row) in groups.iter().zip(taken.rows) {
            let time = &mut bucket.times[*group as usize];
            *time = (*time).max(taken.times[*row as usize]);
            if self.spec.every_row {
                results.times.push(*time);
            }
        }
        for (call, states) in bucket.states.iter_mut().enumerate() {
            let after = self.spec.every_row.then(|| &mut results.columns[call]);
            states.update(&groups, taken.rows, &taken.args[call], after)?;
        }
        self.scratch.groups = groups;
        Ok(())
    }

    /// The same where every row's result is handed on with the one before it.
    fn update_one_by_one(&mut self, id: BucketId, taken: &Taken, groups: &[u32], results: &mut Results) -> Result<()> {
        let Some(bucket) = self.buckets.get_mut(&id) else { return Ok(()) };
        for (group, row) in groups.iter().zip(taken.rows) {
            let place = *group as usize;
            results.old_absent.push(bucket.is_new(*group));
            bucket.results(*group, &mut results.old);
            if bucket.touch(*group) {
                self.dirty.push((id, *group));
            }
            bucket.times[place] = bucket.times[place].max(taken.times[*row as usize]);
            results.times.push(bucket.times[place]);
            for (call, states) in bucket.states.iter_mut().enumerate() {
                states.update(&[*group], &[*row], &taken.args[call], Some(&mut results.columns[call]))?;
            }
        }
        Ok(())
    }

    fn new_before(&self) -> Option<(Vec<Builder>, Vec<bool>)> {
        let wanted = self.spec.old && !self.spec.every_row && self.spec.last_only.is_none();
        wanted.then(|| (results::builders(&self.spec, 0), Vec::new()))
    }

    /// Starts a turn in which the stream time may go up to `limit`.
    fn start_turn(&mut self, limit: i64) {
        self.time.start_turn(limit);
        if self.before.is_none() {
            self.before = self.new_before();
        }
    }

    /// Hands on the results of an epoch's groups, and notes that their entries are to be saved.
    fn take_flush(&mut self, mut flush: Flush, end: u64, out: &mut Output) -> Result<Flow> {
        while flush.next < flush.groups.len() {
            if !out.has_room() {
                self.left = Some(Left::Flush(flush));
                return Ok(Flow::Left(end));
            }
            let count = self.fitting(&flush.groups[flush.next..], out);
            let mut made = self.batch_of(&flush.groups[flush.next..flush.next + count])?;
            made.seq = crate::types::Seq::Each(vec![end; count].into());
            if let Some(before) = &flush.before {
                let shared = made.columns[..made.columns.len() - before.columns.len()].to_vec();
                let own = before.columns.iter().map(|column| column.slice(flush.next, count));
                let absent = before.absent.as_ref().map(|absent| absent.slice(flush.next, count));
                made.old = Some(Box::new(OldSide { columns: shared.into_iter().chain(own).collect(), absent }));
            }
            let bytes = if self.sized { made.bytes() } else { 0 };
            out.push_sized(made, bytes);
            flush.next += count;
        }
        self.settle(&flush.groups);
        Ok(Flow::Done)
    }

    /// How many of these groups fit into a batch of results.
    fn fitting(&self, groups: &[Group], out: &Output) -> usize {
        let most = groups.len().min(out.batch_rows());
        if !self.sized {
            return most;
        }
        let mut bytes = 0;
        let fits = |(id, group): &&Group| {
            bytes += self.buckets.get(id).map_or(0, |bucket| bucket.result_bytes(*group));
            bytes <= out.batch_bytes()
        };
        groups[..most].iter().take_while(fits).count().max(1)
    }

    /// A new epoch begins: what was touched in the last one is to be saved.
    fn settle(&mut self, groups: &[Group]) {
        for (id, group) in groups {
            if let Some(bucket) = self.buckets.get_mut(id) {
                bucket.untouch(*group);
                self.changed.push((*id, *group));
            }
        }
    }
}

/// Rows of one bucket.
struct Taken<'a> {
    /// The row times of the batch.
    times: &'a [i64],
    rows: &'a [u32],
    /// For each call its arguments.
    args: &'a [Vec<View<'a>>],
}

impl Operator for Aggregate {
    fn process(&mut self, _: usize, batch: Batch, cx: &mut Context, out: &mut Output) -> Result<Flow> {
        let before = self.time.now();
        self.start_turn(cx.limits[0]);
        if self.time.now() > before {
            // A limit of an earlier turn is lifted: windows close before the first row.
            self.close_by(before, batch.seq.at(0))?;
            if let Flow::Left(seq) = self.emit_closed(out)? {
                self.left = Some(Left::Rows(batch, 0));
                return Ok(Flow::Left(seq));
            }
        }
        self.take_rows(batch, 0, cx, out)
    }

    fn advance(&mut self, cx: &mut Context, out: &mut Output) -> Result<Flow> {
        let before = self.time.now();
        self.start_turn(cx.limits[0]);
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
        let before = self.before.take().map(|(columns, absent)| OldSide {
            columns: columns.into_iter().map(Builder::finish).collect(),
            absent: Some(BooleanBuffer::from(absent)),
        });
        self.take_flush(Flush { groups, next: 0, before }, cx.end, out)
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
            (Left::Rows(batch, next), Flow::Done) => self.take_rows(batch, next, cx, out),
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
        self.dirty.len() * HELD_BYTES
    }

    fn state(&mut self) -> Option<&mut dyn State> {
        Some(self)
    }
}
