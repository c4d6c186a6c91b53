//! AND, OR, NOT, CASE and IS NULL, judged from left to right. A NULL that is reached ends the row.
//!
//! Every condition is evaluated only for the rows that those before it leave open, and every branch of a CASE only for the rows
//! that take it. Within these rows a step still works on whole columns.
//!
//! | `a AND b` | b true | b false | b NULL or failed |
//! |---|---|---|---|
//! | a true | true | false | no value |
//! | a false | false | false | false |
//! | a NULL or failed | no value | no value | no value |
//!
//! OR is the same with true and false exchanged. A row without a value counts as failed only if there was an error.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, new_null_array};
use arrow::buffer::BooleanBuffer;
use arrow::compute;

use super::bits::{self, RowSet};
use super::compiled::{Compiled, Step};
use super::datum::Out;
use super::rows::{Evaluated, Rows};
use super::size;
use crate::types::{SqlType, Value, arrow_error};

/// A condition: the rows where it is true, and those where it is NULL or has no result.
struct Condition {
    /// The rows where it is true.
    holds: BooleanBuffer,
    /// The rows where it is NULL or has no value; none of them is in `holds`.
    ended: RowSet,
}

/// Evaluates a condition for the rows that are reached.
///
/// A constant condition is repeated for all rows.
fn condition(judged: &Compiled, rows: &mut Rows) -> Evaluated<Condition> {
    let out = judged.out(rows)?;
    let ended = bits::union(out.ended, out.values.nulls(rows.count));
    let column = out.values.into_column(rows)?;
    let values = match column.as_boolean_opt() {
        Some(values) => values.values().clone(),
        // An untyped NULL: it ends every row.
        None => BooleanBuffer::new_unset(rows.count),
    };
    Ok(Condition { holds: bits::without(&values, &ended), ended })
}

/// A boolean column.
pub(super) fn boolean(values: BooleanBuffer, ended: RowSet) -> Out {
    Out::column(Arc::new(BooleanArray::new(values, None)), ended)
}

/// The rows that are reached.
fn reached(rows: &Rows) -> BooleanBuffer {
    rows.reach().cloned().unwrap_or_else(|| BooleanBuffer::new_set(rows.count))
}

/// AND or OR of conditions: `decides` is the outcome of a condition that decides the row, false for AND and true for OR.
pub(super) struct Junction {
    /// The conditions, from left to right.
    items: Vec<Compiled>,
    /// The outcome that decides a row.
    decides: bool,
    /// A constant after the items decides all rows that do not end before it.
    decided: bool,
}

impl Junction {
    /// Items after a constant that decides are never looked at. As in ksqlDB, a condition before it must have a result, and
    /// a lone one may even be NULL.
    pub(super) fn new(mut items: Vec<Compiled>, constants: &[Option<Value>], decides: bool) -> Self {
        let deciding = constants.iter().skip(1).position(|c| *c == Some(Value::Boolean(decides)));
        items.truncate(deciding.map_or(items.len(), |at| at + 1));
        Junction { items, decides, decided: deciding.is_some() }
    }

    /// The rows that no item has decided, and those that have no result.
    ///
    /// `alive` starts with the reached rows and loses those that are decided or ended. An item is not evaluated at
    /// all if no row is left.
    fn judge(&self, rows: &mut Rows) -> Evaluated<(BooleanBuffer, RowSet)> {
        let mut alive = reached(rows);
        let mut ended = None;
        for (at, item) in self.items.iter().enumerate() {
            let judged = match at {
                0 => condition(item, rows)?,
                _ if alive.count_set_bits() == 0 => break,
                _ => rows.within(&alive, |rows| condition(item, rows))?,
            };
            ended = bits::union(ended, bits::within(judged.ended.clone(), &alive));
            let goes_on = if self.decides { bits::without(&!&judged.holds, &judged.ended) } else { judged.holds };
            alive = &alive & &goes_on;
        }
        Ok((alive, ended))
    }
}

