//! The rows of both sides of a join that can still find a partner: by key in the order of their times, and dropped by time
//! bucket.

use arrow::array::ArrayRef;

use std::cmp::Reverse;

use super::Side;
use super::parked::Waiting;
use super::rows::{Bucket, Link, NONE, Row, Rows, SAVED, WAITS};
use crate::error::Result;
use crate::operators::OperatorTime;
use crate::state::column::Column;
use crate::state::{BucketId, KeyTable, prefetch};
use crate::types::row::{Input, put_bytes, put_varint, unzigzag, zigzag};
use crate::types::{SqlType, grow};

/// The rows of both sides.
///
/// The keys of both sides share a table, so that a row's key is looked up once to be kept and to find its partners. The rows of
/// a key form a chain from the newest to the oldest; a chain ends where the next row is in a bucket that was dropped, which its
/// time tells.
pub(super) struct Store {
    keys: KeyTable,
    /// For each key the newest row of each side. Indexed by the number of the key; left, then right.
    newest: Vec<[Link; 2]>,
    sides: [Rows; 2],
    bucket_ms: i64,
    /// How long a row is found, counted from the largest time that its side has seen.
    retention_ms: i64,
}

/// A row that is added to the store.
#[derive(Clone, Copy)]
pub(super) struct Added {
    pub side: Side,
    pub key: u32,
    pub time: i64,
    pub ordinal: u64,
    pub bytes: u32,
}

/// A row that was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub time: i64,
    pub ordinal: u64,
    pub slot: u32,
    pub row: u32,
    pub bytes: u32,
    /// Whether it waits for a partner.
    pub waits: bool,
}

impl Store {
    /// A store without rows; `types` are those of each side's columns.
    pub(super) fn new(retention_ms: i64, types: [Vec<SqlType>; 2]) -> Self {
        Store {
            keys: KeyTable::new(),
            newest: Vec::new(),
            sides: types.map(Rows::new),
            bucket_ms: crate::state::bucket_ms(retention_ms, 1),
            retention_ms,
        }
    }

    /// The time of the rows of a side that have a key and a value.
    pub(super) fn time(&mut self, side: Side) -> &mut OperatorTime {
        &mut self.sides[side as usize].time
    }

    /// The same, to look at.
    pub(super) fn time_of(&self, side: Side) -> &OperatorTime {
        &self.sides[side as usize].time
    }

    /// The bucket of a time.
    pub(super) fn bucket(&self, time: i64) -> BucketId {
        time.div_euclid(self.bucket_ms)
    }

    /// Appends the number of each key to `numbers`; the keys stand one after the other, each up to its place in `ends`.
    /// A number is valid until [`Store::expire`] is called.
    pub(super) fn keys(&mut self, keys: &[u8], ends: &[usize], numbers: &mut Vec<u32>) {
        self.keys.find_or_insert(keys, ends, numbers);
        grow::resize(&mut self.newest, self.keys.len(), [NONE; 2]);
    }

    /// The key of a row, encoded.
    pub(super) fn key(&self, side: Side, slot: u32, row: u32) -> &[u8] {
        self.keys.key(self.sides[side as usize].slots[slot as usize].rows[row as usize].key)
    }

    /// The bucket of a slot.
    pub(super) fn bucket_of(&self, side: Side, slot: u32) -> BucketId {
        self.sides[side as usize].slots[slot as usize].id
    }

    /// The number of a row's key.
    pub(super) fn key_number(&self, side: Side, slot: u32, row: u32) -> u32 {
        self.sides[side as usize].slots[slot as usize].rows[row as usize].key
    }

    /// The key of a number, encoded.
    pub(super) fn key_of(&self, number: u32) -> &[u8] {
        self.keys.key(number)
    }

    /// Whether a row of this time can no longer be found: it is at least `retention_ms` older than its side's time.
    pub(super) fn is_expired(&self, side: Side, time: i64) -> bool {
        time <= self.sides[side as usize].time.now().saturating_sub(self.retention_ms)
    }

