//! What operators remember: the hot tier in memory, and the files of a checkpoint.
//!
//! State is a set of entries `(bucket, key) → value`, all of them bytes; a bucket is a stretch of event time, and is dropped
//! whole. Operators keep their entries in typed form ([`KeyTable`] finds the group of a key); what they hand to the journal
//! and to checkpoints are bytes.

use std::fmt;

pub mod column;
pub mod delta;
mod entries;
mod key_table;
pub mod runs;

pub use entries::EntryBatch;
pub use key_table::{KeyTable, prefetch};

/// What a stateful operator of a plan does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OperatorKind {
    /// An aggregation: it keeps the state of each group.
    Aggregate,
    /// A stream-stream join: it keeps rows as long as a partner can come.
    Join,
}

impl OperatorKind {
    const ALL: [OperatorKind; 2] = [OperatorKind::Aggregate, OperatorKind::Join];

    /// The name in messages.
    pub fn name(self) -> &'static str {
        match self {
            OperatorKind::Aggregate => "aggregate",
            OperatorKind::Join => "join",
        }
    }
}

/// The id that a plan gives to a stateful operator. State is found by it, so that a query that is replaced keeps what is
/// unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperatorId {
    /// Operators of other kinds have numbers of their own.
    pub kind: OperatorKind,
    /// Counts the operators of the kind in the plan.
    pub number: u16,
}

impl OperatorId {
    /// The id as a number.
    pub fn encode(self) -> u32 {
        (self.kind as u32) << 16 | u32::from(self.number)
    }

    /// The id of a number that [`OperatorId::encode`] gave.
    pub fn decode(encoded: u32) -> Option<OperatorId> {
        let kind = OperatorKind::ALL.into_iter().find(|kind| *kind as u32 == encoded >> 16)?;
        Some(OperatorId { kind, number: encoded as u16 })
    }
}

impl fmt::Display for OperatorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.name(), self.number + 1)
    }
}

/// The state of an operator in one of its tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperatorTask {
    /// The operator in the plan of its query.
    pub operator: OperatorId,
    /// The number of the task in its stage; the first is 0.
    pub task: u32,
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
