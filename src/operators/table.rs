//! Reading the table that an operator keeps, as of a commit, while the operator goes on.
//!
//! Committed values are never copied as a whole. There are two kinds of readers.
//!
//! A *look-up* takes the rows of some keys as of the last commit. While somebody looks, the operator keeps an *undo map* for
//! each epoch that is not committed yet: the first time that an epoch changes a row, the map takes the row as it was before.
//! A look-up as of an epoch takes a row from the oldest map of a later epoch that has it, else from the state as it is.
//!
//! ```text
//! epochs      … 7 (committed)   8 (sealed)   9 (open)      a look-up as of 7
//! row a       changed in 8 and 9                           the map of 8
//! row b       changed in 9                                 the map of 9
//! row c       not changed                                  the state
//! ```
//!
//! A *walk* goes over all rows as of the commit at which it began, however long that takes. It keeps its own: what the undo
//! maps had then, and after that each row that it has not come to yet, as it was before its first change. So it needs no map
//! any more, and a change costs each walk something once a row, and nothing once the walk is past the row. It first hands on what
//! has not changed, in the order of the state, and then what it has kept.

use std::ops::RangeInclusive;

use crate::error::Result;
use crate::ids::{EpochNumber, WalkId};
use crate::types::{Batch, Value};

/// A table that an operator keeps.
pub trait Table {
    /// Sets whether undo maps are kept; those that were are dropped if not. The map of the epoch that is open now
    /// lacks what it has changed before, so a look-up must be as of that epoch or a later one.
    fn keep_undo(&mut self, keeps: bool);

    /// The open epoch has ended and has this number: what changes from now on goes to a map of its own.
    fn end_epoch(&mut self, number: EpochNumber);

    /// Nobody will read as of an epoch before this one: drops the maps that only they need.
    fn forget_undo(&mut self, committed: EpochNumber);

    /// The rows of some keys, in no order. Keys that are not there give no row.
    ///
    /// # Errors
    /// A bug, or a result that is too large to be handed on.
    fn look_up(&mut self, as_of: AsOf, windows: &WindowRange, keys: &[Vec<Value>]) -> Result<Vec<Rows>>;

    /// Begins a walk over all rows.
    ///
    /// # Errors
    /// A bug.
    fn begin_walk(&mut self, walk: WalkId, as_of: AsOf) -> Result<()>;

    /// The next rows of a walk; `None` if it is over. There may be none although there are more.
    ///
    /// Each row comes once, however the state changes between two calls. The windows must be the same in all calls.
    ///
    /// # Errors
    /// As for [`Table::look_up`].
    fn walk(&mut self, walk: WalkId, windows: &WindowRange) -> Result<Option<Rows>>;

    /// Nobody goes on with a walk; what it has kept is dropped.
    fn end_walk(&mut self, walk: WalkId);
}

/// Rows that were taken out of a table. What is left to be done until they are a batch needs no state, so the operator may
/// go on meanwhile.
pub type Rows = Box<dyn FnOnce() -> Result<Batch> + Send>;

/// As of when a table is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AsOf {
    /// The end of an epoch. The undo maps of all later ones must be there.
    Epoch(EpochNumber),
    /// What a walk shows that has not handed on any row yet.
    Walk(WalkId),
}

/// Which rows a reader wants, besides their keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowRange {
    /// The windows that are wanted, by their starts in milliseconds since the epoch. It means nothing for a table without
    /// windows.
    pub starts: RangeInclusive<i64>,
}

impl Default for WindowRange {
    /// All rows.
    fn default() -> Self {
        WindowRange { starts: i64::MIN..=i64::MAX }
    }
}