    /// Adds a row in its place among those of its key, after all that are not newer: the place of its columns, which
    /// [`Store::fill`] must append in the order of the calls. A row that is expired already is kept but never found, and not
    /// in a bucket that was dropped: the horizon must not fall.
    pub(super) fn add(&mut self, added: Added) -> (u32, u32) {
        let id = self.bucket(added.time).max(self.least_bucket(&self.sides[added.side as usize]));
        self.add_to(id, added)
    }

    fn add_to(&mut self, id: BucketId, added: Added) -> (u32, u32) {
        let expired = self.is_expired(added.side, added.time);
        let rows = &mut self.sides[added.side as usize];
        let slot = rows.slot(id);
        let bucket = &mut rows.slots[slot as usize];
        if bucket.saved == bucket.rows.len() {
            rows.unsaved.push(slot);
        }
        let link = Link { time: added.time, slot, row: bucket.rows.len() as u32 };
        grow::reserve(&mut bucket.rows, 1);
        let Added { key, time, ordinal, .. } = added;
        bucket.rows.push(Row { older: NONE, time, ordinal, key, bytes: added.bytes & !(WAITS | SAVED) });
        rows.count += 1;
        if expired {
            return (slot, link.row);
        }
        // The row is not expired, so no newer one was dropped: every newer link can be followed.
        let head = &mut self.newest[added.key as usize][added.side as usize];
        let (mut newer, mut older) = (None, *head);
        while older.time > added.time {
            newer = Some(older);
            older = rows.row(older).older;
        }
        rows.slots[slot as usize].rows[link.row as usize].older = older;
        match newer {
            None => *head = link,
            Some(newer) => rows.slots[newer.slot as usize].rows[newer.row as usize].older = link,
        }
        (slot, link.row)
    }

    /// Appends the columns of rows that were added: for each slot the rows of `arrays`, in the order of [`Store::add`].
    pub(super) fn fill(&mut self, side: Side, arrays: &[ArrayRef], slot: u32, rows: &[u32]) {
        let bucket = &mut self.sides[side as usize].slots[slot as usize];
        for (column, array) in bucket.columns.iter_mut().zip(arrays) {
            column.append(array.as_ref(), rows);
        }
    }

    /// Sets `found` to the rows of a side that have the key and a time in the range: the newest first, of one time the last to
    /// come first. Both ends are included. Costs a step for each row of the key that is not older than the range.
    pub(super) fn find(&self, side: Side, key: u32, (from, to): (i64, i64), found: &mut Vec<Found>) {
        let rows = &self.sides[side as usize];
        let least = from.max(rows.time.now().saturating_sub(self.retention_ms).saturating_add(1));
        found.clear();
        let mut at = self.newest[key as usize][side as usize];
        // What is older than the least time may be in a bucket that was dropped: it is not looked at.
        while at.time >= least {
            let row = rows.row(at);
            if at.time <= to {
                let Row { time, ordinal, .. } = *row;
                let (bytes, waits) = (row.bytes(), row.bytes & WAITS != 0);
                found.push(Found { time, ordinal, slot: at.slot, row: at.row, bytes, waits });
            }
            at = row.older;
        }
    }

    /// About how many bytes the columns of a row take.
    pub(super) fn bytes(&self, side: Side, slot: u32, row: u32) -> u32 {
        self.sides[side as usize].slots[slot as usize].rows[row as usize].bytes()
    }

    /// Asks for the memory that will be looked at for a row with this key.
    #[inline]
    pub(super) fn prefetch_key(&self, key: u32) {
        prefetch(self.newest.as_ptr().wrapping_add(key as usize).cast());
    }

    /// The same for the newest row of a side with this key.
    #[inline]
    pub(super) fn prefetch_row(&self, side: Side, key: u32) {
        let link = self.newest[key as usize][side as usize];
        if let (true, Some(bucket)) = (link.time != NONE.time, self.sides[side as usize].slots.get(link.slot as usize))
        {
            prefetch(bucket.rows.as_ptr().wrapping_add(link.row as usize).cast());
        }
    }

    /// The column of a place in every slot of a side.
    pub(super) fn column(&self, side: Side, place: usize) -> Vec<&Column> {
        self.sides[side as usize].slots.iter().map(|bucket| &bucket.columns[place]).collect()
    }

