//! The rows of one side of a join that can still find a partner: by time bucket and key, in the order of their times.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::operators::OperatorTime;
use crate::state::{BucketId, KeyTable};
use crate::types::row::{Input, put_bytes};

/// The rows of one side.
pub struct Store {
    buckets: BTreeMap<BucketId, Bucket>,
    bucket_ms: i64,
    /// How long a row is found, counted from the largest time that this side has seen.
    retention_ms: i64,
    /// The time of the rows that have a key and a value.
    pub time: OperatorTime,
    /// The rows added since the last call of [`Store::take_added`].
    added: Vec<(BucketId, u32)>,
}

/// Rows whose times fall into one stretch.
#[derive(Default)]
struct Bucket {
    keys: KeyTable,
    /// For each key the row with the largest time, plus one.
    heads: Vec<u32>,
    rows: Vec<Row>,
    /// The rows' columns, one row after the other.
    bytes: Vec<u8>,
}

struct Row {
    /// The next older row of the same key, plus one.
    older: u32,
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

    /// Adds a row in its place among those of its key: behind all that are not newer.
    fn add(&mut self, key: &[u8], time: i64, ordinal: u64, bytes: &[u8]) -> u32 {
        let mut numbers = Vec::with_capacity(1);
        self.keys.find_or_insert(key, &[key.len()], &mut numbers);
        let key = numbers[0];
        self.heads.resize(self.keys.len(), 0);
        self.bytes.extend_from_slice(bytes);
        let index = self.rows.len() as u32;
        let (mut newer, mut older) = (0, self.heads[key as usize]);
        while older != 0 && self.rows[older as usize - 1].time > time {
            newer = older;
            older = self.rows[older as usize - 1].older;
        }
        self.rows.push(Row { older, key, time, ordinal, end: self.bytes.len() });
        match newer {
            0 => self.heads[key as usize] = index + 1,
            newer => self.rows[newer as usize - 1].older = index + 1,
        }
        index
    }

    fn memory(&self) -> usize {
        let rows = self.rows.capacity() * size_of::<Row>() + self.heads.capacity() * size_of::<u32>();
        self.keys.memory() + rows + self.bytes.capacity()
    }
}

impl Store {
    /// A store without rows.
    pub fn new(retention_ms: i64) -> Self {
        Store {
            buckets: BTreeMap::new(),
            bucket_ms: crate::state::bucket_ms(retention_ms, 1),
            retention_ms,
            time: OperatorTime::default(),
            added: Vec::new(),
        }
    }

    fn is_expired(&self, time: i64) -> bool {
        time <= self.time.now().saturating_sub(self.retention_ms)
    }

    /// Adds a row, unless it could not be found any more.
    pub fn add(&mut self, key: &[u8], time: i64, ordinal: u64, bytes: &[u8]) {
        if !self.is_expired(time) {
            let id = time.div_euclid(self.bucket_ms);
            let row = self.buckets.entry(id).or_default().add(key, time, ordinal, bytes);
            self.added.push((id, row));
        }
    }

    /// Calls `each` with the time and bytes of every row of the key with a time in the range, the oldest first, of one time the first to come first.
    pub fn find(&self, key: &[u8], from: i64, to: i64, each: &mut dyn FnMut(i64, &[u8]) -> Result<()>) -> Result<()> {
        let mut places: Vec<u32> = Vec::new();
        let ids = from.div_euclid(self.bucket_ms)..=to.div_euclid(self.bucket_ms);
        for (_, bucket) in self.buckets.range(ids) {
            let Some(number) = bucket.keys.find(key) else { continue };
            places.clear();
            let mut at = bucket.heads[number as usize];
            while at != 0 {
                let row = &bucket.rows[at as usize - 1];
                if row.time < from {
                    break;
                }
                if row.time <= to && !self.is_expired(row.time) {
                    places.push(at - 1);
                }
                at = row.older;
            }
            for place in places.iter().rev() {
                let row = &bucket.rows[*place as usize];
                each(row.time, bucket.bytes_of(*place as usize))?;
            }
        }
        Ok(())
    }

