//! Randomness for the functions that are meant to give something else every time.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

/// Random bits, from the seed that the standard library draws for each hash map.
pub(super) fn bits() -> u64 {
    RandomState::new().build_hasher().finish()
}
