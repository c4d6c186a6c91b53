//! From the table that a query keeps to its result: what the operators after the table make of rows that are only looked at.

use super::program::Program;
use crate::error::{Error, Result};
use crate::operators::table::Rows;
use crate::operators::{Context, Flow, Limit, Log, Operator, Output};
use crate::types::Batch;

/// Operators like those after the table, which keep nothing, and the columns that are shown.
///
/// It belongs to whoever looks: the query may go on meanwhile.
pub struct Projection {
    operators: Vec<Box<dyn Operator>>,
    /// The columns of the result, then that with the start of the window if the key has one.
    places: Vec<usize>,
}

impl Projection {
    /// That of a query.
    pub(super) fn new(program: &Program) -> Projection {
        let specs = program.stages.last().map(|stage| stage.operators.as_slice()).unwrap_or_default();
        let mut operators: Vec<_> = specs.iter().map(|spec| (spec.make)()).collect();
        let is_table = |operator: &mut Box<dyn Operator>| operator.state().is_some_and(|state| state.table().is_some());
        let after = operators.iter_mut().rposition(is_table).map_or(0, |at| at + 1);
        let operators = operators.split_off(after);
        Projection { operators, places: program.output.iter().copied().chain(program.window_start).collect() }
    }

    /// The rows of the result: its columns, then the start of the window if the key has one.
    ///
    /// They get no place in messages, and what fails in them is not counted.
    ///
    /// # Errors
    /// A bug, or damaged state.
    pub fn rows(&mut self, rows: Rows) -> Result<Vec<Batch>> {
        let mut current = vec![rows()?];
        let (mut log, limits) = (Log::default(), [i64::MAX]);
        for operator in &mut self.operators {
            let mut output = Output::new(Limit { rows: usize::MAX, bytes: usize::MAX });
            for batch in current {
                let (origin, point_ms) = (|_| None, |_| i64::MAX);
                let mut cx =
                    Context { limits: &limits, now_ms: 0, end: 0, origin: &origin, point_ms: &point_ms, log: &mut log };
                if let Flow::Left(_) = operator.process(0, batch, &mut cx, &mut output)? {
                    return Err(Error::bug("an unbounded output had enough"));
                }
            }
            current = output.drain().collect();
        }
        Ok(current.iter().map(|batch| batch.project(&self.places)).collect())
    }
}
