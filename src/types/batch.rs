//! Rows in columns: the batches that move between operators, and the algebra of a table's changes.
//!
//! # Rows of a stream
//!
//! Each row is an event. `absent` marks events whose record has no value; all their columns that come from the value are
//! NULL. A stream's batch never has an old side.
//!
//! # Changes of a table
//!
//! Each row is one change of one key: the *new side* ([`Batch::columns`], [`Batch::absent`]) and, if something downstream asked
//! for it, the *old side* ([`Batch::old`]). An absent side says that the key has no row there:
//!
//! | new side | old side | the change |
//! |---|---|---|
//! | present | absent | insertion |
//! | present | present | update |
//! | absent | present | deletion |
//! | absent | absent | nothing; it may be dropped anywhere |
//!
//! **Columns of an absent side.** The key columns of an absent new side hold the key that goes, so that a sink can write its
//! tombstone. All other columns of an absent side mean nothing; no operator may read them, count their failures or let them
//! decide anything.
//!
//! **What an operator owes.** Let `T` be the table that its input describes: apply every change in order. The changes that it
//! emits describe `f(T)` after every prefix of its input, not only at the end:
//!
//! 1. A change emitted for a row carries that row's ordinal; ordinals never fall.
//! 2. The old side of a change is the new side of the last change that was emitted for the same key, or absent if that was a
//!    deletion or there was none. A consumer that undoes the old side and applies the new one is therefore always right.
//! 3. If an operator gets old sides, it emits old sides. If it gets none, then it may only do what needs none: compute,
//!    and filters whose consumers ignore deletions of keys that they never saw.
//!
//! **What a chain may assume.** Within one task, the changes of one key arrive in the order in which they happened. Between
//! keys nothing is promised. The key of a change is the same on both sides, except directly before an exchange that moves rows
//! to other keys: there a change may take a row from one key to another.
//!
//! **A row that comes back.** The halves of a change that was cut go on through two tasks. Where a later exchange brings them
//! together again, both have the same cause, and rows of one cause come by the number of the task that sent them: the insertion
//! may come before the deletion. So after a second exchange a row is known by the keys of both exchanges. An operator that
//! knows its rows by the last key alone (of a table that was exchanged by another column and back) must pair the halves of a
//! cause itself. One that undoes old sides and applies new ones need not.
//!
//! **Exchanges.** The exchange's columns are the key from there on. A change whose key stays is sent as one row with both sides.
//! A change whose key moves is cut in two: a deletion (old side kept) for the task of the old key, then an insertion (new side
//! kept) for the task of the new one. Both have the cause of the change, and where both keys belong to one task they are
//! adjacent; an exchange to a single task cuts too. Every deletion gets the old side's columns on its new side, so that it
//! holds the new key that goes. This is
//! [`Batch::rekeyed`].

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, UInt32Array};
use arrow::buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};
use arrow::compute::{self, FilterBuilder};
use arrow::datatypes::DataType;

use crate::error::{Error, Result};

/// Rows in the order in which they are processed; the plan knows what each column is. Every part has one entry per row.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The columns of the rows, or of the new side of changes.
    pub columns: Vec<ArrayRef>,
    /// Row time in milliseconds since the epoch.
    pub time: ScalarBuffer<i64>,
    /// The ordinal of the row, or of the row that caused it, in the order in which the task took its input.
    pub seq: Seq,
    /// Marks rows without a value: null rows of streams, deletions of tables.
    pub absent: Option<BooleanBuffer>,
    /// The headers of each record, as its bytes hold them. Carried only where the sink or a column reads them; NULL for a
    /// row whose record has none.
    pub headers: Option<ArrayRef>,
    /// The rows before the changes of a table.
    pub old: Option<Box<OldSide>>,
}

/// The rows before the changes of a table, one entry per change.
#[derive(Clone, Debug)]
pub struct OldSide {
    /// The same columns as those of the new side.
    pub columns: Vec<ArrayRef>,
    /// Marks the changes before which the key had no row.
    pub absent: Option<BooleanBuffer>,
}

/// Ordinals of rows, never falling.
#[derive(Clone, Debug)]
pub enum Seq {
    /// Consecutive ordinals, from this one.
    From(u64),
    /// One ordinal per row.
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

