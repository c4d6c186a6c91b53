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
//!   number of entries varint
//!   for each entry
//!     bucket          8 bytes, little-endian
//!     key             length as varint, bytes
//!     1, value        length as varint, bytes
//!     or 0            deleted
//! ```
//!
//! Entries of a section come in the order in which the operator gave them, which is no sorted one, and a key can come
//! more than once: the last entry counts. A delta has no checksum of its own; the frame of the journal has one.

use super::runs::MOST_ENTRY_BYTES;
use super::{BucketId, OperatorId, OperatorTask};
use crate::error::{Error, Result};
use crate::types::row::{Input, put_bytes, put_varint};

/// The section of a delta while it is written.
#[derive(Default)]
pub struct SectionWriter {
    entries: Vec<u8>,
    count: u64,
    /// The bytes of the largest entry.
    largest: usize,
}

impl SectionWriter {
    /// Adds an entry that was set, or deleted.
    ///
    /// The order of calls is kept.
    pub fn push(&mut self, bucket: BucketId, key: &[u8], value: Option<&[u8]>) {
        let out = &mut self.entries;
        out.extend_from_slice(&bucket.to_le_bytes());
        put_bytes(out, key);
        match value {
            Some(value) => {
                out.push(1);
                put_bytes(out, value);
            }
            None => out.push(0),
        }
        self.count += 1;
        self.largest = self.largest.max(key.len() + value.map_or(0, <[u8]>::len));
    }

    /// Whether there is no entry.
    ///
    /// A section without entries is still written where only the horizon has moved.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Appends the section to a delta.
    ///
    /// Checked here and not when an entry is added, since the callback that adds them cannot fail.
    ///
    /// # Errors
    /// An entry is larger than a run can hold.
    pub fn finish(self, place: OperatorTask, horizon: BucketId, delta: &mut Vec<u8>) -> Result<()> {
        if self.largest > MOST_ENTRY_BYTES {
            let message = format!("a key of {} has {} bytes of state", place.operator, self.largest);
            let hint = format!("an entry can have {MOST_ENTRY_BYTES} bytes; collect less for each key");
            return Err(Error::invalid(message).hint(hint));
        }
        put_varint(delta, u64::from(place.operator.encode()));
        put_varint(delta, u64::from(place.task));
        delta.extend_from_slice(&horizon.to_le_bytes());
        put_varint(delta, self.count);
        delta.extend_from_slice(&self.entries);
        Ok(())
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
/// The bytes end too early, name no known operator, or `each` returned an error. Changes before that place have been
/// handed over.
pub fn read<'a>(delta: &'a [u8], each: &mut dyn FnMut(OperatorTask, Change<'a>) -> Result<()>) -> Result<()> {
    let mut input = Input(delta);
    while !input.0.is_empty() {
        let (id, task) = (input.varint()? as u32, input.varint()? as u32);
        let operator = OperatorId::decode(id).ok_or_else(|| Error::bug(format!("{id} is no operator")))?;
        let place = OperatorTask { operator, task };
        each(place, Change::Horizon(input.i64()?))?;
        for _ in 0..input.varint()? {
            let (bucket, key) = (input.i64()?, input.bytes()?);
            let value = if input.byte()? == 1 { Some(input.bytes()?) } else { None };
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
        let mut section = SectionWriter::default();
        section.push(-1, b"key", Some(b""));
        section.push(7, b"", None);
        section.finish(place(0), -1, &mut delta).expect("small");
        SectionWriter::default().finish(place(1), 9, &mut delta).expect("empty");
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
        let huge = SectionWriter { largest: MOST_ENTRY_BYTES + 1, ..SectionWriter::default() };
        assert!(huge.finish(place(0), 0, &mut delta).is_err());
        for cut in 1..delta.len() {
            let _ = read(&delta[..cut], &mut |_, _| Ok(()));
        }
    }
}
