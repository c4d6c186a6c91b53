//! Randomness for the functions that are meant to give something else every time.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

/// Random bits, from the seed that the standard library draws for each hash map.
///
/// Not for secrets. The standard library draws one seed per thread and counts it up, and the hash of nothing under
/// each seed is as good as random.
pub(super) fn bits() -> u64 {
    RandomState::new().build_hasher().finish()
}
