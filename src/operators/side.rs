//! One side of a batch's rows, as expressions are evaluated over it.

use arrow::array::ArrayRef;
use arrow::buffer::BooleanBuffer;

use super::{Context, Reason};
use crate::expr::{Compiled, Evaluation, Input};
use crate::types::{Batch, Seq};

/// The new or the old side of a batch.
pub(super) struct Side<'a> {
    /// All columns have `rows` entries, those of absent rows too.
    pub columns: &'a [ArrayRef],
    /// The rows that this side does not have.
    pub absent: Option<&'a BooleanBuffer>,
    seq: &'a Seq,
    pub rows: usize,
}

impl<'a> Side<'a> {
    /// The rows, or the new side of changes.
    pub(super) fn new(batch: &'a Batch) -> Self {
        Side { columns: &batch.columns, absent: batch.absent.as_ref(), seq: &batch.seq, rows: batch.rows() }
    }

    /// The old side of changes, if they have one. What fails in it was counted when it was the new side.
    pub(super) fn old(batch: &'a Batch) -> Option<Self> {
        let old = batch.old.as_ref()?;
        Some(Side { columns: &old.columns, absent: old.absent.as_ref(), seq: &batch.seq, rows: batch.rows() })
    }

    /// All its rows, for an expression. Those that are absent have columns too: their keys, and what is made of these.
    pub(super) fn input(&self) -> Input<'a> {
        Input::all(self.columns, self.rows)
    }

    /// Counts the rows that are present and in which an expression failed. `called` is what messages call it.
    ///
    /// Rows that are absent on this side never count, although an expression over their columns may fail.
    pub(super) fn report(&self, called: &str, expr: &Compiled, evaluated: Evaluation, cx: &mut Context) {
        let evaluated = evaluated.without(self.absent);
        cx.report(Reason::Expression, self.seq, evaluated.failed_rows(), |row| {
            format!("{called}: {}", expr.reason(&self.input(), row))
        });
    }
}
