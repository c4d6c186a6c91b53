//! Unnest: a row for every item of its arrays, side by side.

use arrow::array::{Array, ArrayRef, AsArray, UInt32Array};
use arrow::compute;

use super::{Context, Operator};
use crate::error::Result;
use crate::types::{Batch, arrow_error};

/// Hands on each row as often as the longest of its arrays has items, with the items behind the other columns: the first of
/// each array, the second of each, and so on, NULL where an array has no more. A row whose arrays are empty or NULL is gone.
pub struct Unnest {
    /// The places of the columns that are handed on.
    keep: Vec<usize>,
    /// The places of the arrays.
    arrays: Vec<usize>,
}

impl Unnest {
    /// Hands on the columns at the places `keep`, then the items of the `arrays`.
    pub fn new(keep: Vec<usize>, arrays: Vec<usize>) -> Self {
        Unnest { keep, arrays }
    }

    fn unnest(&self, batch: &Batch) -> Result<Batch> {
        let arrays: Vec<&arrow::array::ListArray> = self.arrays.iter().map(|i| batch.columns[*i].as_list()).collect();
        let length = |list: &arrow::array::ListArray, row: usize| {
            if list.is_null(row) { 0 } else { list.value_length(row) as usize }
        };
        let mut rows: Vec<u32> = Vec::new();
        let mut items: Vec<Vec<Option<u32>>> = vec![Vec::new(); arrays.len()];
        for row in 0..batch.rows() {
            if batch.is_absent(row) {
                continue;
            }
            let most = arrays.iter().map(|list| length(list, row)).max().unwrap_or(0);
            rows.extend(std::iter::repeat_n(row as u32, most));
            for (list, items) in arrays.iter().zip(&mut items) {
                let (start, count) = (list.value_offsets()[row] as u32, length(list, row));
                items.extend((0..most).map(|i| (i < count).then_some(start + i as u32)));
            }
        }
        let kept: Vec<ArrayRef> = self.keep.iter().map(|place| batch.columns[*place].clone()).collect();
        let mut out = Batch { columns: kept, ..batch.clone() }.take(&rows)?;
        for (list, items) in arrays.into_iter().zip(items) {
            out.columns.push(compute::take(list.values(), &UInt32Array::from(items), None).map_err(arrow_error)?);
        }
        Ok(out)
    }
}

impl Operator for Unnest {
    fn process(&mut self, ports: Vec<Batch>, _: &mut Context, out: &mut Vec<Batch>) -> Result<()> {
        for batch in ports {
            let rows = self.unnest(&batch)?;
            if rows.rows() > 0 {
                out.push(rows);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operators::Log;
    use crate::types::{Seq, SqlType, Value, array_of};

    fn list(items: &[i32]) -> Value {
        Value::Array(items.iter().map(|item| Value::Integer(*item)).collect())
    }

    #[test]
    fn the_items_of_several_arrays_stand_side_by_side() {
        let lists = SqlType::Array(Box::new(SqlType::Integer));
        let columns = vec![
            array_of(&[10, 20, 30, 40].map(Value::Integer), &SqlType::Integer),
            array_of(&[list(&[1, 2]), Value::Null, list(&[]), list(&[])], &lists),
            array_of(&[list(&[7]), Value::Null, list(&[8, 9]), list(&[])], &lists),
        ];
        let batch = Batch::new(columns, vec![100, 200, 300, 400].into(), Seq::From(5));
        let mut out = Vec::new();
        let mut cx = Context { time_limits: &[i64::MAX], log: &mut Log::default() };
        Unnest::new(vec![0], vec![1, 2]).process(vec![batch], &mut cx, &mut out).expect("no bug");
        let [out] = out.as_slice() else { panic!("one batch") };
        let value = |column: usize, row| Value::at(&out.columns[column], row, &SqlType::Integer);
        let row = |row| (out.time[row], out.seq.at(row), value(0, row), value(1, row), value(2, row));
        let rows: Vec<_> = (0..out.rows()).map(row).collect();
        let int = Value::Integer;
        let expected = vec![
            (100, 5, int(10), int(1), int(7)),
            (100, 5, int(10), int(2), Value::Null),
            (300, 7, int(30), Value::Null, int(8)),
            (300, 7, int(30), Value::Null, int(9)),
        ];
        assert_eq!(rows, expected);
    }
}