    /// A row begins to wait for a partner, or waits no more; whether its waiting was saved. Its bucket is kept as long as it
    /// waits.
    pub(super) fn set_waiting(&mut self, side: Side, slot: u32, row: u32, waits: bool) -> bool {
        let bucket = &mut self.sides[side as usize].slots[slot as usize];
        let row = &mut bucket.rows[row as usize];
        let before = row.bytes;
        row.bytes = row.bytes() | if waits { WAITS } else { 0 };
        match (before & WAITS != 0, waits) {
            (false, true) => bucket.waiting += 1,
            (true, false) => bucket.waiting -= 1,
            _ => {}
        }
        before & SAVED != 0
    }

    /// The waiting of a row is saved.
    pub(super) fn set_saved(&mut self, side: Side, slot: u32, row: u32) {
        self.sides[side as usize].slots[slot as usize].rows[row as usize].bytes |= SAVED;
    }

    /// Whether the row of this ordinal is still at its place and waits.
    pub(super) fn is_waiting(&self, side: Side, slot: u32, row: u32, ordinal: u64) -> bool {
        let bucket = &self.sides[side as usize].slots[slot as usize];
        bucket.rows.get(row as usize).is_some_and(|row| row.ordinal == ordinal && row.bytes & WAITS != 0)
    }

    /// How many rows wait.
    pub(super) fn waiting(&self) -> usize {
        self.sides.iter().flat_map(|rows| &rows.slots).map(|bucket| bucket.waiting).sum()
    }

    /// Drops the buckets in which no row can be found and none waits, and the keys that no row has. It may number keys
    /// anew, so it is called at the end of an epoch only.
    pub(super) fn expire(&mut self) {
        for rows in &mut self.sides {
            let least = rows.time.now().saturating_sub(self.retention_ms);
            let is_over = |id: &BucketId| (id + 1).saturating_mul(self.bucket_ms) - 1 <= least;
            let over = rows.buckets.iter().take_while(|(id, _)| is_over(id));
            let over: Vec<(BucketId, u32)> = over
                .filter(|(_, slot)| rows.slots[**slot as usize].waiting == 0)
                .map(|(id, slot)| (*id, *slot))
                .collect();
            if !over.is_empty() {
                over.iter().for_each(|(id, slot)| rows.drop_bucket(*id, *slot));
                rows.drop_room(over.len());
            }
        }
        let rows: usize = self.sides.iter().map(|s| s.count).sum();
        if self.keys.len() > FEW_KEYS.max(2 * rows) {
            self.drop_keys();
        }
    }

    /// Numbers the keys anew, without those that no row has.
    fn drop_keys(&mut self) {
        let (old_keys, old_newest) = (std::mem::take(&mut self.keys), std::mem::take(&mut self.newest));
        let mut used = vec![false; old_keys.len()];
        for rows in &self.sides {
            let live = rows.buckets.values().flat_map(|slot| &rows.slots[*slot as usize].rows);
            live.for_each(|row| used[row.key as usize] = true);
        }
        let mut numbers = Vec::new();
        let mut renamed = vec![0; old_keys.len()];
        for (number, links) in old_newest.into_iter().enumerate().filter(|(number, _)| used[*number]) {
            let key = old_keys.key(number as u32);
            self.keys.find_or_insert(key, &[key.len()], &mut numbers);
            // Links to buckets that were dropped stay: their times say that they lead nowhere.
            self.newest.push(links);
            renamed[number] = self.newest.len() as u32 - 1;
        }
        for bucket in self.sides.iter_mut().flat_map(|s| &mut s.slots) {
            bucket.rows.iter_mut().for_each(|row| row.key = renamed[row.key as usize]);
        }
    }

    /// Hands over the rows of a side that were added since the last call, in blocks: bucket, first ordinal, and the block.
    pub(super) fn take_added(&mut self, side: Side, block: &mut dyn FnMut(BucketId, u64, &[u8])) {
        let mut value = Vec::new();
        for slot in std::mem::take(&mut self.sides[side as usize].unsaved) {
            let bucket = &self.sides[side as usize].slots[slot as usize];
            let (id, count, mut from) = (bucket.id, bucket.rows.len(), bucket.saved);
            while from < count {
                let to = self.sides[side as usize].slots[slot as usize].block_end(from);
                let ordinal = self.encode(side, slot, (from, to), &mut value);
                block(id, ordinal, &value);
                from = to;
            }
            self.sides[side as usize].slots[slot as usize].saved = count;
        }
    }

