//! Results of groups as batches: after each row, or as they are now.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, UInt32Array};
use arrow::buffer::BooleanBuffer;
use arrow::compute;

use super::touches::Touches;
use super::{Aggregate, Group, Spec};
use crate::error::Result;
use crate::types::row::Input;
use crate::types::{Batch, Builder, OldSide, Seq, Value, View, array_of, arrow_error, key};

/// What the rows of a batch gave.
pub(super) struct Results {
    /// A column for each call, with an entry for every row, if every row is to have a result.
    pub columns: Vec<Builder>,
    pub times: Vec<i64>,
    /// The same before each row, where something asks for it.
    pub old: Vec<Builder>,
    pub old_absent: Vec<bool>,
}

impl Results {
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

impl Aggregate {
    /// A batch of what every row gave.
    pub(super) fn every_row(&self, batch: &Batch, touches: Touches, results: Results) -> Result<Batch> {
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
        let seq = match whole {
            true => batch.seq.clone(),
            false => batch.seq.take(rows.values().iter().map(|row| *row as usize)),
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

    /// The columns of the windows that start there; none if there are no windows.
    fn bounds(&self, starts: Vec<i64>) -> Vec<ArrayRef> {
        let Some(window) = &self.spec.window else { return Vec::new() };
        let ends: Int64Array = starts.iter().map(|s| window.end(*s)).collect::<Vec<_>>().into();
        vec![Arc::new(Int64Array::from(starts)), Arc::new(ends)]
    }

    /// A batch of groups as they are now; their ordinals mean nothing yet.
    pub(super) fn batch_of(&self, groups: &[Group]) -> Result<Batch> {
        let mut keys: Vec<Builder> = self.spec.keys.iter().map(|(_, t)| Builder::new(t, groups.len())).collect();
        let mut results = builders(&self.spec, groups.len());
        let (mut starts, mut times) = (Vec::with_capacity(groups.len()), Vec::with_capacity(groups.len()));
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

    /// About how many bytes the result of a row will have, before it is taken: that of its group now, and what it may add.
    pub(super) fn result_bytes(&self, batch: &Batch, row: usize) -> usize {
        let args: Vec<usize> = self.spec.calls.iter().flat_map(|call| call.args.iter().copied()).collect();
        let more = batch.row_bytes(row, &args);
        let views: Vec<View> = self.spec.keys.iter().map(|(p, t)| View::new(batch.columns[*p].as_ref(), t)).collect();
        if batch.is_absent(row) || views.iter().any(|view| view.is_null(row)) {
            return 0;
        }
        let start = self.spec.window.map_or(0, |w| w.starts(batch.time[row]).last().unwrap_or(0));
        let mut bytes = Vec::new();
        key::encode(&views, row, &mut bytes);
        self.windows.put(start, &mut bytes);
        let bucket = self.buckets.get(&self.windows.bucket(start));
        let group = bucket.and_then(|bucket| Some((bucket, bucket.table.find(&bytes)?)));
        more + group.map_or(0, |(bucket, group)| bucket.result_bytes(group))
    }

    /// The groups of the given keys, or all, of the windows that can still be read.
    pub(super) fn groups_of(&self, keys: Option<&[Vec<Value>]>) -> Vec<Group> {
        let wanted: Option<Vec<Vec<u8>>> = keys.map(|keys| keys.iter().map(|k| self.encode_key(k)).collect());
        let mut found = Vec::new();
        for (id, bucket) in &self.buckets {
            if self.spec.window.is_none()
                && let Some(wanted) = &wanted
            {
                found.extend(wanted.iter().filter_map(|k| bucket.table.find(k)).map(|g| (*id, g)));
                continue;
            }
            for group in bucket.table.numbers() {
                let (own, start) = self.windows.split(*id, bucket.table.key(group));
                let live = self.spec.window.is_none_or(|w| start > self.time.now().saturating_sub(w.retention_ms));
                if live && wanted.as_ref().is_none_or(|w| w.iter().any(|k| k == own)) {
                    found.push((*id, group));
                }
            }
        }
        found
    }

    pub(super) fn encode_key(&self, values: &[Value]) -> Vec<u8> {
        let arrays = self.spec.keys.iter().zip(values).map(|((_, t), v)| array_of([v], t));
        let arrays: Vec<ArrayRef> = arrays.collect();
        let views: Vec<View> = arrays.iter().zip(&self.spec.keys).map(|(a, (_, t))| View::new(a.as_ref(), t)).collect();
        let mut bytes = Vec::new();
        key::encode(&views, 0, &mut bytes);
        bytes
    }
}
