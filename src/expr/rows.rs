//! The rows that an expression is evaluated over, and what went wrong in them.
//!
//! An error is noted where it occurs, by the step that finds it: [`Rows::fault`]. What the steps above do with it (a catch point
//! turns it into NULL, an AND may not need the row at all) changes nothing about that, so that a row that fails in several parts
//! is counted once, and one that does not reach the failing part is not counted at all.
//!
//! Reasons are found on demand. An ordinary evaluation only marks rows. To find why a row failed, the row is evaluated again,
//! alone, with a search: the first step that notes an error is asked for its reason.

use arrow::array::ArrayRef;
use arrow::buffer::BooleanBuffer;

use super::bits::{self, RowSet};
use crate::error::Error;

/// Why an evaluation has no result.
///
/// Neither is about data: a row with bad data fails alone.
#[derive(Debug)]
pub enum Halt {
    /// The columns would become too large: evaluate fewer rows at once. Never said of a single row.
    TooMuch,
    /// An assumption of the program does not hold.
    Bug(Error),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Halt::Bug(error)
    }
}

/// The result of a step of an evaluation.
pub(super) type Evaluated<T> = Result<T, Halt>;

/// The rows under evaluation.
///
/// One for each evaluation, handed down through all its steps. `faults` is always within `reach` as it was when the
/// error was noted, and it only grows.
pub(super) struct Rows<'a> {
    pub columns: &'a [ArrayRef],
    pub count: usize,
    /// The rows whose value is wanted; `None` for all. What other rows give means nothing.
    reach: RowSet,
    /// The rows in which an error occurred, each of them reached.
    faults: RowSet,
    search: Search,
}

/// The search for the reason of an error.
enum Search {
    Off,
    On,
    /// What the first error said.
    Found(String),
}

impl<'a> Rows<'a> {
    /// All rows of the columns, or those in `reach`.
    pub(super) fn new(columns: &'a [ArrayRef], count: usize, reach: RowSet) -> Self {
        Rows { columns, count, reach, faults: None, search: Search::Off }
    }

    /// The same, remembering the reason of the first error.
    pub(super) fn searching(mut self) -> Self {
        self.search = Search::On;
        self
    }

    /// The rows whose value is wanted; `None` for all.
    pub(super) fn reach(&self) -> Option<&BooleanBuffer> {
        self.reach.as_ref()
    }

    /// Whether the value of a row is wanted.
    pub(super) fn is_reached(&self, row: usize) -> bool {
        self.reach.as_ref().is_none_or(|reach| reach.value(row))
    }

    /// Evaluates `step` over those rows of `mask` that are reached.
    ///
    /// The former reach is back afterwards. Nested calls narrow it further.
    pub(super) fn within<T>(&mut self, mask: &BooleanBuffer, step: impl FnOnce(&mut Self) -> T) -> T {
        let narrowed = self.reach.as_ref().map_or_else(|| mask.clone(), |reach| reach & mask);
        let before = self.reach.replace(narrowed);
        let result = step(self);
        self.reach = before;
        result
    }

    /// Notes that an error occurred in the rows of `failed`. `why` gives the reason for a row.
    ///
    /// Rows of `failed` that are not reached are dropped. `why` is called at most once, and only while a reason is
    /// searched for.
    pub(super) fn fault(&mut self, failed: &RowSet, why: impl FnOnce(usize) -> String) {
        let Some(failed) = failed else { return };
        let failed = self.reach.as_ref().map_or_else(|| failed.clone(), |reach| failed & reach);
        let Some(first) = failed.set_indices().next() else { return };
        if let Search::On = self.search {
            self.search = Search::Found(why(first));
        }
        self.faults = bits::union(self.faults.take(), Some(failed));
    }

    /// Whether a reason is asked for and not found yet.
    pub(super) fn is_searching(&self) -> bool {
        matches!(self.search, Search::On)
    }

    /// Ends the evaluation: the rows in which an error occurred, and the reason of the first if it was searched for.
    pub(super) fn finish(self) -> (RowSet, Option<String>) {
        let reason = if let Search::Found(reason) = self.search { Some(reason) } else { None };
        (self.faults, reason)
    }
}
