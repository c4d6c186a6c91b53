//! Aggregate: for each key, and window, what the aggregate functions make of its rows.

mod bucket;

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, Int64Array, UInt32Array};
use arrow::buffer::BooleanBuffer;
use arrow::compute;

use super::{Context, KeyBytes, Operator, OperatorTime, Reason, State};
use crate::error::Result;
use crate::functions::aggregate::BoundAggregate;
use crate::state::{BucketId, Place};
use crate::types::row::Input;
use crate::types::window::TimeWindow;
use crate::types::{Batch, Builder, OldSide, Seq, SqlType, Value, View, array_of, arrow_error, key};
use bucket::{Bucket, Windows};

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
    /// Whether every row gives a result, or those of an epoch are merged.
    pub every_row: bool,
    /// That only the last result of each window is handed on, when it is closed: what orders the groups of a window.
    pub last_only: Option<KeyBytes>,
    /// Whether something behind asks for the result before each change.
    pub old: bool,
}

/// Groups rows and keeps a state for each group. Hands on the grouping columns, the window's start and end if there is one,
/// and the results of the calls.
pub struct Aggregate {
    spec: Spec,
    time: OperatorTime,
    windows: Windows,
    buckets: BTreeMap<BucketId, Bucket>,
    /// The groups touched in this epoch, in the order of their first touch.
    dirty: Vec<(BucketId, u32)>,
    /// The results of the dirty groups before their first touch, and whether there was none.
    before: Option<(Vec<Builder>, Vec<bool>)>,
    /// The groups whose entries are to be handed over.
    changed: Vec<(BucketId, u32)>,
    scratch: Scratch,
}

/// About how many bytes a changed group takes in a cache of ksqlDB's, which its size is given for.
const HELD_BYTES: usize = 100;

/// Memory that is used again from batch to batch.
#[derive(Default)]
struct Scratch {
    keys: Vec<u8>,
    ends: Vec<usize>,
    groups: Vec<u32>,
}

/// The rows of a batch that count, each once for every window that takes it.
#[derive(Default)]
struct Touches {
    rows: Vec<u32>,
    starts: Vec<i64>,
    /// The rows that made the stream time pass, and what it was then, if somebody wants to know.
    advances: Vec<(u32, i64)>,
}

impl Aggregate {
    /// An aggregation without any group.
    pub fn new(spec: Spec) -> Self {
        Aggregate {
            windows: Windows::new(spec.window.as_ref()),
            spec,
            time: OperatorTime::default(),
            buckets: BTreeMap::new(),
            dirty: Vec::new(),
            before: None,
            changed: Vec::new(),
            scratch: Scratch::default(),
        }
    }

