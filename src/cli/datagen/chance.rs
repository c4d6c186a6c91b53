//! Numbers that look random and can be repeated: the same seed gives the same numbers.

/// The generator `splitmix64`.
#[derive(Clone, Debug)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    /// Any number.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A place in a list of so many; there is at least one.
    pub(super) fn place(&mut self, count: usize) -> usize {
        debug_assert!(count > 0, "a list with something in it");
        ((u128::from(self.next()) * count as u128) >> 64) as usize
    }

    /// A number from `least` to below `end`; `least` if there is none.
    pub(super) fn between(&mut self, least: i64, end: i64) -> i64 {
        let span = (i128::from(end) - i128::from(least)).max(1) as u128;
        // The span fits 64 bits and one more, so the product fits 128 bits in all but the largest case.
        let offset = u128::from(self.next()) % span;
        (i128::from(least) + offset as i128) as i64
    }

    /// A number from 0 to below 1.
    pub(super) fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}
