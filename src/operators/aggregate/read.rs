//! Reads of the table that an aggregation keeps: look-ups of keys, and the rows of walks.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::compute::interleave;

use super::bucket::Bucket;
use super::flush::PIECE_BYTES;
use super::shown::Shown;
use super::undo::{Map, Undo};
use super::walk::Walk;
use super::{Aggregate, Group, Spec, results};
use crate::error::{Error, Result};
use crate::ids::{EpochNumber, WalkId};
use crate::operators::table::{AsOf, Rows, Table, WindowRange};
use crate::state::BucketId;
use crate::types::{Builder, OldSide, Value, arrow_error};

/// What is kept for those who read the table.
#[derive(Default)]
pub(super) struct Readers {
    /// What uncommitted epochs have changed; `None` while nobody looks for keys.
    pub undo: Option<Undo>,
    walks: Vec<(WalkId, Walk)>,
}

/// The most groups that are looked at in one call of a reader.
pub(super) const FEW_GROUPS: usize = 8192;

impl Readers {
    /// Whether anything is kept.
    pub(super) fn exist(&self) -> bool {
        self.undo.is_some() || !self.walks.is_empty()
    }

    /// A group is about to be touched for the first time in the open epoch.
    ///
    /// # Errors
    /// Its result is too large to be handed on.
    pub(super) fn note(&mut self, spec: &Spec, bucket: &Bucket, group: Group) -> Result<()> {
        self.undo.iter_mut().try_for_each(|undo| undo.note(spec, bucket, group))?;
        self.walks.iter_mut().try_for_each(|(_, walk)| walk.note(spec, bucket, group))
    }

    /// A bucket has expired.
    pub(super) fn drop_bucket(&mut self, id: BucketId, bucket: Bucket) {
        let bucket = Arc::new(bucket);
        self.undo.iter_mut().for_each(|undo| undo.drop_bucket(id, bucket.clone()));
        self.walks.iter_mut().for_each(|(_, walk)| walk.drop_bucket(id, bucket.clone()));
    }

    /// About how many bytes it takes.
    pub(super) fn memory(&self) -> usize {
        let own = self.undo.iter().map(Undo::memory).chain(self.walks.iter().map(|(_, walk)| walk.memory()));
        // Several may have the same bucket.
        let of_maps = self.undo.iter().flat_map(Undo::maps).map(|map| &map.dropped);
        let dropped = of_maps.chain(self.walks.iter().map(|(_, walk)| &walk.dropped));
        let buckets: BTreeMap<&BucketId, &Arc<Bucket>> = dropped.flatten().collect();
        own.chain(buckets.values().map(|bucket| bucket.memory())).sum()
    }

    /// How many groups a walk has kept.
    #[cfg(test)]
    pub(super) fn kept(&self, walk: WalkId) -> usize {
        self.walks.iter().find(|(id, _)| *id == walk).map_or(0, |(_, walk)| walk.kept())
    }

    /// Closes the pieces that take results, so that one can read as of then.
    fn close(&mut self, as_of: AsOf) {
        match as_of {
            AsOf::Epoch(_) => self.undo.iter_mut().for_each(Undo::close),
            AsOf::Walk(id) => self.walks.iter_mut().filter(|(own, _)| *own == id).for_each(|(_, walk)| walk.close()),
        }
    }

    /// The place of a walk.
    fn place(&self, id: WalkId) -> Result<usize> {
        let place = self.walks.iter().position(|(own, _)| *own == id);
        place.ok_or_else(|| Error::bug("a walk goes on that was not begun, or is over"))
    }

    /// The undo maps of epochs after this one, the oldest first.
    fn after(&self, epoch: EpochNumber) -> Vec<&Map> {
        self.undo.iter().flat_map(|undo| undo.after(epoch)).collect()
    }

    /// What hides changes from those who look up keys as of then.
    fn hidden(&self, as_of: AsOf) -> Result<Hidden<'_>> {
        Ok(match as_of {
            AsOf::Epoch(epoch) => Hidden::Maps(self.after(epoch)),
            AsOf::Walk(id) => {
                let walk = &self.walks[self.place(id)?].1;
                Hidden::Walk(walk, walk.places())
            }
        })
    }
}

