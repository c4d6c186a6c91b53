//! Rows in columns: what moves between operators.

use arrow::array::{Array, ArrayRef, BooleanArray, UInt32Array};
use arrow::buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};
use arrow::compute::{self, FilterBuilder};

use crate::error::{Error, Result};

/// Rows in the order in which they are processed; the plan knows what each column is.
///
/// Every part has one entry a row. A batch of a table is a batch of changes: `columns` is the new side, where `absent`
/// marks a deletion, and `old` is the side before, if something downstream asked for it.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub columns: Vec<ArrayRef>,
    /// Row time in milliseconds since the epoch.
    pub time: ScalarBuffer<i64>,
    /// The place of the row, or of the row that caused it, in the order in which the task took its input.
    pub seq: Seq,
    /// Marks the rows whose record has no value: null rows of streams, tombstones of tables.
    pub absent: Option<BooleanBuffer>,
    /// The records' headers, `ARRAY<STRUCT<KEY STRING, VALUE BYTES>>`, unless no record has any.
    pub headers: Option<ArrayRef>,
    pub old: Option<Box<OldSide>>,
}

/// What was there before each change of a table.
#[derive(Clone, Debug)]
pub struct OldSide {
    pub columns: Vec<ArrayRef>,
    /// Marks the changes before which there was nothing.
    pub absent: Option<BooleanBuffer>,
}

/// Ordinals of rows, never falling.
#[derive(Clone, Debug)]
pub enum Seq {
    /// Counting up from here.
    From(u64),
    Each(ScalarBuffer<u64>),
}

impl Default for Seq {
    fn default() -> Self {
        Seq::From(0)
    }
}

impl Seq {
    /// The ordinal of a row.
    #[inline]
    pub fn at(&self, row: usize) -> u64 {
        match self {
            Seq::From(start) => start + row as u64,
            Seq::Each(all) => all[row],
        }
    }
}

impl Batch {
    /// A batch of these columns in which every record has a value.
    pub fn new(columns: Vec<ArrayRef>, time: ScalarBuffer<i64>, seq: Seq) -> Self {
        debug_assert!(columns.iter().all(|c| c.len() == time.len()));
        Batch { columns, time, seq, absent: None, headers: None, old: None }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.time.len()
    }

    /// Whether the record of a row has no value.
    pub fn is_absent(&self, row: usize) -> bool {
        self.absent.as_ref().is_some_and(|absent| absent.value(row))
    }

    /// The rows from `start`, `count` of them, without copying.
    pub fn slice(&self, start: usize, count: usize) -> Batch {
        let columns = |all: &[ArrayRef]| all.iter().map(|c| c.slice(start, count)).collect();
        let bits = |all: &Option<BooleanBuffer>| all.as_ref().map(|b| b.slice(start, count));
        Batch {
            columns: columns(&self.columns),
            time: self.time.slice(start, count),
            seq: match &self.seq {
                Seq::From(first) => Seq::From(first + start as u64),
                Seq::Each(all) => Seq::Each(all.slice(start, count)),
            },
            absent: bits(&self.absent),
            headers: self.headers.as_ref().map(|h| h.slice(start, count)),
            old: self
                .old
                .as_ref()
                .map(|old| Box::new(OldSide { columns: columns(&old.columns), absent: bits(&old.absent) })),
        }
    }

    /// The rows that `keep` marks.
    pub fn filter(self, keep: &BooleanBuffer) -> Result<Batch> {
        let count = keep.count_set_bits();
        if count == self.rows() {
            return Ok(self);
        }
        let mask = BooleanArray::new(keep.clone(), None);
        let filter = FilterBuilder::new(&mask).optimize().build();
        let column = |c: &ArrayRef| filter.filter(c).map_err(arrow_error);
        let columns = |all: &[ArrayRef]| all.iter().map(column).collect::<Result<Vec<_>>>();
        let bits = |all: &Option<BooleanBuffer>| all.as_ref().map(|b| filter_bits(b, keep, count));
        let picked = || keep.set_indices();
        Ok(Batch {
            columns: columns(&self.columns)?,
            time: picked().map(|row| self.time[row]).collect::<Vec<_>>().into(),
            seq: Seq::Each(picked().map(|row| self.seq.at(row)).collect::<Vec<_>>().into()),
            absent: bits(&self.absent),
            headers: self.headers.as_ref().map(column).transpose()?,
            old: match &self.old {
                Some(old) => Some(Box::new(OldSide { columns: columns(&old.columns)?, absent: bits(&old.absent) })),
                None => None,
            },
        })
    }

