//! A block: neighbouring entries, each key stored without the bytes that it shares with the key before.
//!
//! Every [`RESTART`]-th entry shares bytes only with the block's first key, and its place stands at the end of the block,
//! so that a key is found without decoding the whole block.
//!
//! ```text
//! entry     shared (varint), rest (varint), value (varint: 0 for a tombstone, else its length + 1),
//!           rest of the key, value
//! …
//! places    4 bytes for each restart point: where its entry begins in the block
//! number    4 bytes: how many restart points there are
//! ```
//!
//! A varint below 128 is one byte, so the three lengths of an ordinary entry are three bytes, which are read with one
//! comparison. The first entry of a block is no restart point: it has its full key in any case. With 16 entries from
//! one point to the next, a look-up compares O(log n) keys and decodes at most 16.

use std::cmp::Ordering;
use std::ops::Range;

use super::key::common;
use crate::types::row::put_varint;

/// The number of entries from one restart point to the next.
const RESTART: usize = 16;
/// The bytes of a restart point, and of the number of restart points.
const NUMBER: usize = 4;

/// Encodes the entries of a block.
#[derive(Default)]
pub(super) struct Builder {
    /// The first full key of the block.
    first: Vec<u8>,
    /// The last full key.
    last: Vec<u8>,
    entries: usize,
    restarts: Vec<u32>,
}

impl Builder {
    /// The full key of the last entry, also of an earlier block.
    pub(super) fn last(&self) -> &[u8] {
        &self.last
    }

    /// The number of entries in the block.
    pub(super) fn entries(&self) -> usize {
        self.entries
    }

    /// Appends an entry without the bytes of its value to `out`, in which the block starts at `start`. The full key consists
    /// of the first `shared` bytes of the last one and of `rest`.
    ///
    /// `start` is the place of the block's content, after the head of its frame. The caller appends the value's bytes
    /// next; `value` is only their number, `None` for a tombstone.
    #[inline]
    pub(super) fn push(
        &mut self,
        out: &mut Vec<u8>,
        start: usize,
        (shared, rest): (usize, &[u8]),
        value: Option<usize>,
    ) {
        self.last.truncate(shared);
        self.last.extend_from_slice(rest);
        let shared = if !self.entries.is_multiple_of(RESTART) {
            shared
        } else if self.entries == 0 {
            self.first.clone_from(&self.last);
            0
        } else {
            self.restarts.push((out.len() - start) as u32);
            common(&self.first, &self.last)
        };
        self.entries += 1;
        let rest = &self.last[shared..];
        let value = value.map_or(0, |length| length + 1);
        if (shared | rest.len() | value) < 0x80 {
            out.extend_from_slice(&[shared as u8, rest.len() as u8, value as u8]);
        } else {
            for length in [shared, rest.len(), value] {
                put_varint(out, length as u64);
            }
        }
        out.extend_from_slice(rest);
    }

    /// The end of the block, which stands after its last entry. The next entry starts a block.
    ///
    /// Also forgets the restart points. The last key stays, for the order of the next block.
    pub(super) fn end(&mut self, tail: &mut Vec<u8>) {
        for restart in &self.restarts {
            tail.extend_from_slice(&restart.to_le_bytes());
        }
        tail.extend_from_slice(&(self.restarts.len() as u32).to_le_bytes());
        self.restarts.clear();
        self.entries = 0;
    }
}

/// A place in a block: an entry, and the way to the next one. Every method that reads the block returns `None` if the block
/// is malformed.
#[derive(Default)]
pub(super) struct Cursor {
    /// The first full key of the block.
    first: Vec<u8>,
    key: Vec<u8>,
    /// Of the entry at which the cursor stands.
    value: Option<Range<usize>>,
    /// How many bytes the key was said to share.
    shared: usize,
    /// The place and the number of the next entry.
    ///
    /// In bytes from the start of the block's content.
    next: usize,
    number: usize,
    /// Where the entries end, and the restart points start.
    end: usize,
}

/// An entry as it lies in a block.
struct Stored {
    shared: usize,
    rest: Range<usize>,
    value: Option<Range<usize>>,
}

