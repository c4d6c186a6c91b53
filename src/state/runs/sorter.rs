//! Sorts changes into the order of a run.

use std::collections::BTreeMap;

use super::{Entry, Run, RunWriter, Section};
use crate::error::Result;
use crate::state::BucketId;

/// Takes changes in the order of their commits and keeps the last one of each key.
#[derive(Default)]
pub struct Sorter {
    entries: BTreeMap<(Section, BucketId, Vec<u8>), Option<Vec<u8>>>,
    bytes: usize,
}

impl Sorter {
    /// A sorter without changes.
    pub fn new() -> Self {
        Sorter::default()
    }

    /// Takes a change.
    ///
    /// Replaces an earlier change of the same key.
    ///
    /// # Errors
    /// Never: the map takes any number of keys.
    pub fn push(&mut self, entry: Entry) -> Result<()> {
        let Entry { section, bucket, key, value } = entry;
        self.bytes += key.len() + value.map_or(0, <[u8]>::len) + 64;
        self.entries.insert((section, bucket, key.to_vec()), value.map(<[u8]>::to_vec));
        Ok(())
    }

    /// The bytes of memory that the changes take.
    ///
    /// An estimate from above: keys, values and 64 bytes for each change, replaced ones included. The caller writes a
    /// run when it passes a bound.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether there are no changes.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Forgets the changes of all sections and buckets for which `keep` returns `false`.
    pub fn retain(&mut self, keep: &dyn Fn(Section, BucketId) -> bool) {
        self.entries.retain(|(section, bucket, _), _| keep(*section, *bucket));
    }

    /// Writes the changes as a run. Afterwards there are none, unless that failed.
    ///
    /// A key that was deleted becomes a tombstone, since older runs may have it.
    ///
    /// # Errors
    /// The run cannot be written.
    pub fn write(&mut self, mut writer: RunWriter) -> Result<Run> {
        for ((section, bucket, key), value) in &self.entries {
            writer.push(Entry { section: *section, bucket: *bucket, key, value: value.as_deref() })?;
        }
        let run = writer.finish()?;
        *self = Sorter::default();
        Ok(run)
    }
}
