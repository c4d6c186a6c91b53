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
//! Entries of the state are in a bucket of their own. The key is the row's ordinal (8 bytes, big-endian); the value is
//! the side (1 byte: 0 left, 1 right) and the time (8 bytes, little-endian). Deleted when the row waits no more.

use std::cmp::Reverse;

use foldhash::HashMap;

use super::Side;
use super::store::Store;
use crate::error::Result;
use crate::operators::KeyBytes;
use crate::types::row::Input;

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
    /// The rows up to here are saved.
    ///
    /// A place in `rows`; what is from there on has no entry in the state yet.
    saved: usize,
    /// Saved rows that wait no more.
    ///
    /// Their ordinals; each becomes a deletion in the next epoch entry.
    gone: Vec<u64>,
    /// Rows that were loaded and whose places are not known yet.
    ///
    /// By ordinal. Empty except while state is loaded.
    loaded: HashMap<u64, (Side, i64)>,
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
        Parked { rows: Vec::new(), least_time: i64::MAX, saved: 0, gone: Vec::new(), loaded: HashMap::default() }
    }

    /// Parks a row that is at a place of the store.
    ///
    /// The row must be in the store. It is not saved before [`Parked::take_changes`], so one that finds a partner in
    /// the same epoch leaves no trace on disk.
    pub(super) fn park(&mut self, store: &mut Store, row: Waiting) {
        self.least_time = self.least_time.min(row.time);
        store.set_waiting(row.side.0, row.slot, row.row, true);
        self.rows.push(row);
    }

    /// A waiting row waits no more: it has found a partner, or none can come.
    pub(super) fn release(&mut self, store: &mut Store, (side, slot, row): (Side, u32, u32), ordinal: u64) {
        if store.set_waiting(side, slot, row, false) {
            self.gone.push(ordinal);
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
        // They are in the order of their times and sides; of one time and side, by key.
        for same in over.chunk_by_mut(|a, b| (a.time, a.side) == (b.time, b.side)).filter(|same| same.len() > 1) {
            let key = |row: &Waiting| key_bytes(store.key(row.side.0, row.slot, row.row));
            let mut keyed: Vec<(Vec<u8>, Waiting)> =
                same.iter().map(|row| Ok((key(row)?, *row))).collect::<Result<_>>()?;
            keyed.sort();
            same.iter_mut().zip(keyed).for_each(|(row, (_, sorted))| *row = sorted);
        }
        Ok(over)
    }

    /// Removes the rows that wait no more from the list.
    ///
    /// Keeps `saved` right: it counts how many of the kept rows have entries.
    fn forget(&mut self, store: &Store) {
        let saved = self.saved;
        let (mut at, mut kept) = (0, 0);
        self.rows.retain(|row| {
            let waits = store.is_waiting(row.side.0, row.slot, row.row, row.ordinal);
            kept += usize::from(waits && at < saved);
            at += 1;
            waits
        });
        self.saved = kept;
    }

    /// Hands over the entries that changed since the last call.
    pub(super) fn take_changes(&mut self, store: &mut Store, change: &mut dyn FnMut(&[u8], Option<&[u8]>)) {
        for row in &self.rows[self.saved..] {
            if store.is_waiting(row.side.0, row.slot, row.row, row.ordinal) {
                // From now on it is among the entries that are dumped.
                store.set_saved(row.side.0, row.slot, row.row);
                change(&row.ordinal.to_be_bytes(), Some(&encode(row)));
            }
        }
        self.saved = self.rows.len();
        for ordinal in std::mem::take(&mut self.gone) {
            change(&ordinal.to_be_bytes(), None);
        }
        if self.rows.len() > 2 * store.waiting() + FEW_ROWS {
            self.forget(store);
        }
    }

    /// Sets an entry: a row that waits, unless it does already, or one that waits no more. It counts after [`Parked::settle`].
    ///
    /// # Errors
    /// The bytes are too short.
    pub(super) fn load(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        let ordinal = u64::from_be_bytes(Input(key).array()?);
        let Some(value) = value else {
            self.loaded.remove(&ordinal);
            return Ok(());
        };
        let mut input = Input(value);
        let side = if input.byte()? == Side::Left as u8 { Side::Left } else { Side::Right };
        self.loaded.insert(ordinal, (side, input.i64()?));
        Ok(())
    }

    /// All state is loaded: finds the places of the rows that wait.
    ///
    /// Afterwards all rows count as saved.
    ///
    /// # Errors
    /// A bug: a row waits that the store does not have. Buckets with waiting rows are never dropped.
    pub(super) fn settle(&mut self, store: &mut Store) -> Result<()> {
        let mut loaded: Vec<(u64, (Side, i64))> = std::mem::take(&mut self.loaded).into_iter().collect();
        loaded.sort_unstable();
        for (ordinal, (side, time)) in loaded {
            let (slot, row) = store.place(side, time, ordinal)?;
            store.set_waiting(side, slot, row, true);
            store.set_saved(side, slot, row);
            self.rows.push(Waiting { time, side: Reverse(side), ordinal, slot, row });
        }
        self.saved = self.rows.len();
        Ok(())
    }

    /// The bytes of memory that the rows take.
    pub(super) fn memory(&self) -> usize {
        self.rows.capacity() * size_of::<Waiting>()
    }
}

/// Up to this many rows are kept even if they no longer wait.
const FEW_ROWS: usize = 1024;

/// What [`Parked::load`] reads.
fn encode(row: &Waiting) -> [u8; 9] {
    let mut value = [row.side.0 as u8; 9];
    value[1..].copy_from_slice(&row.time.to_le_bytes());
    value
}
