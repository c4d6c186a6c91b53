//! Undo maps of an aggregation, and reads as of an epoch.
//!
//! See [`crate::operators::table`] for what undo maps are. They cost a copy of a group's results at its first touch in an
//! epoch, and nothing while nobody reads.

use std::collections::{BTreeMap, HashMap, VecDeque};

use arrow::array::{Array, ArrayRef};
use arrow::compute::interleave;

use super::bucket::Bucket;
use super::flush::{PIECE_BYTES, Spot};
use super::undo_map::Map;
use super::{Aggregate, Group, Spec, results};
use crate::error::Result;
use crate::ids::EpochNumber;
use crate::operators::table::{Table, Walk, WindowRange};
use crate::state::BucketId;
use crate::types::row::Input;
use crate::types::{Batch, Builder, OldSide, Seq, Value, arrow_error, key};

/// The undo maps of all epochs that are not committed yet, or that a reader still needs.
pub(super) struct Undo {
    /// From the oldest to the newest, each with the number of its last epoch.
    sealed: VecDeque<(EpochNumber, Map)>,
    open: Map,
}

/// The most groups that are looked at in one call of a walk.
const WALK_GROUPS: usize = 8192;

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
    pub(super) fn drop_bucket(&mut self, id: BucketId, bucket: Bucket) {
        self.open.dropped.insert(id, bucket);
    }

    pub(super) fn memory(&self) -> usize {
        self.open.memory() + self.sealed.iter().map(|(_, map)| map.memory()).sum::<usize>()
    }

    /// Drops and merges maps, as [`Table::forget_undo`] says.
    fn forget(&mut self, readers: &[EpochNumber]) -> Result<()> {
        let (Some(first), Some(committed)) = (readers.first(), readers.last()) else { return Ok(()) };
        while self.sealed.front().is_some_and(|(number, _)| number <= first) {
            self.sealed.pop_front();
        }
        let mut at = 0;
        while let Some((number, next)) = self.sealed.get(at).zip(self.sealed.get(at + 1)).map(|(a, b)| (a.0, b.0)) {
            // A reader between them needs the later one alone.
            let after = readers.partition_point(|reader| *reader < number);
            if next > *committed || readers.get(after).is_some_and(|reader| *reader < next) {
                at += 1;
                continue;
            }
            let later = self.sealed.remove(at + 1).expect("it was looked at").1;
            let merged = &mut self.sealed[at];
            merged.0 = next;
            merged.1.absorb(later)?;
        }
        Ok(())
    }

    /// How many groups all maps have together, how many rows of results, and how many pieces these are in.
    #[cfg(test)]
    pub(super) fn entries(&self) -> (usize, usize, usize) {
        let maps = self.sealed.iter().map(|(_, map)| map).chain(std::iter::once(&self.open));
        maps.map(Map::entries).fold((0, 0, 0), |all, own| (all.0 + own.0, all.1 + own.1, all.2 + own.2))
    }

    /// The maps of epochs after this one, from the oldest to the newest.
    fn after(&self, as_of: EpochNumber) -> impl Iterator<Item = &Map> {
        let sealed = self.sealed.iter().filter(move |(number, _)| *number > as_of).map(|(_, map)| map);
        sealed.chain(std::iter::once(&self.open))
    }
}

/// The state as of an epoch.
struct View<'a> {
    aggregate: &'a Aggregate,
    /// The undo maps that hide changes after the epoch, the oldest first.
    maps: Vec<&'a Map>,
    /// The starts of the windows that are wanted and can be read.
    starts: (i64, i64),
}

