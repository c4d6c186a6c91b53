//! The groups of a stretch of event time, with a state for each call and the largest time of a row in each.
//!
//! A bucket holds the windows whose starts fall into one stretch of event time; its width comes from [`bucket_ms`].
//! Windows of five minutes that are kept for a day make buckets of 15 minutes with three windows each. Without windows
//! there is one bucket, 0, that never ends.
//!
//! A key in the table is that of the group, encoded by [`crate::types::key`], and then the number of the window in the
//! bucket, big-endian, in as few bytes as the largest number needs (one in the example). So neighbouring windows share
//! a table, and the start of a window takes a byte and not eight.
//!
//! Entries of the state, as they go to the journal and to checkpoints:
//!
//! ```text
//!                     key                             value
//! no call has parts   group key, window               time (8, little-endian), state of each call
//! some call has parts group key, window               0, time (8), state of each call
//!                     group key, window, call (2,     1, bytes of the part; no value if the part is gone
//!                     big-endian), part (8, big-endian)
//! ```
//!
//! Parts are for states that grow without bound, such as COLLECT_LIST: only the parts that changed are written again.

use super::bits::Bits;
use crate::error::{Error, Result};
use crate::functions::aggregate::{BoundAggregate, States};
use crate::state::{BucketId, EntryBatch, KeyTable, bucket_ms, prefetch};
use crate::types::row::Input;
use crate::types::window::TimeWindow;
use crate::types::{Builder, grow};

/// How windows stand in buckets, and at the ends of keys: as their numbers in the bucket, in as few bytes as these need.
/// Without windows everything is in one bucket and nothing stands at the end of a key.
pub(super) struct Windows {
    /// The width of a bucket in milliseconds, a multiple of `advance_ms`; `i64::MAX` without windows.
    bucket_ms: i64,
    /// From the start of one window to that of the next, at least 1.
    pub advance_ms: i64,
    /// How many bytes the number of a window in its bucket takes.
    bytes: usize,
}

impl Windows {
    /// The windows of an aggregation.
    pub(super) fn new(window: Option<&TimeWindow>) -> Self {
        let Some(window) = window else { return Windows { bucket_ms: i64::MAX, advance_ms: 1, bytes: 0 } };
        let advance_ms = window.advance_ms.max(1);
        let bucket_ms = bucket_ms(window.retention_ms, advance_ms);
        let last = (bucket_ms / advance_ms) as u64 - 1;
        Windows { bucket_ms, advance_ms, bytes: (u64::BITS - last.leading_zeros()).div_ceil(8) as usize }
    }

    /// The bucket of the window that starts there.
    #[inline]
    pub(super) fn bucket(&self, start: i64) -> BucketId {
        start.div_euclid(self.bucket_ms)
    }

    /// The starts from which and up to which windows are in a bucket.
    ///
    /// The first is inside, the second outside.
    pub(super) fn bounds(&self, bucket: BucketId) -> (i64, i64) {
        let first = bucket.saturating_mul(self.bucket_ms);
        (first, first.saturating_add(self.bucket_ms))
    }

    /// The start of the last window in a bucket.
    pub(super) fn last_start(&self, bucket: BucketId) -> i64 {
        (bucket + 1).saturating_mul(self.bucket_ms) - self.advance_ms
    }

    /// The windows of a bucket whose starts lie in a range, both ends included: the first start, and how many they are.
    ///
    /// The next ones follow at a distance of [`Windows::advance_ms`].
    pub(super) fn between(&self, bucket: BucketId, (from, to): (i64, i64)) -> (i64, usize) {
        let (first, end) = self.bounds(bucket);
        let skipped = from.saturating_sub(first).max(0);
        let steps = skipped / self.advance_ms + i64::from(skipped % self.advance_ms != 0);
        let first = first.saturating_add(steps.saturating_mul(self.advance_ms));
        let last = to.min(end.saturating_sub(1));
        (first, if last < first { 0 } else { (last.saturating_sub(first) / self.advance_ms) as usize + 1 })
    }

    /// Appends the window that starts there to its group's key.
    ///
    /// The start must be a multiple of the advance; it may lie in any bucket, since only its place in the bucket is
    /// written.
    #[inline]
    pub(super) fn put(&self, start: i64, key: &mut Vec<u8>) {
        let number = start.rem_euclid(self.bucket_ms) / self.advance_ms;
        key.extend_from_slice(&number.to_be_bytes()[8 - self.bytes..]);
    }

    /// A key of a bucket without its window, and the start of that.
    ///
    /// The opposite of [`Windows::put`]. The start is 0 where there are no windows.
    pub(super) fn split<'a>(&self, bucket: BucketId, key: &'a [u8]) -> (&'a [u8], i64) {
        let (key, end) = key.split_at(key.len().saturating_sub(self.bytes));
        let number = end.iter().fold(0, |number, byte| number << 8 | i64::from(*byte));
        (key, bucket * self.bucket_ms + number * self.advance_ms)
    }
}

