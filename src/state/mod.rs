//! What operators remember: the hot tier in memory, and the files of a checkpoint.
//!
//! State is a set of entries `(bucket, key) → value`, all of them bytes; a bucket is a stretch of event time, and is dropped
//! whole. Operators keep their entries in typed form ([`KeyTable`] finds the group of a key); what they hand to the journal
//! and to checkpoints are bytes.
//!
//! The way of an entry:
//!
//! ```text
//! operator, typed        `take_changes` at the end of an epoch
//!   → delta              a section for each operator task whose state changed, in the epoch's entry of the journal
//!   → sorter, run        at a checkpoint: the changes of many epochs, sorted, in one file for all queries
//!   → merged run         now and then: several runs in one, without what is overridden or dead
//!   → operator, typed    after a restart: runs first, then the deltas after the checkpoint, in their order
//! ```
//!
//! The hot tier is always complete: a running query never reads a run. Runs are read when a query starts again, for a
//! pull by key while that goes on, and by merges. Nothing here knows what the bytes of a key or a value mean.

use std::fmt;

pub mod column;
pub mod delta;
mod entries;
mod key_table;
pub mod runs;

pub use entries::EntryBatch;
pub use key_table::{KeyTable, prefetch};

/// What a stateful operator of a plan does.
///
/// The numbers of the variants are on disk (see [`OperatorId::encode`]), so a new one goes to the end.
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
    ///
    /// From 0; messages count from 1.
    pub number: u16,
}

impl OperatorId {
    /// The id as a number.
    ///
    /// The kind in the upper 16 bits, the number in the lower 16. On disk for ever: in deltas, runs and the records of
    /// statements.
    pub fn encode(self) -> u32 {
        (self.kind as u32) << 16 | u32::from(self.number)
    }

    /// The id of a number that [`OperatorId::encode`] gave.
    ///
    /// `None` if there is no such kind.
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
///
/// The bucket `b` holds the times `[b × width, (b + 1) × width)`; which width is the operator's affair ([`bucket_ms`]).
/// Numbers may be negative. Operators also use an extreme number for entries that have no place in event time.
pub type BucketId = i64;

/// The most buckets that a store cuts its retention into.
///
/// More buckets mean that less expired state is kept; fewer mean that less is done for each.
pub const MOST_BUCKETS: i64 = 128;

/// The width of a bucket for state that is kept for `retention_ms`, in whole multiples of `step_ms`.
///
/// A step is never cut by the border of two buckets. The retention, cut into such buckets, touches at most
/// [`MOST_BUCKETS`], the partly filled ones at both ends included. State that is kept for a day with steps of five
/// minutes gets buckets of 15 minutes. A step below 1 counts as 1.
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
