//! The entries of an aggregation's groups, saved and loaded.

use super::Aggregate;
use super::bucket::Bucket;
use super::flush::next_in;
use crate::error::Result;
use crate::operators::{OperatorTime, State, Table};
use crate::state::{BucketId, EntryBatch};
use crate::types::Value;
use crate::types::row::Input;

impl Aggregate {
    /// Drops the buckets of which no window can be read or take rows any more.
    ///
    /// A bucket goes when its last window has expired. The windows before it in the bucket have then expired too, since
    /// they start earlier. Costs O(1) for each bucket dropped.
    fn expire(&mut self) {
        let Some(window) = self.spec.window else { return };
        let now = self.time.now();
        while let Some(id) = self.buckets.keys().next().copied() {
            let last_start = self.windows.last_start(id);
            if !window.is_expired(last_start, now) {
                return;
            }
            self.horizon = id + 1;
            let Some((id, bucket)) = self.buckets.pop_first() else { return };
            self.readers.drop_bucket(id, bucket);
        }
    }
}

impl State for Aggregate {
    fn take_changes(&mut self, change: &mut dyn FnMut(BucketId, &[u8], Option<&[u8]>)) {
        self.take_some_changes(usize::MAX, change);
        self.expire();
    }

    fn take_some_changes(&mut self, most: usize, change: &mut dyn FnMut(BucketId, &[u8], Option<&[u8]>)) -> bool {
        let mut value = Vec::new();
        let most = most.min(self.changed.len());
        for (at, (id, group)) in self.changed[..most].iter().enumerate() {
            if let Some(bucket) = self.buckets.get_mut(id) {
                bucket.prefetch(next_in(&self.changed, at));
                bucket.take_entries(*group, &mut value, &mut |key, value| change(*id, key, value));
            }
        }
        self.changed.drain(..most);
        most > 0
    }

    fn horizon(&self) -> BucketId {
        self.horizon
    }

    fn save_times(&self, out: &mut Vec<u8>) {
        self.time.save(out);
    }

    fn load(&mut self, bucket: BucketId, entries: &EntryBatch) -> Result<()> {
        let calls = &self.spec.calls;
        let bucket = self.buckets.entry(bucket).or_insert_with(|| Bucket::new(calls.iter().map(|c| &c.function)));
        bucket.load(entries)
    }

    fn load_times(&mut self, input: &mut Input) -> Result<()> {
        self.time = OperatorTime::load(input)?;
        self.expire();
        self.buckets.values().try_for_each(Bucket::loaded)?;
        Ok(())
    }

    fn prefix(&self, key: &[Value]) -> Option<Vec<u8>> {
        Some(self.encode_key(key))
    }

    fn table(&mut self) -> Option<&mut dyn Table> {
        Some(self)
    }

    fn memory(&self) -> usize {
        self.buckets.values().map(Bucket::memory).sum::<usize>() + self.readers.memory()
    }
}
