//! What a step of an evaluation gives: a column or one value for all rows, and the rows without a value.
//!
//! A constant stays an array of one row as long as possible: kernels take it as a scalar, and functions read its only entry.

use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute;

use super::bits::{self, RowSet};
use super::rows::{Evaluated, Rows};
use super::size;
use crate::types::{SqlType, Value, arrow_error, with_nulls};

/// A column, or one value for all rows.
///
/// A column has one entry per row of the evaluation.
#[derive(Clone, Debug)]
pub(super) enum Datum {
    Column(ArrayRef),
    /// An array of one row.
    Constant(ArrayRef),
}

impl Datum {
    /// The array, of one row if this is a constant.
    pub(super) fn array(&self) -> &ArrayRef {
        match self {
            Datum::Column(array) | Datum::Constant(array) => array,
        }
    }

    /// Whether this is one value for all rows.
    pub(super) fn is_constant(&self) -> bool {
        matches!(self, Datum::Constant(_))
    }

    /// The place in the array that belongs to a row: its own, or the only one of a constant.
    pub(super) fn place(&self, row: usize) -> usize {
        if self.is_constant() { 0 } else { row }
    }

    /// The value for a row.
    pub(super) fn value(&self, row: usize, sql_type: &SqlType) -> Value {
        Value::at(self.array().as_ref(), self.place(row), sql_type)
    }

    /// The rows where the value is NULL.
    pub(super) fn nulls(&self, rows: usize) -> RowSet {
        let nulls = bits::nulls(self.array().as_ref());
        if self.is_constant() { bits::spread(nulls, rows) } else { nulls }
    }

    /// A column with an entry for every row. A constant is repeated, unless that would be too large.
    ///
    /// # Errors
    /// [`Halt::TooMuch`](super::Halt::TooMuch) if the repeated constant would be too large for several rows.
    pub(super) fn into_column(self, rows: &Rows) -> Evaluated<ArrayRef> {
        match self {
            Datum::Column(array) => Ok(array),
            Datum::Constant(array) => {
                size::check(rows, size::of(array.as_ref(), 0, 1).saturating_mul(rows.count))?;
                let places = UInt32Array::from(vec![0; rows.count]);
                Ok(compute::take(&array, &places, None).map_err(arrow_error)?)
            }
        }
    }
}

/// What an evaluation gives.
#[derive(Clone, Debug)]
pub(super) struct Out {
    pub values: Datum,
    /// The rows whose computation ended before there was a value: by an error or a NULL operand. Their values mean nothing.
    ///
    /// A superset of the rows in which an error occurred in this step or below it, except where a catch point has
    /// turned them into NULL.
    pub ended: RowSet,
}

impl Out {
    /// A column, with the rows that have no value.
    pub(super) fn column(array: ArrayRef, ended: RowSet) -> Out {
        Out { values: Datum::Column(array), ended }
    }

    /// The column with NULL in the rows that have no value.
    pub(super) fn or_null(self, rows: &Rows) -> Evaluated<ArrayRef> {
        let column = self.values.into_column(rows)?;
        Ok(self.ended.map_or(Ok(column.clone()), |ended| with_nulls(&column, &ended))?)
    }
}
