//! Rows of a preserved side that wait for a partner until none can come any more.
//!
//! The order in which they are looked at, and when, follows Kafka Streams: a remembered least time decides whether looking
//! is worth it, and after a look it is the time of the last row that was looked at.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use foldhash::fast::FixedState;

use super::Side;
use crate::error::Result;
use crate::operators::KeyBytes;
use crate::state::Place;
use crate::types::row::{Input, put_varint};

/// A row that waits.
struct Waiting {
    side: Side,
    time: i64,
    key_bytes: u32,
    /// The key, then the columns.
    bytes: Box<[u8]>,
    /// Whether [`Parked::take_changes`] has handed it over.
    saved: bool,
}

impl Waiting {
    fn key(&self) -> &[u8] {
        &self.bytes[..self.key_bytes as usize]
    }

    fn columns(&self) -> &[u8] {
        &self.bytes[self.key_bytes as usize..]
    }

    fn memory(&self) -> usize {
        OVERHEAD + self.bytes.len()
    }
}

/// The rows that wait, by the ordinals of the rows.
pub struct Parked {
    rows: HashMap<u64, Waiting, FixedState>,
    /// By time, of one time the right side first.
    order: BTreeSet<(i64, Reverse<Side>, u64)>,
    /// No row that is older waits, as far as the last look saw; the largest number if none waits.
    pub least_time: i64,
    /// Rows that were parked since the last call of [`Parked::take_changes`].
    fresh: Vec<u64>,
    /// Rows that it has handed over and that wait no more.
    gone: Vec<u64>,
    memory: usize,
    /// Counts the changes.
    version: u64,
}

/// The bit that is set in a place of [`Parked::dump`] on the left side.
const LEFT: u64 = 1 << 63;

/// What a waiting row takes besides its bytes, about.
const OVERHEAD: usize = 96;

impl Parked {
    /// Nothing waits.
    pub fn new() -> Self {
        Parked {
            rows: HashMap::with_hasher(FixedState::with_seed(0)),
            order: BTreeSet::new(),
            least_time: i64::MAX,
            fresh: Vec::new(),
            gone: Vec::new(),
            memory: 0,
            version: 0,
        }
    }

    /// Parks a row.
    pub fn park(&mut self, side: Side, time: i64, key: &[u8], ordinal: u64, columns: &[u8]) {
        self.least_time = self.least_time.min(time);
        self.fresh.push(ordinal);
        let bytes = [key, columns].concat().into_boxed_slice();
        self.insert(ordinal, Waiting { side, time, key_bytes: key.len() as u32, bytes, saved: false });
    }

    /// A number that changes whenever an entry does.
    pub fn version(&self) -> u64 {
        self.version
    }

    fn insert(&mut self, ordinal: u64, row: Waiting) {
        self.version += 1;
        self.memory += row.memory();
        self.order.insert((row.time, Reverse(row.side), ordinal));
        self.rows.insert(ordinal, row);
    }

    /// Takes a row away, if it waits: it has found a partner.
    pub fn remove(&mut self, ordinal: u64) {
        if let Some(row) = self.rows.remove(&ordinal) {
            self.order.remove(&(row.time, Reverse(row.side), ordinal));
            self.version += 1;
            self.memory -= row.memory();
            if row.saved {
                self.gone.push(ordinal);
            }
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
        key_bytes: &KeyBytes,
        emit: &mut dyn FnMut(Side, i64, &[u8], &[u8]) -> Result<()>,
    ) -> Result<()> {
        if self.least_time >= now.saturating_sub(look).saturating_sub(grace) {
            return Ok(());
        }
        self.least_time = i64::MAX;
        let mut open = [false, false];
        let mut gone: Vec<(i64, Reverse<Side>, u64)> = Vec::new();
        for place in &self.order {
            let (time, Reverse(side), _) = place;
            self.least_time = *time;
            if open == [true, true] {
                break;
            }
            if time.saturating_add(ahead(*side)).saturating_add(grace) >= now {
                open[*side as usize] = true;
                continue;
            }
            gone.push(*place);
        }
        // They are in the order of their times and sides; of one time and side, by key.
        for same in gone.chunk_by_mut(|a, b| (a.0, a.1) == (b.0, b.1)).filter(|same| same.len() > 1) {
            let mut keyed: Vec<(Vec<u8>, (i64, Reverse<Side>, u64))> =
                same.iter().map(|place| Ok((key_bytes(self.rows[&place.2].key())?, *place))).collect::<Result<_>>()?;
            keyed.sort();
            same.iter_mut().zip(keyed).for_each(|(place, (_, sorted))| *place = sorted);
        }
        for (time, Reverse(side), ordinal) in &gone {
            let row = &self.rows[ordinal];
            emit(*side, *time, row.key(), row.columns())?;
        }
        gone.iter().for_each(|(_, _, ordinal)| self.remove(*ordinal));
        Ok(())
    }

    /// Hands over the entries that changed since the last call.
    pub fn take_changes(&mut self, change: &mut dyn FnMut(&[u8], Option<&[u8]>)) {
        let mut value = Vec::new();
        for ordinal in std::mem::take(&mut self.fresh) {
            if let Some(row) = self.rows.get_mut(&ordinal) {
                // From now on it is among the entries that are dumped.
                self.version += 1;
                row.saved = true;
                encode(row, &mut value);
                change(&ordinal.to_be_bytes(), Some(&value));
            }
        }
        for ordinal in std::mem::take(&mut self.gone) {
            change(&ordinal.to_be_bytes(), None);
        }
    }

    /// The entries from a place on until `entry` wants no more: where to go on, `None` behind the last. A row that was parked
    /// since the last call of [`Parked::take_changes`] is none yet: if it waits no more at the next one, nobody is told.
    pub fn dump(&self, from: Place, entry: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Option<Place> {
        let mut value = Vec::new();
        // A place is a time and, with the side, an ordinal; as in the order of the rows, the right side comes first.
        let (side, ordinal) = if from.1 & LEFT == 0 { (Side::Right, from.1) } else { (Side::Left, from.1 & !LEFT) };
        for (time, Reverse(side), ordinal) in self.order.range((from.0, Reverse(side), ordinal)..) {
            let row = &self.rows[ordinal];
            if !row.saved {
                continue;
            }
            encode(row, &mut value);
            if !entry(&ordinal.to_be_bytes(), &value) {
                let side = if *side == Side::Left { LEFT } else { 0 };
                return Some(Place(*time, (side | ordinal) + 1));
            }
        }
        None
    }

    /// Sets an entry: a row that waits, unless it does already, or one that waits no more.
    pub fn load(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        let ordinal = u64::from_be_bytes(Input(key).array()?);
        let Some(value) = value else {
            self.remove(ordinal);
            self.gone.clear();
            return Ok(());
        };
        if !self.rows.contains_key(&ordinal) {
            let mut input = Input(value);
            let side = if input.byte()? == Side::Left as u8 { Side::Left } else { Side::Right };
            let (time, key_bytes) = (input.i64()?, input.varint()? as u32);
            self.insert(ordinal, Waiting { side, time, key_bytes, bytes: input.0.into(), saved: true });
        }
        Ok(())
    }

    /// The bytes of memory that the rows take.
    pub fn memory(&self) -> usize {
        self.memory
    }
}

/// Sets `value` to what [`Parked::load`] reads.
fn encode(row: &Waiting, value: &mut Vec<u8>) {
    value.clear();
    value.push(row.side as u8);
    value.extend_from_slice(&row.time.to_le_bytes());
    put_varint(value, u64::from(row.key_bytes));
    value.extend_from_slice(&row.bytes);
}
