//! The rows of both sides of a join that can still find a partner: by key in the order of their times, and dropped by time
//! bucket.

use std::collections::BTreeMap;

use super::Side;
use crate::error::Result;
use crate::operators::OperatorTime;
use crate::state::{BucketId, KeyTable};
use crate::types::row::{Input, put_bytes};

/// The rows of both sides.
///
/// The keys of both sides share a table, so that a row's key is looked up once to be kept and to find its partners. The
/// rows of a key form a chain from the newest to the oldest; a chain ends where the next row is in a bucket that was
/// dropped, which its time tells.
pub struct Store {
    keys: KeyTable,
    /// For each key the newest row of each side.
    newest: Vec<[Link; 2]>,
    sides: [Rows; 2],
    bucket_ms: i64,
    /// How long a row is found, counted from the largest time that its side has seen.
    retention_ms: i64,
}

/// A row as another one refers to it.
#[derive(Clone, Copy)]
struct Link {
    /// The time of the row; the least number if there is none.
    time: i64,
    slot: u32,
    row: u32,
}

const NONE: Link = Link { time: i64::MIN, slot: 0, row: 0 };

/// The rows of a side.
struct Rows {
    /// The time of the rows that have a key and a value.
    time: OperatorTime,
    /// The slot of each bucket.
    buckets: BTreeMap<BucketId, u32>,
    slots: Vec<Bucket>,
    /// Slots of buckets that were dropped.
    free: Vec<u32>,
    /// The rows added since the last call of [`Store::take_added`].
    added: Vec<(BucketId, u32, u32)>,
    count: usize,
}

/// Rows whose times fall into one stretch.
#[derive(Default)]
struct Bucket {
    rows: Vec<Row>,
    /// The rows' columns, one row after the other.
    bytes: Vec<u8>,
}

struct Row {
    /// The next older row of the same key.
    older: Link,
    key: u32,
    time: i64,
    ordinal: u64,
    end: usize,
}

impl Bucket {
    fn bytes_of(&self, row: usize) -> &[u8] {
        let start = if row == 0 { 0 } else { self.rows[row - 1].end };
        &self.bytes[start..self.rows[row].end]
    }

    fn memory(&self) -> usize {
        self.rows.capacity() * size_of::<Row>() + self.bytes.capacity()
    }
}

impl Rows {
    fn new() -> Self {
        Rows {
            time: OperatorTime::default(),
            buckets: BTreeMap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            added: Vec::new(),
            count: 0,
        }
    }

    fn row(&self, link: Link) -> &Row {
        &self.slots[link.slot as usize].rows[link.row as usize]
    }

    /// The slot of a bucket, which is made if it is not there.
    fn slot(&mut self, id: BucketId) -> u32 {
        let (slots, free) = (&mut self.slots, &mut self.free);
        *self.buckets.entry(id).or_insert_with(|| {
            free.pop().unwrap_or_else(|| {
                slots.push(Bucket::default());
                slots.len() as u32 - 1
            })
        })
    }
}

impl Store {
    /// A store without rows.
    pub fn new(retention_ms: i64) -> Self {
        Store {
            keys: KeyTable::new(),
            newest: Vec::new(),
            sides: [Rows::new(), Rows::new()],
            // A multiple of two: so the number of no bucket is the largest there is, which stands for something else.
            bucket_ms: crate::state::bucket_ms(retention_ms, 2),
            retention_ms,
        }
    }

    /// The time of the rows of a side that have a key and a value.
    pub fn time(&mut self, side: Side) -> &mut OperatorTime {
        &mut self.sides[side as usize].time
    }

    /// The same, to look at.
    pub fn time_of(&self, side: Side) -> &OperatorTime {
        &self.sides[side as usize].time
    }

    /// Appends the number of each key to `numbers`; the keys stand one after the other, each up to its place in `ends`.
    /// A number is good until [`Store::expire`] is called.
    pub fn keys(&mut self, keys: &[u8], ends: &[usize], numbers: &mut Vec<u32>) {
        self.keys.find_or_insert(keys, ends, numbers);
        self.newest.resize(self.keys.len(), [NONE; 2]);
    }

    fn is_expired(&self, side: Side, time: i64) -> bool {
        time <= self.sides[side as usize].time.now().saturating_sub(self.retention_ms)
    }

    /// Adds a row in its place among those of its key, behind all that are not newer; not if it could not be found any more.
    pub fn add(&mut self, side: Side, key: u32, time: i64, ordinal: u64, bytes: &[u8]) {
        if !self.is_expired(side, time) {
            let (id, slot, row) = self.insert(side, key, time, ordinal, bytes);
            self.sides[side as usize].added.push((id, slot, row));
        }
    }

