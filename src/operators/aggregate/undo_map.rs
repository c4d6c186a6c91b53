//! An undo map: the groups that an epoch has changed, as they were before.
//!
//! Maps of epochs that no reader tells apart are merged, so that a slow reader costs the groups that were changed, not
//! the epochs that went by. Of a group in both maps, the row of the earlier one is what such a reader sees.

use std::collections::{BTreeMap, HashMap};

use super::Group;
use super::bucket::Bucket;
use super::flush::{Before, Spot};
use crate::error::Result;
use crate::state::BucketId;

/// What an epoch, or some that follow each other, has changed, as it was before.
pub(super) struct Map {
    /// The stream time before the first epoch.
    pub now: i64,
    /// Where the results of each changed group are.
    pub spots: HashMap<Group, Spot, foldhash::fast::RandomState>,
    pub results: Before,
    /// Buckets whose windows expired in them.
    pub dropped: BTreeMap<BucketId, Bucket>,
}

/// About how many bytes an entry of the map takes besides its results.
const ENTRY_BYTES: usize = 2 * (size_of::<Group>() + size_of::<Spot>());

impl Map {
    /// An empty map, at this stream time.
    pub(super) fn new(now: i64) -> Map {
        Map { now, spots: HashMap::default(), results: Before::default(), dropped: BTreeMap::new() }
    }

    /// About how many bytes it takes.
    pub(super) fn memory(&self) -> usize {
        let dropped: usize = self.dropped.values().map(Bucket::memory).sum();
        self.spots.capacity() * ENTRY_BYTES + self.results.bytes() + dropped
    }

    /// Adds the map of the epoch that came next.
    ///
    /// Takes O(entries of that map), and copies the results that only it has.
    ///
    /// # Errors
    /// A bug.
    pub(super) fn absorb(&mut self, later: Map) -> Result<()> {
        let sides = later.results.into_sides();
        let mut only_later: Vec<Vec<(u32, Group, i64)>> = vec![Vec::new(); sides.len()];
        for (group, spot) in later.spots.into_iter().filter(|(group, _)| !self.spots.contains_key(group)) {
            only_later[spot.piece as usize].push((spot.row, group, spot.time));
        }
        for (side, mut rows) in sides.into_iter().zip(only_later).filter(|(_, rows)| !rows.is_empty()) {
            rows.sort_unstable_by_key(|(row, ..)| *row);
            let places: Vec<u32> = rows.iter().map(|(row, ..)| *row).collect();
            let first = self.results.append(&side, &places)?;
            for (row, (_, group, time)) in (first.1..).zip(rows) {
                self.spots.insert(group, Spot { piece: first.0, row, time });
            }
        }
        // A bucket expires once: its windows never come back.
        self.dropped.extend(later.dropped);
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn entries(&self) -> (usize, usize, usize) {
        let (rows, pieces) = self.results.entries();
        (self.spots.len(), rows, pieces)
    }
}
