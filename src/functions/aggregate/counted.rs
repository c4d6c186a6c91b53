//! Items with how often each came: what HISTOGRAM and ATTR keep, so that rows can be taken back.
//!
//! An item in the group's [`Kept`] is the encoded value followed by its count:
//!
//! ```text
//! | value, as `row::encode` writes it | count: i64, little-endian |
//! ```
//!
//! The count has a fixed width, so that counting up overwrites eight bytes in place and never moves another item.

use super::kept::{Identity, Kept};

/// The bytes of the count at the end of an item.
pub(super) const COUNT_BYTES: usize = size_of::<i64>();

/// Counts items of a group.
pub(super) struct Counted {
    /// Tells items apart without their counts.
    pub identity: Identity,
    /// So many different values are counted at most.
    ///
    /// Beyond it new values are ignored, but known ones are still counted. A value that was ignored is not there to
    /// be taken back either.
    pub most: usize,
}

/// The count of an item.
///
/// At least 1 for every item that is kept.
pub(super) fn count(item: &[u8]) -> i64 {
    let end = item.last_chunk().expect("an item ends with its count");
    i64::from_le_bytes(*end)
}

impl Counted {
    /// Counts a value so many times more, or less. One that is not there at least once is forgotten.
    ///
    /// Taking back a value that was never counted does nothing.
    pub(super) fn change(&self, kept: &mut Kept, value: &[u8], by: i64) {
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

    /// Takes in an item of another group.
    pub(super) fn merge(&self, kept: &mut Kept, item: &[u8]) {
        self.change(kept, self.identity.value(item), count(item));
    }
}
