//! Rows on their way into their groups: first the groups of many rows are found, then the rows are taken in until the
//! output has enough.
//!
//! A batch is cut into chunks, and for each chunk this happens:
//!
//! * [`Touches`] says which rows count and for which windows. A row in three hopping windows is touched three times.
//! * The keys of all touches are encoded into one buffer and their groups are found with one call for each run of
//!   touches that are in the same bucket.
//! * Each function takes the rows of a run in, one function after the other. Functions whose results can be large go
//!   row by row, so that the results can be cut by their bytes.
//!
//! Where results are handed on at the end of the epoch or when windows close, a chunk is the whole batch.

use std::ops::Range;

use super::bucket::Bucket;
use super::results::Results;
use super::touches::Touches;
use super::{Aggregate, Left};
use crate::error::{Error, Result};
use crate::functions::aggregate::Failed;
use crate::operators::{Context, Flow, Output, Reason};
use crate::types::{Batch, View, key};

/// A batch that is being worked off.
pub(super) struct Rows {
    batch: Batch,
    /// The first row that is in no chunk yet.
    ///
    /// Rows before it are in the chunk, or worked off.
    next: usize,
    /// `None` where the next rows have not been looked at, so that their times have not been counted either.
    chunk: Option<Chunk>,
}

/// Rows whose groups are known.
pub(super) struct Chunk {
    pub batch: Batch,
    pub touches: Touches,
    /// The group of each touch, in its bucket.
    ///
    /// Stays valid while the chunk waits for room: buckets are dropped at the end of an epoch only, which comes after
    /// the batch.
    groups: Vec<u32>,
    /// How many touches have been taken in.
    taken: usize,
}

/// Rows that a call could not take in.
///
/// `failed` counts the rows of the batch and names the first. The function's state stays as it was before such a row,
/// as in ksqlDB.
pub(super) struct Failure {
    call: usize,
    failed: Failed,
}

/// The columns that the rows of a chunk are taken in from.
struct Columns<'a> {
    times: &'a [i64],
    /// For each call its arguments.
    args: Vec<Vec<View<'a>>>,
}

/// A result of more bytes is a batch of its own, whatever the limit.
const MOST_BATCH_BYTES: usize = 1 << 30;

impl Rows {
    pub(super) fn new(batch: Batch) -> Self {
        Rows { batch, next: 0, chunk: None }
    }
}

impl Aggregate {
    /// Works off a batch, as far as the output has room.
    ///
    /// On [`Flow::Left`] the rest is kept in `self.left`, and the ordinal is that of the first row that is not taken
    /// in.
    pub(super) fn take_rows(&mut self, mut rows: Box<Rows>, cx: &mut Context, out: &mut Output) -> Result<Flow> {
        loop {
            if rows.chunk.is_none() && rows.next >= rows.batch.rows() {
                return Ok(Flow::Done);
            }
            if !out.has_room() {
                let seq = match &rows.chunk {
                    Some(chunk) => chunk.batch.seq.at(chunk.touches.rows[chunk.taken] as usize),
                    None => rows.batch.seq.at(rows.next),
                };
                self.left = Some(Left::Rows(rows));
                return Ok(Flow::Left(seq));
            }
            let chunk = match &mut rows.chunk {
                Some(chunk) => chunk,
                None => {
                    let count = self.chunk_rows(rows.batch.rows() - rows.next, out);
                    let batch = rows.batch.slice(rows.next, count);
                    rows.next += count;
                    if !self.spec.every_row {
                        if let Flow::Left(seq) = self.take_without_results(batch, cx, out)? {
                            self.left = Some(Left::Rows(rows));
                            return Ok(Flow::Left(seq));
                        }
                        continue;
                    }
                    let touches = self.touches_of(&batch, cx);
                    rows.chunk.insert(self.chunk(batch, touches)?)
                }
            };
            self.take_piece(chunk, cx, out)?;
            if chunk.taken == chunk.touches.rows.len() {
                rows.chunk = None;
            }
        }
    }

    /// How many of so many rows to take at once, so that their results are not many more than a batch has.
    ///
    /// With hopping windows a row gives `size / advance` results, so that many fewer rows make a batch.
    fn chunk_rows(&self, rows: usize, out: &Output) -> usize {
        let windows = self.spec.window.map_or(1, |w| (w.size_ms / w.advance_ms).max(1) as usize);
        if self.spec.every_row { rows.min((out.batch_rows() / windows).max(1)) } else { rows }
    }

