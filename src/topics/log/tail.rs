//! The last decided batches of a partition in memory, so that readers at the end need no disk.
//!
//! A query that keeps up reads what was written a moment ago. It gets the very bytes that were appended, without a copy
//! or a read, as long as 256 KiB of later batches have not pushed them out. With many partitions each keeps less: past
//! 32 MiB together, 16 KiB.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::topics::{Fetch, Offset};

/// About how many bytes a partition keeps.
const MOST_BYTES: usize = 256 << 10;
/// How many it keeps once all partitions together have too many.
const FEW_BYTES: usize = 16 << 10;
/// About how many bytes all partitions of a log keep.
const ALL_BYTES: usize = 32 << 20;

/// The last batches.
pub(super) struct Tail {
    /// With the offsets of their first records.
    ///
    /// Without gaps, up to the decided end.
    batches: VecDeque<(Offset, Arc<Vec<u8>>)>,
    bytes: usize,
    /// The bytes that all partitions of the log keep.
    all: Arc<AtomicUsize>,
}

impl Tail {
    /// Nothing yet; `all` counts the bytes that all partitions of the log keep.
    pub(super) fn new(all: Arc<AtomicUsize>) -> Tail {
        Tail { batches: VecDeque::new(), bytes: 0, all }
    }

    /// Adds a batch and drops the oldest ones beyond the limit.
    ///
    /// A batch that is larger than the limit is dropped at once, with all before it.
    pub(super) fn push(&mut self, offset: Offset, bytes: Arc<Vec<u8>>) {
        self.grow(bytes.len());
        self.batches.push_back((offset, bytes));
        let most = if self.all.load(Ordering::Relaxed) > ALL_BYTES { FEW_BYTES } else { MOST_BYTES };
        while self.bytes > most {
            let Some((_, oldest)) = self.batches.pop_front() else { return };
            self.shrink(oldest.len());
        }
    }

    /// Forgets all batches.
    pub(super) fn clear(&mut self) {
        self.batches = VecDeque::new();
        self.shrink(self.bytes);
    }

    /// From the batch on that starts with or holds `offset`; nothing if that is gone. The offset must be before the decided
    /// end.
    pub(super) fn find(&self, offset: Offset, most_bytes: usize) -> Option<Fetch> {
        let after = self.batches.partition_point(|(first, _)| *first <= offset);
        let from = after.checked_sub(1)?;
        Some(Fetch::joined(self.batches.range(from..).map(|(_, batch)| batch), most_bytes))
    }

    fn grow(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.all.fetch_add(bytes, Ordering::Relaxed);
    }

    fn shrink(&mut self, bytes: usize) {
        self.bytes -= bytes;
        self.all.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Too much to come along.
    const LARGE: usize = 64 << 10;

    fn batch(bytes: usize) -> Arc<Vec<u8>> {
        Arc::new(vec![b'x'; bytes])
    }

    #[test]
    fn small_batches_are_read_together_and_large_ones_alone() {
        let mut tail = Tail::new(Arc::default());
        let batches = [(0, 10), (3, 20), (5, 30), (6, LARGE), (9, 7)];
        batches.into_iter().for_each(|(offset, bytes)| tail.push(offset, batch(bytes)));
        let found = |offset, most| tail.find(offset, most).map(|fetch| fetch.bytes.len());
        assert_eq!(found(0, 1 << 20), Some(60), "up to the large one");
        assert_eq!(found(4, 1 << 20), Some(50), "from the batch that holds the offset");
        assert_eq!(found(4, 49), Some(20), "as many as are asked for");
        assert_eq!(found(4, 1), Some(20), "but one at least");
        assert_eq!(found(7, 1 << 20), Some(LARGE));
        assert_eq!(found(9, 1 << 20), Some(7));
    }

    #[test]
    fn many_partitions_keep_little_each() {
        let all = Arc::new(AtomicUsize::new(0));
        let filled = || {
            let mut tail = Tail::new(all.clone());
            (0..100).for_each(|offset| tail.push(offset, batch(4 << 10)));
            tail
        };
        let tails: Vec<Tail> = (0..1000).map(|_| filled()).collect();
        assert_eq!(tails[0].bytes, MOST_BYTES);
        assert_eq!(tails[999].bytes, FEW_BYTES);
        assert!(all.load(Ordering::Relaxed) <= ALL_BYTES + MOST_BYTES + 1000 * FEW_BYTES);
        drop(tails);
        assert_eq!(all.load(Ordering::Relaxed), 0);
    }
}