impl Cursor {
    /// The full key of the entry.
    #[inline]
    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }

    /// Where the value lies in the block; `None` for a tombstone.
    #[inline]
    pub(super) fn value(&self) -> Option<Range<usize>> {
        self.value.clone()
    }

    /// How many bytes at the start of the full key are the same as those of the entry before, at least.
    #[inline]
    pub(super) fn shared(&self) -> usize {
        self.shared
    }

    /// The number of entries up to this one.
    pub(super) fn passed(&self) -> u64 {
        self.number as u64
    }

    /// Leaves the block.
    pub(super) fn close(&mut self) {
        (self.next, self.number, self.end) = (0, 0, 0);
    }

    /// Goes before the first entry of a block.
    pub(super) fn open(&mut self, block: &[u8]) -> Option<()> {
        let count = u32::from_le_bytes(*block.last_chunk::<NUMBER>()?) as usize;
        self.end = block.len().checked_sub(NUMBER)?.checked_sub(count.checked_mul(NUMBER)?)?;
        (self.next, self.number) = (0, 0);
        self.first.clear();
        Some(())
    }

    /// Goes to the next entry; `false` after the last one.
    #[inline]
    pub(super) fn advance(&mut self, block: &[u8]) -> Option<bool> {
        if self.next == self.end {
            return Some(false);
        }
        let Stored { shared, rest, value } = self.stored(block, self.next)?;
        self.next = value.as_ref().map_or(rest.end, |value| value.end);
        if self.number.is_multiple_of(RESTART) {
            self.key.clear();
            self.key.extend_from_slice(self.first.get(..shared)?);
        } else if shared <= self.key.len() {
            self.key.truncate(shared);
        } else {
            return None;
        }
        self.key.extend_from_slice(&block[rest]);
        if self.number == 0 {
            self.first.clone_from(&self.key);
        }
        (self.shared, self.value) = (shared, value);
        self.number += 1;
        Some(true)
    }

    /// Goes to the first entry of an opened block whose full key is `wanted` or greater; `false` if there is none.
    ///
    /// May go backwards. Costs O(log entries) and at most 16 steps.
    pub(super) fn seek(&mut self, block: &[u8], wanted: &[u8]) -> Option<bool> {
        (self.next, self.number) = (0, 0);
        if !self.advance(block)? {
            return Some(false);
        }
        if self.key[..] < *wanted {
            self.skip(block, wanted)?;
        }
        while self.key[..] < *wanted {
            if !self.advance(block)? {
                return Some(false);
            }
        }
        Some(true)
    }

    /// Goes to the last restart point whose key is not greater than `wanted`, if there is one.
    fn skip(&mut self, block: &[u8], wanted: &[u8]) -> Option<()> {
        let place = |restart: usize| {
            let bytes = block.get(self.end + restart * NUMBER..)?.first_chunk::<NUMBER>()?;
            Some(u32::from_le_bytes(*bytes) as usize)
        };
        let (mut low, mut high) = (0, (block.len() - NUMBER - self.end) / NUMBER);
        while low < high {
            let middle = low.midpoint(high);
            let stored = self.stored(block, place(middle)?)?;
            match compare(wanted, self.first.get(..stored.shared)?, &block[stored.rest]) {
                Ordering::Less => high = middle,
                _ => low = middle + 1,
            }
        }
        if let Some(last) = low.checked_sub(1) {
            (self.next, self.number) = (place(last)?, (last + 1) * RESTART);
            self.advance(block)?;
        }
        Some(())
    }

    /// Reads the entry at a place.
    ///
    /// The ranges lie within the entries, or the result is `None`.
    #[inline]
    fn stored(&self, block: &[u8], at: usize) -> Option<Stored> {
        let entries = block.get(..self.end)?;
        let (shared, rest, value, start) = match entries.get(at..)?.first_chunk::<3>()? {
            [a, b, c] if (a | b | c) < 0x80 => (usize::from(*a), usize::from(*b), usize::from(*c), at + 3),
            _ => {
                let (shared, at) = varint(entries, at)?;
                let (rest, at) = varint(entries, at)?;
                let (value, at) = varint(entries, at)?;
                (shared, rest, value, at)
            }
        };
        let middle = start.checked_add(rest)?;
        let value = value.checked_sub(1).map(|length| Some(middle..middle.checked_add(length)?));
        let value = match value {
            Some(range) => Some(range?),
            None => None,
        };
        let end = value.as_ref().map_or(middle, |value| value.end);
        (end <= entries.len()).then_some(Stored { shared, rest: start..middle, value })
    }
}