/// What hides changes from a reader.
enum Hidden<'a> {
    /// The maps of the epochs after that of the reader, the oldest first.
    Maps(Vec<&'a Map>),
    /// A walk, and where each group stands in what it has kept.
    Walk(&'a Walk, HashMap<Group, usize>),
}

/// What a group was as of a reader's epoch.
pub(super) enum Was<'a> {
    /// What it is.
    Same,
    /// It had no row.
    Nothing,
    /// Something else: a row of results, with its time.
    Row(&'a OldSide, usize, i64),
}

impl Hidden<'_> {
    /// The stream time as of the reader's epoch, `now` being what it is.
    fn time(&self, now: i64) -> i64 {
        match self {
            Hidden::Maps(maps) => maps.first().map_or(now, |map| map.now),
            Hidden::Walk(walk, _) => walk.now,
        }
    }

    fn was(&self, group: &Group) -> Was<'_> {
        let maps = match self {
            Hidden::Walk(walk, places) => return walk.was(group, places),
            Hidden::Maps(maps) => maps,
        };
        let Some((map, spot)) = maps.iter().find_map(|map| Some((map, map.spots.get(group)?))) else {
            return Was::Same;
        };
        let (side, row) = (map.results.side(spot.piece), spot.row as usize);
        let is_absent = side.absent.as_ref().is_some_and(|absent| absent.value(row));
        if is_absent { Was::Nothing } else { Was::Row(side, row, spot.time) }
    }

    fn dropped(&self) -> impl Iterator<Item = (&BucketId, &Arc<Bucket>)> {
        let (maps, walk) = match self {
            Hidden::Maps(maps) => (maps.as_slice(), None),
            Hidden::Walk(walk, _) => (&[][..], Some(&walk.dropped)),
        };
        maps.iter().map(|map| &map.dropped).chain(walk).flatten()
    }
}

/// Which windows a reader wants and may see, by their starts, both ends included.
#[derive(Clone, Copy)]
pub(super) struct Starts(i64, i64);

impl Starts {
    /// `now` is the stream time as of the reader's epoch.
    pub(super) fn new(spec: &Spec, now: i64, wanted: &WindowRange) -> Starts {
        let Some(window) = spec.window else { return Starts(i64::MIN, i64::MAX) };
        // A window can be read as long as its start is later than the stream time less the retention.
        let live = now.saturating_sub(window.retention_ms).saturating_add(1);
        Starts(live.max(*wanted.starts.start()), *wanted.starts.end())
    }

    fn has(&self, start: i64) -> bool {
        (self.0..=self.1).contains(&start)
    }

    /// Whether the window of a group is wanted.
    pub(super) fn want(&self, aggregate: &Aggregate, bucket: &Bucket, (id, group): Group) -> bool {
        // Without windows there is no need to look at the key.
        aggregate.spec.window.is_none() || self.has(aggregate.windows.split(id, bucket.table.key(group)).1)
    }
}

impl Aggregate {
    /// Whether a bucket has windows that a reader wants.
    pub(super) fn wants(&self, id: BucketId, starts: Starts) -> bool {
        let (first, end) = self.windows.bounds(id);
        self.spec.window.is_none() || (first <= starts.1 && end > starts.0)
    }

    /// The groups of some keys in a bucket.
    ///
    /// One look-up for each key and window, unless the bucket has fewer groups than that.
    fn find(&self, (id, bucket): (BucketId, &Bucket), starts: Starts, keys: &[Vec<u8>]) -> Vec<Group> {
        let windows = &self.windows;
        if self.spec.window.is_none() {
            return keys.iter().filter_map(|key| bucket.table.find(key)).map(|group| (id, group)).collect();
        }
        let (first, count) = windows.between(id, (starts.0, starts.1));
        if count.saturating_mul(keys.len()) > bucket.table.len() {
            let found = |group: &u32| {
                let (own, start) = windows.split(id, bucket.table.key(*group));
                starts.has(start) && keys.iter().any(|key| key == own)
            };
            return bucket.table.numbers_from(0).filter(found).map(|group| (id, group)).collect();
        }
        let mut found = Vec::new();
        let mut bytes = Vec::new();
        for key in keys {
            for number in 0..count as i64 {
                bytes.clear();
                bytes.extend_from_slice(key);
                windows.put(first + number * windows.advance_ms, &mut bytes);
                found.extend(bucket.table.find(&bytes).map(|group| (id, group)));
            }
        }
        found
    }

    /// How many of these groups of a bucket make a batch of bounded size; at least one.
    pub(super) fn few(&self, bucket: &Bucket, groups: &[Group]) -> usize {
        self.together(|_| Some(bucket), groups, (FEW_GROUPS, PIECE_BYTES))
    }

    /// The rows of groups of a bucket as they were. A group that had no row gives none.
    pub(super) fn rows_of<'a>(
        &self,
        bucket: &Bucket,
        groups: &[Group],
        was: impl Fn(&Group) -> Was<'a>,
    ) -> Result<Rows> {
        let (mut shown, mut from) = (Shown::new(self, groups.len()), Origins::default());
        for group in groups {
            let time = match was(group) {
                Was::Nothing => continue,
                Was::Row(side, row, time) => {
                    from.take(side, row);
                    time
                }
                Was::Same if bucket.is_new(group.1) => continue,
                Was::Same => {
                    from.take_own(group.1);
                    bucket.times[group.1 as usize]
                }
            };
            shown.push(self, bucket, *group, time);
        }
        let mut own = results::builders(&self.spec, from.own.len());
        bucket.results_of(&from.own, &mut own)?;
        Ok(shown.rows(from.columns(own.into_iter().map(Builder::finish).collect())?))
    }
}