    fn insert(&mut self, side: Side, key: u32, time: i64, ordinal: u64, bytes: &[u8]) -> (BucketId, u32, u32) {
        let id = time.div_euclid(self.bucket_ms);
        let head = &mut self.newest[key as usize][side as usize];
        let rows = &mut self.sides[side as usize];
        let (mut newer, mut older) = (None, *head);
        // The row can still be found, so that nothing that is newer was dropped.
        while older.time > time {
            newer = Some(older);
            older = rows.row(older).older;
        }
        let slot = rows.slot(id);
        let bucket = &mut rows.slots[slot as usize];
        let link = Link { time, slot, row: bucket.rows.len() as u32 };
        bucket.bytes.extend_from_slice(bytes);
        bucket.rows.push(Row { older, key, time, ordinal, end: bucket.bytes.len() });
        rows.count += 1;
        match newer {
            None => *head = link,
            Some(newer) => rows.slots[newer.slot as usize].rows[newer.row as usize].older = link,
        }
        (id, slot, link.row)
    }

    /// Calls `each` with the time, ordinal and bytes of every row of a side that has the key and a time in the range: the
    /// oldest first, of one time the first to come first.
    pub fn find(
        &self,
        side: Side,
        key: u32,
        from: i64,
        to: i64,
        scratch: &mut Vec<(u32, u32)>,
        each: &mut dyn FnMut(i64, u64, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let rows = &self.sides[side as usize];
        let least = from.max(rows.time.now().saturating_sub(self.retention_ms).saturating_add(1));
        scratch.clear();
        let mut at = self.newest[key as usize][side as usize];
        // What is older than the least time that is found may be in a bucket that was dropped: it is not looked at.
        while at.time >= least {
            if at.time <= to {
                scratch.push((at.slot, at.row));
            }
            at = rows.row(at).older;
        }
        for (slot, row) in scratch.iter().rev() {
            let bucket = &rows.slots[*slot as usize];
            let place = *row as usize;
            each(bucket.rows[place].time, bucket.rows[place].ordinal, bucket.bytes_of(place))?;
        }
        Ok(())
    }

    /// Drops the buckets in which no row can be found any more, and the keys that no row has.
    pub fn expire(&mut self) {
        for side in [Side::Left, Side::Right] {
            let now = self.sides[side as usize].time.now();
            let least = now.saturating_sub(self.retention_ms);
            let rows = &mut self.sides[side as usize];
            while let Some(entry) = rows.buckets.first_entry()
                && (*entry.key() + 1).saturating_mul(self.bucket_ms) - 1 <= least
            {
                let slot = entry.remove();
                rows.count -= std::mem::take(&mut rows.slots[slot as usize]).rows.len();
                rows.free.push(slot);
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
        let first = [0, 1].map(|side: usize| self.sides[side].buckets.first_key_value().map(|(id, _)| *id));
        let is_live = |side: usize, link: &Link| {
            first[side].is_some_and(|first| link.time != NONE.time && link.time.div_euclid(self.bucket_ms) >= first)
        };
        let mut numbers = Vec::new();
        let mut renamed = vec![0; old_keys.len()];
        for (number, links) in old_newest.into_iter().enumerate() {
            let links = [0, 1].map(|side: usize| if is_live(side, &links[side]) { links[side] } else { NONE });
            if links.iter().any(|link| link.time != NONE.time) {
                let key = old_keys.key(number as u32);
                self.keys.find_or_insert(key, &[key.len()], &mut numbers);
                self.newest.push(links);
                renamed[number] = self.newest.len() as u32 - 1;
            }
        }
        let rows = self.sides.iter_mut().flat_map(|s| &mut s.slots).flat_map(|b| &mut b.rows);
        rows.for_each(|row| row.key = renamed[row.key as usize]);
    }

    /// Hands over the rows of a side that were added since the last call: bucket, ordinal, and the row as bytes.
    pub fn take_added(&mut self, side: Side, row: &mut dyn FnMut(BucketId, u64, &[u8])) {
        let mut value = Vec::new();
        for (id, slot, place) in std::mem::take(&mut self.sides[side as usize].added) {
            let ordinal = self.encode(side, slot, place as usize, &mut value);
            row(id, ordinal, &value);
        }
    }

    /// The buckets of both sides.
    pub fn buckets(&self) -> impl Iterator<Item = BucketId> {
        self.sides.iter().flat_map(|rows| rows.buckets.keys().copied())
    }

    /// A number that is another one whenever a bucket has other rows: how many each side has. Of one side rows are only ever
    /// added until all of them are dropped, for good; of both together there may be as many as before when one side's are.
    pub fn version(&self, bucket: BucketId) -> u64 {
        let rows = |side: &Rows| side.buckets.get(&bucket).map_or(0, |slot| side.slots[*slot as usize].rows.len());
        let [left, right] = [0, 1].map(|side: usize| rows(&self.sides[side]) as u64);
        left << 32 | right
    }

    /// The rows of a side in a bucket from one on, as [`Store::take_added`] gives them, in the order in which they came,
    /// until `row` wants no more: which is next, `None` behind the last.
    pub fn dump(
        &self,
        side: Side,
        bucket: BucketId,
        from: u64,
        row: &mut dyn FnMut(u64, &[u8]) -> bool,
    ) -> Option<u64> {
        let rows = &self.sides[side as usize];
        let slot = *rows.buckets.get(&bucket)?;
        let mut value = Vec::new();
        for place in from as usize..rows.slots[slot as usize].rows.len() {
            let ordinal = self.encode(side, slot, place, &mut value);
            if !row(ordinal, &value) {
                return Some(place as u64 + 1);
            }
        }
        None
    }

    /// Adds a row from its bytes, unless it is there already. Rows come in the order of their ordinals.
    pub fn load(&mut self, side: Side, bucket: BucketId, ordinal: u64, value: &[u8]) -> Result<()> {
        let rows = &mut self.sides[side as usize];
        let slot = rows.slot(bucket);
        if rows.slots[slot as usize].rows.binary_search_by_key(&ordinal, |r| r.ordinal).is_err() {
            let mut input = Input(value);
            let time = input.i64()?;
            let key = input.bytes()?;
            let mut numbers = Vec::with_capacity(1);
            self.keys(key, &[key.len()], &mut numbers);
            self.insert(side, numbers[0], time, ordinal, input.0);
        }
        Ok(())
    }

    /// The bytes of memory that the store takes.
    pub fn memory(&self) -> usize {
        let rows: usize = self.sides.iter().flat_map(|s| &s.slots).map(Bucket::memory).sum();
        self.keys.memory() + self.newest.capacity() * size_of::<[Link; 2]>() + rows
    }

    /// Sets `value` to a row's time, key and columns; its ordinal.
    fn encode(&self, side: Side, slot: u32, place: usize, value: &mut Vec<u8>) -> u64 {
        let bucket = &self.sides[side as usize].slots[slot as usize];
        let row = &bucket.rows[place];
        value.clear();
        value.extend_from_slice(&row.time.to_le_bytes());
        put_bytes(value, self.keys.key(row.key));
        value.extend_from_slice(bucket.bytes_of(place));
        row.ordinal
    }
}

/// Up to so many keys it is not worth dropping those that no row has.
const FEW_KEYS: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn number(store: &mut Store, key: &[u8]) -> u32 {
        let mut numbers = Vec::new();
        store.keys(key, &[key.len()], &mut numbers);
        numbers[0]
    }

    fn add(store: &mut Store, key: &[u8], time: i64, ordinal: u64) {
        let key = number(store, key);
        store.time(Side::Left).advance(time, i64::MAX);
        store.add(Side::Left, key, time, ordinal, &[ordinal as u8]);
    }

    fn found(store: &mut Store, key: &[u8], from: i64, to: i64) -> Vec<(i64, u8)> {
        let key = number(store, key);
        let mut all = Vec::new();
        let each = &mut |time, ordinal, bytes: &[u8]| {
            assert_eq!(ordinal as u8, bytes[0]);
            all.push((time, bytes[0]));
            Ok(())
        };
        store.find(Side::Left, key, from, to, &mut Vec::new(), each).expect("no row is broken");
        all
    }

    #[test]
    fn rows_are_found_by_time_then_arrival() {
        let mut store = Store::new(1_000);
        for (ordinal, time) in [50, 10, 50, 900, 30].into_iter().enumerate() {
            add(&mut store, b"k", time, ordinal as u64);
        }
        assert_eq!(found(&mut store, b"k", 0, 100), [(10, 1), (30, 4), (50, 0), (50, 2)]);
        assert_eq!(found(&mut store, b"k", 11, 50), [(30, 4), (50, 0), (50, 2)]);
        store.time(Side::Left).advance(1_040, i64::MAX);
        assert_eq!(found(&mut store, b"k", 0, 2_000), [(50, 0), (50, 2), (900, 3)]);
        store.expire();
        let mut copy = Store::new(1_000);
        *copy.time(Side::Left) = *store.time(Side::Left);
        for _ in 0..2 {
            for bucket in store.buckets().collect::<Vec<_>>() {
                let mut next = Some(0);
                while let Some(from) = next {
                    next = store.dump(Side::Left, bucket, from, &mut |ordinal, value| {
                        copy.load(Side::Left, bucket, ordinal, value).expect("a row");
                        ordinal % 2 == 0
                    });
                }
            }
        }
        assert_eq!(found(&mut copy, b"k", 0, 2_000), [(50, 0), (50, 2), (900, 3)]);
    }

    #[test]
    fn keys_without_rows_are_dropped() {
        let mut store = Store::new(1_000);
        for i in 0..3 * FEW_KEYS as u64 {
            add(&mut store, format!("key {i}").as_bytes(), i as i64 * 10, i);
        }
        store.expire();
        let last = 3 * FEW_KEYS as u64 - 1;
        assert!(store.keys.len() < 200, "{}", store.keys.len());
        let key = format!("key {last}");
        assert_eq!(found(&mut store, key.as_bytes(), 0, i64::MAX), [(last as i64 * 10, last as u8)]);
        add(&mut store, b"key 5", last as i64 * 10, 1);
        assert_eq!(found(&mut store, b"key 5", 0, i64::MAX), [(last as i64 * 10, 1)]);
    }
}
