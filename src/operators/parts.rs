//! Batches whose expressions may make too much of them at once: they are taken in parts, and left where the output has enough.
//!
//! An Arrow column of text holds at most 2 GiB, since its offsets are 32-bit numbers. An expression such as `LPAD(s,
//! 1000000, '-')` can pass that with a batch that was small. Then the batch is halved until each half fits. A batch
//! that fits at once, which is nearly always so, costs nothing more. The worst case is one failed attempt for each
//! halving: O(log rows) times the work of the batch.

use super::{Flow, Output};
use crate::error::{Error, Result};
use crate::expr::Halt;
use crate::types::Batch;

/// A batch of which an operator has taken only a part, or none.
#[derive(Default)]
pub(super) struct Parts {
    batch: Batch,
    /// The ranges of its rows that are still to be taken, the next one last.
    ///
    /// A stack of half-open ranges `[start, end)`, without overlap, that together cover all rows that are left.
    left: Vec<(usize, usize)>,
}

impl Parts {
    /// Begins with a batch.
    ///
    /// What was left of an earlier batch is forgotten: a caller starts only after [`Parts::take`] has returned
    /// [`Flow::Done`].
    pub(super) fn start(&mut self, batch: Batch) {
        self.left.clear();
        if batch.rows() > 0 {
            self.left.push((0, batch.rows()));
        }
        self.batch = batch;
    }

    /// Takes the rows that are left and hands on their output. `part` makes it of all rows at once or, where that is
    /// too much, of halves, and of halves of these.
    ///
    /// The parts come in the order of the rows. `part` must have no effect when it returns [`Halt::TooMuch`], since the
    /// same rows come again.
    ///
    /// # Errors
    /// A bug: what `part` returns, or that it says a single row is too much.
    pub(super) fn take(
        &mut self,
        out: &mut Output,
        part: &mut dyn FnMut(&Batch) -> Result<Batch, Halt>,
    ) -> Result<Flow> {
        while let Some((start, end)) = self.left.pop() {
            if !out.has_room() {
                self.left.push((start, end));
                return Ok(Flow::Left(self.batch.seq.at(start)));
            }
            let rows = end - start;
            let made = if rows == self.batch.rows() { part(&self.batch) } else { part(&self.batch.slice(start, rows)) };
            match made {
                Ok(made) if rows == self.batch.rows() => out.push(made),
                Ok(made) => {
                    let bytes = made.bytes();
                    out.push_sized(made, bytes);
                }
                Err(Halt::Bug(error)) => return Err(error),
                Err(Halt::TooMuch) if rows > 1 => {
                    let middle = start + rows / 2;
                    self.left.push((middle, end));
                    self.left.push((start, middle));
                }
                Err(Halt::TooMuch) => return Err(Error::bug("one row is said to be too many")),
            }
        }
        self.batch = Batch::default();
        Ok(Flow::Done)
    }
}