impl Step for Junction {
    fn eval(&self, rows: &mut Rows) -> Evaluated<Out> {
        let constant = |value| match value {
            true => BooleanBuffer::new_set(rows.count),
            false => BooleanBuffer::new_unset(rows.count),
        };
        if self.decided {
            let all = constant(self.decides);
            let ended = match self.items.as_slice() {
                [only] => only.out(rows)?.ended,
                _ => self.judge(rows)?.1,
            };
            return Ok(boolean(all, ended));
        }
        let (alive, ended) = self.judge(rows)?;
        Ok(boolean(if self.decides { !&alive } else { alive }, ended))
    }
}

/// The opposite of a condition. Where the condition is NULL or has no value, the opposite has none.
pub(super) struct Not(pub Compiled);

impl Step for Not {
    fn eval(&self, rows: &mut Rows) -> Evaluated<Out> {
        let Condition { holds, ended } = condition(&self.0, rows)?;
        Ok(boolean(!&holds, ended))
    }
}

/// Whether the value is NULL, or is not.
pub(super) struct IsNull {
    pub value: Compiled,
    pub negated: bool,
}

impl Step for IsNull {
    fn eval(&self, rows: &mut Rows) -> Evaluated<Out> {
        let out = self.value.out(rows)?;
        let nulls = out.values.nulls(rows.count).unwrap_or_else(|| BooleanBuffer::new_unset(rows.count));
        Ok(boolean(if self.negated { !&nulls } else { nulls }, out.ended))
    }
}

/// The value of the first branch whose condition is true. A condition that is NULL ends the row.
///
/// The operand of a simple CASE is part of each condition here: `CASE x WHEN 1` has the condition `x = 1`.
pub(super) struct Case {
    /// Conditions with the values of the rows for which they are the first that is true.
    pub branches: Vec<(Compiled, Compiled)>,
    /// The value of the other rows; without it they are NULL.
    pub otherwise: Option<Compiled>,
    /// The type of all values.
    pub sql_type: SqlType,
}

/// The columns that a CASE takes values from: for each row the column and the place in it.
struct Choice {
    /// A single NULL, then the values of each branch that a row took.
    arrays: Vec<ArrayRef>,
    /// The array and the place in it, by row.
    chosen: Vec<(usize, usize)>,
    /// The rows that have no value.
    ended: RowSet,
}

impl Choice {
    /// Takes the value for the rows of the mask.
    fn take(&mut self, value: &Compiled, mask: &BooleanBuffer, rows: &mut Rows) -> Evaluated<()> {
        if mask.count_set_bits() == 0 {
            return Ok(());
        }
        let out = rows.within(mask, |rows| value.out(rows))?;
        if value.sql_type().is_some() {
            for row in mask.set_indices() {
                self.chosen[row] = (self.arrays.len(), out.values.place(row));
            }
            self.arrays.push(out.values.array().clone());
        }
        self.end(bits::within(out.ended, mask));
        Ok(())
    }

    /// Notes rows that have no value.
    fn end(&mut self, ended: RowSet) {
        self.ended = bits::union(self.ended.take(), ended);
    }
}

impl Step for Case {
    fn eval(&self, rows: &mut Rows) -> Evaluated<Out> {
        let mut alive = reached(rows);
        let nothing: ArrayRef = new_null_array(&self.sql_type.arrow(), 1);
        let mut choice = Choice { arrays: vec![nothing], chosen: vec![(0, 0); rows.count], ended: None };
        for (at, (when, then)) in self.branches.iter().enumerate() {
            let judged = match at {
                0 => condition(when, rows)?,
                _ => rows.within(&alive, |rows| condition(when, rows))?,
            };
            choice.end(bits::within(judged.ended.clone(), &alive));
            choice.take(then, &(&alive & &judged.holds), rows)?;
            alive = bits::without(&(&alive & &!&judged.holds), &judged.ended);
        }
        if let Some(otherwise) = &self.otherwise {
            choice.take(otherwise, &alive, rows)?;
        }
        let arrays: Vec<&dyn Array> = choice.arrays.iter().map(AsRef::as_ref).collect();
        if size::varies(&self.sql_type.arrow()) {
            let bytes = choice.chosen.iter().map(|(array, place)| size::of(arrays[*array], *place, 1)).sum();
            size::check(rows, bytes)?;
        }
        let array = compute::interleave(&arrays, &choice.chosen).map_err(arrow_error)?;
        Ok(Out::column(array, choice.ended))
    }
}
