//! Items with how often each came: what HISTOGRAM and ATTR keep, so that rows can be taken back.
//!
//! An item in the group's [`Kept`] is the encoded value followed by its count:
//!
//! ```text
//! | value, as `row::encode` writes it | count: i64, little-endian |
//! ```
//!
//! The count has a fixed width, so that counting up overwrites eight bytes in place and never moves another item.

use super::collection::Collect;
use super::kept::{Identity, Kept};
use crate::error::Result;
use crate::types::{Builder, View};

/// The bytes of the count at the end of an item.
pub(super) const COUNT_BYTES: usize = size_of::<i64>();

/// What counted values are, and what is shown of them: in this the aggregates differ.
pub(super) trait Summary: Send + Sync {
    /// Appends the value of a row's arguments.
    fn item(&self, args: &[View], row: usize, item: &mut Vec<u8>);

    /// Appends the result.
    fn result(&self, kept: &Kept, out: &mut Builder) -> Result<()>;

    /// About how many bytes the result has.
    fn result_bytes(&self, kept: &Kept) -> usize;
}

/// Counts items of a group.
pub(super) struct Counted<S> {
    /// Tells items apart without their counts.
    pub identity: Identity,
    /// So many different values are counted at most.
    ///
    /// Beyond it new values are ignored, but known ones are still counted. A value that was ignored is not there to
    /// be taken back either.
    pub most: usize,
    /// What is shown.
    pub summary: S,
}

/// The count of an item.
///
/// At least 1 for every item that is kept.
pub(super) fn count(item: &[u8]) -> i64 {
    let end = item.last_chunk().expect("an item ends with its count");
    i64::from_le_bytes(*end)
}

impl<S> Counted<S> {
    /// Counts a value so many times more, or less. One that is not there at least once is forgotten.
    ///
    /// Taking back a value that was never counted does nothing.
    fn change(&self, kept: &mut Kept, value: &[u8], by: i64) {
        match kept.find(value, &self.identity) {
            Some(place) => match count(kept.items.get(place)) + by {
                count @ 1.. => kept.items.overwrite_end(place, &count.to_le_bytes()),
                _ => kept.remove(place, &self.identity),
            },
            None if by > 0 && kept.items.len() < self.most => {
                let item = [value, &by.to_le_bytes()].concat();
                kept.push(&item, &self.identity);
            }
            None => {}
        }
    }
}

impl<S: Summary> Collect for Counted<S> {
    fn item(&self, args: &[View], row: usize, item: &mut Vec<u8>) -> bool {
        self.summary.item(args, row, item);
        true
    }

    fn add(&self, kept: &mut Kept, item: &[u8]) {
        self.change(kept, item, 1);
    }

    fn undo(&self, kept: &mut Kept, item: &[u8]) {
        self.change(kept, item, -1);
    }

    fn merge(&self, kept: &mut Kept, item: &[u8]) {
        self.change(kept, self.identity.value(item), count(item));
    }

    fn result(&self, kept: &Kept, out: &mut Builder) -> Result<()> {
        self.summary.result(kept, out)
    }

    fn result_bytes(&self, kept: &Kept) -> usize {
        self.summary.result_bytes(kept)
    }
}
