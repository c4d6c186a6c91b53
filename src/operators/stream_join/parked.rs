//! Rows of a preserved side that wait for a partner until none can come any more.
//!
//! Whether a row still waits stands with the row in the store, so that one that finds a partner costs no look-up here. The
//! order in which waiting rows are looked at, and when, follows Kafka Streams: a remembered least time decides whether looking is
//! worth it, and after a look it is the time of the last row that was looked at.
//!
//! Kafka Streams does this in `KStreamKStreamJoin` with a store of outer records. Three things of it can be seen from
//! outside and are kept here: it looks only when the remembered least time says that something may be over, it goes
//! through the records by time and then by side, and it stops when both sides have met a record that is still open.
//!
//! That a row waits is saved with the row, in its block; what is saved here is that it waits no more. An entry of that kind
//! is in the bucket of its rows, so it goes with them. Its key is the byte 2 and the first of the ordinals in it (8 bytes,
//! big-endian); its value the difference of each further ordinal to the one before (varints).

use std::cmp::Reverse;

use foldhash::HashSet;

use super::Side;
use super::store::Store;
use crate::error::{Error, Result};
use crate::operators::KeyBytes;
use crate::state::BucketId;
use crate::types::row::{Input, put_varint};

/// A row that waits, or has waited until it found a partner.
///
/// The order of the fields is the order in which rows are looked at.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Waiting {
    pub time: i64,
    /// Of one time the right side comes first.
    pub side: Reverse<Side>,
    /// Identifies the row for ever, also after a restart, where slots and rows are numbered anew.
    pub ordinal: u64,
    /// Its place in the store.
    pub slot: u32,
    pub row: u32,
}

/// The rows that wait.
pub(super) struct Parked {
    /// In no order. Rows that no longer wait are removed now and then.
    rows: Vec<Waiting>,
    /// No row that is older waits, as far as the last look saw; the largest number if none waits.
    pub least_time: i64,
    /// Saved rows that wait no more, with their buckets.
    ///
    /// Their ordinals; they become entries at the end of the epoch.
    gone: Vec<(BucketId, u64)>,
    /// The same, of entries that were loaded.
    ///
    /// Empty except while state is loaded.
    loaded: HashSet<u64>,
}

/// When rows wait no more.
pub(super) struct Deadline {
    /// The stream time of the join.
    ///
    /// Milliseconds since the epoch.
    pub now: i64,
    pub grace_ms: i64,
    /// How far ahead a partner may be of the row that made the time pass.
    ///
    /// Decides only whether to look at all.
    pub look_ms: i64,
    /// How far ahead a partner may be of a waiting row, for each side.
    pub ahead_ms: [i64; 2],
}

impl Parked {
    /// Nothing waits.
    pub(super) fn new() -> Self {
        Parked { rows: Vec::new(), least_time: i64::MAX, gone: Vec::new(), loaded: HashSet::default() }
    }

    /// Parks a row that is at a place of the store.
    ///
    /// The row must be in the store, and not saved: its waiting is saved with it.
    pub(super) fn park(&mut self, store: &mut Store, row: Waiting) {
        self.least_time = self.least_time.min(row.time);
        store.set_waiting(row.side.0, row.slot, row.row, true);
        self.rows.push(row);
    }

    /// A waiting row waits no more: it has found a partner, or none can come.
    pub(super) fn release(&mut self, store: &mut Store, (side, slot, row): (Side, u32, u32), ordinal: u64) {
        if store.set_waiting(side, slot, row, false) {
            self.gone.push((store.bucket_of(side, slot), ordinal));
        }
    }

    /// The rows that nothing can match any more, in the order in which they are handed on. They still wait.
    ///
    /// A row is over when `time + ahead + grace` is less than `now`: its last possible partner would itself be late.
    /// The caller must release each of them. Costs O(n log n) for n waiting rows when it looks, else O(1).
    ///
    /// # Errors
    /// A key cannot be turned into the bytes of records.
    pub(super) fn over(&mut self, store: &Store, deadline: &Deadline, key_bytes: &KeyBytes) -> Result<Vec<Waiting>> {
        let Deadline { now, grace_ms, look_ms, ahead_ms } = deadline;
        if self.least_time >= now.saturating_sub(*look_ms).saturating_sub(*grace_ms) {
            return Ok(Vec::new());
        }
        self.forget(store);
        let mut all = self.rows.clone();
        all.sort_unstable();
        self.least_time = i64::MAX;
        let mut open = [false, false];
        let mut over: Vec<Waiting> = Vec::new();
        for row in all {
            self.least_time = row.time;
            if open == [true, true] {
                break;
            }
            let side = row.side.0 as usize;
            if row.time.saturating_add(ahead_ms[side]).saturating_add(*grace_ms) >= *now {
                open[side] = true;
                continue;
            }
            over.push(row);
        }
        sort_by_key(&mut over, store, key_bytes)?;
        Ok(over)
    }