    /// Which rows count, for which windows; the others are noted.
    fn touches(&mut self, batch: &Batch, cx: &mut Context) -> Touches {
        let keys: Vec<&dyn Array> = self.spec.keys.iter().map(|(place, _)| batch.columns[*place].as_ref()).collect();
        let limit = cx.time_limits[0];
        let mut touches = Touches::default();
        touches.rows.reserve(batch.rows());
        touches.starts.reserve(batch.rows());
        let (mut without_value, mut without_group, mut late) = (0, 0, 0);
        for row in 0..batch.rows() {
            if batch.is_absent(row) {
                without_value += 1;
                continue;
            }
            if keys.iter().any(|k| k.is_null(row)) {
                without_group += 1;
                continue;
            }
            let row_time = batch.time[row];
            let before = self.time.now();
            let now = self.time.advance(row_time, limit);
            if now > before && self.spec.last_only.is_some() {
                touches.advances.push((row as u32, now));
            }
            let Some(window) = &self.spec.window else {
                touches.rows.push(row as u32);
                touches.starts.push(0);
                continue;
            };
            for start in window.starts(row_time) {
                if window.is_closed(start, now) {
                    late += 1;
                } else {
                    touches.rows.push(row as u32);
                    touches.starts.push(start);
                }
            }
        }
        cx.log.add(Reason::NoValue, without_value, || "a row without a value is in no group".to_owned());
        cx.log.add(Reason::NoGroup, without_group, || {
            "Group-by column resolved to null. The source row will be excluded from the table.".to_owned()
        });
        let now = self.time.now();
        cx.log.add(Reason::Late, late, || format!("Skipping record for expired window, stream time {now}"));
        touches
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
            self.update_run(bucket, &batch.time, &touches.rows[range], &args, &mut results)?;
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
    fn update_run(
        &mut self,
        id: BucketId,
        times: &[i64],
        rows: &[u32],
        args: &[Vec<View>],
        results: &mut Results,
    ) -> Result<()> {
        let calls = &self.spec.calls;
        let bucket = self.buckets.entry(id).or_insert_with(|| Bucket::new(calls.iter().map(|c| &c.function)));
        let mut groups = std::mem::take(&mut self.scratch.groups);
        groups.clear();
        bucket.groups(&self.scratch.keys, &self.scratch.ends, &mut groups);
        if self.spec.old && self.spec.every_row {
            self.update_one_by_one(id, times, rows, &groups, args, results)?;
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
        for (group, row) in groups.iter().zip(rows) {
            let time = &mut bucket.times[*group as usize];
            *time = (*time).max(times[*row as usize]);
            if self.spec.every_row {
                results.times.push(*time);
            }
        }
        for (call, states) in bucket.states.iter_mut().enumerate() {
            let after = self.spec.every_row.then(|| &mut results.columns[call]);
            states.update(&groups, rows, &args[call], after)?;
        }
        self.scratch.groups = groups;
        Ok(())
    }

    /// The same where every row's result goes with the one before it.
    fn update_one_by_one(
        &mut self,
        id: BucketId,
        times: &[i64],
        rows: &[u32],
        groups: &[u32],
        args: &[Vec<View>],
        results: &mut Results,
    ) -> Result<()> {
        let Some(bucket) = self.buckets.get_mut(&id) else { return Ok(()) };
        for (group, row) in groups.iter().zip(rows) {
            let place = *group as usize;
            results.old_absent.push(bucket.is_new(*group));
            bucket.results(*group, &mut results.old);
            if bucket.touch(*group) {
                self.dirty.push((id, *group));
            }
            bucket.times[place] = bucket.times[place].max(times[*row as usize]);
            results.times.push(bucket.times[place]);
            for (call, states) in bucket.states.iter_mut().enumerate() {
                states.update(&[*group], &[*row], &args[call], Some(&mut results.columns[call]))?;
            }
        }
        Ok(())
    }

    /// A batch of what every row gave.
    fn every_row(&self, batch: &Batch, touches: Touches, results: Results) -> Result<Batch> {
        let whole = touches.rows.len() == batch.rows() && self.spec.window.is_none_or(|w| w.advance_ms == w.size_ms);
        let rows = UInt32Array::from(touches.rows);
        let pick = |column: &ArrayRef| {
            if whole { Ok(column.clone()) } else { compute::take(column, &rows, None).map_err(arrow_error) }
        };
        let mut columns: Vec<ArrayRef> =
            self.spec.keys.iter().map(|(place, _)| pick(&batch.columns[*place])).collect::<Result<_>>()?;
        columns.extend(self.bounds(touches.starts));
        let bounds_end = columns.len();
        columns.extend(results.columns.into_iter().map(Builder::finish));
        let seq = if whole {
            batch.seq.clone()
        } else {
            Seq::Each(rows.values().iter().map(|row| batch.seq.at(*row as usize)).collect::<Vec<_>>().into())
        };
        let mut made = Batch::new(columns, results.times.into(), seq);
        made.headers = batch.headers.as_ref().map(pick).transpose()?;
        if self.spec.old {
            let shared = made.columns[..bounds_end].iter().cloned();
            let old = shared.chain(results.old.into_iter().map(Builder::finish)).collect();
            let absent = Some(BooleanBuffer::from(results.old_absent));
            made.old = Some(Box::new(OldSide { columns: old, absent }));
        }
        Ok(made)
    }

    /// The columns of the windows that start there.
    fn bounds(&self, starts: Vec<i64>) -> Vec<ArrayRef> {
        let Some(window) = &self.spec.window else { return Vec::new() };
        let ends: Int64Array = starts.iter().map(|s| window.end(*s)).collect::<Vec<_>>().into();
        vec![std::sync::Arc::new(Int64Array::from(starts)), std::sync::Arc::new(ends)]
    }

    /// A batch of groups as they are now.
    fn batch_of(&self, groups: &[(BucketId, u32)]) -> Result<Batch> {
        let mut keys: Vec<Builder> = self.spec.keys.iter().map(|(_, t)| Builder::new(t, groups.len())).collect();
        let mut results = result_builders(&self.spec, groups.len());
        let (mut starts, mut times) = (Vec::new(), Vec::new());
        for (id, group) in groups {
            let Some(bucket) = self.buckets.get(id) else { continue };
            let (key, start) = self.windows.split(*id, bucket.table.key(*group));
            key::decode(&mut Input(key), &mut keys)?;
            starts.push(start);
            times.push(bucket.times[*group as usize]);
            bucket.results(*group, &mut results);
        }
        let mut columns: Vec<ArrayRef> = keys.into_iter().map(Builder::finish).collect();
        columns.extend(self.bounds(starts));
        columns.extend(results.into_iter().map(Builder::finish));
        Ok(Batch::new(columns, times.into(), Seq::From(0)))
    }

    /// The groups of the windows that have been closed since the stream time was `before`, each as of the row of the batch
    /// that closed its window: by window, and in a window by key.
    fn closed(&self, before: i64, batch: &Batch, advances: &[(u32, i64)]) -> Result<Option<Batch>> {
        let (Some(window), Some(key_bytes)) = (self.spec.window, &self.spec.last_only) else { return Ok(None) };
        let (now, span) = (self.time.now(), window.size_ms.saturating_add(window.grace_ms));
        // The starts of the windows that are closed now, and of those that were not before.
        let (last, first) = (now.saturating_sub(span), before.saturating_sub(span).max(-1) + 1);
        if last < first || last / window.advance_ms * window.advance_ms < first {
            return Ok(None);
        }
        let mut closed = Vec::new();
        for (id, bucket) in self.buckets.range(self.windows.bucket(first)..=self.windows.bucket(last)) {
            for group in 0..bucket.table.len() as u32 {
                let (key, start) = self.windows.split(*id, bucket.table.key(group));
                if (first..=last).contains(&start) {
                    let by = advances.partition_point(|(_, now)| !window.is_closed(start, *now));
                    let row = advances.get(by).map_or(0, |(row, _)| *row);
                    closed.push((row, start, key_bytes(key)?, (*id, group)));
                }
            }
        }
        if closed.is_empty() {
            return Ok(None);
        }
        closed.sort();
        let groups: Vec<(BucketId, u32)> = closed.iter().map(|(_, _, _, group)| *group).collect();
        let rows: Vec<u32> = closed.iter().map(|(row, ..)| *row).collect();
        let mut results = self.batch_of(&groups)?;
        results.seq = Seq::Each(rows.iter().map(|row| batch.seq.at(*row as usize)).collect::<Vec<_>>().into());
        let rows = UInt32Array::from(rows);
        let headers = batch.headers.as_ref().map(|headers| compute::take(headers, &rows, None));
        results.headers = headers.transpose().map_err(arrow_error)?;
        Ok(Some(results))
    }

    /// Drops the buckets of which no window can be read or take rows any more.
    fn expire(&mut self) {
        let Some(window) = self.spec.window else { return };
        let now = self.time.now();
        while let Some((id, _)) = self.buckets.first_key_value() {
            let last_start = self.windows.last_start(*id);
            if !window.is_expired(last_start, now) {
                return;
            }
            self.buckets.pop_first();
        }
    }

    fn new_before(&self) -> Option<(Vec<Builder>, Vec<bool>)> {
        let wanted = self.spec.old && !self.spec.every_row;
        wanted.then(|| (result_builders(&self.spec, 0), Vec::new()))
    }

    /// The groups of the given keys, of all windows that can still be read.
    fn groups_of(&self, keys: Option<&[Vec<Value>]>) -> Vec<(BucketId, u32)> {
        let wanted: Option<Vec<Vec<u8>>> = keys.map(|keys| keys.iter().map(|k| self.encode_key(k)).collect());
        let mut found = Vec::new();
        for (id, bucket) in &self.buckets {
            if self.spec.window.is_none()
                && let Some(wanted) = &wanted
            {
                found.extend(wanted.iter().filter_map(|k| bucket.table.find(k)).map(|g| (*id, g)));
                continue;
            }
            for group in 0..bucket.table.len() as u32 {
                let (own, start) = self.windows.split(*id, bucket.table.key(group));
                let live = self.spec.window.is_none_or(|w| start > self.time.now().saturating_sub(w.retention_ms));
                if live && wanted.as_ref().is_none_or(|w| w.iter().any(|k| k == own)) {
                    found.push((*id, group));
                }
            }
        }
        found
    }

    fn encode_key(&self, values: &[Value]) -> Vec<u8> {
        let arrays = self.spec.keys.iter().zip(values).map(|((_, t), v)| array_of([v], t));
        let arrays: Vec<ArrayRef> = arrays.collect();
        let views: Vec<View> = arrays.iter().zip(&self.spec.keys).map(|(a, (_, t))| View::new(a.as_ref(), t)).collect();
        let mut bytes = Vec::new();
        key::encode(&views, 0, &mut bytes);
        bytes
    }
}

/// What the rows of a batch gave.
struct Results {
    /// A column for each call, with an entry for every row, if every row is to have a result.
    columns: Vec<Builder>,
    times: Vec<i64>,
    /// The same before each row.
    old: Vec<Builder>,
    old_absent: Vec<bool>,
}

impl Results {
    fn new(spec: &Spec, rows: usize) -> Self {
        let rows = if spec.every_row { rows } else { 0 };
        Results {
            columns: result_builders(spec, rows),
            times: Vec::with_capacity(rows),
            old: result_builders(spec, 0),
            old_absent: Vec::new(),
        }
    }
}

fn result_builders(spec: &Spec, rows: usize) -> Vec<Builder> {
    spec.calls.iter().map(|call| Builder::new(&call.function.returns, rows)).collect()
}

impl Operator for Aggregate {
    fn process(&mut self, ports: Vec<Batch>, cx: &mut Context, out: &mut Vec<Batch>) -> Result<()> {
        let mut closed_at = self.time.now();
        self.time.start_turn(cx.time_limits[0]);
        if self.before.is_none() {
            self.before = self.new_before();
        }
        for batch in ports {
            let touches = self.touches(&batch, cx);
            if !touches.rows.is_empty() {
                let results = self.update(&batch, &touches)?;
                if self.spec.every_row {
                    out.push(self.every_row(&batch, touches, results)?);
                    continue;
                }
            }
            out.extend(self.closed(closed_at, &batch, &touches.advances)?);
            closed_at = self.time.now();
        }
        Ok(())
    }

    fn flush(&mut self, _: &mut Context, out: &mut Vec<Batch>) -> Result<()> {
        let dirty = std::mem::take(&mut self.dirty);
        if !self.spec.every_row && self.spec.last_only.is_none() && !dirty.is_empty() {
            let mut batch = self.batch_of(&dirty)?;
            if let Some((columns, absent)) = self.before.take() {
                let shared = batch.columns[..batch.columns.len() - columns.len()].to_vec();
                let old = shared.into_iter().chain(columns.into_iter().map(Builder::finish)).collect();
                batch.old = Some(Box::new(OldSide { columns: old, absent: Some(BooleanBuffer::from(absent)) }));
            }
            out.push(batch);
        }
        for (id, group) in dirty {
            if let Some(bucket) = self.buckets.get_mut(&id) {
                bucket.untouch(group);
                self.changed.push((id, group));
            }
        }
        Ok(())
    }

    fn held_bytes(&self) -> usize {
        self.dirty.len() * HELD_BYTES
    }

    fn state(&mut self) -> Option<&mut dyn State> {
        Some(self)
    }
}

impl State for Aggregate {
    fn take_changes(&mut self, change: &mut dyn FnMut(BucketId, &[u8], Option<&[u8]>)) {
        let mut value = Vec::new();
        for (id, group) in std::mem::take(&mut self.changed) {
            if let Some(bucket) = self.buckets.get(&id) {
                value.clear();
                bucket.encode(group, &mut value);
                change(id, bucket.table.key(group), Some(&value));
            }
        }
        self.expire();
    }

    fn save_times(&self, out: &mut Vec<u8>) {
        self.time.save(out);
    }

    fn load(&mut self, bucket: BucketId, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        let calls = &self.spec.calls;
        let bucket = self.buckets.entry(bucket).or_insert_with(|| Bucket::new(calls.iter().map(|c| &c.function)));
        // Groups are never deleted one by one, only with their bucket.
        value.map_or(Ok(()), |value| bucket.load(key, value))
    }

    fn load_times(&mut self, input: &mut Input) -> Result<()> {
        self.time = OperatorTime::load(input)?;
        self.expire();
        Ok(())
    }

    fn buckets(&self) -> Vec<BucketId> {
        self.buckets.keys().copied().collect()
    }

    fn version(&self, bucket: BucketId) -> u64 {
        self.buckets.get(&bucket).map_or(0, |b| b.version)
    }

    fn dump(&self, bucket: BucketId, from: Place, entry: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Option<Place> {
        let bucket = self.buckets.get(&bucket)?;
        let mut value = Vec::new();
        for group in from.1 as u32..bucket.table.len() as u32 {
            value.clear();
            bucket.encode(group, &mut value);
            if !entry(bucket.table.key(group), &value) {
                return Some(Place(0, u64::from(group) + 1));
            }
        }
        None
    }

    fn rows(&self, keys: Option<&[Vec<Value>]>) -> Result<Option<Vec<Batch>>> {
        let groups = self.groups_of(keys);
        groups.chunks(8192).map(|chunk| self.batch_of(chunk)).collect::<Result<Vec<_>>>().map(Some)
    }

    fn memory(&self) -> usize {
        self.buckets.values().map(Bucket::memory).sum()
    }
}
