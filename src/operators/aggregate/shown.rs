//! Rows of a table that were taken out of the state, and are put together later.

use arrow::array::ArrayRef;

use super::bucket::Bucket;
use super::results::bounds;
use super::{Aggregate, Group};
use crate::error::Result;
use crate::operators::table::Rows;
use crate::types::row::Input;
use crate::types::window::TimeWindow;
use crate::types::{Batch, Builder, Seq, SqlType, key};

/// Some rows.
///
/// Taking them is all that must be done while the operator stands still; keys are decoded afterwards.
pub(super) struct Shown {
    types: Vec<SqlType>,
    window: Option<TimeWindow>,
    /// The keys, one after the other, without their windows, and where each ends.
    keys: Vec<u8>,
    ends: Vec<usize>,
    /// The starts of the windows.
    starts: Vec<i64>,
    times: Vec<i64>,
}

impl Shown {
    /// No rows yet, with memory for so many.
    pub(super) fn new(aggregate: &Aggregate, rows: usize) -> Shown {
        let spec = &aggregate.spec;
        Shown {
            types: spec.keys.iter().map(|(_, t)| t.clone()).collect(),
            window: spec.window,
            keys: Vec::new(),
            ends: Vec::with_capacity(rows),
            starts: Vec::with_capacity(rows),
            times: Vec::with_capacity(rows),
        }
    }

    /// Adds a group of a bucket.
    #[inline]
    pub(super) fn push(&mut self, aggregate: &Aggregate, bucket: &Bucket, group: Group, time: i64) {
        let (key, start) = aggregate.windows.split(group.0, bucket.table.key(group.1));
        self.keys.extend_from_slice(key);
        self.ends.push(self.keys.len());
        self.starts.push(start);
        self.times.push(time);
    }

    /// The rows, with their results.
    pub(super) fn rows(self, results: Vec<ArrayRef>) -> Rows {
        Box::new(move || self.batch(results))
    }

    fn batch(self, results: Vec<ArrayRef>) -> Result<Batch> {
        let mut keys: Vec<Builder> = self.types.iter().map(|t| Builder::new(t, self.ends.len())).collect();
        let mut from = 0;
        for end in self.ends {
            key::decode(&mut Input(&self.keys[from..end]), &mut keys)?;
            from = end;
        }
        let mut columns: Vec<ArrayRef> = keys.into_iter().map(Builder::finish).collect();
        columns.extend(bounds(self.window.as_ref(), self.starts));
        columns.extend(results);
        Ok(Batch::new(columns, self.times.into(), Seq::From(0)))
    }
}
