//! Undo maps of an aggregation: what epochs that are not committed have changed.
//!
//! See [`crate::operators::table`] for what undo maps are. They cost a copy of a group's results at its first touch in an
//! epoch, and nothing while nobody looks.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::bucket::Bucket;
use super::flush::{Before, Spot};
use super::{Group, Spec};
use crate::error::Result;
use crate::ids::EpochNumber;
use crate::state::BucketId;

/// The undo maps of all epochs that are not committed yet.
pub(super) struct Undo {
    /// From the oldest to the newest, each with the number of its epoch.
    sealed: VecDeque<(EpochNumber, Map)>,
    open: Map,
}

/// What an epoch has changed, as it was before.
pub(super) struct Map {
    /// The stream time before the epoch.
    pub now: i64,
    /// Where the results of each changed group are.
    pub spots: HashMap<Group, Spot, foldhash::fast::RandomState>,
    pub results: Before,
    pub dropped: Dropped,
}

/// Buckets whose windows have expired, and which somebody still reads.
pub(super) type Dropped = BTreeMap<BucketId, Arc<Bucket>>;

/// About how many bytes an entry of a map takes besides its results.
const ENTRY_BYTES: usize = 2 * (size_of::<Group>() + size_of::<Spot>());

impl Map {
    fn new(now: i64) -> Map {
        Map { now, spots: HashMap::default(), results: Before::default(), dropped: BTreeMap::new() }
    }

    /// About how many bytes it takes, without buckets that have expired.
    fn memory(&self) -> usize {
        self.spots.capacity() * ENTRY_BYTES + self.results.bytes()
    }
}

impl Undo {
    pub(super) fn new(now: i64) -> Undo {
        Undo { sealed: VecDeque::new(), open: Map::new(now) }
    }

    /// A group is about to be touched for the first time in the open epoch.
    pub(super) fn note(&mut self, spec: &Spec, bucket: &Bucket, group: Group) -> Result<()> {
        let spot = self.open.results.push(spec, bucket, group.1)?;
        let before = self.open.spots.insert(group, spot);
        debug_assert!(before.is_none(), "a group is touched for the first time once an epoch");
        Ok(())
    }

    /// A bucket has expired.
    pub(super) fn drop_bucket(&mut self, id: BucketId, bucket: Arc<Bucket>) {
        self.open.dropped.insert(id, bucket);
    }

    /// About how many bytes the maps take, without buckets that have expired.
    pub(super) fn memory(&self) -> usize {
        self.maps().map(Map::memory).sum()
    }

    /// Closes the piece that takes results, so that it can be read.
    pub(super) fn close(&mut self) {
        self.open.results.close();
    }

    /// The open epoch has ended, at this stream time.
    pub(super) fn seal(&mut self, number: EpochNumber, now: i64) {
        self.close();
        self.sealed.push_back((number, std::mem::replace(&mut self.open, Map::new(now))));
    }

    /// Drops the maps of epochs up to this one.
    pub(super) fn forget(&mut self, committed: EpochNumber) {
        while self.sealed.pop_front_if(|(number, _)| *number <= committed).is_some() {}
    }

    /// All maps, from the oldest to the newest.
    pub(super) fn maps(&self) -> impl Iterator<Item = &Map> {
        self.after(EpochNumber::default())
    }

    /// The maps of epochs after this one, from the oldest to the newest.
    pub(super) fn after(&self, as_of: EpochNumber) -> impl Iterator<Item = &Map> {
        let sealed = self.sealed.iter().filter(move |(number, _)| *number > as_of).map(|(_, map)| map);
        sealed.chain(std::iter::once(&self.open))
    }
}
