//! The entries of collections as columns, which lambdas are applied to.
//!
//! `TRANSFORM(ARRAY[1, 2], x => …)` over a batch calls the lambda once, with one column of all items of all rows,
//! instead of once per item. [`Entries`] makes that column and remembers which entries belong to which row;
//! [`Applied`] gives the results back one by one.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, UInt32Array};
use arrow::buffer::BooleanBuffer;
use arrow::compute;

use super::call::{Call, Fault};
use crate::types::{SqlType, Value, size_of_entries};

/// The entries of all collections in a column, one after the other.
///
/// The ranges are ascending and do not overlap, and the entries of a constant are repeated for each row.
pub(super) struct Entries {
    /// The entries of each row, `None` where the collection is NULL or the row is not computed.
    ///
    /// Ranges into `rows` and into each of `columns`.
    pub ranges: Vec<Option<Range<usize>>>,
    /// The row that each entry belongs to.
    pub rows: Vec<u32>,
    /// The entries: items, or keys and values.
    pub columns: Vec<ArrayRef>,
}

impl Entries {
    /// The entries of the first argument of a call.
    ///
    /// Entries of rows that are not computed are left out, so that the lambda is not evaluated for them. If all
    /// entries together are too large for one column there are none at all, and the call notes that it is too much.
    pub(super) fn of(call: &mut Call) -> Entries {
        let arg = &call.args[0];
        let lists = arg.array.as_list::<i32>();
        // The entries of a constant are repeated for each row.
        let repeated = if arg.constant { call.rows } else { 1 };
        let bytes = size_of_entries(lists, 0, lists.len()).saturating_mul(repeated);
        if call.is_too_much(bytes) {
            return Entries { ranges: vec![None; call.rows], rows: Vec::new(), columns: Vec::new() };
        }
        let (mut ranges, mut rows, mut places) = (Vec::with_capacity(call.rows), Vec::new(), Vec::new());
        for row in 0..call.rows {
            let at = if arg.constant { 0 } else { row };
            if call.skips(row) || lists.is_null(at) {
                ranges.push(None);
                continue;
            }
            let start = places.len();
            let offsets = lists.value_offsets();
            places.extend(offsets[at] as u32..offsets[at + 1] as u32);
            rows.resize(places.len(), row as u32);
            ranges.push(Some(start..places.len()));
        }
        let places = UInt32Array::from(places);
        let column = |values: &ArrayRef| compute::take(values, &places, None).expect("places of the list's own values");
        let columns = match &arg.sql_type {
            SqlType::Map(..) => lists.values().as_struct().columns().iter().map(column).collect(),
            _ => vec![column(lists.values())],
        };
        Entries { ranges, rows, columns }
    }

    /// What a lambda of the call gives for all entries.
    ///
    /// `lambda` is its number among the lambdas of the call.
    pub(super) fn apply(&self, call: &mut Call, lambda: usize) -> Applied {
        let (values, failed) = call.lambdas[lambda].apply(&self.columns, &self.rows);
        Applied { values, failed }
    }
}

/// The values of a lambda for entries.
pub(super) struct Applied {
    values: ArrayRef,
    failed: Option<BooleanBuffer>,
}

impl Applied {
    /// The value at an entry.
    ///
    /// # Errors
    /// [`Fault::Lambda`] for an entry without a value, which ends the row of the whole call.
    pub(super) fn get(&self, at: usize, sql_type: &SqlType) -> Result<Value, Fault> {
        match &self.failed {
            Some(failed) if failed.value(at) => Err(Fault::Lambda),
            _ => Ok(Value::at(self.values.as_ref(), at, sql_type)),
        }
    }
}
