//! Topics: where records are read and written, as bytes.
//!
//! A backend keeps record batches in Kafka's own form ([`record`]) and knows nothing of what is in them. Readers see
//! only decided records: what a commit has made durable. [`log`] is the embedded log, [`memory`] the same contract in
//! memory.
//!
//! Offsets of a partition count from 0 without gaps in the embedded log: each record has the offset of the one before
//! plus one, and a removed suffix is given out again only if it was never decided. Records are deleted from the start
//! ([`Topics::start`]) and compacted away, which changes no offset. So a difference of offsets is a number of records
//! only where nothing was compacted, and never in Kafka.

pub mod compression;
mod foreign;
pub mod log;
pub mod memory;
pub mod record;
pub mod settings;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::error::Result;
use crate::ids::{EpochNumber, TopicId};
use record::{BatchHead, Record, RecordBatch, Records};

/// The place of a record in its partition.
///
/// From 0. Signed as in Kafka, whose clients use −1 and −2 for other things; here it is never negative.
pub type Offset = i64;

/// A topic.
///
/// The catalog has it; a backend knows partitions by their ids only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// The name, by which statements call it.
    pub name: String,
    /// The number, by which everything else knows it.
    pub id: TopicId,
    /// The number of partitions, at least 1.
    pub partitions: u32,
    /// Settings that differ from the default, by Kafka's names.
    pub config: BTreeMap<String, String>,
}

/// A partition of a topic.
///
/// Ordered by topic, then partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionId {
    /// The topic.
    pub topic: TopicId,
    /// The number of the partition; the first is 0.
    pub partition: u32,
}

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "partition {} of topic {}", self.partition, self.topic)
    }
}

/// About how many bytes a batch has at most that records are collected for.
pub const BATCH_BYTES: usize = 512 << 10;

/// Whole record batches, one after the other.
#[derive(Clone, Debug, Default)]
pub struct Fetch {
    /// Empty at the decided end, and before the start.
    pub bytes: Arc<Vec<u8>>,
    /// Where the partition starts, if the place that was asked for is before that: the records there were deleted.
    ///
    /// Then there are no bytes. The reader decides where it goes on.
    pub start: Option<Offset>,
}

impl Fetch {
    /// Nothing, since the partition starts only here.
    fn from_start(start: Offset) -> Fetch {
        Fetch { bytes: Arc::default(), start: Some(start) }
    }

    /// Calls `take` with each record from an offset on, in their order; the offset after the last batch, or `from` if there
    /// is none.
    ///
    /// # Errors
    /// The bytes are no whole record batches, or a batch is compressed; and what `take` says.
    pub fn each_record<'a>(&'a self, from: Offset, mut take: impl FnMut(&Record<'a>) -> Result<()>) -> Result<Offset> {
        let (mut rest, mut next) = (self.bytes.as_slice(), from);
        while let Some(head) = BatchHead::parse(rest)? {
            let (batch, behind) = rest.split_at(head.length);
            let mut records = Records::new(batch, head);
            while let Some(record) = records.next_record()? {
                if record.offset >= from {
                    take(&record)?;
                }
            }
            (rest, next) = (behind, next.max(head.next_offset()));
        }
        Ok(next)
    }

    /// The first of some batches; those after it are added while all have at most this many bytes, so that a reader
    /// that is late reads many small ones at once.
    fn joined<'a>(mut batches: impl Iterator<Item = &'a Arc<Vec<u8>>>, most_bytes: usize) -> Fetch {
        let most_bytes = most_bytes.min(JOINED_BYTES);
        let Some(first) = batches.next() else { return Fetch::default() };
        let mut bytes = first.len();
        let fits = |batch: &&Arc<Vec<u8>>| {
            bytes += batch.len();
            bytes <= most_bytes
        };
        let rest: Vec<&[u8]> = batches.take_while(fits).map(|batch| batch.as_slice()).collect();
        if rest.is_empty() {
            return Fetch { bytes: first.clone(), start: None };
        }
        let bytes = Arc::new([first.as_slice()].into_iter().chain(rest).collect::<Vec<_>>().concat());
        Fetch { bytes, start: None }
    }
}

/// A number of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// So many.
    Exactly(u64),
    /// So many or fewer: an upper bound.
    AtMost(u64),
}

impl Count {
    /// No records.
    pub const NONE: Count = Count::Exactly(0);

    /// The upper bound.
    pub fn most(self) -> u64 {
        match self {
            Count::Exactly(count) | Count::AtMost(count) => count,
        }
    }
}

impl std::ops::Add for Count {
    type Output = Count;

