//! Unnest: a row for every item of its arrays, side by side.
//!
//! As ksqlDB's table functions do it: several table functions in one SELECT are put side by side and not multiplied. A
//! row with arrays of 2 and 3 items gives 3 rows; the first array's column is NULL in the third.
//!
//! The input is cut by rows and bytes of the output, within a row if need be, so an array of a million items never
//! makes a batch of a million rows. Costs: O(rows made) for each column.

use arrow::array::{Array, ArrayRef, AsArray, ListArray, UInt32Array};
use arrow::compute;

use super::{Context, Flow, Operator, Output};
use crate::error::{Error, Result};
use crate::types::{Batch, arrow_error};

/// Hands on each row as often as the longest of its arrays has items, with the items after the other columns: the first of
/// each array, the second of each, and so on, NULL where an array has no more. A row whose arrays are all empty or NULL gives
/// nothing.
///
/// The rows that are made keep the time and the ordinal of the row that they come from. A row without a value gives
/// nothing either.
pub struct Unnest {
    /// The places of the columns that are handed on.
    keep: Vec<usize>,
    /// The places of the arrays.
    arrays: Vec<usize>,
    left: Option<Left>,
}

/// A batch that is not worked off.
struct Left {
    batch: Batch,
    /// The next row to be worked on.
    row: usize,
    /// The items of the row that were handed on.
    item: usize,
}

/// The rows of one output batch.
///
/// Both lists have an entry for each row of the output; their order is that of the output.
#[derive(Default)]
struct Picked {
    rows: Vec<u32>,
    /// For each array the place of the item in its values.
    ///
    /// `None` where the array has fewer items than the longest one of the row.
    items: Vec<Vec<Option<u32>>>,
}

impl Unnest {
    /// Hands on the columns at the places `keep`, then the items of the `arrays`.
    pub fn new(keep: Vec<usize>, arrays: Vec<usize>) -> Self {
        Unnest { keep, arrays, left: None }
    }

    /// Hands on rows until the batch is done or the output has enough. An error is Arrow's, and a bug.
    fn work(&mut self, mut left: Left, out: &mut Output) -> Result<Flow> {
        while left.row < left.batch.rows() {
            if !out.has_room() {
                let seq = left.batch.seq.at(left.row);
                self.left = Some(left);
                return Ok(Flow::Left(seq));
            }
            let picked = self.pick(&mut left, out);
            let made = self.batch(&left.batch, picked)?;
            let bytes = made.bytes();
            out.push_sized(made, bytes);
        }
        Ok(Flow::Done)
    }

    /// Picks the next rows, as many as a batch should have, and steps over them. A row is repeated with all the columns that
    /// are kept, so its bytes count once per item.
    fn pick(&self, left: &mut Left, out: &Output) -> Picked {
        let lists: Vec<&ListArray> = self.arrays.iter().map(|i| left.batch.columns[*i].as_list()).collect();
        let mut picked = Picked { rows: Vec::new(), items: vec![Vec::new(); lists.len()] };
        let mut room = out.batch_bytes();
        while left.row < left.batch.rows() && picked.rows.len() < out.batch_rows() && room > 0 {
            let row = left.row;
            let longest = if left.batch.is_absent(row) { 0 } else { longest(&lists, row) };
            let bytes = if longest > 0 { left.batch.row_bytes(row, &self.keep).max(1) } else { 1 };
            let most = (out.batch_rows() - picked.rows.len()).min((room / bytes).max(1));
            let end = longest.min(left.item + most);
            room = room.saturating_sub(bytes * (end - left.item));
            picked.rows.extend(std::iter::repeat_n(row as u32, end - left.item));
            for (list, items) in lists.iter().zip(&mut picked.items) {
                let (start, count) = (list.value_offsets()[row] as u32, length(list, row));
                items.extend((left.item..end).map(|i| (i < count).then_some(start + i as u32)));
            }
            (left.row, left.item) = if end == longest { (row + 1, 0) } else { (row, end) };
        }
        picked
    }

    fn batch(&self, batch: &Batch, picked: Picked) -> Result<Batch> {
        let mut made = batch.project(&self.keep).take(&picked.rows)?;
        for (place, items) in self.arrays.iter().zip(picked.items) {
            let values: &ArrayRef = batch.columns[*place].as_list::<i32>().values();
            made.columns.push(compute::take(values, &UInt32Array::from(items), None).map_err(arrow_error)?);
        }
        Ok(made)
    }
}

/// The number of items of an array; 0 if it is NULL.
fn length(list: &ListArray, row: usize) -> usize {
    if list.is_null(row) { 0 } else { list.value_length(row) as usize }
}

fn longest(lists: &[&ListArray], row: usize) -> usize {
    lists.iter().map(|list| length(list, row)).max().unwrap_or(0)
}

impl Operator for Unnest {
    fn process(&mut self, _: usize, batch: Batch, _: &mut Context, out: &mut Output) -> Result<Flow> {
        self.work(Left { batch, row: 0, item: 0 }, out)
    }

    fn resume(&mut self, _: &mut Context, out: &mut Output) -> Result<Flow> {
        let left = self.left.take().ok_or_else(|| Error::bug("unnest left no batch"))?;
        self.work(left, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operators::{Limit, Log};
    use crate::types::{Seq, SqlType, Value, array_of};

    fn list(items: &[i32]) -> Value {
        Value::Array(items.iter().map(|item| Value::Integer(*item)).collect())
    }

    #[test]
    fn items_of_several_arrays_stand_side_by_side_whatever_the_limit() {
        let lists = SqlType::Array(Box::new(SqlType::Integer));
        let columns = vec![
            array_of(&[10, 20, 30, 40].map(Value::Integer), &SqlType::Integer),
            array_of(&[list(&[1, 2]), Value::Null, list(&[]), list(&[])], &lists),
            array_of(&[list(&[7]), Value::Null, list(&[8, 9]), list(&[])], &lists),
        ];
        let batch = Batch::new(columns, vec![100, 200, 300, 400].into(), Seq::From(5));
        let int = Value::Integer;
        let expected = vec![
            (100, 5, int(10), int(1), int(7)),
            (100, 5, int(10), int(2), Value::Null),
            (300, 7, int(30), Value::Null, int(8)),
            (300, 7, int(30), Value::Null, int(9)),
        ];
        for rows in [1, 2, 3, 100] {
            let mut out = Output::new(Limit { rows, bytes: usize::MAX });
            let log = &mut Log::default();
            let mut cx =
                Context { limits: &[i64::MAX], now_ms: 0, end: 9, origin: &|_| None, point_ms: &|_| i64::MAX, log };
            let mut unnest = Unnest::new(vec![0], vec![1, 2]);
            let mut flow = unnest.process(0, batch.clone(), &mut cx, &mut out).expect("no bug");
            let mut found = Vec::new();
            loop {
                for out in out.drain() {
                    assert!(out.rows() <= rows);
                    let value = |column: usize, row| Value::at(&out.columns[column], row, &SqlType::Integer);
                    let row = |row| (out.time[row], out.seq.at(row), value(0, row), value(1, row), value(2, row));
                    found.extend((0..out.rows()).map(row));
                }
                let Flow::Left(seq) = flow else { break };
                assert!((5..9).contains(&seq));
                flow = unnest.resume(&mut cx, &mut out).expect("no bug");
            }
            assert_eq!(found, expected, "at most {rows} rows at once");
        }
    }
}
