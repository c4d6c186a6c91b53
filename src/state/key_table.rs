//! Keys to dense numbers: a hash table that is made to be asked for many keys at once.
//!
//! With more keys than the caches hold, the time goes into waiting for memory; asked for a batch of keys, the table first
//! asks for all the places it will look at, and looks at them when they have come.
//!
//! How it lies in memory, for each key:
//!
//! ```text
//! slot     8 bytes   upper 32 bits of the hash, number + 1; at most three of four slots are taken
//! start    4 bytes   where the key begins in the buffer of all keys (a fifth byte once that has more than 4 GiB)
//! key      1 byte for the length (5 above 254), then the bytes
//! ```
//!
//! So a key of 12 bytes takes 28 to 39 bytes and no allocation of its own. A question costs one look at a slot and
//! mostly one comparison of keys. Growing moves slots only: numbers and keys stay where they are.
//!
//! The hash has a fixed seed. It is not on disk, so it may change; a client that picks its keys could make them
//! collide.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;

use crate::types::grow;

/// A set of byte strings, each with a number: a new one gets the number of one that was removed, if there is any, else the
/// next. Memory of removed keys is used again.
///
/// Numbers are dense: with `n` keys that were never removed they are 0 to `n − 1`, so that callers index columns with
/// them.
#[derive(Default)]
pub struct KeyTable {
    /// Open addressing with linear probing: the upper half of the hash, and the number plus one; 0 is free.
    ///
    /// The length is 0 or a power of two, at least 16.
    slots: Vec<u64>,
    /// The keys, each after its length, and what removed ones have left.
    bytes: Vec<u8>,
    /// Where each key begins in `bytes`, in the lower half of its digits; [`REMOVED`] for numbers that are free.
    ///
    /// Indexed by the number.
    starts: Vec<u32>,
    /// The upper digits of `starts`; empty as long as they are all 0.
    high: Vec<u8>,
    /// The numbers of removed keys.
    free: Vec<u32>,
    /// How many of `bytes` removed keys have left.
    garbage: usize,
    /// The hashes of the batch at hand.
    ///
    /// Memory that is used again from call to call.
    hashes: Vec<u64>,
}

/// How many digits of a start are in the lower half; few in tests, so that they get beyond them.
const LOW_BITS: u32 = if cfg!(test) { 16 } else { 32 };

/// Stands for the start of a key that was removed.
///
/// No key begins at a place with these lower digits; [`KeyTable::put`] steps over it.
const REMOVED: u32 = u32::MAX;

/// How many keys ahead memory is asked for.
///
/// The slot is asked for so many keys ahead, the key in it at half that distance.
const AHEAD: usize = 24;

/// With so little garbage it is not worth moving the keys together.
const LITTLE_GARBAGE: usize = if cfg!(test) { 64 } else { 64 << 10 };