    /// Exact if both are.
    fn add(self, other: Count) -> Count {
        match (self, other) {
            (Count::Exactly(own), Count::Exactly(other)) => Count::Exactly(own + other),
            _ => Count::AtMost(self.most() + other.most()),
        }
    }
}

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Count::Exactly(count) => write!(f, "{count}"),
            Count::AtMost(count) => write!(f, "at most {count}"),
        }
    }
}

/// About how many bytes of small batches are read at once.
const JOINED_BYTES: usize = 64 << 10;

/// Appends record batches and says at which offsets they are, when they are durable.
///
/// One offset for each batch, that of its first record. Waits until the round is decided.
pub type AppendHandle = Arc<dyn Fn(Vec<(PartitionId, RecordBatch)>) -> Result<Vec<Offset>> + Send + Sync>;

/// A reader of one partition, with a position of its own.
///
/// A reader may be sent to another thread and is used by one at a time. It holds no lock between two reads.
pub trait Reader: Send {
    /// Whole batches from the one that holds `from`, about `most_bytes` of them but at least one; nothing at the
    /// decided end. The first batch may start with records before `from`. If `from` is before the start of the
    /// partition, [`Fetch::start`] says so.
    ///
    /// Kafka: a `BaseConsumer` that is `assign`ed the partition with `isolation.level=read_committed`, its
    /// `split_partition_queue` polled for messages; `seek` where `from` is not the position. librdkafka hands out
    /// messages and not batches, so that the backend writes them into batches of its own. Before the start:
    /// `RDKafkaErrorCode::OffsetOutOfRange`, with `auto.offset.reset=error`.
    fn read(&mut self, from: Offset, most_bytes: usize) -> Result<Fetch>;
}

/// A backend. A topic or partition that does not exist is an error of kind [`Missing`](crate::error::Kind::Missing),
/// trouble with the disk or the network one of kind [`Backend`](crate::error::Kind::Backend).
pub trait Topics: Send + Sync {
    /// Makes the partitions of a topic. A topic that is there already is fine.
    ///
    /// Kafka: `AdminClient::create_topics` with a `NewTopic` (`TopicReplication::Fixed`, `set` for each setting);
    /// `TopicAlreadyExists` is not an error. The id is the topic's UUID there, taken from `fetch_metadata`.
    fn create(&self, topic: &Topic) -> Result<()>;

    /// Removes a topic with all its records. One that is not there is fine.
    ///
    /// Kafka: `AdminClient::delete_topics`.
    fn delete(&self, topic: TopicId) -> Result<()>;

    /// A reader.
    ///
    /// Kafka: one `BaseConsumer` a worker, `incremental_assign` and `split_partition_queue` for each reader.
    fn reader(&self, partition: PartitionId) -> Result<Box<dyn Reader>>;

    /// The offset of the first record that there is.
    ///
    /// Kafka: the low mark of `Consumer::fetch_watermarks`.
    fn start(&self, partition: PartitionId) -> Result<Offset>;

    /// The offset after the last decided record.
    ///
    /// Kafka: the high mark of `Consumer::fetch_watermarks`; under `read_committed` the position that a drained reader
    /// stands at, since markers of transactions take offsets too. So "at its end" is asked of the reader's queue
    /// (`PartitionEOF`, `enable.partition.eof=true`), never computed from counts of records.
    fn end(&self, partition: PartitionId) -> Result<Offset>;

    /// How many decided records there are, as far as it is known without reading them.
    ///
    /// Kafka: high mark less low mark, and [`Count::AtMost`]: markers of transactions take offsets too, and compaction
    /// removes records but not offsets.
    fn count(&self, partition: PartitionId) -> Result<Count>;

    /// The offset of the first record whose time is at least this; the end if there is none.
    ///
    /// Kafka: `Consumer::offsets_for_times`.
    fn offset_for_time(&self, partition: PartitionId, time_ms: i64) -> Result<Offset>;

    /// Appends batches outside of any query, and returns when they are decided: the offset of each.
    ///
    /// Kafka: `FutureProducer::send_result` with `enable.idempotence=true` and `acks=all` for each record, awaited;
    /// `Delivery::offset` gives the offsets.
    ///
    /// All batches are decided together, or none.
    fn append(&self, batches: Vec<(PartitionId, RecordBatch)>) -> Result<Vec<Offset>>;
}

/// What a backend that decides commits by itself does with an epoch, beside [`Topics`]. The embedded log does not need
/// it, since there the journal's frame decides.
///
/// Kafka, on the transactional producer of the worker that runs the query (`transactional.id` from the node and the
/// worker): `init_transactions` once, when the producer is made, which ends what a predecessor left open; then for each
/// round one transaction for all epochs in it.
pub trait Transactions: Send {
    /// Writes the outputs and the positions of the epochs into one transaction and commits it. An error means that
    /// nothing was decided.
    ///
    /// Kafka: `begin_transaction`; `send` for each record; for each query `send_offsets_to_transaction` with the next
    /// offset of every source partition and the epoch's number in the metadata, under the consumer group of the query
    /// (`ConsumerGroupMetadata` of the worker's consumer); `commit_transaction`. After an error `abort_transaction`;
    /// after a fatal one (`RDKafkaError::is_fatal`), which also reports the loss of ownership, a new producer is made.
    fn commit(&mut self, epochs: &[EpochOutput]) -> Result<()>;