impl<'a> View<'a> {
    fn new(aggregate: &'a Aggregate, as_of: EpochNumber, windows: &WindowRange) -> View<'a> {
        let maps: Vec<&Map> = aggregate.undo.iter().flat_map(|undo| undo.after(as_of)).collect();
        let now = maps.first().map_or(aggregate.time.now(), |map| map.now);
        // A window can be read as long as its start is later than the stream time less the retention.
        let live =
            aggregate.spec.window.map_or(i64::MIN, |window| now.saturating_sub(window.retention_ms).saturating_add(1));
        let starts = match aggregate.spec.window {
            Some(_) => (live.max(*windows.starts.start()), *windows.starts.end()),
            None => (i64::MIN, i64::MAX),
        };
        View { aggregate, maps, starts }
    }

    /// The buckets from one on, with those that were dropped later.
    fn buckets(&self, from: BucketId) -> BTreeMap<BucketId, &'a Bucket> {
        let dropped = self.maps.iter().flat_map(|map| map.dropped.range(from..));
        dropped.chain(self.aggregate.buckets.range(from..)).map(|(id, bucket)| (*id, bucket)).collect()
    }

    /// Whether windows of a bucket are wanted.
    fn wants(&self, id: BucketId) -> bool {
        let (first, end) = self.aggregate.windows.bounds(id);
        self.aggregate.spec.window.is_none() || (first <= self.starts.1 && end > self.starts.0)
    }

    fn is_wanted(&self, start: i64) -> bool {
        (self.starts.0..=self.starts.1).contains(&start)
    }

    /// Where the results of a group are, if a map has them.
    fn spot(&self, group: &Group) -> Option<(usize, Spot)> {
        self.maps.iter().enumerate().find_map(|(at, map)| Some((at, *map.spots.get(group)?)))
    }