    /// The ordinals of `count` rows from `start` on.
    pub fn slice(&self, start: usize, count: usize) -> Seq {
        match self {
            Seq::From(first) => Seq::From(first + start as u64),
            Seq::Each(all) => Seq::Each(all.slice(start, count)),
        }
    }

    /// The ordinals of the given rows.
    pub fn take(&self, rows: impl Iterator<Item = usize>) -> Seq {
        Seq::Each(rows.map(|row| self.at(row)).collect::<Vec<_>>().into())
    }
}

impl OldSide {
    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.columns.first().map_or_else(|| self.absent.as_ref().map_or(0, BooleanBuffer::len), |column| column.len())
    }

    /// About how many bytes the columns take.
    pub fn bytes(&self) -> usize {
        self.columns.iter().map(|column| array_bytes(column.as_ref())).sum()
    }

    /// The rows with these numbers.
    ///
    /// # Errors
    /// A bug: there is no such row.
    pub fn take(&self, rows: &[u32]) -> Result<OldSide> {
        let numbers = UInt32Array::from(rows.to_vec());
        let column = |column: &ArrayRef| compute::take(column, &numbers, None).map_err(arrow_error);
        let bits = |bits: &BooleanBuffer| rows.iter().map(|row| bits.value(*row as usize)).collect();
        self.map(column, bits).map(|taken| *taken)
    }

    /// `count` rows from one on, without copying.
    pub fn slice(&self, from: usize, count: usize) -> OldSide {
        OldSide {
            columns: self.columns.iter().map(|column| column.slice(from, count)).collect(),
            absent: self.absent.as_ref().map(|absent| absent.slice(from, count)),
        }
    }

    fn map(
        &self,
        column: impl Fn(&ArrayRef) -> Result<ArrayRef>,
        bits: impl Fn(&BooleanBuffer) -> BooleanBuffer,
    ) -> Result<Box<OldSide>> {
        let columns = self.columns.iter().map(column).collect::<Result<_>>()?;
        Ok(Box::new(OldSide { columns, absent: self.absent.as_ref().map(bits) }))
    }
}

impl Batch {
    /// A batch of these columns, without headers and old side, in which every row has a value.
    pub fn new(columns: Vec<ArrayRef>, time: ScalarBuffer<i64>, seq: Seq) -> Self {
        debug_assert!(columns.iter().all(|c| c.len() == time.len()));
        Batch { columns, time, seq, absent: None, headers: None, old: None }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.time.len()
    }

    /// Whether the row has no value.
    #[inline]
    pub fn is_absent(&self, row: usize) -> bool {
        self.absent.as_ref().is_some_and(|absent| absent.value(row))
    }

    /// Whether the row is a change of a key that had no row before. Always true where old sides are not carried.
    #[inline]
    pub fn is_old_absent(&self, row: usize) -> bool {
        self.old.as_ref().is_none_or(|old| old.absent.as_ref().is_some_and(|absent| absent.value(row)))
    }

    /// About how many bytes the rows take.
    pub fn bytes(&self) -> usize {
        let old = self.old.iter().flat_map(|old| &old.columns);
        let columns = self.columns.iter().chain(old).chain(&self.headers);
        columns.map(|column| array_bytes(column.as_ref())).sum::<usize>() + self.rows() * size_of::<i64>()
    }

    /// About how many bytes the columns at `places` take in one row.
    pub fn row_bytes(&self, row: usize, places: &[usize]) -> usize {
        places.iter().map(|place| array_bytes(self.columns[*place].slice(row, 1).as_ref())).sum()
    }

    /// The same rows with other columns on both sides: those at `places`, in that order.
    pub fn project(&self, places: &[usize]) -> Batch {
        let pick = |columns: &[ArrayRef]| places.iter().map(|place| columns[*place].clone()).collect();
        let old =
            self.old.as_ref().map(|old| Box::new(OldSide { columns: pick(&old.columns), absent: old.absent.clone() }));
        Batch { columns: pick(&self.columns), old, ..self.shell() }
    }