    /// The bucket of the oldest row of a side that is not expired.
    fn least_bucket(&self, rows: &Rows) -> BucketId {
        self.bucket(rows.time.now().saturating_sub(self.retention_ms).saturating_add(1))
    }

    /// No row of an earlier bucket is there, or will be.
    pub(super) fn horizon(&self) -> BucketId {
        let least = |rows: &Rows| {
            let bound = self.least_bucket(rows);
            rows.buckets.keys().next().map_or(bound, |first| bound.min(*first))
        };
        self.sides.iter().map(least).min().unwrap_or(BucketId::MIN)
    }

    /// Sets `value` to the block of the rows from `from` to `to`; the ordinal of the first. The waiting of those that wait is
    /// saved with that.
    fn encode(&mut self, side: Side, slot: u32, (from, to): (usize, usize), value: &mut Vec<u8>) -> u64 {
        let bucket = &mut self.sides[side as usize].slots[slot as usize];
        let rows = &mut bucket.rows[from..to];
        value.clear();
        put_varint(value, rows.len() as u64);
        let mut before = 0;
        for row in rows.iter() {
            put_varint(value, zigzag(row.time.wrapping_sub(std::mem::replace(&mut before, row.time))));
        }
        let mut before = rows[0].ordinal;
        for row in rows.iter() {
            put_varint(value, row.ordinal - std::mem::replace(&mut before, row.ordinal));
        }
        for row in rows.iter_mut() {
            let waits = row.bytes & WAITS != 0;
            put_varint(value, u64::from(row.bytes()) << 1 | u64::from(waits));
            row.bytes |= if waits { SAVED } else { 0 };
        }
        rows.iter().for_each(|row| put_bytes(value, self.keys.key(row.key)));
        bucket.columns.iter().for_each(|column| column.save(from, to, value));
        bucket.rows[from].ordinal
    }

    /// Adds the rows of a block of a bucket, and tells which of them wait. The blocks of a side and a bucket come in the order
    /// of their ordinals.
    pub(super) fn load(
        &mut self,
        (bucket, side): (BucketId, Side),
        first: u64,
        value: &[u8],
        waits: &mut dyn FnMut(Waiting),
    ) -> Result<()> {
        let mut input = Input(value);
        let count = input.varint()? as usize;
        let (mut time, mut ordinal) = (0i64, first);
        let times = (0..count).map(|_| {
            time = time.wrapping_add(unzigzag(input.varint()?));
            Ok(time)
        });
        let times = times.collect::<Result<Vec<_>>>()?;
        let ordinals = (0..count).map(|_| {
            ordinal = ordinal.wrapping_add(input.varint()?);
            Ok(ordinal)
        });
        let ordinals = ordinals.collect::<Result<Vec<_>>>()?;
        let bytes = (0..count).map(|_| input.varint()).collect::<Result<Vec<_>>>()?;
        let (mut keys, mut ends) = (Vec::new(), Vec::with_capacity(count));
        for _ in 0..count {
            keys.extend_from_slice(input.bytes()?);
            ends.push(keys.len());
        }
        let slot = self.sides[side as usize].slot(bucket);
        let mut numbers = Vec::with_capacity(count);
        self.keys(&keys, &ends, &mut numbers);
        for row in 0..count {
            let (time, ordinal, bytes) = (times[row], ordinals[row], bytes[row]);
            let added = Added { side, key: numbers[row], time, ordinal, bytes: (bytes >> 1) as u32 };
            let (slot, row) = self.add_to(bucket, added);
            if bytes & 1 == 1 {
                waits(Waiting { time, side: Reverse(side), ordinal, slot, row });
            }
        }
        let rows = &mut self.sides[side as usize];
        rows.unsaved.clear();
        let bucket = &mut rows.slots[slot as usize];
        bucket.saved = bucket.rows.len();
        bucket.columns.iter_mut().try_for_each(|column| column.load(count, &mut input))
    }

