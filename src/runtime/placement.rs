//! Where rows go and in which order those of several partitions are taken: by Kafka's rules, unless a test has its own.
//!
//! The test runner has a [`Placement`] of its own: a case of ksqlDB lists its records in one order, whatever their
//! topics and partitions, and they are taken in that order.

use std::sync::Arc;

use crate::topics::{Offset, PartitionId, partition_of};

/// The rules of a process.
pub trait Placement: Send + Sync {
    /// The partition of a record or task of a row with this key. A row without a key stays in the partition that it comes
    /// from.
    ///
    /// Kafka's default partitioner: murmur2 of the key's bytes, sign bit cleared, modulo the number of partitions.
    /// `partitions` is at least 1.
    fn partition(&self, key: Option<&[u8]>, from: u32, partitions: u32) -> u32 {
        match key {
            Some(key) => partition_of(key, partitions),
            None => from % partitions,
        }
    }

    /// What a record is ordered by first, instead of the stream time of its partition.
    ///
    /// `None` means that the stream time decides.
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