/// Groups by their keys.
pub(super) struct Bucket {
    pub table: KeyTable,
    /// The largest time of a row in each group.
    ///
    /// Milliseconds since the epoch; −1 until the first row has come.
    pub times: Vec<i64>,
    /// The groups that were touched in this epoch.
    touched: Bits,
    /// One for each call, in the order of the calls; each has room for all groups of the table.
    pub states: Vec<Box<dyn States>>,
    /// Whether a state may have parts with entries of their own.
    ///
    /// Decides the form of all entries, so it must not change for state that is on disk: it follows from the functions.
    has_parts: bool,
}

/// The first byte of an entry's value, where states have parts.
const WHOLE: u8 = 0;
const PART: u8 = 1;

/// The bytes that the key of a part has after that of its group.
const PART_KEY_BYTES: usize = size_of::<u16>() + size_of::<u64>();

/// How many groups ahead memory is asked for: the states and what leads to the key, and then the key.
///
/// Enough ahead that the memory has come when its group is looked at, and few enough that it is still in the cache.
const FAR: usize = 24;
const NEAR: usize = 12;

impl Bucket {
    /// A bucket without groups.
    pub(super) fn new<'a>(calls: impl Iterator<Item = &'a BoundAggregate>) -> Self {
        let states: Vec<_> = calls.map(BoundAggregate::states).collect();
        let has_parts = states.iter().any(|states| states.has_parts());
        Bucket { table: KeyTable::new(), times: Vec::new(), touched: Bits::default(), states, has_parts }
    }

    /// Appends the group of each key to `groups`, which is about to change; those that are not there are made.
    ///
    /// The keys stand one after the other in `keys`, with the window already at the end of each; `ends` says where each
    /// ends. Costs O(keys), with the memory of several look-ups fetched at once.
    pub(super) fn groups(&mut self, keys: &[u8], ends: &[usize], groups: &mut Vec<u32>) {
        self.table.find_or_insert(keys, ends, groups);
        self.grow();
    }

    /// Makes room in all columns for groups that the table has numbered. Memory grows in steps, not group by group.
    fn grow(&mut self) {
        let count = self.table.end() as usize;
        if count > self.times.len() {
            grow::resize(&mut self.times, count, -1);
            self.touched.grow(count);
            self.states.iter_mut().for_each(|s| s.grow(count));
        }
    }

    /// Notes that the group is touched; whether that is the first time in this epoch.
    #[inline]
    pub(super) fn touch(&mut self, group: u32) -> bool {
        self.touched.set(group)
    }

    /// A new epoch begins, in which the group has not been touched.
    #[inline]
    pub(super) fn untouch(&mut self, group: u32) {
        self.touched.clear(group);
    }

    /// Asks for the memory of groups that are looked at soon: `ahead` says which one comes so many after the one at hand.
    #[inline]
    pub(super) fn prefetch(&self, ahead: impl Fn(usize) -> Option<u32>) {
        if let Some(group) = ahead(FAR) {
            self.table.prefetch_start(group);
            prefetch(self.times.as_ptr().wrapping_add(group as usize).cast());
            self.states.iter().for_each(|states| prefetch(states.address(group)));
        }
        if let Some(group) = ahead(NEAR) {
            self.table.prefetch_key(group);
        }
    }

    /// The same for keys alone, of any buckets.
    #[inline]
    pub(super) fn prefetch_keys<'b>(ahead: impl Fn(usize) -> Option<(&'b Bucket, u32)>) {
        if let Some((bucket, group)) = ahead(FAR) {
            bucket.table.prefetch_start(group);
        }
        if let Some((bucket, group)) = ahead(NEAR) {
            bucket.table.prefetch_key(group);
        }
    }

    /// Whether no row has come into the group yet.
    pub(super) fn is_new(&self, group: u32) -> bool {
        self.times[group as usize] < 0
    }

    /// Appends the group's results to a column for each call.
    ///
    /// # Errors
    /// A result is too large to be handed on.
    pub(super) fn results(&self, group: u32, columns: &mut [Builder]) -> Result<()> {
        self.states.iter().zip(columns).try_for_each(|(states, column)| states.result(group, column))
    }

    /// Appends the results of groups to a column for each call.
    ///
    /// # Errors
    /// A result is too large to be handed on.
    pub(super) fn results_of(&self, groups: &[u32], columns: &mut [Builder]) -> Result<()> {
        self.states.iter().zip(columns).try_for_each(|(states, column)| states.results(groups, column))
    }

    /// About how many bytes the group's results have.
    pub(super) fn result_bytes(&self, group: u32) -> usize {
        self.states.iter().map(|states| states.result_bytes(group)).sum()
    }

    /// Hands over the entries of a group: one for itself, and one for each part of a state that changed.
    ///
    /// If states have parts, an entry's value begins with a byte that says which of them it is, and the key of a part is that
    /// of its group with the number of the call and that of the part.
    ///
    /// `value` is scratch memory that is used again. The entry of the group itself comes first. Taking the parts clears
    /// their marks, so a second call would hand over the group alone.
    pub(super) fn take_entries(
        &mut self,
        group: u32,
        value: &mut Vec<u8>,
        entry: &mut dyn FnMut(&[u8], Option<&[u8]>),
    ) {
        let key = self.table.key(group);
        value.clear();
        if self.has_parts {
            value.push(WHOLE);
        }
        value.extend_from_slice(&self.times[group as usize].to_le_bytes());
        self.states.iter().for_each(|s| s.encode(group, value));
        entry(key, Some(value));
        if !self.has_parts {
            return;
        }
        let mut own = key.to_vec();
        for (call, states) in self.states.iter_mut().enumerate() {
            states.take_parts(group, &mut |number, bytes| {
                own.truncate(key.len());
                own.extend_from_slice(&(call as u16).to_be_bytes());
                own.extend_from_slice(&number.to_be_bytes());
                value.clear();
                value.push(PART);
                value.extend_from_slice(bytes.unwrap_or_default());
                entry(&own, bytes.map(|_| value.as_slice()));
            });
        }
    }

    /// Sets groups from entries that [`Bucket::take_entries`] gave.
    ///
    /// # Errors
    /// A bug, or damaged state: an entry deletes a group, a key is too short, or a state does not read its bytes.
    pub(super) fn load(&mut self, entries: &EntryBatch) -> Result<()> {
        if self.has_parts {
            return self.load_with_parts(entries);
        }
        let (keys, ends) = entries.keys();
        let mut groups = Vec::with_capacity(entries.len());
        self.groups(keys, ends, &mut groups);
        for (group, (_, value)) in groups.into_iter().zip(entries.iter()) {
            let value = value.ok_or_else(|| Error::bug("a group is never deleted by itself"))?;
            self.load_group(group, value)?;
        }
        Ok(())
    }

    /// Loads entries of groups and of parts. One without a value, or with [`PART`] first, is that of a part: its key
    /// ends with the call and the number of the part, after the key of its group.
    fn load_with_parts(&mut self, entries: &EntryBatch) -> Result<()> {
        let (mut keys, mut ends, mut groups) = (Vec::new(), Vec::new(), Vec::with_capacity(entries.len()));
        let is_whole = |value: Option<&[u8]>| value.is_some_and(|value| value.first() == Some(&WHOLE));
        for (key, value) in entries.iter() {
            let length = key.len().checked_sub(if is_whole(value) { 0 } else { PART_KEY_BYTES });
            let length = length.ok_or_else(|| Error::bug("the key of a part is too short"))?;
            keys.extend_from_slice(&key[..length]);
            ends.push(keys.len());
        }
        self.groups(&keys, &ends, &mut groups);
        for (group, (key, value)) in groups.into_iter().zip(entries.iter()) {
            let bytes = value.and_then(|value| value.get(1..));
            match bytes {
                Some(bytes) if is_whole(value) => self.load_group(group, bytes)?,
                _ => {
                    let mut part = Input(&key[key.len() - PART_KEY_BYTES..]);
                    let (call, number) = (u16::from_be_bytes(part.array()?), u64::from_be_bytes(part.array()?));
                    let states = self.states.get_mut(usize::from(call));
                    let states = states.ok_or_else(|| Error::bug(format!("there is a part of call {call}")))?;
                    states.load_part(group, number, bytes)?;
                }
            }
        }
        Ok(())
    }

    /// Sets a group from the time and the states, without the byte that says which kind of entry it is.
    fn load_group(&mut self, group: u32, value: &[u8]) -> Result<()> {
        let mut input = Input(value);
        self.times[group as usize] = input.i64()?;
        self.states.iter_mut().try_for_each(|s| s.decode(group, &mut input))
    }

    /// All entries are loaded.
    ///
    /// # Errors
    /// A bug: parts of a state are missing.
    pub(super) fn loaded(&self) -> Result<()> {
        self.states.iter().try_for_each(|states| states.loaded())
    }

    /// The bytes of memory that the bucket takes.
    pub(super) fn memory(&self) -> usize {
        let own = self.times.capacity() * size_of::<i64>() + self.touched.memory();
        self.table.memory() + own + self.states.iter().map(|s| s.memory()).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_found_again_from_their_keys() {
        let window = |size_ms, advance_ms, retention_ms| TimeWindow { size_ms, advance_ms, grace_ms: 0, retention_ms };
        for (window, bytes) in [
            (None, 0),
            (Some(window(300_000, 300_000, 900_000)), 0),
            (Some(window(300_000, 300_000, 86_400_000)), 1),
            (Some(window(10_000, 10, 86_400_000)), 3),
            (Some(window(10, 1, i64::MAX)), 8),
        ] {
            let windows = Windows::new(window.as_ref());
            assert_eq!(windows.bytes, bytes, "{window:?}");
            let Some(window) = window else { continue };
            for time in [0, 1_234_567, 1_700_000_000_123, i64::MAX - window.size_ms.min(1_000_000)] {
                for start in window.starts(time) {
                    let mut key = b"key".to_vec();
                    windows.put(start, &mut key);
                    let bucket = windows.bucket(start);
                    assert_eq!(windows.split(bucket, &key), (&b"key"[..], start));
                    assert!(windows.bucket(start + window.advance_ms) == bucket || windows.last_start(bucket) == start);
                }
            }
        }
    }
}