impl KeyTable {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of keys.
    pub fn len(&self) -> usize {
        self.starts.len() - self.free.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All numbers that were given out are below this one.
    ///
    /// Callers make their columns this long.
    pub fn end(&self) -> u32 {
        self.starts.len() as u32
    }

    /// The numbers of all keys, in ascending order.
    pub fn numbers(&self) -> impl Iterator<Item = u32> {
        self.numbers_from(0)
    }

    /// The numbers of keys from one on, in ascending order.
    pub fn numbers_from(&self, first: u32) -> impl Iterator<Item = u32> {
        let starts = self.starts.get(first as usize..).unwrap_or_default();
        let numbered = starts.iter().zip(first..);
        numbered.filter(|(start, _)| **start != REMOVED).map(|(_, number)| number)
    }

    /// The key of a number.
    ///
    /// # Panics
    /// No key has this number.
    #[inline]
    pub fn key(&self, number: u32) -> &[u8] {
        let start = self.start(number);
        let (length, head) = match self.bytes[start] {
            short @ ..=MOST_SHORT => (usize::from(short), 1),
            _ => {
                let length = u32::from_le_bytes(std::array::from_fn(|i| self.bytes[start + 1 + i]));
                (length as usize, LONG_HEAD)
            }
        };
        &self.bytes[start + head..start + head + length]
    }

    #[inline]
    fn start(&self, number: u32) -> usize {
        let low = self.starts[number as usize] as usize;
        if self.high.is_empty() { low } else { usize::from(self.high[number as usize]) << LOW_BITS | low }
    }

    /// Asks for the memory that says where a key lies, and with [`KeyTable::prefetch_key`] a little later for that of the key.
    #[inline]
    pub fn prefetch_start(&self, number: u32) {
        prefetch(self.starts.as_ptr().wrapping_add(number as usize).cast());
    }

    /// Asks for the memory of a key, as [`KeyTable::key`] will read it.
    #[inline]
    pub fn prefetch_key(&self, number: u32) {
        prefetch(self.bytes.as_ptr().wrapping_add(self.start(number)));
    }

    /// The number of a key, if it is there.
    pub fn find(&self, key: &[u8]) -> Option<u32> {
        if self.slots.is_empty() {
            return None;
        }
        let slot = self.probe(hash(key), key).ok()?;
        Some(number_of(self.slots[slot]))
    }

    /// Appends the number of each key to `numbers`; keys that are not there get new ones. The keys stand one after the other in
    /// `bytes`, each up to its place in `ends`.
    ///
    /// A key that comes twice in the call gets one number. Costs O(keys) on average.
    pub fn find_or_insert(&mut self, bytes: &[u8], ends: &[usize], numbers: &mut Vec<u32>) {
        self.reserve(ends.len());
        let starts = || std::iter::once(0).chain(ends.iter().copied());
        let keys = || starts().zip(ends).map(|(start, end)| &bytes[start..*end]);
        let mut hashes = std::mem::take(&mut self.hashes);
        hashes.clear();
        hashes.extend(keys().map(hash));
        for hash in hashes.iter().take(AHEAD) {
            self.prefetch_slot(*hash);
        }
        for (i, key) in keys().enumerate() {
            if let Some(far) = hashes.get(i + AHEAD) {
                self.prefetch_slot(*far);
            }
            if let Some(near) = hashes.get(i + AHEAD / 2) {
                self.prefetch_hashed(*near);
            }
            numbers.push(self.insert(hashes[i], key));
        }
        self.hashes = hashes;
    }

    /// Removes a key; the number that it had.
    ///
    /// `None` if it is not there. Its number goes to the next new key, so the caller must clear what it keeps under it.
    /// When more than half of the buffer is left by removed keys, the rest is moved together: O(all keys), seldom.
    pub fn remove(&mut self, key: &[u8]) -> Option<u32> {
        if self.slots.is_empty() {
            return None;
        }
        let mut hole = self.probe(hash(key), key).ok()?;
        let number = number_of(self.slots[hole]);
        // What stands after the hole and belongs there or before it moves into it, so that probing finds no gap.
        let mask = self.slots.len() - 1;
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let slot = self.slots[at];
            if slot == 0 {
                break;
            }
            let home = hash(self.key(number_of(slot))) as usize & mask;
            if at.wrapping_sub(home) & mask >= at.wrapping_sub(hole) & mask {
                self.slots[hole] = slot;
                hole = at;
            }
        }
        self.slots[hole] = 0;
        self.garbage += head_of(key.len()) + key.len();
        self.starts[number as usize] = REMOVED;
        self.free.push(number);
        if self.garbage > LITTLE_GARBAGE && self.garbage > self.bytes.len() / 2 {
            self.compact();
        }
        Some(number)
    }

    /// The bytes of memory that the table takes.
    pub fn memory(&self) -> usize {
        let numbers = (self.starts.capacity() + self.free.capacity()) * size_of::<u32>() + self.high.capacity();
        self.slots.capacity() * size_of::<u64>() + self.bytes.capacity() + numbers
    }