    /// The groups of some keys in a bucket.
    ///
    /// One look-up for each key and window, unless the bucket has fewer groups than that.
    fn find(&self, id: BucketId, bucket: &Bucket, keys: &[Vec<u8>]) -> Vec<Group> {
        let windows = &self.aggregate.windows;
        if self.aggregate.spec.window.is_none() {
            return keys.iter().filter_map(|key| bucket.table.find(key)).map(|group| (id, group)).collect();
        }
        let (first, count) = windows.between(id, self.starts);
        if count.saturating_mul(keys.len()) > bucket.table.len() {
            let found = |group: &u32| {
                let (own, start) = windows.split(id, bucket.table.key(*group));
                self.is_wanted(start) && keys.iter().any(|key| key == own)
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
    fn together(&self, bucket: &Bucket, groups: &[Group]) -> usize {
        self.aggregate.together(|_| Some(bucket), groups, (WALK_GROUPS, PIECE_BYTES))
    }

    /// The rows of groups of a bucket. A group that had no row gives none.
    fn batch(&self, bucket: &Bucket, groups: &[Group]) -> Result<Batch> {
        let spec = &self.aggregate.spec;
        let mut keys: Vec<Builder> = spec.keys.iter().map(|(_, t)| Builder::new(t, groups.len())).collect();
        let mut own = results::builders(spec, groups.len());
        let (mut starts, mut times) = (Vec::with_capacity(groups.len()), Vec::with_capacity(groups.len()));
        let mut from = Origins::default();
        for group in groups {
            let time = match self.spot(group) {
                Some((map, spot)) => {
                    let side = self.maps[map].results.side(spot.piece);
                    if side.absent.as_ref().is_some_and(|absent| absent.value(spot.row as usize)) {
                        continue;
                    }
                    from.take((map, spot), side);
                    spot.time
                }
                None if bucket.is_new(group.1) => continue,
                None => {
                    bucket.results(group.1, &mut own)?;
                    from.take_own();
                    bucket.times[group.1 as usize]
                }
            };
            let (key, start) = self.aggregate.windows.split(group.0, bucket.table.key(group.1));
            key::decode(&mut Input(key), &mut keys)?;
            starts.push(start);
            times.push(time);
        }
        let mut columns: Vec<ArrayRef> = keys.into_iter().map(Builder::finish).collect();
        columns.extend(self.aggregate.bounds(starts));
        columns.extend(from.columns(own.into_iter().map(Builder::finish).collect())?);
        Ok(Batch::new(columns, times.into(), Seq::From(0)))
    }
}

/// Where each row's results come from: the state as it is, or pieces of undo maps.
#[derive(Default)]
struct Origins<'a> {
    pieces: Vec<&'a OldSide>,
    places: HashMap<(usize, u32), usize>,
    /// For each row the source, 0 for the state, and the row in it.
    rows: Vec<(usize, usize)>,
    own: usize,
}

impl<'a> Origins<'a> {
    fn take_own(&mut self) {
        self.rows.push((0, self.own));
        self.own += 1;
    }

    fn take(&mut self, (map, spot): (usize, Spot), side: &'a OldSide) {
        let pieces = &mut self.pieces;
        let place = *self.places.entry((map, spot.piece)).or_insert_with(|| {
            pieces.push(side);
            pieces.len()
        });
        self.rows.push((place, spot.row as usize));
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

impl Aggregate {
    /// Closes the piece that takes results, so that it can be read.
    fn close_piece(&mut self) {
        if let Some(undo) = &mut self.undo {
            undo.open.results.close();
        }
    }
}

impl Table for Aggregate {
    fn keep_undo(&mut self, keeps: bool) {
        match keeps {
            true if self.undo.is_none() => self.undo = Some(Undo::new(self.time.now())),
            true => {}
            false => self.undo = None,
        }
    }

    fn end_epoch(&mut self, number: EpochNumber) {
        let now = self.time.now();
        if let Some(undo) = &mut self.undo {
            let mut map = std::mem::replace(&mut undo.open, Map::new(now));
            map.results.close();
            undo.sealed.push_back((number, map));
        }
    }

    fn forget_undo(&mut self, readers: &[EpochNumber]) -> Result<()> {
        self.undo.as_mut().map_or(Ok(()), |undo| undo.forget(readers))
    }

    fn look_up(&mut self, as_of: EpochNumber, windows: &WindowRange, keys: &[Vec<Value>]) -> Result<Vec<Batch>> {
        self.close_piece();
        let view = View::new(self, as_of, windows);
        let keys: Vec<Vec<u8>> = keys.iter().map(|key| self.encode_key(key)).collect();
        let mut batches = Vec::new();
        for (id, bucket) in view.buckets(BucketId::MIN) {
            if !view.wants(id) {
                continue;
            }
            let found = view.find(id, bucket, &keys);
            let mut left = found.as_slice();
            while !left.is_empty() {
                let count = view.together(bucket, left);
                batches.push(view.batch(bucket, &left[..count])?);
                left = &left[count..];
            }
        }
        Ok(batches)
    }

    fn walk(&mut self, as_of: EpochNumber, windows: &WindowRange, from: Walk) -> Result<(Batch, Option<Walk>)> {
        self.close_piece();
        let view = View::new(self, as_of, windows);
        let buckets = view.buckets(from.bucket);
        let next = buckets.iter().find(|(id, _)| view.wants(**id));
        let Some((id, bucket)) = next.map(|(id, bucket)| (*id, *bucket)) else {
            return Ok((self.batch_of(&[])?, None));
        };
        let first = if id == from.bucket { from.group } else { 0 };
        let looked: Vec<Group> = bucket.table.numbers_from(first).take(WALK_GROUPS).map(|group| (id, group)).collect();
        let is_wanted = |group: &Group| view.is_wanted(self.windows.split(id, bucket.table.key(group.1)).1);
        let groups: Vec<Group> = looked.iter().copied().filter(is_wanted).collect();
        let count = view.together(bucket, &groups);
        let batch = view.batch(bucket, &groups[..count.min(groups.len())])?;
        let next = match (groups.get(count), looked.last()) {
            (Some((_, group)), _) => Some(Walk { bucket: id, group: *group }),
            (None, Some((_, last))) if looked.len() == WALK_GROUPS => Some(Walk { bucket: id, group: last + 1 }),
            _ => buckets.range(id + 1..).next().map(|(next, _)| Walk { bucket: *next, group: 0 }),
        };
        Ok((batch, next))
    }
}
