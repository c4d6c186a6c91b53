//! Rows that failed: how many may wait for the end of an epoch, their names, and the records that they come from.

use super::query::QueryRun;
use super::task::Task;
use crate::error::Result;
use crate::ids::TopicId;
use crate::operators::{Failure, Origin};
use crate::topics::record::Record;
use crate::topics::{Offset, PartitionId, Topics};

/// With so many failures kept the epoch ends, so that they do not fill the memory.
const MOST_KEPT: usize = 10_000;
/// The same if records of so many bytes were taken and some failed: those are copied when the epoch ends.
const MOST_BYTES: usize = 16 << 20;
/// About how many bytes are read at once to find records again.
const READ_BYTES: usize = 256 << 10;

impl QueryRun {
    /// Has the epoch end before another turn if it has kept many failures, or failures and large records.
    ///
    /// Not while turns are repeated: their epoch ends where it ended before.
    pub(super) fn bound_failures(&mut self) {
        if self.options.keeps_failures && self.redo.0.is_empty() && !self.redo.1 {
            let tasks: usize = self.stages.iter().map(|task: &Task| task.log.failures().len()).sum();
            let kept = tasks + self.log.failures().len();
            let bytes: usize = self.cursors.iter().flatten().map(|cursor| cursor.taken_bytes).sum();
            self.must_end |= kept >= MOST_KEPT || (kept > 0 && bytes >= MOST_BYTES);
        }
    }

    /// The topic of a record that the query has read, with its name.
    ///
    /// # Panics
    /// The record is not one of this query's.
    pub fn topic_of(&self, origin: Origin) -> (TopicId, &str) {
        let (id, name) = &self.program.topics[origin.topic];
        (*id, name)
    }

    /// A failure in a sentence that says where the row comes from.
    pub fn sentence(&self, failure: &Failure) -> String {
        match failure.origin {
            Some(origin) => {
                let (topic, Origin { partition, offset, .. }) = (self.topic_of(origin).1, origin);
                format!("topic {topic} partition {partition} offset {offset}: {}", failure.message)
            }
            None => failure.message.clone(),
        }
    }
}

/// Calls `take` with the records of a partition at these offsets, which rise; with `None` for a record that is not there
/// any more.
///
/// # Errors
/// The topic cannot be read, and what `take` says.
pub fn records_at(
    topics: &dyn Topics,
    id: PartitionId,
    offsets: &[Offset],
    take: &mut dyn FnMut(Offset, Option<&Record>) -> Result<()>,
) -> Result<()> {
    let mut reader = topics.reader(id)?;
    let mut left = offsets.iter().copied().peekable();
    while let Some(next) = left.peek().copied() {
        let fetch = reader.read(next, READ_BYTES)?;
        let end = fetch.each_record(next, |record| {
            while let Some(gone) = left.next_if(|offset| *offset < record.offset) {
                take(gone, None)?;
            }
            left.next_if_eq(&record.offset).map_or(Ok(()), |offset| take(offset, Some(record)))
        })?;
        while let Some(gone) = left.next_if(|offset| *offset < end.max(next + 1)) {
            take(gone, None)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::topics::Topic;
    use crate::topics::memory::MemoryTopics;
    use crate::topics::record::BatchWriter;

    #[test]
    fn records_are_found_again_by_their_offsets() {
        let topics: Arc<MemoryTopics> = Arc::default();
        let topic = TopicId::new(1);
        let id = PartitionId { topic, partition: 0 };
        topics
            .create(&Topic { id: topic, name: "t".to_owned(), partitions: 1, config: Default::default() })
            .expect("a new topic");
        for from in [0, 10, 20] {
            let mut writer = BatchWriter::new();
            (from..from + 10i64).for_each(|n| writer.push(n, None, Some(n.to_string().as_bytes()), &[]));
            topics.append(writer.finish().map(|batch| (id, batch)).into_iter().collect()).expect("appended");
        }
        topics.delete_before(id, 5).expect("deleted");
        let mut found = Vec::new();
        let mut take = |offset, record: Option<&Record>| {
            let text = record.and_then(|record| record.value).map(|value| String::from_utf8_lossy(value).into_owned());
            found.push((offset, text));
            Ok(())
        };
        records_at(topics.as_ref(), id, &[3, 4, 7, 10, 29, 30], &mut take).expect("readable");
        let there = |offset: i64| (offset, Some(offset.to_string()));
        assert_eq!(found, [(3, None), (4, None), there(7), there(10), there(29), (30, None)]);
    }
}
