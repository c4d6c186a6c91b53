//! Results of groups as batches: after each row, or as they are now.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, UInt32Array};
use arrow::buffer::BooleanBuffer;
use arrow::compute;

use super::flush::next_in;
use super::rows::Chunk;
use super::{Aggregate, Group, Spec};
use crate::error::Result;
use crate::types::row::Input;
use crate::types::window::TimeWindow;
use crate::types::{Batch, Builder, OldSide, Seq, Value, View, array_of, arrow_error, key};

/// The results after the rows of a batch.
pub(super) struct Results {
    /// A column for each call, with an entry for every row, if every row is to have a result.
    ///
    /// Empty where results are handed on later.
    pub columns: Vec<Builder>,
    /// The largest time of a row in the group, up to and including the row; milliseconds since the epoch. ksqlDB gives
    /// the result of an aggregation this time too.
    pub times: Vec<i64>,
    /// The same before each row, where something asks for it.
    pub old: Vec<Builder>,
    /// `true` for the first row of a group.
    pub old_absent: Vec<bool>,
}

impl Results {
    /// No results, with memory for `rows` of them where every row has one.
    pub(super) fn new(spec: &Spec, rows: usize) -> Self {
        let rows = if spec.every_row { rows } else { 0 };
        Results {
            columns: builders(spec, rows),
            times: Vec::with_capacity(rows),
            old: builders(spec, 0),
            old_absent: Vec::new(),
        }
    }
}

/// An empty column for the results of each call.
pub(super) fn builders(spec: &Spec, rows: usize) -> Vec<Builder> {
    spec.calls.iter().map(|call| Builder::new(&call.function.returns, rows)).collect()
}

/// The columns of the windows that start there; none if there are no windows.
///
/// Two BIGINT columns, WINDOWSTART and WINDOWEND, in milliseconds since the epoch; the end is outside of the window.
pub(super) fn bounds(window: Option<&TimeWindow>, starts: Vec<i64>) -> Vec<ArrayRef> {
    let Some(window) = window else { return Vec::new() };
    let ends: Int64Array = starts.iter().map(|s| window.end(*s)).collect::<Vec<_>>().into();
    vec![Arc::new(Int64Array::from(starts)), Arc::new(ends)]
}

impl Aggregate {
    /// A batch of what a range of a chunk's touches gave.
    ///
    /// `results` has an entry for each touch in the range. Keys, ordinals and headers are taken from the rows. A row
    /// that is in three hopping windows is in the batch three times, in the order of its windows.
    pub(super) fn every_row(&self, chunk: &Chunk, range: Range<usize>, results: Results) -> Result<Batch> {
        let batch = &chunk.batch;
        let rows = &chunk.touches.rows[range.clone()];
        // Where a row is in one window at most, rows without a gap are a slice.
        let is_once = self.spec.window.is_none_or(|w| w.advance_ms == w.size_ms);
        let slice = match rows {
            [first, .., last] if is_once && (last - first) as usize + 1 == rows.len() => Some(*first as usize),
            [first] => Some(*first as usize),
            _ => None,
        };
        let picked = UInt32Array::from(if slice.is_some() { Vec::new() } else { rows.to_vec() });
        let pick = |column: &ArrayRef| match slice {
            Some(first) => Ok(column.slice(first, rows.len())),
            None => compute::take(column, &picked, None).map_err(arrow_error),
        };
        let mut columns: Vec<ArrayRef> =
            self.spec.keys.iter().map(|(place, _)| pick(&batch.columns[*place])).collect::<Result<_>>()?;
        columns.extend(bounds(self.spec.window.as_ref(), chunk.touches.starts[range].to_vec()));
        let bounds_end = columns.len();
        columns.extend(results.columns.into_iter().map(Builder::finish));
        let seq = match slice {
            Some(first) => batch.seq.slice(first, rows.len()),
            None => batch.seq.take(rows.iter().map(|row| *row as usize)),
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

    /// A batch of groups as they are now; their ordinals mean nothing yet.
    ///
    /// A group whose bucket was dropped is left out. The keys are decoded from the table, since no row is at hand.
    pub(super) fn batch_of(&self, groups: &[Group]) -> Result<Batch> {
        let mut keys: Vec<Builder> = self.spec.keys.iter().map(|(_, t)| Builder::new(t, groups.len())).collect();
        let mut results = builders(&self.spec, groups.len());
        let (mut starts, mut times) = (Vec::with_capacity(groups.len()), Vec::with_capacity(groups.len()));
        for (at, (id, group)) in groups.iter().enumerate() {
            let Some(bucket) = self.buckets.get(id) else { continue };
            bucket.prefetch(next_in(groups, at));
            let (key, start) = self.windows.split(*id, bucket.table.key(*group));
            key::decode(&mut Input(key), &mut keys)?;
            starts.push(start);
            times.push(bucket.times[*group as usize]);
            bucket.results(*group, &mut results)?;
        }
        let mut columns: Vec<ArrayRef> = keys.into_iter().map(Builder::finish).collect();
        columns.extend(bounds(self.spec.window.as_ref(), starts));
        columns.extend(results.into_iter().map(Builder::finish));
        Ok(Batch::new(columns, times.into(), Seq::From(0)))
    }

    /// The bytes of a group's key, without its window. `values` has one value for each grouping column, in their order
    /// and of their types.
    pub(super) fn encode_key(&self, values: &[Value]) -> Vec<u8> {
        let arrays = self.spec.keys.iter().zip(values).map(|((_, t), v)| array_of([v], t));
        let arrays: Vec<ArrayRef> = arrays.collect();
        let views: Vec<View> = arrays.iter().zip(&self.spec.keys).map(|(a, (_, t))| View::new(a.as_ref(), t)).collect();
        let mut bytes = Vec::new();
        key::encode(&views, 0, &mut bytes);
        bytes
    }
}