/// Where each row's results come from: the state as it is, or pieces that have them as they were.
#[derive(Default)]
struct Origins<'a> {
    /// The groups of the state.
    own: Vec<u32>,
    pieces: Vec<&'a OldSide>,
    places: HashMap<*const OldSide, usize>,
    /// For each row the source, 0 for the state, and the row in it; empty as long as all come from the state.
    rows: Vec<(usize, usize)>,
}

impl<'a> Origins<'a> {
    fn take_own(&mut self, group: u32) {
        if !self.pieces.is_empty() {
            self.rows.push((0, self.own.len()));
        }
        self.own.push(group);
    }

    fn take(&mut self, side: &'a OldSide, row: usize) {
        let pieces = &mut self.pieces;
        if pieces.is_empty() {
            self.rows.extend((0..self.own.len()).map(|own| (0, own)));
        }
        let place = *self.places.entry(side).or_insert_with(|| {
            pieces.push(side);
            pieces.len()
        });
        self.rows.push((place, row));
    }

    /// The results in the order of the rows; `own` are those of the state.
    fn columns(self, own: Vec<ArrayRef>) -> Result<Vec<ArrayRef>> {
        if self.pieces.is_empty() {
            return Ok(own);
        }
        let column = |(at, own): (usize, &ArrayRef)| {
            let pieces = self.pieces.iter().map(|side| side.columns[at].as_ref());
            let sources: Vec<&dyn Array> = std::iter::once(own.as_ref()).chain(pieces).collect();
            interleave(&sources, &self.rows).map_err(arrow_error)
        };
        own.iter().enumerate().map(column).collect()
    }
}

impl Table for Aggregate {
    fn keep_undo(&mut self, keeps: bool) {
        match keeps {
            true if self.readers.undo.is_none() => self.readers.undo = Some(Undo::new(self.time.now())),
            true => {}
            false => self.readers.undo = None,
        }
    }

    fn end_epoch(&mut self, number: EpochNumber) {
        let now = self.time.now();
        self.readers.undo.iter_mut().for_each(|undo| undo.seal(number, now));
    }

    fn forget_undo(&mut self, committed: EpochNumber) {
        self.readers.undo.iter_mut().for_each(|undo| undo.forget(committed));
    }

    fn look_up(&mut self, as_of: AsOf, windows: &WindowRange, keys: &[Vec<Value>]) -> Result<Vec<Rows>> {
        self.readers.close(as_of);
        let hidden = self.readers.hidden(as_of)?;
        let keys: Vec<Vec<u8>> = keys.iter().map(|key| self.encode_key(key)).collect();
        let starts = Starts::new(&self.spec, hidden.time(self.time.now()), windows);
        let dropped = hidden.dropped().map(|(id, bucket)| (*id, bucket.as_ref()));
        let mut rows = Vec::new();
        for (id, bucket) in dropped.chain(self.buckets.iter().map(|(id, bucket)| (*id, bucket))) {
            if !self.wants(id, starts) {
                continue;
            }
            let found = self.find((id, bucket), starts, &keys);
            let mut left = found.as_slice();
            while !left.is_empty() {
                let (now, later) = left.split_at(self.few(bucket, left));
                rows.push(self.rows_of(bucket, now, |group| hidden.was(group))?);
                left = later;
            }
        }
        Ok(rows)
    }

    fn begin_walk(&mut self, walk: WalkId, as_of: AsOf) -> Result<()> {
        self.readers.close(as_of);
        let begun = match as_of {
            AsOf::Epoch(epoch) => Walk::new(self.time.now(), &self.readers.after(epoch))?,
            AsOf::Walk(other) => self.readers.walks[self.readers.place(other)?].1.copy(),
        };
        self.readers.walks.push((walk, begun));
        Ok(())
    }

    fn walk(&mut self, walk: WalkId, windows: &WindowRange) -> Result<Option<Rows>> {
        let place = self.readers.place(walk)?;
        // Taken out meanwhile, since it looks at the aggregation that it is a part of.
        let (id, mut walking) = self.readers.walks.swap_remove(place);
        let rows = walking.step(self, windows);
        self.readers.walks.push((id, walking));
        rows
    }

    fn end_walk(&mut self, walk: WalkId) {
        self.readers.walks.retain(|(id, _)| *id != walk);
    }
}
