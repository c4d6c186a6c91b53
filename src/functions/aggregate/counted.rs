//! Items with how often each came: what HISTOGRAM and ATTR keep, so that rows can be taken back.

use super::kept::{Identity, Kept};

/// The bytes of the count at the end of an item.
pub(super) const COUNT_BYTES: usize = size_of::<i64>();

/// Counts items of a group.
pub(super) struct Counted {
    /// Tells items apart without their counts.
    pub identity: Identity,
    /// So many different values are counted at most.
    pub most: usize,
}

/// The count of an item.
pub(super) fn count(item: &[u8]) -> i64 {
    let end = item.last_chunk().expect("an item ends with its count");
    i64::from_le_bytes(*end)
}

impl Counted {
    /// Counts a value so many times more, or less. One that is not there at least once is forgotten.
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