    fn insert(&mut self, hash: u64, key: &[u8]) -> u32 {
        match self.probe(hash, key) {
            Ok(slot) => number_of(self.slots[slot]),
            Err(slot) => {
                let start = self.put(key);
                let number = match self.free.pop() {
                    Some(number) => number,
                    None => {
                        grow::reserve(&mut self.starts, 1);
                        self.starts.push(REMOVED);
                        (self.starts.len() - 1) as u32
                    }
                };
                self.set_start(number, start);
                self.slots[slot] = (hash & UPPER) | u64::from(number + 1);
                number
            }
        }
    }

    /// Appends a key to the bytes: where it begins.
    ///
    /// Written at the end of the buffer. A key of up to 254 bytes has its length in one byte; a longer one has [`LONG`]
    /// and four bytes, little-endian.
    fn put(&mut self, key: &[u8]) -> usize {
        // No start may look like that of a removed key.
        if self.bytes.len() & LOW_MASK == REMOVED as usize & LOW_MASK {
            self.bytes.push(0);
            self.garbage += 1;
        }
        let start = self.bytes.len();
        grow::reserve(&mut self.bytes, head_of(key.len()) + key.len());
        match u8::try_from(key.len()) {
            Ok(short @ ..=MOST_SHORT) => self.bytes.push(short),
            _ => {
                self.bytes.push(LONG);
                self.bytes.extend_from_slice(&(key.len() as u32).to_le_bytes());
            }
        }
        self.bytes.extend_from_slice(key);
        start
    }

    fn set_start(&mut self, number: u32, start: usize) {
        let high = (start >> LOW_BITS) as u8;
        if high > 0 || !self.high.is_empty() {
            grow::resize(&mut self.high, self.starts.len(), 0);
            self.high[number as usize] = high;
        }
        self.starts[number as usize] = (start & LOW_MASK) as u32;
    }

    /// Moves the keys together, so that there is no garbage between them.
    fn compact(&mut self) {
        let mut compact = KeyTable { starts: vec![REMOVED; self.starts.len()], ..KeyTable::default() };
        compact.bytes.reserve_exact(self.bytes.len() - self.garbage);
        for number in self.numbers() {
            let start = compact.put(self.key(number));
            compact.set_start(number, start);
        }
        (self.bytes, self.starts, self.high) = (compact.bytes, compact.starts, compact.high);
        self.garbage = compact.garbage;
    }

    /// The slot of the key, or the free one where it belongs.
    ///
    /// At least one slot must be free, or it would not end: [`KeyTable::reserve`] keeps a quarter of them free.
    #[inline]
    fn probe(&self, hash: u64, key: &[u8]) -> Result<usize, usize> {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                return Err(at);
            }
            if (slot ^ hash) & UPPER == 0 && self.key(number_of(slot)) == key {
                return Ok(at);
            }
            at = (at + 1) & mask;
        }
    }

    /// Makes room for `more` keys, so that at most three quarters of the slots are taken.
    ///
    /// Called before keys are inserted. The new length is a power of two, so that growing costs O(1) for each key over
    /// time.
    fn reserve(&mut self, more: usize) {
        let needed = (self.len() + more) * 4 / 3 + 1;
        if needed <= self.slots.len() {
            return;
        }
        let mut slots = vec![0u64; needed.next_power_of_two().max(16)];
        let mask = slots.len() - 1;
        for number in self.numbers() {
            let hash = hash(self.key(number));
            let mut at = hash as usize & mask;
            while slots[at] != 0 {
                at = (at + 1) & mask;
            }
            slots[at] = (hash & UPPER) | u64::from(number + 1);
        }
        self.slots = slots;
    }

    #[inline]
    fn prefetch_slot(&self, hash: u64) {
        prefetch(self.slots.as_ptr().wrapping_add(hash as usize & (self.slots.len() - 1)).cast());
    }

    #[inline]
    fn prefetch_hashed(&self, hash: u64) {
        let slot = self.slots[hash as usize & (self.slots.len() - 1)];
        if slot != 0 && (slot ^ hash) & UPPER == 0 {
            self.prefetch_key(number_of(slot));
        }
    }
}

