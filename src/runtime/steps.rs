//! The steps of a query: turns, and ends of epochs. One that fails or panics leaves the query half done, and whoever has it
//! next, before its failure is known, must neither read nor commit that.

use super::epoch::Sealed;
use super::query::{Now, QueryRun, Turned};
use crate::error::{Error, Result};

impl QueryRun {
    /// Takes rows from all source partitions and works them off, or goes on with a turn that was left. `threads` are those
    /// that may work on parts of it.
    ///
    /// # Errors
    /// The topic cannot be read, or a bug. The query must not be used any more: rows were taken that are not in its
    /// state.
    pub fn turn(&mut self, now: Now, threads: Option<&rayon::ThreadPool>) -> Result<Turned> {
        self.step(|run| run.take_turn(now, threads))
    }

    /// Ends the epoch, or commits a part of it if it cannot be ended yet. `threads` are those that may work on parts of it.
    ///
    /// `Nothing` also comes where a turn is open and has no records yet, while turns are still to be repeated after a
    /// restart, and if the query has failed: what it has half done is never committed.
    ///
    /// # Errors
    /// State of a key that is too large for an entry, or a bug. The query must end: its operators have handed over
    /// changes that were not committed.
    pub fn seal(&mut self, threads: Option<&rayon::ThreadPool>) -> Result<Sealed> {
        if self.half_done {
            return Ok(Sealed::Nothing);
        }
        self.step(|run| run.end_epoch(threads))
    }

    /// Whether a step has failed in the middle: the query must not be used any more.
    pub fn is_half_done(&self) -> bool {
        self.half_done
    }

    fn step<T>(&mut self, step: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if std::mem::replace(&mut self.half_done, true) {
            return Err(Error::bug("a query that has failed went on"));
        }
        let done = step(self)?;
        self.half_done = false;
        Ok(done)
    }
}
