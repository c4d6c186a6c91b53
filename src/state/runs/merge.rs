//! Merges scans of several runs into one ascending sequence, in which each key has its newest entry.
//!
//! A loser tree over `r` runs: each entry costs ⌈log₂ r⌉ comparisons of keys, and the memory is one piece of each file.
//! Of entries with the same key the one of the newest run comes first and the others are skipped.

use super::key::{self, PREFIX};
use super::{Entry, Scan, Section};
use crate::error::Result;
use crate::state::BucketId;

/// A merge of scans.
pub struct Merge {
    /// From the oldest run to the newest.
    ///
    /// Their places in the list decide which of two entries with the same key is newer.
    scans: Vec<Scan>,
    /// Which scans have an entry.
    alive: Vec<bool>,
    /// A loser tree: the scan whose entry comes first, then at each inner node the scan that lost there.
    ///
    /// Place 0 holds the winner. The inner node `n` has the children `2n` and `2n + 1`; the scans are the leaves, after
    /// the inner nodes.
    tree: Vec<usize>,
    drops_tombstones: bool,
    /// The full key of the last entry, and whether entries with the same section and bucket are kept.
    last: Vec<u8>,
    is_kept: bool,
}

impl Merge {
    /// A merge of scans, oldest run first.
    pub fn new(scans: Vec<Scan>) -> Self {
        let count = scans.len();
        let (alive, tree) = (vec![true; count], vec![0; count]);
        Merge { scans, alive, tree, drops_tombstones: false, last: Vec::new(), is_kept: true }
    }

    /// Leaves out tombstones. Only right where the oldest of all runs takes part, so that there is nothing left to override.
    ///
    /// A restart merges all runs and drops them too: what is gone need not be loaded.
    pub fn drop_tombstones(mut self) -> Self {
        self.drops_tombstones = true;
        self
    }

    /// Calls `each` for the newest entry of every key, in ascending order, up to the first error. `keep` is asked once for
    /// each section and bucket; where it says `false`, the entries are left out, and mostly not even read.
    ///
    /// A section and bucket that are not kept cost one jump in each run that has entries of them.
    ///
    /// # Errors
    /// A file cannot be read or is damaged, or `each` returned an error.
    pub fn each(
        mut self,
        keep: &dyn Fn(Section, BucketId) -> bool,
        each: &mut dyn FnMut(Entry) -> Result<()>,
    ) -> Result<()> {
        if !self.start()? {
            return Ok(());
        }
        loop {
            let first = self.tree[0];
            if !self.alive[first] {
                return Ok(());
            }
            let scan = &self.scans[first];
            let key = scan.key();
            let is_new_place = self.last.get(..PREFIX) != key.get(..PREFIX);
            if is_new_place {
                let Entry { section, bucket, .. } = scan.entry();
                self.is_kept = keep(section, bucket);
            }
            if self.is_kept && (is_new_place || self.last[PREFIX..] != key[PREFIX..]) {
                let entry = scan.entry();
                if entry.value.is_some() || !self.drops_tombstones {
                    each(entry)?;
                }
            }
            self.last.clear();
            self.last.extend_from_slice(key);
            self.alive[first] = if self.is_kept { self.scans[first].advance()? } else { self.leave_bucket(first)? };
            self.replay(first);
        }
    }

    /// Moves a scan to the next bucket; `false` if there is none.
    #[cold]
    fn leave_bucket(&mut self, scan: usize) -> Result<bool> {
        let Entry { section, bucket, .. } = self.scans[scan].entry();
        match key::after(key::prefix(section, bucket)) {
            Some(next) => self.scans[scan].skip_to(&next),
            None => Ok(false),
        }
    }

    /// Goes to the first entries; `false` if there are no scans.
    fn start(&mut self) -> Result<bool> {
        let count = self.scans.len();
        for (alive, scan) in self.alive.iter_mut().zip(&mut self.scans) {
            *alive = scan.advance()?;
        }
        // The winner at each node; the scans are the leaves, which follow the inner nodes.
        let mut winners: Vec<usize> = (0..count).chain(0..count).collect();
        for node in (1..count).rev() {
            let (a, b) = (winners[2 * node], winners[2 * node + 1]);
            let first = if self.is_before(a, b) { a } else { b };
            (winners[node], self.tree[node]) = (first, a + b - first);
        }
        if let Some(first) = self.tree.first_mut() {
            *first = winners[1];
        }
        Ok(count > 0)
    }

    /// Restores the tree after the first scan has moved.
    ///
    /// Only the path from the moved leaf to the root changes: O(log r).
    #[inline]
    fn replay(&mut self, moved: usize) {
        let mut winner = moved;
        let mut node = (self.scans.len() + moved) / 2;
        while node > 0 {
            if self.is_before(self.tree[node], winner) {
                std::mem::swap(&mut self.tree[node], &mut winner);
            }
            node /= 2;
        }
        self.tree[0] = winner;
    }

    /// Whether the entry of one scan comes before that of another: by key, the newer one first.
    #[inline]
    fn is_before(&self, a: usize, b: usize) -> bool {
        match (self.alive[a], self.alive[b]) {
            (true, true) => self.scans[a].key().cmp(self.scans[b].key()).then(b.cmp(&a)).is_lt(),
            (alive, _) => alive,
        }
    }
}
