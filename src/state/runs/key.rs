//! The full key of an entry: section, bucket and key as bytes that sort like the entry.
//!
//! ```text
//! bytes 0–7     query
//! bytes 8–11    operator, see `OperatorId::encode`
//! bytes 12–15   task
//! bytes 16–23   bucket with its sign bit flipped
//! from 24 on    the entry's own key, as the operator writes it
//! ```
//!
//! All numbers are big-endian. So keys compare as bytes, and a bucket, a section or all state of a query is one range
//! of keys.

use super::Section;
use crate::ids::QueryNumber;
use crate::state::{BucketId, OperatorId, OperatorTask};

/// The bytes of a full key before the entry's own key: query (8), operator (4), task (4) and bucket (8), each big-endian.
pub(super) const PREFIX: usize = 24;
/// The part of it that names the section.
pub(super) const SECTION: usize = 16;

/// The first [`PREFIX`] bytes of a full key.
pub(super) type Prefix = [u8; PREFIX];

/// The prefix of the entries of a bucket.
pub(super) fn prefix(section: Section, bucket: BucketId) -> Prefix {
    let mut prefix = [0; PREFIX];
    prefix[..SECTION].copy_from_slice(&encode(section));
    // With the sign bit flipped, negative numbers sort before the others.
    prefix[SECTION..].copy_from_slice(&((bucket as u64) ^ SIGN).to_be_bytes());
    prefix
}

/// The bytes of a section.
pub(super) fn encode(section: Section) -> [u8; SECTION] {
    let mut bytes = [0; SECTION];
    bytes[..8].copy_from_slice(&section.query.get().to_be_bytes());
    bytes[8..12].copy_from_slice(&section.place.operator.encode().to_be_bytes());
    bytes[12..].copy_from_slice(&section.place.task.to_be_bytes());
    bytes
}

/// The section and the bucket at the start of a full key; `None` if there are none.
///
/// Also `None` if the operator has no known kind.
pub(super) fn parse(key: &[u8]) -> Option<(Section, BucketId)> {
    let (section, rest) = key.split_first_chunk::<SECTION>()?;
    let bucket = u64::from_be_bytes(*rest.first_chunk()?) ^ SIGN;
    Some((decode(section)?, bucket as BucketId))
}

/// The section of its bytes.
pub(super) fn decode(bytes: &[u8; SECTION]) -> Option<Section> {
    let (query, rest) = bytes.split_first_chunk::<8>()?;
    let (operator, task) = rest.split_first_chunk::<4>()?;
    let operator = OperatorId::decode(u32::from_be_bytes(*operator))?;
    let task = u32::from_be_bytes(*task.first_chunk()?);
    Some(Section { query: QueryNumber::new(u64::from_be_bytes(*query)), place: OperatorTask { operator, task } })
}

/// The prefix that follows directly after this one; `None` after the last of all.
///
/// All keys with the given prefix sort before it, and no other key lies between.
pub(super) fn after(mut prefix: Prefix) -> Option<Prefix> {
    for byte in prefix.iter_mut().rev() {
        *byte = byte.wrapping_add(1);
        if *byte != 0 {
            return Some(prefix);
        }
    }
    None
}

/// How many bytes two keys have in common at their start.
///
/// Eight bytes at a time: O(length / 8).
#[inline]
pub(super) fn common(a: &[u8], b: &[u8]) -> usize {
    let most = a.len().min(b.len());
    let mut at = 0;
    while at + 8 <= most {
        let (x, y) = (word(a, at), word(b, at));
        if x != y {
            return at + ((x ^ y).trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while at < most && a[at] == b[at] {
        at += 1;
    }
    at
}

/// The eight bytes at a place, which must be there.
#[inline]
fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

const SIGN: u64 = 1 << 63;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::OperatorKind;

    fn section(query: u64, number: u16, task: u32) -> Section {
        let operator = OperatorId { kind: OperatorKind::Join, number };
        Section { query: QueryNumber::new(query), place: OperatorTask { operator, task } }
    }

    #[test]
    fn full_keys_sort_like_sections_and_buckets() {
        let mut all = Vec::new();
        for section in [section(0, 0, 0), section(1, 2, 300), section(1, 300, 2), section(256, 0, 0)] {
            all.extend([i64::MIN, -1, 0, 255, i64::MAX].map(|bucket| (section, bucket)));
        }
        assert!(all.is_sorted());
        assert!(all.iter().map(|(section, bucket)| prefix(*section, *bucket)).is_sorted());
        for (section, bucket) in all {
            assert_eq!(parse(&prefix(section, bucket)), Some((section, bucket)));
        }
    }

    #[test]
    fn the_next_prefix_follows_directly() {
        assert_eq!(after(prefix(section(1, 2, 3), 4)), Some(prefix(section(1, 2, 3), 5)));
        assert_eq!(after(prefix(section(1, 2, 3), i64::MAX)), Some(prefix(section(1, 2, 4), i64::MIN)));
        assert_eq!(after([255; PREFIX]), None);
    }

    #[test]
    fn common_starts_are_found_at_every_length() {
        let bytes: Vec<u8> = (0..40).collect();
        for length in 0..40 {
            for differs in 0..length {
                let mut other = bytes[..length].to_vec();
                other[differs] ^= 1;
                assert_eq!(common(&bytes, &other), differs);
            }
            assert_eq!(common(&bytes, &bytes[..length]), length);
        }
    }
}
