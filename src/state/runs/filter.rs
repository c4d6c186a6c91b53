//! The filter of a block: says of a key that it is certainly not in the block, or that it may be.
//!
//! A split-block Bloom filter: a key sets one bit in each of the eight words of one line of 32 bytes, so that a question
//! reads one line. With [`KEYS_PER_LINE`] keys a line, about one question in a hundred about an absent key is answered "may be".
//!
//! This is the filter of the Parquet format ("split block Bloom filter"), with the same eight odd numbers and another
//! hash. A filter never denies a key that was added. It is built when a block is full and never changed.

/// The bytes of a line: eight words of 32 bits.
const LINE: usize = 32;
/// A line for so many keys: 10.2 bits a key.
const KEYS_PER_LINE: usize = 25;

/// One odd number for each word of a line; it decides which bit of the word a key sets.
const ODD: [u32; 8] =
    [0x47b6_137b, 0x4497_4d91, 0x8824_ad5b, 0xa2b7_289d, 0x7054_95c7, 0x2df1_424b, 0x9efc_4947, 0x5c6b_fb31];

/// The hash of the keys that start with a prefix, before the rest of the key is added by [`hash`].
#[inline]
pub(super) fn hash_of_prefix(prefix: &[u8]) -> u32 {
    crc32c::crc32c(prefix)
}

/// The hash of a full key: its CRC32C, since that is the same on all machines for ever.
#[inline]
pub(super) fn hash(of_prefix: u32, rest: &[u8]) -> u32 {
    crc32c::crc32c_append(of_prefix, rest)
}

/// The length of the filter of so many keys.
///
/// A whole number of lines; 0 for no keys.
pub(super) fn bytes(keys: u64) -> usize {
    usize::try_from(keys.div_ceil(KEYS_PER_LINE as u64)).unwrap_or(usize::MAX).saturating_mul(LINE)
}

/// Appends the filter of the keys with these hashes.
pub(super) fn build(hashes: &[u32], out: &mut Vec<u8>) {
    let lines = hashes.len().div_ceil(KEYS_PER_LINE);
    let start = out.len();
    out.resize(start + lines * LINE, 0);
    for hash in hashes {
        let (line, bits) = place(*hash, lines);
        let line = &mut out[start + line * LINE..][..LINE];
        for (word, bit) in line.chunks_exact_mut(4).zip(bits) {
            word[bit as usize / 8] |= 1 << (bit % 8);
        }
    }
}

/// Whether a key with this hash may be among those of the filter. A filter without lines says nothing.
///
/// `true` may be wrong, `false` is certain.
#[inline]
pub(super) fn may_contain(filter: &[u8], hash: u32) -> bool {
    let lines = filter.len() / LINE;
    if lines == 0 {
        return true;
    }
    let (line, bits) = place(hash, lines);
    let line = &filter[line * LINE..][..LINE];
    line.chunks_exact(4).zip(bits).all(|(word, bit)| word[bit as usize / 8] & (1 << (bit % 8)) != 0)
}

/// The line of a hash, and its bit in each word of it.
///
/// The line comes from the upper half of the product and the bits from the lower one, so the two do not depend on each
/// other.
#[inline]
fn place(hash: u32, lines: usize) -> (usize, [u32; 8]) {
    // A CRC is linear; the product spreads it over both halves.
    let spread = u64::from(hash).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let line = ((spread >> 32) * lines as u64) >> 32;
    let low = (spread ^ (spread >> 29)) as u32;
    (line as usize, ODD.map(|odd| low.wrapping_mul(odd) >> 27))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash_of(number: u64) -> u32 {
        hash(hash_of_prefix(b"prefix"), format!("key {number}").as_bytes())
    }

    #[test]
    fn a_filter_never_denies_a_key_and_denies_most_others() {
        for count in [1, 24, 25, 26, 250, 10_000] {
            let hashes: Vec<u32> = (0..count).map(hash_of).collect();
            let mut filter = Vec::new();
            build(&hashes, &mut filter);
            assert!(hashes.iter().all(|hash| may_contain(&filter, *hash)));
            let wrong = (0..100_000).filter(|n| may_contain(&filter, hash_of(1_000_000 + n))).count();
            assert!(wrong < 3_000, "{wrong} of 100,000 with {count} keys");
        }
    }
}
