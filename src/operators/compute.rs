//! Compute: further columns, made of those of the row.
//!
//! The number of rows, their order, times and ordinals stay as they are; only columns change. A column that is kept is
//! shared, not copied. An expression that fails in a row gives NULL there, and the row is counted under
//! [`super::Reason::Expression`], as ksqlDB does; the row itself goes on.
//!
//! A change of a table is computed on both sides. Failures count on the new side only: the old side was a new side
//! before and was counted then.

use arrow::array::ArrayRef;

use super::parts::Parts;
use super::side::Side;
use super::{Context, Flow, Operator, Output};
use crate::error::Result;
use crate::expr::{Compiled, Evaluation, Halt};
use crate::types::{Batch, OldSide};

/// What a column of the output is.
pub enum Column {
    /// The column of the input at this place.
    Keep(usize),
    /// The result of an expression, with the name of the column for messages.
    Make(Compiled, String),
}

/// Hands on columns of the input and computed ones.
pub struct Compute {
    columns: Vec<Prepared>,
    /// The batch at hand, where the results are too much for one batch.
    parts: Parts,
}

enum Prepared {
    Keep(usize),
    /// An expression, and what messages call it.
    Make(Compiled, String),
}

/// An expression that failed in some rows: its place among the columns, and what it gave.
type Failed = (usize, Evaluation);

impl Compute {
    /// Hands on these columns, in this order.
    pub fn new(columns: Vec<Column>) -> Self {
        let prepared = |(index, column)| match column {
            Column::Keep(place) => Prepared::Keep(place),
            Column::Make(expr, name) => {
                Prepared::Make(expr, format!("Error computing expression for column {name} with index {index}"))
            }
        };
        Compute { columns: columns.into_iter().enumerate().map(prepared).collect(), parts: Parts::default() }
    }
}

/// The output's columns for one side of the rows, and which of them failed.
///
/// Each failure stands with the index of its column, in ascending order.
fn columns(prepared: &[Prepared], side: &Side) -> Result<(Vec<ArrayRef>, Vec<Failed>), Halt> {
    let (mut columns, mut failed) = (Vec::with_capacity(prepared.len()), Vec::new());
    for (index, column) in prepared.iter().enumerate() {
        match column {
            Prepared::Keep(place) => columns.push(side.columns[*place].clone()),
            Prepared::Make(expr, _) => {
                let evaluated = expr.eval(&side.input())?;
                columns.push(evaluated.values.clone());
                if evaluated.failed.is_some() {
                    failed.push((index, evaluated));
                }
            }
        }
    }
    Ok((columns, failed))
}

/// The batch with the output's columns. Nothing is counted before all of it is made: what is too much is done again in parts.
fn computed(prepared: &[Prepared], batch: &Batch, cx: &mut Context) -> Result<Batch, Halt> {
    let side = Side::new(batch);
    let (made, failed) = columns(prepared, &side)?;
    let old = match Side::old(batch) {
        Some(old) => Some(Box::new(OldSide { columns: columns(prepared, &old)?.0, absent: old.absent.cloned() })),
        None => None,
    };
    for (index, evaluated) in failed {
        if let Prepared::Make(expr, called) = &prepared[index] {
            side.report(called, expr, evaluated, cx);
        }
    }
    Ok(Batch { columns: made, old, ..batch.clone() })
}

impl Operator for Compute {
    fn process(&mut self, _: usize, batch: Batch, cx: &mut Context, out: &mut Output) -> Result<Flow> {
        self.parts.start(batch);
        self.resume(cx, out)
    }

    fn resume(&mut self, cx: &mut Context, out: &mut Output) -> Result<Flow> {
        let Compute { columns, parts } = self;
        parts.take(out, &mut |batch| computed(columns, batch, cx))
    }
}