    /// Drops the buckets in which no row can be found any more.
    pub fn expire(&mut self) {
        while let Some((id, _)) = self.buckets.first_key_value() {
            if !self.is_expired((id + 1) * self.bucket_ms - 1) {
                return;
            }
            self.buckets.pop_first();
        }
    }

    /// Hands over the rows that were added since the last call: bucket, ordinal, and the row as bytes.
    pub fn take_added(&mut self, row: &mut dyn FnMut(BucketId, u64, &[u8])) {
        let mut value = Vec::new();
        for (id, place) in std::mem::take(&mut self.added) {
            if let Some(bucket) = self.buckets.get(&id) {
                encode(bucket, place as usize, &mut value);
                row(id, bucket.rows[place as usize].ordinal, &value);
            }
        }
    }

    /// The buckets that there are.
    pub fn buckets(&self) -> impl Iterator<Item = BucketId> {
        self.buckets.keys().copied()
    }

    /// The number of rows in a bucket; rows are only ever added.
    pub fn rows(&self, bucket: BucketId) -> u64 {
        self.buckets.get(&bucket).map_or(0, |b| b.rows.len() as u64)
    }

    /// All rows of a bucket, as [`Store::take_added`] gives them, in the order in which they came.
    pub fn dump(&self, bucket: BucketId, row: &mut dyn FnMut(u64, &[u8])) {
        let Some(bucket) = self.buckets.get(&bucket) else { return };
        let mut value = Vec::new();
        for place in 0..bucket.rows.len() {
            encode(bucket, place, &mut value);
            row(bucket.rows[place].ordinal, &value);
        }
    }

    /// Adds a row from its bytes, unless it is there already. Rows come in the order of their ordinals.
    pub fn load(&mut self, bucket: BucketId, ordinal: u64, value: &[u8]) -> Result<()> {
        let bucket = self.buckets.entry(bucket).or_default();
        if bucket.rows.binary_search_by_key(&ordinal, |r| r.ordinal).is_err() {
            let mut input = Input(value);
            let time = input.i64()?;
            let key = input.bytes()?;
            bucket.add(key, time, ordinal, input.0);
        }
        Ok(())
    }

    /// The bytes of memory that the store takes.
    pub fn memory(&self) -> usize {
        self.buckets.values().map(Bucket::memory).sum()
    }
}

fn encode(bucket: &Bucket, place: usize, value: &mut Vec<u8>) {
    let row = &bucket.rows[place];
    value.clear();
    value.extend_from_slice(&row.time.to_le_bytes());
    put_bytes(value, bucket.keys.key(row.key));
    value.extend_from_slice(bucket.bytes_of(place));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(store: &Store, from: i64, to: i64) -> Vec<(i64, u8)> {
        let mut all = Vec::new();
        let each = &mut |time, bytes: &[u8]| {
            all.push((time, bytes[0]));
            Ok(())
        };
        store.find(b"k", from, to, each).expect("no row is broken");
        all
    }

    #[test]
    fn rows_are_found_by_time_then_arrival() {
        let mut store = Store::new(1_000);
        for (ordinal, time) in [50, 10, 50, 900, 30].into_iter().enumerate() {
            store.time.advance(time, i64::MAX);
            store.add(b"k", time, ordinal as u64, &[ordinal as u8]);
        }
        assert_eq!(found(&store, 0, 100), [(10, 1), (30, 4), (50, 0), (50, 2)]);
        assert_eq!(found(&store, 11, 50), [(30, 4), (50, 0), (50, 2)]);
        store.time.advance(1_040, i64::MAX);
        assert_eq!(found(&store, 0, 2_000), [(50, 0), (50, 2), (900, 3)]);
        store.expire();
        let mut copy = Store::new(1_000);
        copy.time = store.time;
        for _ in 0..2 {
            for bucket in store.buckets().collect::<Vec<_>>() {
                store.dump(bucket, &mut |ordinal, value| copy.load(bucket, ordinal, value).expect("a row"));
            }
        }
        assert_eq!(found(&copy, 0, 2_000), [(50, 0), (50, 2), (900, 3)]);
    }
}