    /// Removes the rows that wait no more from the list.
    fn forget(&mut self, store: &Store) {
        self.rows.retain(|row| store.is_waiting(row.side.0, row.slot, row.row, row.ordinal));
    }

    /// Hands over the entries for rows that wait no more since the last call: bucket, key and value.
    pub(super) fn take_changes(&mut self, store: &Store, change: &mut dyn FnMut(BucketId, &[u8], &[u8])) {
        self.gone.sort_unstable();
        let mut value = Vec::new();
        for rows in self.gone.chunk_by(|a, b| a.0 == b.0).flat_map(|bucket| bucket.chunks(MOST_GONE)) {
            value.clear();
            rows.windows(2).for_each(|pair| put_varint(&mut value, pair[1].1 - pair[0].1));
            change(rows[0].0, &key(rows[0].1), &value);
        }
        self.gone.clear();
        if self.rows.len() > 2 * store.waiting() + FEW_ROWS {
            self.forget(store);
        }
    }

    /// Takes a row of a block that waited when the block was saved. Its waiting counts after [`Parked::settle`].
    pub(super) fn load(&mut self, row: Waiting) {
        self.rows.push(row);
    }

    /// Takes an entry for rows that wait no more; it may come before or after their block. It counts after [`Parked::settle`].
    ///
    /// # Errors
    /// The bytes are too short.
    pub(super) fn load_gone(&mut self, first: u64, value: &[u8]) -> Result<()> {
        let (mut ordinal, mut input) = (first, Input(value));
        self.loaded.insert(ordinal);
        while !input.0.is_empty() {
            ordinal = ordinal.checked_add(input.varint()?).ok_or_else(|| Error::bug("an ordinal is too large"))?;
            self.loaded.insert(ordinal);
        }
        Ok(())
    }

    /// All state is loaded: the rows that wait no more are told apart from those that do.
    ///
    /// Afterwards all rows count as saved.
    pub(super) fn settle(&mut self, store: &mut Store) {
        let gone = std::mem::take(&mut self.loaded);
        self.rows.retain(|row| !gone.contains(&row.ordinal));
        for Waiting { side: Reverse(side), slot, row, .. } in &self.rows {
            store.set_waiting(*side, *slot, *row, true);
            store.set_saved(*side, *slot, *row);
        }
    }

    /// The bytes of memory that the rows take.
    pub(super) fn memory(&self) -> usize {
        self.rows.capacity() * size_of::<Waiting>()
    }
}

/// Sorts rows of one time and side by their keys; they are in the order of their times and sides.
fn sort_by_key(rows: &mut [Waiting], store: &Store, key_bytes: &KeyBytes) -> Result<()> {
    let same = |a: &Waiting, b: &Waiting| (a.time, a.side) == (b.time, b.side);
    let alike = rows.chunk_by(same).filter(|alike| alike.len() > 1).flatten();
    let keys: Vec<&[u8]> = alike.map(|row| store.key(row.side.0, row.slot, row.row)).collect();
    if keys.is_empty() {
        return Ok(());
    }
    let mut keys = key_bytes(&keys)?.into_iter();
    for alike in rows.chunk_by_mut(same).filter(|alike| alike.len() > 1) {
        let mut keyed: Vec<(Vec<u8>, Waiting)> =
            alike.iter().zip(keys.by_ref()).map(|(row, key)| (key, *row)).collect();
        keyed.sort_unstable();
        alike.iter_mut().zip(keyed).for_each(|(row, (_, sorted))| *row = sorted);
    }
    Ok(())
}

/// Up to this many rows are kept even if they no longer wait.
const FEW_ROWS: usize = 1024;

/// Of so many rows an entry says that they wait no more.
const MOST_GONE: usize = 16 << 10;

/// The first byte of the keys of entries for rows that wait no more; blocks of rows have the side there.
pub(super) const GONE: u8 = 2;

/// The key of an entry whose first row has this ordinal.
fn key(ordinal: u64) -> [u8; 9] {
    let mut key = [GONE; 9];
    key[1..].copy_from_slice(&ordinal.to_be_bytes());
    key
}