/// The number in a slot that is taken.
#[inline]
fn number_of(slot: u64) -> u32 {
    slot as u32 - 1
}

/// The longest key whose length is one byte; [`LONG`] stands before that of others, which has four.
const MOST_SHORT: u8 = 254;
const LONG: u8 = 255;
const LONG_HEAD: usize = 5;

const LOW_MASK: usize = (1 << LOW_BITS) - 1;

/// How many bytes stand before a key of this length.
fn head_of(length: usize) -> usize {
    if length <= usize::from(MOST_SHORT) { 1 } else { LONG_HEAD }
}

const UPPER: u64 = 0xFFFF_FFFF_0000_0000;

#[inline]
fn hash(key: &[u8]) -> u64 {
    let mut hasher = FixedState::with_seed(0).build_hasher();
    hasher.write(key);
    hasher.finish()
}

/// Asks for the memory at an address; never reads it, so that any address will do.
///
/// Does nothing on machines other than x86-64.
#[inline]
pub fn prefetch(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch has no effect on what a program computes, whatever the address.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::disk::double::Random;

    #[test]
    fn keys_are_numbered_in_the_order_in_which_they_come() {
        let mut table = KeyTable::new();
        let mut numbers = Vec::new();
        table.find_or_insert(b"abcab", &[1, 3, 4, 5], &mut numbers);
        assert_eq!(numbers, [0, 1, 0, 2]);
        assert_eq!((table.key(1), table.find(b"b"), table.find(b"x")), (&b"bc"[..], Some(2), None));
    }

    /// Against a map: keys come, go, and come again, short and long ones.
    #[test]
    fn removed_keys_leave_their_numbers_and_their_memory() {
        let mut random = Random::new(7);
        let (mut table, mut model) = (KeyTable::new(), BTreeMap::<Vec<u8>, u32>::new());
        let mut most = 0;
        for step in 0..40_000 {
            let number = random.below(400);
            let long = if number.is_multiple_of(40) { 300 } else { 0 };
            let key = format!("{number}{}", "x".repeat(long)).into_bytes();
            if random.one_in(2) {
                let mut numbers = Vec::new();
                table.find_or_insert(&key, &[key.len()], &mut numbers);
                assert_eq!(*model.entry(key).or_insert(numbers[0]), numbers[0], "step {step}");
            } else {
                assert_eq!(table.remove(&key), model.remove(&key), "step {step}");
            }
            assert_eq!(table.len(), model.len());
            most = most.max(table.bytes.len());
        }
        let mut numbers: Vec<u32> = model.values().copied().collect();
        numbers.sort_unstable();
        assert_eq!(table.numbers().collect::<Vec<_>>(), numbers, "no number twice");
        for (key, number) in &model {
            assert_eq!((table.find(key), table.key(*number)), (Some(*number), key.as_slice()));
        }
        assert!(table.end() <= 400 && most < 20_000, "{} numbers, {most} bytes", table.end());
    }

    #[test]
    fn many_keys_are_all_found_again() {
        let mut table = KeyTable::new();
        let mut numbers = Vec::new();
        for round in 0..3 {
            let mut bytes = Vec::new();
            let mut ends = Vec::new();
            for i in 0..10_000u32 {
                bytes.extend_from_slice(format!("key {}", i * (round + 1)).as_bytes());
                ends.push(bytes.len());
            }
            numbers.clear();
            table.find_or_insert(&bytes, &ends, &mut numbers);
            for (i, number) in numbers.iter().enumerate() {
                let key = format!("key {}", i as u32 * (round + 1));
                assert_eq!(table.key(*number), key.as_bytes());
                assert_eq!(table.find(key.as_bytes()), Some(*number));
            }
        }
        assert_eq!(
            table.len(),
            (0..30_000).filter(|k| *k < 10_000 || (k % 2 == 0 && *k < 20_000) || k % 3 == 0).count()
        );
    }
}
