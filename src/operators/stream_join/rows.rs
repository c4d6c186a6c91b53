//! The rows of one side of a join, in buckets by their times.
//!
//! A bucket is dropped as a whole. The slot that it had is taken by a later one, mostly together with the room of its rows.

use std::collections::BTreeMap;

use crate::operators::OperatorTime;
use crate::state::BucketId;
use crate::state::column::Column;
use crate::types::{SqlType, grow};

/// A row as another one refers to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    /// The time of the row; the least number if there is none. Milliseconds since the epoch.
    pub time: i64,
    pub slot: u32,
    pub row: u32,
}

/// No row.
pub(super) const NONE: Link = Link { time: i64::MIN, slot: 0, row: 0 };

/// The rows of a side.
pub(super) struct Rows {
    /// The time of the rows that have a key and a value.
    pub time: OperatorTime,
    pub types: Vec<SqlType>,
    /// The slot of each bucket.
    pub buckets: BTreeMap<BucketId, u32>,
    pub slots: Vec<Bucket>,
    /// Slots of buckets that were dropped; the last ones still have the room of their rows.
    free: Vec<u32>,
    pub count: usize,
    /// The slots with rows that are not saved.
    pub unsaved: Vec<u32>,
    /// The bucket that was looked for last, and its slot: mostly it is looked for again.
    last: Option<(BucketId, u32)>,
    /// How many rows the last bucket had that was dropped: a new one will have about as many.
    usual: usize,
}

/// Rows whose times fall into one stretch, in the order in which they came.
pub(super) struct Bucket {
    pub id: BucketId,
    pub rows: Vec<Row>,
    pub columns: Vec<Column>,
    /// The rows up to here are saved.
    pub saved: usize,
    /// How many rows wait for a partner: the bucket is kept for them.
    pub waiting: usize,
}

/// A row, but for its columns.
#[derive(Clone, Copy)]
pub(super) struct Row {
    /// The next older row of the same key.
    pub older: Link,
    pub time: i64,
    /// Rising within a bucket: [`super::store::Store::place`] searches by halving.
    pub ordinal: u64,
    pub key: u32,
    /// About how many bytes the columns take, and the flags [`WAITS`] and [`SAVED`].
    pub bytes: u32,
}

/// Set in a row that waits for a partner. The flags leave 30 bits for the estimate of bytes.
pub(super) const WAITS: u32 = 1 << 31;
/// Set in a waiting row whose waiting is saved.
pub(super) const SAVED: u32 = 1 << 30;

impl Row {
    /// About how many bytes the columns take.
    pub(super) fn bytes(&self) -> u32 {
        self.bytes & !(WAITS | SAVED)
    }
}

/// The most rows, and about the most bytes, of an entry.
const BLOCK: (usize, usize) = (1024, 256 << 10);

/// Of so many buckets the room of one is kept, even if fewer are dropped at once.
const FREE: usize = 4;

impl Rows {
    /// No rows, with columns of these types.
    pub(super) fn new(types: Vec<SqlType>) -> Self {
        Rows {
            time: OperatorTime::default(),
            types,
            buckets: BTreeMap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            count: 0,
            unsaved: Vec::new(),
            last: None,
            usual: 0,
        }
    }

    /// The row at a link.
    pub(super) fn row(&self, link: Link) -> &Row {
        &self.slots[link.slot as usize].rows[link.row as usize]
    }

    /// The slot of a bucket, which is made if it is not there. O(1) if it is that of the row before, else O(log n).
    #[inline]
    pub(super) fn slot(&mut self, id: BucketId) -> u32 {
        match self.last {
            Some((last, slot)) if last == id => slot,
            _ => {
                let slot = self.find_slot(id);
                self.last = Some((id, slot));
                slot
            }
        }
    }

    fn find_slot(&mut self, id: BucketId) -> u32 {
        if let Some(slot) = self.buckets.get(&id) {
            return *slot;
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            let columns = self.types.iter().map(Column::new).collect();
            self.slots.push(Bucket { id, rows: Vec::new(), columns, saved: 0, waiting: 0 });
            self.slots.len() as u32 - 1
        });
        let bucket = &mut self.slots[slot as usize];
        bucket.id = id;
        bucket.rows.reserve(self.usual);
        self.buckets.insert(id, slot);
        slot
    }

    /// Drops a bucket, but not all of its room: see [`Rows::drop_room`].
    pub(super) fn drop_bucket(&mut self, id: BucketId, slot: u32) {
        self.buckets.remove(&id);
        self.last = None;
        let bucket = &mut self.slots[slot as usize];
        self.usual = bucket.rows.len();
        self.count -= self.usual;
        bucket.saved = 0;
        grow::clear(&mut bucket.rows);
        bucket.columns.iter_mut().for_each(Column::clear);
        self.free.push(slot);
    }

    /// Leaves as many free slots their room as new buckets are likely to take soon, after `dropped` buckets were dropped at
    /// once.
    pub(super) fn drop_room(&mut self, dropped: usize) {
        let kept = dropped.max(self.buckets.len() / FREE + 1);
        for slot in self.free.iter().rev().skip(kept) {
            self.slots[*slot as usize].empty(&self.types);
        }
    }
}

impl Bucket {
    /// Drops all rows and their room.
    fn empty(&mut self, types: &[SqlType]) {
        self.rows = Vec::new();
        self.columns.iter_mut().zip(types).for_each(|(column, t)| *column = Column::new(t));
    }

    /// The bytes of memory that it takes.
    pub(super) fn memory(&self) -> usize {
        self.rows.capacity() * size_of::<Row>() + self.columns.iter().map(Column::memory).sum::<usize>()
    }

    /// The end of the block of rows that starts at `from`, at least one row later.
    pub(super) fn block_end(&self, from: usize) -> usize {
        let mut bytes = 0;
        let fits = |row: &&Row| {
            bytes += row.bytes() as usize;
            bytes <= BLOCK.1
        };
        let rows = &self.rows[from..self.rows.len().min(from + BLOCK.0)];
        from + rows.iter().take_while(fits).count().max(1)
    }
}