    /// The bytes of memory that the store takes.
    pub(super) fn memory(&self) -> usize {
        let rows: usize = self.sides.iter().flat_map(|s| &s.slots).map(Bucket::memory).sum();
        self.keys.memory() + self.newest.capacity() * size_of::<[Link; 2]>() + rows
    }
}

/// Up to so many keys it is not worth dropping those that no row has.
const FEW_KEYS: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Value, array_of};

    fn store() -> Store {
        Store::new(1_000, [vec![SqlType::Bigint], vec![]])
    }

    fn number(store: &mut Store, key: &[u8]) -> u32 {
        let mut numbers = Vec::new();
        store.keys(key, &[key.len()], &mut numbers);
        numbers[0]
    }

    fn add(store: &mut Store, key: &[u8], time: i64, ordinal: u64) {
        let key = number(store, key);
        store.time(Side::Left).advance(time, i64::MAX, || i64::MAX);
        let (slot, _) = store.add(Added { side: Side::Left, key, time, ordinal, bytes: 8 });
        let column = array_of(&[Value::Bigint(ordinal as i64)], &SqlType::Bigint);
        store.fill(Side::Left, &[column], slot, &[0]);
    }

    fn found(store: &mut Store, key: &[u8], from: i64, to: i64) -> Vec<(i64, u64)> {
        let key = number(store, key);
        let mut found = Vec::new();
        store.find(Side::Left, key, (from, to), &mut found);
        found.iter().rev().map(|row| (row.time, row.ordinal)).collect()
    }

    #[test]
    fn rows_are_found_by_time_then_arrival() {
        let mut store = store();
        for (ordinal, time) in [50, 10, 50, 900, 30].into_iter().enumerate() {
            add(&mut store, b"k", time, ordinal as u64);
        }
        assert_eq!(found(&mut store, b"k", 0, 100), [(10, 1), (30, 4), (50, 0), (50, 2)]);
        assert_eq!(found(&mut store, b"k", 11, 50), [(30, 4), (50, 0), (50, 2)]);
        store.time(Side::Left).advance(1_040, i64::MAX, || i64::MAX);
        assert_eq!(found(&mut store, b"k", 0, 2_000), [(50, 0), (50, 2), (900, 3)]);
        store.expire();
        let mut blocks = Vec::new();
        store.take_added(Side::Left, &mut |bucket, ordinal, value| blocks.push((bucket, ordinal, value.to_vec())));
        let mut copy = self::store();
        *copy.time(Side::Left) = *store.time(Side::Left);
        for (bucket, ordinal, value) in blocks {
            copy.load((bucket, Side::Left), ordinal, &value, &mut |_| ()).expect("a block");
        }
        assert_eq!(found(&mut copy, b"k", 0, 2_000), [(50, 0), (50, 2), (900, 3)]);
    }

    #[test]
    fn room_goes_from_bucket_to_bucket_and_a_peak_leaves_none_behind() {
        let mut store = store();
        (0..10_000).for_each(|ordinal| add(&mut store, b"k", 0, ordinal));
        let peak = store.memory();
        for ordinal in 10_000..11_000 {
            add(&mut store, b"k", (ordinal as i64 - 9_990) * 100, ordinal);
            store.expire();
        }
        let rows = &store.sides[Side::Left as usize];
        assert!(store.memory() < peak / 10, "{} of {peak} bytes", store.memory());
        assert!(rows.slots.len() <= rows.buckets.len() + 2, "{} slots", rows.slots.len());
        assert_eq!(found(&mut store, b"k", 0, i64::MAX).len(), 10, "of the last second");
    }

    #[test]
    fn keys_without_rows_are_dropped() {
        let mut store = store();
        for i in 0..3 * FEW_KEYS as u64 {
            add(&mut store, format!("key {i}").as_bytes(), i as i64 * 10, i);
        }
        store.expire();
        let last = 3 * FEW_KEYS as u64 - 1;
        assert!(store.keys.len() < 200, "{}", store.keys.len());
        let key = format!("key {last}");
        assert_eq!(found(&mut store, key.as_bytes(), 0, i64::MAX), [(last as i64 * 10, last)]);
        add(&mut store, b"key 5", last as i64 * 10, 1);
        assert_eq!(found(&mut store, b"key 5", 0, i64::MAX), [(last as i64 * 10, 1)]);
    }
}