    /// The parts that all rows have, without columns and old side.
    fn shell(&self) -> Batch {
        Batch {
            columns: Vec::new(),
            time: self.time.clone(),
            seq: self.seq.clone(),
            absent: self.absent.clone(),
            headers: self.headers.clone(),
            old: None,
        }
    }

    /// `count` rows from `start` on, without copying.
    pub fn slice(&self, start: usize, count: usize) -> Batch {
        if start == 0 && count == self.rows() {
            return self.clone();
        }
        let column = |c: &ArrayRef| c.slice(start, count);
        let bits = |b: &BooleanBuffer| b.slice(start, count);
        let old = |old: &OldSide| OldSide {
            columns: old.columns.iter().map(column).collect(),
            absent: old.absent.as_ref().map(bits),
        };
        Batch {
            columns: self.columns.iter().map(column).collect(),
            time: self.time.slice(start, count),
            seq: self.seq.slice(start, count),
            absent: self.absent.as_ref().map(bits),
            headers: self.headers.as_ref().map(column),
            old: self.old.as_deref().map(old).map(Box::new),
        }
    }

    /// The rows that are not absent.
    ///
    /// # Errors
    /// A bug.
    pub fn present(self) -> Result<Batch> {
        match self.absent.clone() {
            Some(absent) => self.filter(&!&absent),
            None => Ok(self),
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
        let bits = |b: &BooleanBuffer| filter_bits(b, keep, count);
        let mut time = Vec::with_capacity(count);
        time.extend(keep.set_indices().map(|row| self.time[row]));
        Ok(Batch {
            columns: self.columns.iter().map(column).collect::<Result<_>>()?,
            time: time.into(),
            seq: self.seq.take(keep.set_indices()),
            absent: self.absent.as_ref().map(bits),
            headers: self.headers.as_ref().map(column).transpose()?,
            old: self.old.as_ref().map(|old| old.map(column, bits)).transpose()?,
        })
    }

    /// The given rows, in that order; a row may be taken more than once.
    pub fn take(&self, rows: &[u32]) -> Result<Batch> {
        let indices = UInt32Array::from(rows.to_vec());
        let column = |c: &ArrayRef| compute::take(c, &indices, None).map_err(arrow_error);
        let bits = |b: &BooleanBuffer| BooleanBuffer::collect_bool(rows.len(), |i| b.value(rows[i] as usize));
        Ok(Batch {
            columns: self.columns.iter().map(column).collect::<Result<_>>()?,
            time: rows.iter().map(|row| self.time[*row as usize]).collect::<Vec<_>>().into(),
            seq: self.seq.take(rows.iter().map(|row| *row as usize)),
            absent: self.absent.as_ref().map(bits),
            headers: self.headers.as_ref().map(column).transpose()?,
            old: self.old.as_ref().map(|old| old.map(column, bits)).transpose()?,
        })
    }

    /// The changes under a new key, as the rules of exchanges demand: those that `moved` marks are cut in two. The batch must
    /// have old sides, and no change may be without both sides.
    pub fn rekeyed(self, moved: &BooleanBuffer) -> Result<Batch> {
        let Some(old) = &self.old else { return Err(Error::bug("changes without old sides get no other key")) };
        let count = self.rows() + moved.count_set_bits();
        // Each row once, a moved one twice: first as the deletion.
        let (mut rows, mut cut) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for row in 0..self.rows() {
            if moved.value(row) {
                rows.push(row as u32);
                cut.push(true);
            }
            rows.push(row as u32);
            cut.push(false);
        }
        let deletes = |i: usize| cut[i] || self.is_absent(rows[i] as usize);
        let places: Vec<(usize, usize)> = (0..count).map(|i| (usize::from(deletes(i)), rows[i] as usize)).collect();
        let side = |(new, old): (&ArrayRef, &ArrayRef)| {
            compute::interleave(&[new.as_ref(), old.as_ref()], &places).map_err(arrow_error)
        };
        let columns = self.columns.iter().zip(&old.columns).map(side).collect::<Result<Vec<_>>>()?;
        let mut made = Batch { columns, ..self.take(&rows)? };
        made.absent = Some(BooleanBuffer::collect_bool(count, deletes));
        let inserts = |i: usize| moved.value(rows[i] as usize) && !cut[i];
        if let Some(old) = &mut made.old {
            let absent = |i: usize| inserts(i) || self.is_old_absent(rows[i] as usize);
            old.absent = Some(BooleanBuffer::collect_bool(count, absent));
        }
        Ok(made)
    }
}

/// About how many bytes the values of an array take, whatever the buffers hold that it is a part of.
fn array_bytes(array: &dyn Array) -> usize {
    let rows = array.len();
    let own = match array.data_type() {
        DataType::Boolean => rows.div_ceil(8),
        DataType::Utf8 => text_bytes(array.as_string::<i32>().value_offsets()),
        DataType::Binary => text_bytes(array.as_binary::<i32>().value_offsets()),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let (first, last) = (list.value_offsets()[0] as usize, list.value_offsets()[rows] as usize);
            rows * size_of::<i32>() + array_bytes(list.values().slice(first, last - first).as_ref())
        }
        DataType::Struct(_) => array.as_struct().columns().iter().map(|c| array_bytes(c.as_ref())).sum(),
        other => rows * other.primitive_width().unwrap_or(size_of::<i64>()),
    };
    own + if array.nulls().is_some() { rows.div_ceil(8) } else { 0 }
}