    /// Finds the groups of rows.
    ///
    /// Groups and buckets that do not exist are made. This is the only place where an aggregation without loaded state
    /// grows.
    fn chunk(&mut self, batch: Batch, touches: Touches) -> Result<Chunk> {
        let mut groups = Vec::with_capacity(touches.rows.len());
        let views: Vec<View> = self.spec.keys.iter().map(|(p, t)| View::new(batch.columns[*p].as_ref(), t)).collect();
        let calls = &self.spec.calls;
        let mut from = 0;
        while from < touches.rows.len() {
            let range = self.run(&touches.starts, from..touches.starts.len());
            from = range.end;
            self.scratch.keys.clear();
            self.scratch.ends.clear();
            // Most rows are in the window of the one before.
            let (mut window, mut end) = (None, Vec::new());
            for touch in range.clone() {
                let start = touches.starts[touch];
                if window != Some(start) {
                    window = Some(start);
                    end.clear();
                    self.windows.put(start, &mut end);
                }
                key::encode(&views, touches.rows[touch] as usize, &mut self.scratch.keys);
                self.scratch.keys.extend_from_slice(&end);
                self.scratch.ends.push(self.scratch.keys.len());
            }
            let id = self.windows.bucket(touches.starts[range.start]);
            let bucket = self.buckets.entry(id).or_insert_with(|| Bucket::new(calls.iter().map(|c| &c.function)));
            bucket.groups(&self.scratch.keys, &self.scratch.ends, &mut groups);
        }
        Ok(Chunk { batch, touches, groups, taken: 0 })
    }

    /// The touches at the front of a range whose windows are in one bucket.
    ///
    /// Never empty. The range must not be empty either.
    fn run(&self, starts: &[i64], range: Range<usize>) -> Range<usize> {
        let (first, end) = self.windows.bounds(self.windows.bucket(starts[range.start]));
        let count = starts[range.clone()].iter().take_while(|start| (first..end).contains(*start)).count();
        range.start..range.start + count.max(1)
    }

