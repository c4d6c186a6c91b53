//! What operators remember: the hot tier in memory, and the files of a checkpoint.
//!
//! State is a set of entries `(bucket, key) → value`, all of them bytes; a bucket is a stretch of event time, and is dropped
//! whole. Operators keep their entries in typed form ([`KeyTable`] finds the group of a key); what they hand to the journal
//! and to checkpoints are bytes.

pub mod buckets;
mod key_table;

pub use key_table::KeyTable;

/// A place among the entries of a bucket, as the operator that has them counts; entries may come and go around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(pub i64, pub u64);

impl Place {
    /// Before the first entry.
    pub const START: Place = Place(i64::MIN, 0);
}

/// A stretch of event time whose state is dropped together.
pub type BucketId = i64;

/// The most buckets that a store cuts its retention into.
pub const MOST_BUCKETS: i64 = 128;

/// The width of a bucket for state that is kept for `retention_ms`, in whole multiples of `step_ms`.
pub fn bucket_ms(retention_ms: i64, step_ms: i64) -> i64 {
    let step = step_ms.max(1);
    let least = retention_ms / (MOST_BUCKETS - 2) + 1;
    ((least + step - 1) / step).saturating_mul(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_of_five_minute_windows_fits_into_the_buckets() {
        let day = 24 * 3_600_000;
        let width = bucket_ms(day, 300_000);
        assert_eq!(width % 300_000, 0);
        assert!(day / width + 2 <= MOST_BUCKETS);
        assert_eq!(bucket_ms(1_000, 10_000), 10_000);
    }
}
