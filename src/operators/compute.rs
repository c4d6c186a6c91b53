//! Compute: further columns, made of those of the row.

use arrow::array::ArrayRef;
use arrow::buffer::BooleanBuffer;

use super::{Context, Operator, Reason};
use crate::error::Result;
use crate::expr::{Caught, Expr, Rows};
use crate::types::{Batch, OldSide};

/// What a handed-on column is.
pub enum Output {
    /// The column of the input at this place.
    Keep(usize),
    /// What an expression makes of the row, with its text for messages.
    Make(Expr, String),
}

/// Hands on columns of the input and computed ones.
pub struct Compute {
    outputs: Vec<Output>,
}

impl Compute {
    /// Hands on these columns, in this order.
    pub fn new(outputs: Vec<Output>) -> Self {
        Compute { outputs }
    }

    /// The handed-on columns of one side; what fails in a row that is absent is no failure.
    fn columns(
        &self,
        columns: &[ArrayRef],
        count: usize,
        absent: Option<&BooleanBuffer>,
        cx: &mut Context,
    ) -> Result<Vec<ArrayRef>> {
        let mut made = Vec::with_capacity(self.outputs.len());
        for (index, output) in self.outputs.iter().enumerate() {
            let (expr, name) = match output {
                Output::Keep(place) => {
                    made.push(columns[*place].clone());
                    continue;
                }
                Output::Make(expr, name) => (expr, name),
            };
            let mut caught = Caught::default();
            let (column, failed) = expr.eval_column(&mut Rows { columns, count, caught: &mut caught })?;
            let present = |f: BooleanBuffer| absent.map_or_else(|| f.clone(), |absent| &f & &!absent);
            let failures = failed.map_or(0, |f| present(f).count_set_bits()) as u64;
            cx.log.add(Reason::Expression, failures, || {
                format!("Error computing expression for column {name} with index {index}")
            });
            cx.log.add(Reason::Expression, caught.count, || {
                format!("Error processing column {name}: {}", caught.first.as_deref().unwrap_or_default())
            });
            made.push(column);
        }
        Ok(made)
    }
}

impl Operator for Compute {
    fn process(&mut self, ports: Vec<Batch>, cx: &mut Context, out: &mut Vec<Batch>) -> Result<()> {
        for batch in ports {
            let columns = self.columns(&batch.columns, batch.rows(), batch.absent.as_ref(), cx)?;
            let old = match &batch.old {
                Some(old) => Some(Box::new(OldSide {
                    columns: self.columns(&old.columns, batch.rows(), old.absent.as_ref(), cx)?,
                    absent: old.absent.clone(),
                })),
                None => None,
            };
            out.push(Batch { columns, old, ..batch });
        }
        Ok(())
    }
}
