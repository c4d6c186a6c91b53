//! Reading the table that an operator keeps, as of a commit, while the operator goes on.
//!
//! Committed values are never copied as a whole. While somebody reads, the operator keeps an *undo map* for each epoch that
//! is not committed yet: the first time that an epoch changes a row, the map takes the row as it was before. A reader as of
//! an epoch takes a row from the oldest map of a later epoch that has it, else from the state as it is.
//!
//! ```text
//! epochs      … 7 (committed)   8 (sealed)   9 (open)      a reader as of 7
//! row a       changed in 8 and 9                           the map of 8
//! row b       changed in 9                                 the map of 9
//! row c       not changed                                  the state
//! ```
//!
//! A slow reader as of 7 needs the maps of 8 and of all later epochs. Once they are committed, and no other reader is as
//! of an epoch between them, they become one map.

use std::ops::RangeInclusive;

use crate::error::Result;
use crate::ids::EpochNumber;
use crate::state::BucketId;
use crate::types::{Batch, Value};

/// A table that an operator keeps.
pub trait Table {
    /// Sets whether undo maps are kept; those that were are dropped if not. The map of the epoch that is open now
    /// lacks what it has changed before, so a reader must be as of that epoch or a later one.
    fn keep_undo(&mut self, keeps: bool);

    /// The open epoch has ended and has this number: what changes from now on goes to a map of its own.
    fn end_epoch(&mut self, number: EpochNumber);

    /// Readers are as of one of these epochs, which rise, or as of an epoch after the last of them: drops maps that none of
    /// them needs, and merges those that none of them tells apart.
    ///
    /// # Errors
    /// A bug.
    fn forget_undo(&mut self, readers: &[EpochNumber]) -> Result<()>;

    /// The rows of some keys as of an epoch, in no order. Keys that are not there give no row.
    ///
    /// # Errors
    /// A bug, or a result that is too large to be handed on.
    fn look_up(&mut self, as_of: EpochNumber, windows: &WindowRange, keys: &[Vec<Value>]) -> Result<Vec<Batch>>;

    /// The next rows of a walk over all rows as of an epoch, and where the walk goes on; `None` if it is over. A batch
    /// may be empty although there is more.
    ///
    /// Each row comes once, however the state changes between two calls with the same epoch.
    ///
    /// # Errors
    /// As for [`Table::look_up`].
    fn walk(&mut self, as_of: EpochNumber, windows: &WindowRange, from: Walk) -> Result<(Batch, Option<Walk>)>;
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

/// Where a walk over a table goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walk {
    /// The next bucket.
    pub bucket: BucketId,
    /// The next group in it.
    pub group: u32,
}

impl Walk {
    /// Before the first row.
    pub const START: Walk = Walk { bucket: BucketId::MIN, group: 0 };
}
