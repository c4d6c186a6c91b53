//! A bit for each group of a bucket.

use crate::types::grow;

/// Bits by the numbers of groups. Those beyond the room that was made are not set.
///
/// Bit `g % 64` of word `g / 64` is that of the group `g`.
#[derive(Clone, Default)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    /// Makes room for so many groups. Memory grows in steps, not group by group.
    pub(super) fn grow(&mut self, groups: usize) {
        let words = groups.div_ceil(64);
        if words > self.0.len() {
            grow::resize(&mut self.0, words, 0);
        }
    }

    /// Sets the bit of a group, for which there must be room; whether it was not set before.
    #[inline]
    pub(super) fn set(&mut self, group: u32) -> bool {
        let (word, bit) = (&mut self.0[group as usize / 64], 1 << (group % 64));
        let is_first = *word & bit == 0;
        *word |= bit;
        is_first
    }

    /// Clears the bit of a group, for which there must be room.
    #[inline]
    pub(super) fn clear(&mut self, group: u32) {
        self.0[group as usize / 64] &= !(1 << (group % 64));
    }

    /// Whether the bit of a group is set.
    #[inline]
    pub(super) fn has(&self, group: u32) -> bool {
        self.0.get(group as usize / 64).is_some_and(|word| word >> (group % 64) & 1 == 1)
    }

    /// The bytes of memory that they take.
    pub(super) fn memory(&self) -> usize {
        self.0.capacity() * size_of::<u64>()
    }
}
