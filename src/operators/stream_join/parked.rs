//! Rows of a preserved side that wait for a partner until none can come any more.
//!
//! The order in which they are looked at, and when, follows Kafka Streams: a remembered least time decides whether looking
//! is worth it, and after a look it is the time of the last row that was looked at.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::Side;
use crate::error::Result;
use crate::types::key::{from_ordered, ordered};
use crate::types::row::Input;

/// By time, of one time the right side first, then by key.
type Place = (i64, Reverse<Side>, Vec<u8>);

/// A row that waits.
struct Waiting {
    ordinal: u64,
    bytes: Vec<u8>,
}

/// The rows that wait.
pub struct Parked {
    rows: BTreeMap<Place, Vec<Waiting>>,
    /// No row that is older waits, as far as the last look saw; the largest number if none waits.
    pub least_time: i64,
    /// The entries that changed since the last call of [`Parked::take_changes`]: a row, or that it waits no more.
    changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    memory: usize,
    /// Counts the changes.
    version: u64,
}

/// What a waiting row takes besides its bytes, about.
const OVERHEAD: usize = 96;

impl Parked {
    /// Nothing waits.
    pub fn new() -> Self {
        Parked { rows: BTreeMap::new(), least_time: i64::MAX, changes: BTreeMap::new(), memory: 0, version: 0 }
    }

    /// Parks a row.
    pub fn park(&mut self, side: Side, time: i64, key: &[u8], ordinal: u64, bytes: &[u8]) {
        let place = (time, Reverse(side), key.to_vec());
        self.changes.insert(entry_key(&place, ordinal), Some(bytes.to_vec()));
        self.least_time = self.least_time.min(time);
        self.insert(place, ordinal, bytes);
    }

    /// A number that changes whenever an entry does.
    pub fn version(&self) -> u64 {
        self.version
    }

    fn insert(&mut self, place: Place, ordinal: u64, bytes: &[u8]) {
        self.version += 1;
        self.memory += OVERHEAD + place.2.len() + bytes.len();
        self.rows.entry(place).or_default().push(Waiting { ordinal, bytes: bytes.to_vec() });
    }

    /// Takes all rows of this side, time and key away: one of them has found a partner.
    pub fn remove(&mut self, side: Side, time: i64, key: &[u8]) {
        if self.rows.is_empty() {
            return;
        }
        self.take_away(&(time, Reverse(side), key.to_vec()));
    }

    fn take_away(&mut self, place: &Place) {
        for row in self.rows.remove(place).unwrap_or_default() {
            self.version += 1;
            self.memory -= OVERHEAD + place.2.len() + row.bytes.len();
            self.changes.insert(entry_key(place, row.ordinal), None);
        }
    }

    /// Hands on the rows that nothing can match any more at stream time `now`. `look` is how far ahead a partner of the row
    /// may be that made the time pass, `ahead` the same of a parked row of either side.
    pub fn flush(
        &mut self,
        now: i64,
        look: i64,
        grace: i64,
        ahead: impl Fn(Side) -> i64,
        emit: &mut dyn FnMut(Side, i64, &[u8], &[u8]) -> Result<()>,
    ) -> Result<()> {
        if self.least_time >= now.saturating_sub(look).saturating_sub(grace) {
            return Ok(());
        }
        self.least_time = i64::MAX;
        let mut open = [false, false];
        let mut gone = Vec::new();
        for (place, rows) in &self.rows {
            let (time, Reverse(side), key) = place;
            self.least_time = *time;
            if open == [true, true] {
                break;
            }
            if time.saturating_add(ahead(*side)).saturating_add(grace) >= now {
                open[*side as usize] = true;
                continue;
            }
            for row in rows {
                emit(*side, *time, key, &row.bytes)?;
            }
            gone.push(place.clone());
        }
        gone.iter().for_each(|place| self.take_away(place));
        Ok(())
    }

    /// Hands over the entries that changed since the last call.
    pub fn take_changes(&mut self, change: &mut dyn FnMut(&[u8], Option<&[u8]>)) {
        for (key, value) in std::mem::take(&mut self.changes) {
            change(&key, value.as_deref());
        }
    }

    /// All entries.
    pub fn dump(&self, entry: &mut dyn FnMut(&[u8], &[u8])) {
        for (place, rows) in &self.rows {
            rows.iter().for_each(|row| entry(&entry_key(place, row.ordinal), &row.bytes));
        }
    }

    /// Sets an entry: a row that waits, unless it does already, or one that waits no more.
    pub fn load(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        let mut input = Input(key);
        let side = if input.byte()? == Side::Left as u8 { Side::Left } else { Side::Right };
        let (time, ordinal) = (from_ordered(input.array()?), u64::from_be_bytes(input.array()?));
        let place = (time, Reverse(side), input.0.to_vec());
        let waits = self.rows.get(&place).and_then(|rows| rows.iter().position(|r| r.ordinal == ordinal));
        match (waits, value) {
            (None, Some(bytes)) => self.insert(place, ordinal, bytes),
            (Some(at), None) => {
                let rows = self.rows.entry(place.clone()).or_default();
                let row = rows.remove(at);
                if rows.is_empty() {
                    self.rows.remove(&place);
                }
                self.memory -= OVERHEAD + place.2.len() + row.bytes.len();
                self.version += 1;
            }
            _ => {}
        }
        Ok(())
    }

    /// The bytes of memory that the rows take.
    pub fn memory(&self) -> usize {
        self.memory
    }
}

/// The key of a row's entry: everything that places it.
fn entry_key((time, Reverse(side), key): &Place, ordinal: u64) -> Vec<u8> {
    let mut entry = vec![*side as u8];
    entry.extend_from_slice(&ordered(*time));
    entry.extend_from_slice(&ordinal.to_be_bytes());
    entry.extend_from_slice(key);
    entry
}
