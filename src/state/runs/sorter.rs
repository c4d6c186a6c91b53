//! Sorts changes into the order of a run.

use std::cmp::Ordering;

use super::{Entry, Run, RunWriter, Section};
use crate::error::{Error, Result};
use crate::state::BucketId;

/// Takes changes in the order of their commits and keeps the last one of each key.
///
/// Changes are only appended; they are sorted when they are written, and most of those that are dead by then are never
/// compared with anything.
#[derive(Default)]
pub struct Sorter {
    /// The keys and values of all changes, one behind the other.
    bytes: Vec<u8>,
    changes: Vec<Change>,
}

/// A change, with the places of its key and, behind it, its value.
struct Change {
    section: Section,
    bucket: BucketId,
    /// The first bytes of the key as a number: they decide most comparisons.
    prefix: u64,
    begin: usize,
    key_bytes: u32,
    /// `None` if the entry was deleted.
    value_bytes: Option<u32>,
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
    /// A bug: the key or the value is larger than an entry can be.
    pub fn push(&mut self, entry: Entry) -> Result<()> {
        let Entry { section, bucket, key, value } = entry;
        let length = |bytes: &[u8]| {
            u32::try_from(bytes.len()).map_err(|_| Error::bug("an entry of the state has more bytes than it may"))
        };
        let (key_bytes, value_bytes) = (length(key)?, value.map(length).transpose()?);
        let change = Change { section, bucket, prefix: prefix(key), begin: self.bytes.len(), key_bytes, value_bytes };
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value.unwrap_or_default());
        self.changes.push(change);
        Ok(())
    }

    /// The bytes of memory that the changes take: keys and values with 64 bytes for each change, replaced ones included. The
    /// caller writes a run when it passes a bound.
    pub fn bytes(&self) -> usize {
        self.bytes.len() + self.changes.len() * 64
    }

    /// Whether there are no changes.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Forgets the changes of all sections and buckets for which `keep` returns `false`.
    pub fn retain(&mut self, keep: &dyn Fn(Section, BucketId) -> bool) {
        self.changes.retain(|change| keep(change.section, change.bucket));
        if self.changes.is_empty() {
            self.bytes.clear();
        }
    }

    /// Writes the changes as a run. Afterwards there are none, unless that failed.
    ///
    /// A key that was deleted becomes a tombstone, since older runs may have it.
    ///
    /// # Errors
    /// The run cannot be written.
    pub fn write(&mut self, mut writer: RunWriter) -> Result<Run> {
        let Sorter { bytes, changes } = self;
        // Of the same key, the one that came last stands last.
        changes.sort_by(|a, b| a.compare(b, bytes));
        for (place, change) in changes.iter().enumerate() {
            let is_replaced = changes.get(place + 1).is_some_and(|next| change.compare(next, bytes).is_eq());
            if !is_replaced {
                writer.push(change.entry(bytes))?;
            }
        }
        let run = writer.finish()?;
        *self = Sorter::default();
        Ok(run)
    }
}

impl Change {
    fn key<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[self.begin..][..self.key_bytes as usize]
    }

    fn entry<'a>(&self, bytes: &'a [u8]) -> Entry<'a> {
        let behind = self.begin + self.key_bytes as usize;
        let value = self.value_bytes.map(|length| &bytes[behind..][..length as usize]);
        Entry { section: self.section, bucket: self.bucket, key: self.key(bytes), value }
    }

    /// The order of their keys in a run.
    fn compare(&self, other: &Change, bytes: &[u8]) -> Ordering {
        let place = |change: &Change| (change.section, change.bucket, change.prefix);
        place(self).cmp(&place(other)).then_with(|| self.key(bytes).cmp(other.key(bytes)))
    }
}

/// The first eight bytes of a key, filled up with zeros: they never sort otherwise than the key.
fn prefix(key: &[u8]) -> u64 {
    let mut first = [0; 8];
    let length = key.len().min(8);
    first[..length].copy_from_slice(&key[..length]);
    u64::from_be_bytes(first)
}