    fn columns<'a>(&self, batch: &'a Batch) -> Columns<'a>
    where
        Self: 'a,
    {
        let args = |call: &super::Call| {
            let types = call.args.iter().zip(&call.function.args);
            types.map(|(place, t)| View::new(batch.columns[*place].as_ref(), t)).collect()
        };
        Columns { times: &batch.time, args: self.spec.calls.iter().map(args).collect() }
    }

    /// Takes rows in whose results are asked for later, and hands on those of windows that they closed.
    ///
    /// Windows that the rows closed are noted after all rows were taken in. That is right, since a row that comes after
    /// the closing of a window is late for it and changes nothing.
    fn take_without_results(&mut self, batch: Batch, cx: &mut Context, out: &mut Output) -> Result<Flow> {
        let before = self.time.now();
        let touches = self.touches_of(&batch, cx);
        let chunk = self.chunk(batch, touches)?;
        let columns = self.columns(&chunk.batch);
        let mut results = Results::new(&self.spec, 0);
        let mut from = 0;
        while from < chunk.groups.len() {
            let run = self.run(&chunk.touches.starts, from..chunk.groups.len());
            from = run.end;
            self.update_run(&chunk, run, &columns, &mut results)?;
        }
        drop(columns);
        self.report_failures(&chunk.batch, cx);
        self.close(before, &chunk.batch, &chunk.touches.advances)?;
        self.emit_closed(out)
    }

    /// Takes rows of a chunk in, as many as make a batch of results, and hands these on.
    ///
    /// Ends at the end of a run, or earlier by bytes. `chunk.taken` says where.
    fn take_piece(&mut self, chunk: &mut Chunk, cx: &mut Context, out: &mut Output) -> Result<()> {
        let from = chunk.taken;
        if from == chunk.groups.len() {
            return Ok(());
        }
        let mut results = Results::new(&self.spec, chunk.groups.len() - from);
        let columns = self.columns(&chunk.batch);
        let mut left = out.batch_bytes().min(MOST_BATCH_BYTES) as isize;
        while chunk.taken < chunk.groups.len() && left > 0 {
            let run = self.run(&chunk.touches.starts, chunk.taken..chunk.groups.len());
            chunk.taken = if self.sized || self.spec.old {
                self.update_one_by_one(chunk, run, (&columns, &mut left), &mut results)?
            } else {
                let end = run.end;
                self.update_run(chunk, run, &columns, &mut results)?;
                end
            };
        }
        drop(columns);
        self.report_failures(&chunk.batch, cx);
        let made = self.every_row(chunk, from..chunk.taken, results)?;
        let bytes = if self.sized { made.bytes() } else { 0 };
        out.push_sized(made, bytes);
        Ok(())
    }

    /// Takes rows of one bucket in.
    ///
    /// A group is added to the epoch's list and its result before is kept before any function sees the row.
    fn update_run(&mut self, chunk: &Chunk, run: Range<usize>, columns: &Columns, results: &mut Results) -> Result<()> {
        let id = self.windows.bucket(chunk.touches.starts[run.start]);
        let (groups, rows) = (&chunk.groups[run.clone()], &chunk.touches.rows[run]);
        let bucket = self.buckets.get_mut(&id).ok_or_else(no_bucket)?;
        let reads = self.before.is_some() || self.readers.exist();
        for (at, group) in groups.iter().enumerate() {
            if reads {
                bucket.prefetch(|ahead| groups.get(at + ahead).copied());
            }
            if !bucket.touch(*group) {
                continue;
            }
            self.dirty.push((id, *group));
            if let Some(before) = &mut self.before {
                before.push(&self.spec, bucket, *group)?;
            }
            self.readers.note(&self.spec, bucket, (id, *group))?;
        }
        for (group, row) in groups.iter().zip(rows) {
            let time = &mut bucket.times[*group as usize];
            *time = (*time).max(columns.times[*row as usize]);
            if self.spec.every_row {
                results.times.push(*time);
            }
        }
        for (call, states) in bucket.states.iter_mut().enumerate() {
            let after = self.spec.every_row.then(|| &mut results.columns[call]);
            states.update(groups, rows, &columns.args[call], after)?;
            self.failures.extend(states.take_failed().map(|failed| Failure { call, failed }));
        }
        Ok(())
    }

    /// The same, one row after the other, until the results have so many bytes: where they can be large, or where every row's
    /// result is handed on with the one before it. Returns the first touch that is left.
    ///
    /// `left` is the room in bytes, and falls below 0 by at most one row's result.
    fn update_one_by_one(
        &mut self,
        chunk: &Chunk,
        run: Range<usize>,
        (columns, left): (&Columns, &mut isize),
        results: &mut Results,
    ) -> Result<usize> {
        let id = self.windows.bucket(chunk.touches.starts[run.start]);
        let bucket = self.buckets.get_mut(&id).ok_or_else(no_bucket)?;
        for touch in run.clone() {
            if *left <= 0 {
                return Ok(touch);
            }
            let (group, row) = (chunk.groups[touch], chunk.touches.rows[touch]);
            if self.spec.old {
                results.old_absent.push(bucket.is_new(group));
                bucket.results(group, &mut results.old)?;
                *left -= bucket.result_bytes(group) as isize;
            }
            if bucket.touch(group) {
                self.dirty.push((id, group));
                self.readers.note(&self.spec, bucket, (id, group))?;
            }
            let time = &mut bucket.times[group as usize];
            *time = (*time).max(columns.times[row as usize]);
            results.times.push(*time);
            for (call, states) in bucket.states.iter_mut().enumerate() {
                states.update(&[group], &[row], &columns.args[call], Some(&mut results.columns[call]))?;
                self.failures.extend(states.take_failed().map(|failed| Failure { call, failed }));
            }
            *left -= (bucket.table.key(group).len() + bucket.result_bytes(group)) as isize;
        }
        Ok(run.end)
    }

    /// Reports the rows of a batch that calls could not take in.
    ///
    /// One message for each function and batch: that of the first row.
    fn report_failures(&mut self, batch: &Batch, cx: &mut Context) {
        for Failure { call, failed } in self.failures.drain(..) {
            let name = self.spec.calls[call].function.function.name;
            let rows = failed.rows.iter().map(|row| *row as usize);
            cx.report(Reason::Expression, &batch.seq, rows, |_| {
                format!("{name}: {}; the aggregate keeps its value", failed.message)
            });
        }
    }
}

fn no_bucket() -> Error {
    Error::bug("the bucket of a group that was found is gone")
}
