//! A walk over the groups of an aggregation, while these change.
//!
//! ```text
//! groups    1 2 3 4 5 6 7 8 …        the walk stands before 4
//! changed   . x . . . x . .          2 was handed on before; 6 is kept as it was and handed on at the end
//! ```
//!
//! A bit for each group says whether it was changed before the walk came to it. Those groups are passed over in the state, and
//! come out of what was kept, piece by piece and without a look-up.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::bits::Bits;
use super::bucket::Bucket;
use super::flush::Before;
use super::read::{FEW_GROUPS, Starts, Was};
use super::shown::Shown;
use super::undo::{Dropped, Map};
use super::{Aggregate, Group, Spec};
use crate::error::{Error, Result};
use crate::operators::table::{Rows, WindowRange};
use crate::state::BucketId;
use crate::types::OldSide;

/// A walk.
pub(super) struct Walk {
    /// The stream time as of its epoch.
    pub now: i64,
    /// Buckets that have expired since.
    pub dropped: Dropped,
    /// It is past all groups before this one.
    next: Group,
    /// The groups that have changed since its epoch and before it came to them, by bucket.
    changed: BTreeMap<BucketId, Bits>,
    /// Those of them that had a row, each with its time.
    kept: Vec<(Group, i64)>,
    /// The results of those, in the same order.
    results: Before,
    /// The same once it is past all groups; those that were handed on are gone.
    sides: Option<VecDeque<OldSide>>,
    /// How many rows of what was kept it has handed on.
    handed: usize,
}

/// After all groups.
const PAST_ALL: Group = (BucketId::MAX, u32::MAX);

impl Walk {
    /// A walk as of the epoch before these undo maps, the oldest of which comes first.
    ///
    /// `now` is the stream time. Takes O(entries of the maps).
    ///
    /// # Errors
    /// A bug.
    pub(super) fn new(now: i64, maps: &[&Map]) -> Result<Walk> {
        let mut walk = Walk {
            now: maps.first().map_or(now, |map| map.now),
            dropped: Dropped::new(),
            next: (BucketId::MIN, 0),
            changed: BTreeMap::new(),
            kept: Vec::new(),
            results: Before::default(),
            sides: None,
            handed: 0,
        };
        maps.iter().try_for_each(|map| walk.take_in(map))?;
        Ok(walk)
    }

    /// Keeps what a map has; of a group in two maps, the row of the earlier one is the right one.
    fn take_in(&mut self, map: &Map) -> Result<()> {
        let mut pieces: BTreeMap<u32, Vec<(u32, Group, i64)>> = BTreeMap::new();
        for (group, spot) in &map.spots {
            let absent = &map.results.side(spot.piece).absent;
            if self.mark(*group) && absent.as_ref().is_none_or(|absent| !absent.value(spot.row as usize)) {
                pieces.entry(spot.piece).or_default().push((spot.row, *group, spot.time));
            }
        }
        for (piece, mut rows) in pieces {
            rows.sort_unstable_by_key(|(row, ..)| *row);
            let places: Vec<u32> = rows.iter().map(|(row, ..)| *row).collect();
            self.results.append(map.results.side(piece).take(&places)?);
            self.kept.extend(rows.into_iter().map(|(_, group, time)| (group, time)));
        }
        self.dropped.extend(map.dropped.iter().map(|(id, bucket)| (*id, bucket.clone())));
        Ok(())
    }

    /// Another walk that shows the same. Neither may have handed on anything, and what takes results must be closed.
    pub(super) fn copy(&self) -> Walk {
        Walk {
            dropped: self.dropped.clone(),
            changed: self.changed.clone(),
            kept: self.kept.clone(),
            results: self.results.copy(),
            sides: None,
            ..*self
        }
    }

    /// Notes that a group has changed; whether it is the first time.
    fn mark(&mut self, (id, group): Group) -> bool {
        let bits = self.changed.entry(id).or_default();
        bits.grow(group as usize + 1);
        bits.set(group)
    }

    fn has_changed(&self, (id, group): &Group) -> bool {
        self.changed.get(id).is_some_and(|bits| bits.has(*group))
    }

    /// A group is about to be touched for the first time in an epoch.
    pub(super) fn note(&mut self, spec: &Spec, bucket: &Bucket, group: Group) -> Result<()> {
        if group >= self.next && self.mark(group) && !bucket.is_new(group.1) {
            self.results.push(spec, bucket, group.1)?;
            self.kept.push((group, bucket.times[group.1 as usize]));
        }
        Ok(())
    }

    /// A bucket has expired.
    pub(super) fn drop_bucket(&mut self, id: BucketId, bucket: Arc<Bucket>) {
        if id >= self.next.0 || self.changed.contains_key(&id) {
            self.dropped.insert(id, bucket);
        }
    }