/// Compares `wanted` with the key that consists of two parts.
fn compare(wanted: &[u8], start: &[u8], rest: &[u8]) -> Ordering {
    match wanted.split_at_checked(start.len()) {
        Some((wanted_start, wanted_rest)) => wanted_start.cmp(start).then_with(|| wanted_rest.cmp(rest)),
        // Where `wanted` is shorter, it is less than the key if it is equal as far as it goes.
        None => wanted.cmp(start),
    }
}

/// The number at a place and the place after it.
///
/// At most ten bytes; `None` if they end before the number does.
fn varint(bytes: &[u8], mut at: usize) -> Option<(usize, usize)> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(at)?;
        at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some((usize::try_from(value).ok()?, at));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_of(keys: &[Vec<u8>]) -> Vec<u8> {
        let (mut builder, mut block) = (Builder::default(), Vec::new());
        for (number, key) in keys.iter().enumerate() {
            let shared = common(builder.last(), key);
            let value = (number % 3 > 0).then_some(number);
            builder.push(&mut block, 0, (shared, &key[shared..]), value);
            block.resize(block.len() + value.unwrap_or(0), 7);
        }
        let mut tail = Vec::new();
        builder.end(&mut tail);
        [block, tail].concat()
    }

    #[test]
    fn entries_are_read_as_they_were_written_and_found_from_every_key() {
        for count in [1, 2, 16, 17, 33, 200] {
            let keys: Vec<Vec<u8>> =
                (0..count).map(|n| format!("{}{:06}", "k".repeat(n % 5), n * 2).into_bytes()).collect();
            let mut keys = keys;
            keys.sort();
            let block = block_of(&keys);
            let mut cursor = Cursor::default();
            cursor.open(&block).expect("a block");
            for (number, key) in keys.iter().enumerate() {
                assert_eq!(cursor.advance(&block), Some(true));
                assert_eq!(cursor.key(), key);
                let length = cursor.value().map(|value| block[value].len());
                assert_eq!(length, (number % 3 > 0).then_some(number));
            }
            assert_eq!(cursor.advance(&block), Some(false));
            for key in &keys {
                assert_eq!((cursor.seek(&block, key), cursor.key()), (Some(true), &key[..]));
                let shorter = &key[..key.len() - 1];
                let found = keys.iter().find(|k| k[..] >= *shorter).expect("the key itself");
                assert_eq!((cursor.seek(&block, shorter), cursor.key()), (Some(true), &found[..]));
                let longer = [&key[..], b"0"].concat();
                let found = keys.iter().find(|k| **k >= longer);
                assert_eq!(cursor.seek(&block, &longer), Some(found.is_some()));
                assert!(found.is_none_or(|found| found == cursor.key()));
            }
        }
    }

    #[test]
    fn a_malformed_block_is_none() {
        let keys: Vec<Vec<u8>> = (0..40u8).map(|n| vec![n; 5]).collect();
        let block = block_of(&keys);
        let mut cursor = Cursor::default();
        for length in 0..block.len() {
            let cut = &block[..length];
            // Whatever the bytes say, nothing panics.
            if cursor.open(cut).is_some() {
                while cursor.advance(cut) == Some(true) {}
                let _ = cursor.seek(cut, &[20; 5]);
            }
        }
        assert_eq!(cursor.open(&[1, 0, 0]), None);
        assert_eq!(cursor.open(&[1, 0, 0, 0]), None);
        assert_eq!(cursor.open(&[0, 0, 0, 0]), Some(()));
    }
}