    /// The rows of `rows`, in that order.
    pub fn take(&self, rows: &[u32]) -> Result<Batch> {
        let indices = UInt32Array::from(rows.to_vec());
        let column = |c: &ArrayRef| compute::take(c, &indices, None).map_err(arrow_error);
        let columns = |all: &[ArrayRef]| all.iter().map(column).collect::<Result<Vec<_>>>();
        let bits = |all: &Option<BooleanBuffer>| {
            all.as_ref().map(|b| BooleanBuffer::collect_bool(rows.len(), |i| b.value(rows[i] as usize)))
        };
        Ok(Batch {
            columns: columns(&self.columns)?,
            time: rows.iter().map(|row| self.time[*row as usize]).collect::<Vec<_>>().into(),
            seq: Seq::Each(rows.iter().map(|row| self.seq.at(*row as usize)).collect::<Vec<_>>().into()),
            absent: bits(&self.absent),
            headers: self.headers.as_ref().map(column).transpose()?,
            old: match &self.old {
                Some(old) => Some(Box::new(OldSide { columns: columns(&old.columns)?, absent: bits(&old.absent) })),
                None => None,
            },
        })
    }
}

fn filter_bits(bits: &BooleanBuffer, keep: &BooleanBuffer, count: usize) -> BooleanBuffer {
    let mut picked = keep.set_indices().map(|row| bits.value(row));
    BooleanBuffer::collect_bool(count, |_| picked.next().unwrap_or(false))
}

/// `columns` with `nulls` made NULL besides those that are.
pub fn with_nulls(array: &ArrayRef, nulls: &BooleanBuffer) -> Result<ArrayRef> {
    if nulls.count_set_bits() == 0 {
        return Ok(array.clone());
    }
    let valid = NullBuffer::new(!nulls);
    let merged = NullBuffer::union(array.nulls(), Some(&valid));
    let data = array.to_data().into_builder().nulls(merged).build().map_err(arrow_error)?;
    Ok(arrow::array::make_array(data))
}

/// Arrow refuses only what our own code put together wrongly.
pub fn arrow_error(error: arrow::error::ArrowError) -> Error {
    Error::bug(format!("arrow: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{SqlType, Value, array_of};

    fn batch() -> Batch {
        let column = array_of(&[1, 2, 3, 4].map(Value::Integer), &SqlType::Integer);
        let mut batch = Batch::new(vec![column], vec![10, 20, 30, 40].into(), Seq::From(7));
        batch.absent = Some(BooleanBuffer::from(vec![false, true, false, true]));
        batch
    }

    fn shown(batch: &Batch) -> Vec<(Value, i64, u64, bool)> {
        let row = |r| {
            (Value::at(&batch.columns[0], r, &SqlType::Integer), batch.time[r], batch.seq.at(r), batch.is_absent(r))
        };
        (0..batch.rows()).map(row).collect()
    }

    #[test]
    fn picking_rows_keeps_their_parts_together() {
        let kept = batch().filter(&BooleanBuffer::from(vec![false, true, true, false])).expect("a batch");
        let expected = vec![(Value::Integer(2), 20, 8, true), (Value::Integer(3), 30, 9, false)];
        assert_eq!(shown(&kept), expected);
        assert_eq!(shown(&batch().slice(1, 2)), expected);
        assert_eq!(shown(&batch().take(&[1, 2]).expect("a batch")), expected);
    }

    #[test]
    fn nulls_are_added() {
        let column = array_of(&[Value::Null, Value::Integer(1), Value::Integer(2)], &SqlType::Integer);
        let column = with_nulls(&column, &BooleanBuffer::from(vec![false, true, false])).expect("an array");
        assert_eq!((column.is_null(0), column.is_null(1), column.is_null(2)), (true, true, false));
    }
}
