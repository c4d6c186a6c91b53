//! The changes of a query's state in an epoch, as bytes.
//!
//! A delta is a list of sections, one for each operator task whose state has changed: the operator and the task, its
//! *horizon* (no entry of an earlier bucket exists any more), and the entries that were set or deleted. Entries are absolute:
//! applying a delta twice does no harm.
//!
//! ```text
//! for each section
//!   operator          varint, see `OperatorId::encode`
//!   task              varint
//!   horizon           8 bytes, little-endian
//!   for each entry
//!     1 byte          1 if the entry was set, 0 if it was deleted
//!     bucket          8 bytes, little-endian
//!     key             length as varint, bytes
//!     value           length as varint, bytes; only where the byte is 1
//!   1 byte            2: there are no more entries
//! ```
//!
//! Entries of a section come in the order in which the operator gave them, which is no sorted one, and a key can come
//! more than once: the last entry counts. A delta has no checksum of its own; the frame of the journal has one.

use super::runs::MOST_ENTRY_BYTES;
use super::{BucketId, OperatorId, OperatorTask};
use crate::error::{Error, Result};
use crate::types::row::{Input, put_bytes, put_varint};

/// The first byte of an entry that was deleted, of one that was set, and the byte after the last entry.
const DELETED: u8 = 0;
const SET: u8 = 1;
const END: u8 = 2;

/// The section of a delta while it is written.
///
/// Ends with [`SectionWriter::finish`] or [`SectionWriter::cancel`].
pub struct SectionWriter<'a> {
    delta: &'a mut Vec<u8>,
    operator: OperatorId,
    /// Where the section begins, where its horizon is, and where its entries begin.
    start: usize,
    horizon: usize,
    entries: usize,
    /// The bytes of the largest entry.
    largest: usize,
}

impl<'a> SectionWriter<'a> {
    /// Begins a section at the end of a delta.
    pub fn new(place: OperatorTask, delta: &'a mut Vec<u8>) -> Self {
        let start = delta.len();
        put_varint(delta, u64::from(place.operator.encode()));
        put_varint(delta, u64::from(place.task));
        let horizon = delta.len();
        // Where it is comes before the entries, and what it is is known after them.
        delta.extend_from_slice(&BucketId::MIN.to_le_bytes());
        let entries = delta.len();
        SectionWriter { delta, operator: place.operator, start, horizon, entries, largest: 0 }
    }

    /// Adds an entry that was set, or deleted.
    ///
    /// The order of calls is kept.
    pub fn push(&mut self, bucket: BucketId, key: &[u8], value: Option<&[u8]>) {
        let out = &mut *self.delta;
        out.push(if value.is_some() { SET } else { DELETED });
        out.extend_from_slice(&bucket.to_le_bytes());
        put_bytes(out, key);
        value.iter().for_each(|value| put_bytes(out, value));
        self.largest = self.largest.max(key.len() + value.map_or(0, <[u8]>::len));
    }

    /// Whether there is no entry.
    ///
    /// A section without entries is still written where only the horizon has moved.
    pub fn is_empty(&self) -> bool {
        self.delta.len() == self.entries
    }

    /// Ends the section.
    ///
    /// Checked here and not when an entry is added, since the callback that adds them cannot fail.
    ///
    /// # Errors
    /// An entry is larger than a run can hold.
    pub fn finish(self, horizon: BucketId) -> Result<()> {
        if self.largest > MOST_ENTRY_BYTES {
            let message = format!("a key of {} has {} bytes of state", self.operator, self.largest);
            let hint = format!("an entry can have {MOST_ENTRY_BYTES} bytes; collect less for each key");
            return Err(Error::invalid(message).hint(hint));
        }
        self.delta[self.horizon..self.entries].copy_from_slice(&horizon.to_le_bytes());
        self.delta.push(END);
        Ok(())
    }

    /// Takes the section back: the delta is as it was.
    pub fn cancel(self) {
        self.delta.truncate(self.start);
    }
}

/// A change in a delta.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// No entry of an earlier bucket exists any more.
    ///
    /// Comes once for each section, before its entries.
    Horizon(BucketId),
    /// An entry was set, or deleted.
    Entry {
        /// The bucket that holds the entry.
        bucket: BucketId,
        /// The bytes of the entry's key.
        key: &'a [u8],
        /// The new value; `None` if the entry was deleted.
        value: Option<&'a [u8]>,
    },
}

/// Calls `each` for the changes of a delta, in their order.
///
/// The slices point into `delta`; nothing is copied.
///
/// # Errors
/// The bytes end too early, name no known operator or kind of entry, or `each` returned an error. Changes before that place have been
/// handed over.
pub fn read<'a>(delta: &'a [u8], each: &mut dyn FnMut(OperatorTask, Change<'a>) -> Result<()>) -> Result<()> {
    let mut input = Input(delta);
    while !input.0.is_empty() {
        let (id, task) = (input.varint()? as u32, input.varint()? as u32);
        let operator = OperatorId::decode(id).ok_or_else(|| Error::bug(format!("{id} is no operator")))?;
        let place = OperatorTask { operator, task };
        each(place, Change::Horizon(input.i64()?))?;
        loop {
            let kind = input.byte()?;
            if kind == END {
                break;
            }
            let (bucket, key) = (input.i64()?, input.bytes()?);
            let value = match kind {
                SET => Some(input.bytes()?),
                DELETED => None,
                unknown => return Err(Error::bug(format!("{unknown} is no kind of entry"))),
            };
            each(place, Change::Entry { bucket, key, value })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::OperatorKind;

    #[test]
    fn a_delta_is_read_as_it_was_written() {
        let place = |task| OperatorTask { operator: OperatorId { kind: OperatorKind::Join, number: 3 }, task };
        let mut delta = Vec::new();
        let mut section = SectionWriter::new(place(0), &mut delta);
        section.push(-1, b"key", Some(b""));
        section.push(7, b"", None);
        section.finish(-1).expect("small");
        SectionWriter::new(place(7), &mut delta).cancel();
        SectionWriter::new(place(1), &mut delta).finish(9).expect("empty");
        let mut found = Vec::new();
        let mut keep = |place, change| {
            found.push((place, change));
            Ok(())
        };
        read(&delta, &mut keep).expect("whole");
        let wanted = [
            (place(0), Change::Horizon(-1)),
            (place(0), Change::Entry { bucket: -1, key: b"key", value: Some(b"") }),
            (place(0), Change::Entry { bucket: 7, key: b"", value: None }),
            (place(1), Change::Horizon(9)),
        ];
        assert_eq!(found, wanted);
        let mut other = Vec::new();
        let huge = SectionWriter { largest: MOST_ENTRY_BYTES + 1, ..SectionWriter::new(place(0), &mut other) };
        assert!(huge.finish(0).is_err());
        for cut in 1..delta.len() {
            let _ = read(&delta[..cut], &mut |_, _| Ok(()));
        }
    }
}
