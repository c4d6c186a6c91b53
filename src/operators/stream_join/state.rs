//! The entries of a join's state, saved and loaded: blocks of rows by time bucket, and the rows that wait.
//!
//! ```text
//! bucket           key                                          value
//! of the rows      side (1), first ordinal (8, big-endian)      a block of rows
//! `BucketId::MAX`  ordinal (8, big-endian)                      a waiting row, see `Parked`
//! ```
//!
//! A block of rows, as `Store::encode` writes it:
//!
//! ```text
//! number of rows                 varint
//! time of each row               8 bytes each, little-endian
//! ordinal less the first one     varint each
//! estimate of the bytes          varint each
//! key                            length as varint and bytes, each
//! columns of the side            one after the other, as `Column::save` writes them
//! ```
//!
//! The times are 72 bytes: for each side the operator's time and that of the store (16 bytes each, see
//! [`OperatorTime::save`]), then the least time of waiting rows (8 bytes).
//!
//! In memory a side has three parts: buckets of rows in the order in which they came, columns with the values of these
//! rows, and for each key a chain through its rows from the newest to the oldest. A place is a slot (the number of a
//! bucket's memory) and a row in it. Slots are used again; rows are never moved within a bucket. To add a row costs
//! O(1) if it is the newest of its key, else a step for each newer one. A row at `t` can be found while its side's time
//! is less than `t` plus the retention. A bucket with waiting rows stays, whatever its age.

use super::{SIDES, Side, StreamJoin};
use crate::error::{Error, Result};
use crate::operators::{OperatorTime, State};
use crate::state::{BucketId, EntryBatch};
use crate::types::row::Input;

/// The bucket of entries without event time: a waiting row is removed when it is handed on, not before.
const PARKED: BucketId = BucketId::MAX;

/// The key of a block: whose rows they are, and the ordinal of the first.
fn block_key(side: Side, ordinal: u64) -> [u8; 9] {
    let mut key = [side as u8; 9];
    key[1..].copy_from_slice(&ordinal.to_be_bytes());
    key
}

/// # Errors
/// The key has fewer than 9 bytes.
fn parse_key(key: &[u8]) -> Result<(Side, u64)> {
    let mut input = Input(key);
    let side = if input.byte()? == 0 { Side::Left } else { Side::Right };
    Ok((side, u64::from_be_bytes(input.array()?)))
}

impl State for StreamJoin {
    fn take_changes(&mut self, change: &mut dyn FnMut(BucketId, &[u8], Option<&[u8]>)) {
        for side in SIDES {
            self.store.take_added(side, &mut |bucket, ordinal, value| {
                change(bucket, &block_key(side, ordinal), Some(value));
            });
        }
        self.parked.take_changes(&mut self.store, &mut |key, value| change(PARKED, key, value));
        self.store.expire();
    }

    fn horizon(&self) -> BucketId {
        self.store.horizon()
    }

    fn save_times(&self, out: &mut Vec<u8>) {
        for side in SIDES {
            self.times[side as usize].save(out);
            self.store.time_of(side).save(out);
        }
        out.extend_from_slice(&self.parked.least_time.to_le_bytes());
    }

    fn load(&mut self, bucket: BucketId, entries: &EntryBatch) -> Result<()> {
        for (key, value) in entries.iter() {
            if bucket == PARKED {
                self.parked.load(key, value)?;
                continue;
            }
            let (side, ordinal) = parse_key(key)?;
            let value = value.ok_or_else(|| Error::bug("rows of a join are deleted with their bucket only"))?;
            self.store.load(side, ordinal, value)?;
        }
        Ok(())
    }

    fn load_times(&mut self, input: &mut Input) -> Result<()> {
        for side in SIDES {
            self.times[side as usize] = OperatorTime::load(input)?;
            *self.store.time(side) = OperatorTime::load(input)?;
        }
        self.parked.settle(&mut self.store)?;
        self.store.expire();
        self.parked.least_time = input.i64()?;
        Ok(())
    }

    fn memory(&self) -> usize {
        self.store.memory() + self.parked.memory()
    }
}
