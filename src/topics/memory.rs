//! Topics in memory: the same contract as the log without a disk, for tests.
//!
//! Every append is decided at once. No setting of a topic is followed, and a read returns one batch.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use super::record::{BatchHead, RecordBatch, Records};
use super::{Count, Fetch, Offset, PartitionId, Reader, Topic, Topics};
use crate::error::{Error, Result};
use crate::ids::TopicId;
use crate::locks::lock;

/// Topics that are gone with the process.
#[derive(Clone, Default)]
pub struct MemoryTopics(Arc<Mutex<HashMap<PartitionId, Stored>>>);

/// A partition: its batches by the offset at which each starts.
#[derive(Default)]
struct Stored {
    /// In the order of their offsets.
    batches: Vec<(Offset, Arc<Vec<u8>>)>,
    /// The first offset that readers see.
    start: Offset,
    end: Offset,
}

/// Records for a partition.
type Batch = (PartitionId, RecordBatch);

impl MemoryTopics {
    /// No topics.
    pub fn new() -> Self {
        Self::default()
    }

    /// Deletes the records before an offset, at most all; the start after that.
    ///
    /// # Errors
    /// Kind `Missing`: there is no such partition.
    pub fn delete_before(&self, id: PartitionId, before: Offset) -> Result<Offset> {
        let mut all = self.lock();
        let stored = all.get_mut(&id).ok_or_else(|| Error::missing(format!("there is no {id}")))?;
        stored.start = before.clamp(stored.start, stored.end);
        let after = stored.batches.partition_point(|(first, _)| *first <= stored.start);
        stored.batches.drain(..after.saturating_sub(1));
        Ok(stored.start)
    }

    /// Appends batches, and those of `asides` whose topics are there; a topic may be deleted at any moment before. The offset
    /// at which each batch begins that was appended.
    ///
    /// # Errors
    /// Kind `Missing`: a partition of `batches` is not there; nothing is appended then.
    pub fn append_with(&self, batches: Vec<Batch>, asides: Vec<Batch>) -> Result<Vec<Offset>> {
        let mut all = self.lock();
        let missing = batches.iter().find(|(id, _)| !all.contains_key(id));
        if let Some((id, _)) = missing {
            return Err(Error::missing(format!("there is no {id}")));
        }
        let mut offsets = Vec::new();
        for (id, mut batch) in batches.into_iter().chain(asides) {
            let Some(stored) = all.get_mut(&id) else { continue };
            let records = i64::from(batch.records());
            batch.set_base_offset(stored.end);
            offsets.push(stored.end);
            stored.batches.push((stored.end, batch.plain().clone()));
            stored.end += records;
        }
        Ok(offsets)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PartitionId, Stored>> {
        lock(&self.0)
    }

    /// Looks at a partition; an error if there is no such partition.
    ///
    /// # Errors
    /// Kind `Missing`.
    fn with<T>(&self, id: PartitionId, look: impl FnOnce(&Stored) -> T) -> Result<T> {
        let missing = || Error::missing(format!("there is no partition {} of topic {}", id.partition, id.topic));
        self.lock().get(&id).map(look).ok_or_else(missing)
    }
}

impl Topics for MemoryTopics {
    fn create(&self, topic: &Topic) -> Result<()> {
        let mut all = self.lock();
        for partition in 0..topic.partitions {
            all.entry(PartitionId { topic: topic.id, partition }).or_default();
        }
        Ok(())
    }

    fn delete(&self, topic: TopicId) -> Result<()> {
        self.lock().retain(|id, _| id.topic != topic);
        Ok(())
    }

    fn reader(&self, partition: PartitionId) -> Result<Box<dyn Reader>> {
        self.with(partition, |_| ())?;
        Ok(Box::new(MemoryReader { topics: self.clone(), partition }))
    }

    fn start(&self, partition: PartitionId) -> Result<Offset> {
        self.with(partition, |p| p.start)
    }

    fn end(&self, partition: PartitionId) -> Result<Offset> {
        self.with(partition, |p| p.end)
    }

    fn count(&self, partition: PartitionId) -> Result<Count> {
        self.with(partition, |p| Count::Exactly((p.end - p.start) as u64))
    }

    fn offset_for_time(&self, partition: PartitionId, time_ms: i64) -> Result<Offset> {
        self.with(partition, |stored| {
            for (_, batch) in &stored.batches {
                let Some(head) = BatchHead::parse(batch)?.filter(|h| h.max_time >= time_ms) else { continue };
                let mut records = Records::new(batch, head);
                while let Some(record) = records.next_record()? {
                    if record.time >= time_ms && record.offset >= stored.start {
                        return Ok(record.offset);
                    }
                }
            }
            Ok(stored.end)
        })?
    }

    fn append(&self, batches: Vec<Batch>) -> Result<Vec<Offset>> {
        self.append_with(batches, Vec::new())
    }
}

/// A reader of one partition.
struct MemoryReader {
    topics: MemoryTopics,
    partition: PartitionId,
}

impl Reader for MemoryReader {
    fn read(&mut self, from: Offset, most_bytes: usize) -> Result<Fetch> {
        self.topics.with(self.partition, |stored| {
            if from >= stored.end {
                return Fetch::default();
            }
            if from < stored.start {
                return Fetch::from_start(stored.start);
            }
            let after = stored.batches.partition_point(|(first, _)| *first <= from);
            let behind = &stored.batches[after.saturating_sub(1)..];
            Fetch::joined(behind.iter().map(|(_, batch)| batch), most_bytes)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::topics::record::BatchWriter;

    fn topic(number: u64) -> Topic {
        Topic { id: TopicId::new(number), name: number.to_string(), partitions: 1, config: Default::default() }
    }

    fn batch(number: u64) -> Batch {
        let mut writer = BatchWriter::new();
        writer.push(0, None, Some(b"x"), &[]);
        (PartitionId { topic: TopicId::new(number), partition: 0 }, writer.finish().expect("a record"))
    }

    /// Another thread makes and deletes the topic all the time.
    #[test]
    fn a_topic_that_is_deleted_meanwhile_gets_no_asides_and_the_rest_is_appended() {
        let topics = MemoryTopics::new();
        topics.create(&topic(1)).expect("a topic");
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..50_000 {
                    topics.create(&topic(2)).expect("a topic");
                    // It is there for about as long as it is not.
                    (0..200).for_each(|_| std::hint::spin_loop());
                    topics.delete(TopicId::new(2)).expect("deleted");
                }
                is_over.store(true, Ordering::Relaxed);
            });
            let mut n = 0;
            while !is_over.load(Ordering::Relaxed) {
                let appended = topics.append_with(vec![batch(1)], vec![batch(2)]);
                assert_eq!(appended.map(|offsets| offsets[0]).map_err(|error| error.to_string()), Ok(n));
                n += 1;
            }
        });
    }

    #[test]
    fn nothing_is_appended_if_a_partition_is_not_there() {
        let topics = MemoryTopics::new();
        topics.create(&topic(1)).expect("a topic");
        assert!(topics.append(vec![batch(1), batch(2)]).is_err());
        assert_eq!(topics.end(batch(1).0).expect("an end"), 0);
    }
}
