//! Keys to dense numbers: a hash table that is made to be asked for many keys at once.
//!
//! With more keys than the caches hold, the time goes into waiting for memory; asked for a batch of keys, the table first
//! asks for all the places it will look at, and looks at them when they have come.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;

use crate::types::grow;

/// A set of byte strings, numbered from 0 in the order in which they came.
pub struct KeyTable {
    /// Open addressing with linear probing: the upper half of the hash, and the number plus one; 0 is free.
    slots: Vec<u64>,
    /// All keys, one after the other.
    bytes: Vec<u8>,
    /// Where each key ends, in the lower half of its digits.
    ends: Vec<u32>,
    /// The first keys whose ends have one more in the upper half than those before: one every 4 GiB.
    carries: Vec<u32>,
    /// The hashes of the batch at hand.
    hashes: Vec<u64>,
}

/// How many digits of an end are kept for each key; few in tests, so that they get beyond them.
const LOW_BITS: u32 = if cfg!(test) { 16 } else { 32 };

/// How many keys ahead memory is asked for.
const AHEAD: usize = 24;

impl KeyTable {
    /// An empty table.
    pub fn new() -> Self {
        KeyTable { slots: Vec::new(), bytes: Vec::new(), ends: Vec::new(), carries: Vec::new(), hashes: Vec::new() }
    }

    /// The number of keys.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The key of a number.
    pub fn key(&self, number: u32) -> &[u8] {
        &self.bytes[self.start(number)..self.end(number)]
    }

    #[inline]
    fn start(&self, number: u32) -> usize {
        if number == 0 { 0 } else { self.end(number - 1) }
    }

    #[inline]
    fn end(&self, number: u32) -> usize {
        let low = self.ends[number as usize] as usize;
        if self.carries.is_empty() {
            return low;
        }
        low | (self.carries.partition_point(|first| *first <= number) << LOW_BITS)
    }

    /// The number of a key, if it is there.
    pub fn find(&self, key: &[u8]) -> Option<u32> {
        if self.slots.is_empty() {
            return None;
        }
        self.probe(hash(key), key).ok()
    }

    /// Appends the number of each key to `numbers`; keys that are not there get the next numbers. The keys stand one after
    /// the other in `bytes`, each up to its place in `ends`.
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
                self.prefetch_key(*near);
            }
            numbers.push(self.insert(hashes[i], key));
        }
        self.hashes = hashes;
    }

    /// The bytes of memory that the table takes.
    pub fn memory(&self) -> usize {
        self.slots.capacity() * size_of::<u64>() + self.bytes.capacity() + self.ends.capacity() * size_of::<u32>()
    }

    fn insert(&mut self, hash: u64, key: &[u8]) -> u32 {
        match self.probe(hash, key) {
            Ok(number) => number,
            Err(free) => {
                let number = self.ends.len() as u32;
                self.slots[free] = (hash & UPPER) | u64::from(number + 1);
                grow::reserve(&mut self.bytes, key.len());
                self.bytes.extend_from_slice(key);
                let end = self.bytes.len();
                if end >> LOW_BITS > self.carries.len() {
                    self.carries.push(number);
                }
                grow::reserve(&mut self.ends, 1);
                self.ends.push((end & ((1 << LOW_BITS) - 1)) as u32);
                number
            }
        }
    }

    /// The number of the key, or the free slot where it belongs.
    #[inline]
    fn probe(&self, hash: u64, key: &[u8]) -> Result<u32, usize> {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                return Err(at);
            }
            if (slot ^ hash) & UPPER == 0 {
                let number = (slot as u32) - 1;
                if self.key(number) == key {
                    return Ok(number);
                }
            }
            at = (at + 1) & mask;
        }
    }

    /// Makes room for `more` keys, so that at most three quarters of the slots are taken.
    fn reserve(&mut self, more: usize) {
        let needed = (self.ends.len() + more) * 4 / 3 + 1;
        if needed <= self.slots.len() {
            return;
        }
        let mut slots = vec![0u64; needed.next_power_of_two().max(16)];
        let mask = slots.len() - 1;
        for number in 0..self.ends.len() as u32 {
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
    fn prefetch_key(&self, hash: u64) {
        let slot = self.slots[hash as usize & (self.slots.len() - 1)];
        if slot != 0 && (slot ^ hash) & UPPER == 0 {
            prefetch(self.bytes.as_ptr().wrapping_add(self.start(slot as u32 - 1)));
        }
    }
}

impl Default for KeyTable {
    fn default() -> Self {
        Self::new()
    }
}

const UPPER: u64 = 0xFFFF_FFFF_0000_0000;

#[inline]
fn hash(key: &[u8]) -> u64 {
    let mut hasher = FixedState::with_seed(0).build_hasher();
    hasher.write(key);
    hasher.finish()
}

/// Asks for the memory at an address; never reads it, so that any address will do.
#[inline]
fn prefetch(address: *const u8) {
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
    use super::*;

    #[test]
    fn keys_are_numbered_in_the_order_in_which_they_come() {
        let mut table = KeyTable::new();
        let mut numbers = Vec::new();
        table.find_or_insert(b"abcab", &[1, 3, 4, 5], &mut numbers);
        assert_eq!(numbers, [0, 1, 0, 2]);
        assert_eq!((table.key(1), table.find(b"b"), table.find(b"x")), (&b"bc"[..], Some(2), None));
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
