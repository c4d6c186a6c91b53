//! The entries of a join's state, saved and loaded: blocks of rows by time bucket, and the rows that wait.
//!
//! ```text
//! key                                           value
//! side (0 or 1), first ordinal (8, big-endian)  a block of rows
//! 2, first ordinal (8, big-endian)              rows that wait no more, see `Parked`
//! ```
//!
//! An entry is in the bucket of its rows, so that it is dropped with them. That is the bucket of their times, or a later
//! one for a row that was expired when it came, and waits: buckets that were dropped never come back.
//!
//! A block of rows, as `Store::encode` writes it:
//!
//! ```text
//! number of rows       varint
//! time of each row     varint each: the difference to the time of the row before, zigzag; the first one's to 0
//! ordinal of each row  varint each: the difference to the ordinal of the row before; the first one's is in the key
//! size and waiting     varint each: the estimate of the bytes, times 2, plus 1 if the row waits for a partner
//! key                  length as varint and bytes, each
//! columns of the side  one after the other, as `Column::save` writes them
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

use super::parked::GONE;
use super::{SIDES, Side, StreamJoin};
use crate::error::{Error, Result};
use crate::operators::{OperatorTime, State};
use crate::state::{BucketId, EntryBatch};
use crate::types::row::Input;

/// The key of a block: whose rows they are, and the ordinal of the first.
fn block_key(side: Side, ordinal: u64) -> [u8; 9] {
    let mut key = [side as u8; 9];
    key[1..].copy_from_slice(&ordinal.to_be_bytes());
    key
}

impl State for StreamJoin {
    fn take_changes(&mut self, change: &mut dyn FnMut(BucketId, &[u8], Option<&[u8]>)) {
        for side in SIDES {
            self.store.take_added(side, &mut |bucket, ordinal, value| {
                change(bucket, &block_key(side, ordinal), Some(value));
            });
        }
        self.parked.take_changes(&self.store, &mut |bucket, key, value| change(bucket, key, Some(value)));
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
            let mut key = Input(key);
            let (kind, ordinal) = (key.byte()?, u64::from_be_bytes(key.array()?));
            let value = value.ok_or_else(|| Error::bug("rows of a join are deleted with their bucket only"))?;
            match kind {
                GONE => self.parked.load_gone(ordinal, value)?,
                kind => {
                    let side = if kind == Side::Left as u8 { Side::Left } else { Side::Right };
                    self.store.load((bucket, side), ordinal, value, &mut |row| self.parked.load(row))?;
                }
            }
        }
        Ok(())
    }

    fn load_times(&mut self, input: &mut Input) -> Result<()> {
        for side in SIDES {
            self.times[side as usize] = OperatorTime::load(input)?;
            *self.store.time(side) = OperatorTime::load(input)?;
        }
        self.parked.settle(&mut self.store);
        self.store.expire();
        self.parked.least_time = input.i64()?;
        Ok(())
    }

    fn memory(&self) -> usize {
        self.store.memory() + self.parked.memory()
    }
}