fn text_bytes(offsets: &[i32]) -> usize {
    let (first, last) = (offsets.first().copied().unwrap_or(0), offsets.last().copied().unwrap_or(0));
    (last - first) as usize + size_of_val(offsets)
}

fn filter_bits(bits: &BooleanBuffer, keep: &BooleanBuffer, count: usize) -> BooleanBuffer {
    let mut picked = keep.set_indices().map(|row| bits.value(row));
    BooleanBuffer::collect_bool(count, |_| picked.next().unwrap_or(false))
}

/// `array` with NULL in the rows of `nulls`, in addition to those that are NULL already.
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

    fn integers(values: &[i32]) -> ArrayRef {
        array_of(&values.iter().map(|v| Value::Integer(*v)).collect::<Vec<_>>(), &SqlType::Integer)
    }

    fn batch() -> Batch {
        let mut batch = Batch::new(vec![integers(&[1, 2, 3, 4])], vec![10, 20, 30, 40].into(), Seq::From(7));
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
    fn picked_rows_keep_all_their_parts() {
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

    #[test]
    fn a_moved_change_becomes_a_deletion_and_an_insertion() {
        // An update that moves, one that stays, an insertion, a deletion.
        let mut changes = Batch::new(vec![integers(&[11, 20, 30, 0])], vec![1, 2, 3, 4].into(), Seq::From(0));
        changes.absent = Some(BooleanBuffer::from(vec![false, false, false, true]));
        let old_absent = Some(BooleanBuffer::from(vec![false, false, true, false]));
        changes.old = Some(Box::new(OldSide { columns: vec![integers(&[10, 21, 0, 40])], absent: old_absent }));
        let cut = changes.rekeyed(&BooleanBuffer::from(vec![true, false, false, false])).expect("cut");
        let new: Vec<(Value, i64, u64, bool)> = shown(&cut);
        assert_eq!(new[0], (Value::Integer(10), 1, 0, true), "the deletion holds the key that goes");
        assert_eq!(new[1], (Value::Integer(11), 1, 0, false), "the insertion has the same cause");
        assert_eq!(new[2..4], [(Value::Integer(20), 2, 1, false), (Value::Integer(30), 3, 2, false)]);
        assert_eq!(new[4], (Value::Integer(40), 4, 3, true), "a deletion holds the key that goes");
        let old: Vec<bool> = (0..cut.rows()).map(|row| cut.is_old_absent(row)).collect();
        assert_eq!(old, [false, true, false, true, false]);
    }

    #[test]
    fn bytes_count_only_the_rows_of_a_slice() {
        let texts = array_of(&["aaaa", "bb", ""].map(|t| Value::String(t.into())), &SqlType::String);
        let batch = Batch::new(vec![texts], vec![1, 2, 3].into(), Seq::From(0));
        assert_eq!(batch.bytes(), 6 + 4 * 4 + 3 * 8);
        assert_eq!(batch.slice(1, 1).bytes(), 2 + 2 * 4 + 8);
    }
}
