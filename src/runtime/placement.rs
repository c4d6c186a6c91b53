//! Where rows go and in which order those of several partitions are taken: by Kafka's rules, unless a test has its own.

use std::sync::Arc;

use crate::topics::{Offset, PartitionId, partition_of};

/// The rules of a process.
pub trait Placement: Send + Sync {
    /// The partition of a record or task of a row with this key. A row without a key stays in the partition that it comes
    /// from.
    fn partition(&self, key: Option<&[u8]>, from: u32, partitions: u32) -> u32 {
        match key {
            Some(key) => partition_of(key, partitions),
            None => from % partitions,
        }
    }

    /// What a record is ordered by first, instead of the stream time of its partition.
    fn order(&self, partition: PartitionId, offset: Offset) -> Option<i64> {
        let _ = (partition, offset);
        None
    }
}

/// The rules of Kafka and of the engine.
struct Usual;

impl Placement for Usual {}

/// The rules that hold outside of tests.
pub fn usual() -> Arc<dyn Placement> {
    Arc::new(Usual)
}