    /// The number of the last committed epoch of a query, which decides between the prepared ones in the journal.
    ///
    /// Kafka: `Consumer::committed_offsets` of the query's group with `require_stable`, reading the metadata.
    fn committed_epoch(&self, query: &str) -> Result<Option<EpochNumber>>;
}

/// The output of an epoch of a query.
pub struct EpochOutput {
    /// The id of the query.
    pub query: String,
    /// The number of the epoch.
    pub number: EpochNumber,
    /// The next offset of every source partition.
    pub positions: Vec<(PartitionId, Offset)>,
    /// The records, in the order in which they are appended.
    pub outputs: Vec<(PartitionId, RecordBatch)>,
}

/// The partition that a record's key belongs to, as Kafka's own clients compute it.
///
/// The same key goes to the same partition as with Kafka's Java client (`BuiltInPartitioner`, formerly
/// `DefaultPartitioner`): murmur2, the sign bit cleared, modulo the number of partitions. `partitions` 0 counts as 1.
pub fn partition_of(key: &[u8], partitions: u32) -> u32 {
    let hash = murmur2(key) & 0x7fff_ffff;
    // A division takes longer than all else here, and a power of two is what most topics have.
    if partitions.is_power_of_two() { hash & (partitions - 1) } else { hash % partitions.max(1) }
}

/// The hash of Kafka's default partitioner.
///
/// MurmurHash2 with the seed 0x9747b28c, as in Kafka's `Utils.murmur2`. The last one to three bytes are mixed in as a
/// little-endian number.
fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ data.len() as u32;
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = words.remainder();
    // Keys have all lengths, so that a loop over the rest would be guessed wrong: it is the upper end of the last word.
    let tail = match data.last_chunk::<4>() {
        Some(last) => (u64::from(u32::from_le_bytes(*last)) >> (8 * (4 - rest.len()))) as u32,
        None => rest.iter().rev().fold(0u32, |tail, byte| tail << 8 | u32::from(*byte)),
    };
    let mixed = (hash ^ tail).wrapping_mul(M);
    hash = if rest.is_empty() { hash } else { mixed };
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ hash >> 15
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_with_an_upper_bound_is_an_upper_bound() {
        let sum = Count::NONE + Count::Exactly(3) + Count::Exactly(4);
        assert_eq!((sum, sum.to_string().as_str()), (Count::Exactly(7), "7"));
        let sum = Count::AtMost(5) + sum;
        assert_eq!((sum, sum.to_string().as_str()), (Count::AtMost(12), "at most 12"));
        assert_eq!(Count::Exactly(1) + Count::AtMost(0), Count::AtMost(1));
    }

    #[test]
    fn keys_are_hashed_as_kafka_hashes_them() {
        // The values of the tests of Kafka's own clients.
        for (key, hash) in [
            ("21", -973_932_308i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()) as i32, hash, "{key}");
        }
    }

    /// The same hash as it is written down: word by word, then the rest byte by byte.
    fn slow_murmur2(data: &[u8]) -> u32 {
        const M: u32 = 0x5bd1_e995;
        let mut hash = 0x9747_b28c ^ data.len() as u32;
        for piece in data.chunks(4) {
            let number = piece.iter().rev().fold(0u32, |number, byte| number << 8 | u32::from(*byte));
            if piece.len() < 4 {
                hash = (hash ^ number).wrapping_mul(M);
                continue;
            }
            let word = number.wrapping_mul(M);
            hash = hash.wrapping_mul(M) ^ (word ^ word >> 24).wrapping_mul(M);
        }
        hash = (hash ^ hash >> 13).wrapping_mul(M);
        hash ^ hash >> 15
    }

    #[test]
    fn keys_of_every_length_go_where_kafka_puts_them() {
        let bytes: Vec<u8> = (0..40u8).map(|byte| byte.wrapping_mul(37) ^ 0xA5).collect();
        for (length, partitions) in (0..bytes.len()).flat_map(|length| [1, 3, 4, 7, 64].map(|count| (length, count))) {
            let key = &bytes[..length];
            assert_eq!(murmur2(key), slow_murmur2(key), "{length} bytes");
            assert_eq!(partition_of(key, partitions), (slow_murmur2(key) & 0x7fff_ffff) % partitions, "{length} bytes");
        }
    }
}