    /// About how many bytes it takes, without buckets that have expired.
    pub(super) fn memory(&self) -> usize {
        let bits: usize = self.changed.values().map(Bits::memory).sum();
        let sides: usize = self.sides.iter().flatten().map(OldSide::bytes).sum();
        let kept = self.kept.capacity() * size_of::<(Group, i64)>();
        bits + kept + self.results.bytes() + sides
    }

    /// How many groups it has kept.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.kept.len()
    }

    /// Closes the piece that takes results, so that it can be read.
    pub(super) fn close(&mut self) {
        self.results.close();
    }

    /// Where each group stands in what was kept.
    pub(super) fn places(&self) -> HashMap<Group, usize> {
        self.kept.iter().enumerate().map(|(at, (group, _))| (*group, at)).collect()
    }

    /// What a group was; `places` is what [`Walk::places`] says.
    pub(super) fn was(&self, group: &Group, places: &HashMap<Group, usize>) -> Was<'_> {
        if !self.has_changed(group) {
            return Was::Same;
        }
        let Some(at) = places.get(group).copied() else { return Was::Nothing };
        let mut row = at;
        for side in self.results.sides() {
            match row.checked_sub(side.rows()) {
                None => return Was::Row(side, row, self.kept[at].1),
                Some(left) => row = left,
            }
        }
        Was::Nothing
    }

    /// The next rows.
    ///
    /// # Errors
    /// As for [`crate::operators::Table::walk`].
    pub(super) fn step(&mut self, aggregate: &Aggregate, windows: &WindowRange) -> Result<Option<Rows>> {
        let starts = Starts::new(&aggregate.spec, self.now, windows);
        match self.step_in_state(aggregate, starts)? {
            Some(rows) => Ok(Some(rows)),
            None => self.step_in_kept(aggregate, starts),
        }
    }

    /// The next rows that have not changed; `None` if it is past all groups.
    fn step_in_state(&mut self, aggregate: &Aggregate, starts: Starts) -> Result<Option<Rows>> {
        if self.next == PAST_ALL {
            return Ok(None);
        }
        let dropped = self.dropped.range(self.next.0..).map(|(id, bucket)| (*id, bucket.as_ref()));
        let own = aggregate.buckets.range(self.next.0..).map(|(id, bucket)| (*id, bucket));
        let buckets: BTreeMap<BucketId, &Bucket> = dropped.chain(own).collect();
        let Some((id, bucket)) = buckets.iter().find(|(id, _)| aggregate.wants(**id, starts)) else {
            self.next = PAST_ALL;
            return Ok(None);
        };
        let id = *id;
        let first = if id == self.next.0 { self.next.1 } else { 0 };
        let looked: Vec<Group> = bucket.table.numbers_from(first).take(FEW_GROUPS).map(|group| (id, group)).collect();
        let is_shown = |group: &&Group| !self.has_changed(group) && starts.want(aggregate, bucket, **group);
        let groups: Vec<Group> = looked.iter().filter(is_shown).copied().collect();
        let count = aggregate.few(bucket, &groups).min(groups.len());
        let rows = aggregate.rows_of(bucket, &groups[..count], |_| Was::Same)?;
        self.next = match (groups.get(count), looked.last()) {
            (Some(group), _) => *group,
            (None, Some((_, last))) if looked.len() == FEW_GROUPS => (id, last + 1),
            _ => buckets.range(id + 1..).next().map_or(PAST_ALL, |(next, _)| (*next, 0)),
        };
        Ok(Some(rows))
    }

    /// The next rows that were kept; `None` if there are no more.
    fn step_in_kept(&mut self, aggregate: &Aggregate, starts: Starts) -> Result<Option<Rows>> {
        let results = &mut self.results;
        let sides = self.sides.get_or_insert_with(|| std::mem::take(results).into_sides().into());
        let Some(side) = sides.pop_front() else { return Ok(None) };
        let count = side.rows().min(FEW_GROUPS);
        if count < side.rows() {
            sides.push_front(side.slice(count, side.rows() - count));
        }
        let bucket_of = |(id, _): &Group| {
            let bucket = self.dropped.get(id).map(Arc::as_ref).or_else(|| aggregate.buckets.get(id));
            bucket.ok_or_else(|| Error::bug("the bucket of a group that was kept is gone"))
        };
        let kept = &self.kept[self.handed..][..count];
        let (mut places, mut shown) = (Vec::new(), Shown::new(aggregate, count));
        for (place, (group, time)) in kept.iter().enumerate() {
            let ahead = |by: usize| kept.get(place + by).and_then(|(group, _)| Some((bucket_of(group).ok()?, group.1)));
            Bucket::prefetch_keys(ahead);
            let bucket = bucket_of(group)?;
            if starts.want(aggregate, bucket, *group) {
                places.push(place as u32);
                shown.push(aggregate, bucket, *group, *time);
            }
        }
        self.handed += count;
        let results = if places.len() == count { side.slice(0, count) } else { side.take(&places)? };
        Ok(Some(shown.rows(results.columns)))
    }
}
