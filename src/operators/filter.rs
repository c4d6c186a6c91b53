//! Filter: the rows for which a condition is true; of a table's changes, what becomes of them.

use arrow::array::{Array, AsArray};
use arrow::buffer::BooleanBuffer;

use super::{Context, Operator, Reason};
use crate::error::Result;
use crate::expr::{Caught, Expr, Rows};
use crate::types::{Batch, OldSide};

/// Lets the rows through for which the condition is true.
///
/// A change of a table whose new side does not satisfy the condition becomes a deletion if the old side did, and nothing
/// if it did not: somebody who saw the row before must see it go.
pub struct Filter {
    condition: Expr,
    /// The condition as it was written, for messages.
    written: String,
    /// The places of the columns that are handed on.
    keep: Vec<usize>,
}

impl Filter {
    /// A filter by a compiled condition, handing on the columns at the places `keep`.
    pub fn new(condition: Expr, written: String, keep: Vec<usize>) -> Self {
        Filter { condition, written, keep }
    }

    /// The rows of these columns for which the condition is true.
    fn holds(&self, columns: &[arrow::array::ArrayRef], count: usize, cx: &mut Context) -> Result<BooleanBuffer> {
        let mut caught = Caught::default();
        let (values, failed) = self.condition.eval_column(&mut Rows { columns, count, caught: &mut caught })?;
        let failures = failed.map_or(0, |f| f.count_set_bits()) as u64;
        let written = &self.written;
        cx.log.add(Reason::Expression, failures, || format!("Error evaluating predicate {written}"));
        cx.log.add(Reason::Expression, caught.count, || {
            format!("Error processing {written}: {}", caught.first.as_deref().unwrap_or_default())
        });
        let Some(values) = values.as_boolean_opt() else { return Ok(BooleanBuffer::new_unset(count)) };
        Ok(values.nulls().map_or_else(|| values.values().clone(), |nulls| values.values() & nulls.inner()))
    }
}

impl Operator for Filter {
    fn process(&mut self, ports: Vec<Batch>, cx: &mut Context, out: &mut Vec<Batch>) -> Result<()> {
        for batch in ports {
            let mut holds = self.holds(&batch.columns, batch.rows(), cx)?;
            if let Some(absent) = &batch.absent {
                holds = &holds & &!absent;
            }
            let kept = |columns: &[arrow::array::ArrayRef]| self.keep.iter().map(|i| columns[*i].clone()).collect();
            let mut narrowed = Batch { columns: kept(&batch.columns), ..batch.clone() };
            let passed = match &batch.old {
                None => narrowed.filter(&holds)?,
                Some(old) => {
                    let mut held = self.holds(&old.columns, batch.rows(), cx)?;
                    if let Some(absent) = &old.absent {
                        held = &held & &!absent;
                    }
                    let any = &holds | &held;
                    narrowed.absent = Some(!&holds);
                    narrowed.old = Some(Box::new(OldSide { columns: kept(&old.columns), absent: Some(!&held) }));
                    narrowed.filter(&any)?
                }
            };
            if passed.rows() > 0 {
                out.push(passed);
            }
        }
        Ok(())
    }
}
