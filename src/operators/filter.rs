//! Filter: passes the rows for which a condition is true. A table's change of a row that no longer passes becomes a
//! deletion.
//!
//! A condition that is NULL counts as not true, as in SQL. One that fails in a row (a cast of bad text, say) counts as
//! not true too, and the row is counted under [`super::Reason::Expression`], as ksqlDB does.
//!
//! What becomes of a change of a table:
//!
//! ```text
//! condition on the old row   on the new row   handed on
//! no, or there is no row     no, or deleted   nothing
//! no, or there is no row     yes              the new row, as if it were the first
//! yes                        no, or deleted   a deletion
//! yes                        yes              the change with both sides
//! ```

use arrow::array::{Array, AsArray};
use arrow::buffer::BooleanBuffer;

use super::parts::Parts;
use super::side::Side;
use super::{Context, Flow, Operator, Output};
use crate::error::Result;
use crate::expr::{Compiled, Evaluation, Halt, Input};
use crate::types::Batch;

/// Lets the rows through for which the condition is true.
///
/// A change of a table whose new side does not satisfy the condition becomes a deletion if the old side did, and is dropped if
/// the old side did not either: downstream has never seen that row.
pub struct Filter {
    condition: Compiled,
    /// What messages call the condition.
    called: String,
    /// The places of the columns that are handed on.
    ///
    /// Columns that only the condition reads are dropped here, before anything downstream copies them.
    keep: Vec<usize>,
    parts: Parts,
}

impl Filter {
    /// A filter by a compiled condition, handing on the columns at the places `keep`; `reads` names the columns that the
    /// condition reads, for messages.
    pub fn new(condition: Compiled, reads: &str, keep: Vec<usize>) -> Self {
        let called = format!("Error evaluating predicate over {reads}");
        Filter { condition, called, keep, parts: Parts::default() }
    }
}

/// The present rows of one side for which a condition is true, and what it gave.
///
/// Absent rows are not reached by the expression, so it cannot fail in them, and they are never true.
fn holds(condition: &Compiled, side: &Side) -> Result<(BooleanBuffer, Evaluation), Halt> {
    let present = side.absent.map(|absent| !absent);
    let input = Input { reach: present.as_ref(), ..side.input() };
    let evaluated = condition.eval(&input)?;
    let holds = match evaluated.values.as_boolean_opt() {
        // A condition that is NULL whatever the row is.
        None => BooleanBuffer::new_unset(side.rows),
        Some(values) => values.nulls().map_or_else(|| values.values().clone(), |nulls| values.values() & nulls.inner()),
    };
    Ok((present.map_or_else(|| holds.clone(), |present| &holds & &present), evaluated))
}

impl Operator for Filter {
    fn process(&mut self, _: usize, batch: Batch, cx: &mut Context, out: &mut Output) -> Result<Flow> {
        self.parts.start(batch);
        self.resume(cx, out)
    }

    fn resume(&mut self, cx: &mut Context, out: &mut Output) -> Result<Flow> {
        let Filter { condition, called, keep, parts } = self;
        parts.take(out, &mut |batch| {
            let side = Side::new(batch);
            let held = Side::old(batch).map(|old| holds(condition, &old)).transpose()?;
            let (holds, evaluated) = holds(condition, &side)?;
            side.report(called, condition, evaluated, cx);
            if held.is_none() && holds.count_set_bits() == 0 {
                return Ok(Batch::default());
            }
            let mut passed = batch.project(keep);
            let Some((held, _)) = held else { return Ok(passed.filter(&holds)?) };
            passed.absent = Some(!&holds);
            if let Some(old) = &mut passed.old {
                old.absent = Some(!&held);
            }
            Ok(passed.filter(&(&holds | &held))?)
        })
    }
}
