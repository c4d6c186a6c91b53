//! The embedded log: a folder for each partition, with segments of record batches.
//!
//! Only the journal writes. It assigns offsets, and what it wrote becomes visible when it is decided. So undecided
//! bytes are always at the end of a partition.

mod partition;
mod segment;

pub use partition::{Partition, Place, WriteFailure, Written};

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, RwLock};

use super::record::RecordBatch;
use super::{AppendHandle, Fetch, Offset, PartitionId, Reader, Topic, TopicId, Topics};
use crate::disk::{Disk, SyncSite};
use crate::error::{Error, Result};
use crate::locks::{read, write};

/// The log of a data folder.
pub struct Log {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    segment_bytes: u64,
    partitions: RwLock<HashMap<PartitionId, Arc<Partition>>>,
    append: OnceLock<AppendHandle>,
}

impl Log {
    /// The log in a folder; its topics are opened by [`Topics::create`].
    pub fn new(disk: Arc<dyn Disk>, root: PathBuf, segment_bytes: u64) -> Self {
        Log { disk, root, segment_bytes, partitions: RwLock::default(), append: OnceLock::new() }
    }

    /// Connects the log with the journal, which is made after the log and does the appending.
    pub fn set_append(&self, append: AppendHandle) {
        // A log has one journal, so the first handle stays.
        let _ = self.append.set(append);
    }

    /// A partition.
    ///
    /// # Errors
    /// There is no such topic or partition.
    pub fn partition(&self, id: PartitionId) -> Result<Arc<Partition>> {
        let partitions = read(&self.partitions);
        let found = partitions.get(&id).cloned();
        found.ok_or_else(|| Error::missing(format!("there is no partition {} of topic {}", id.partition, id.topic)))
    }

    /// All partitions, in their order.
    pub fn partitions(&self) -> Vec<Arc<Partition>> {
        let mut all: Vec<_> = read(&self.partitions).values().cloned().collect();
        all.sort_by_key(|p| p.id);
        all
    }

    /// Removes the folders of topics that are not among `known`: a crash may have left them.
    ///
    /// # Errors
    /// A folder cannot be read or removed.
    pub fn remove_unknown(&self, known: &dyn Fn(TopicId) -> bool) -> Result<()> {
        for name in self.disk.names(&self.root)? {
            if !name.parse().is_ok_and(known) {
                self.disk.remove_dir(&self.root.join(name))?;
            }
        }
        Ok(())
    }

    /// The folder of a topic.
    fn topic_dir(&self, topic: TopicId) -> PathBuf {
        self.root.join(topic.to_string())
    }

    /// Makes the missing directories of a topic and makes their names durable.
    fn make_dirs(&self, topic: &Topic) -> std::io::Result<Vec<PathBuf>> {
        let dir = self.topic_dir(topic.id);
        let mut made = self.disk.create_dir(&dir)?;
        let dirs: Vec<PathBuf> = (0..topic.partitions).map(|p| dir.join(p.to_string())).collect();
        for dir in &dirs {
            made |= self.disk.create_dir(dir)?;
        }
        if made {
            for dir in [dir.as_path(), self.root.as_path()] {
                self.disk.sync_dir(dir, SyncSite::TopicDirectory)?;
            }
        }
        Ok(dirs)
    }
}

impl Topics for Log {
    fn create(&self, topic: &Topic) -> Result<()> {
        let id = |partition| PartitionId { topic: topic.id, partition };
        if self.partition(id(0)).is_ok() {
            return Ok(());
        }
        let dirs = self.make_dirs(topic)?;
        let mut opened = Vec::new();
        for (number, dir) in dirs.into_iter().enumerate() {
            let id = id(number as u32);
            opened.push((id, Arc::new(Partition::open(self.disk.clone(), dir, id, self.segment_bytes)?)));
        }
        write(&self.partitions).extend(opened);
        Ok(())
    }

    fn delete(&self, topic: TopicId) -> Result<()> {
        write(&self.partitions).retain(|id, _| id.topic != topic);
        match self.disk.remove_dir(&self.topic_dir(topic)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            other => Ok(other?),
        }
    }

    fn reader(&self, partition: PartitionId) -> Result<Box<dyn Reader>> {
        Ok(Box::new(LogReader { partition: self.partition(partition)?, hint: None, last: Fetch::default() }))
    }

    fn start(&self, partition: PartitionId) -> Result<Offset> {
        Ok(self.partition(partition)?.start())
    }

    fn end(&self, partition: PartitionId) -> Result<Offset> {
        Ok(self.partition(partition)?.decided().offset)
    }

    fn offset_for_time(&self, partition: PartitionId, time_ms: i64) -> Result<Offset> {
        self.partition(partition)?.offset_for_time(time_ms)
    }

    fn append(&self, batches: Vec<(PartitionId, RecordBatch)>) -> Result<Vec<Offset>> {
        let append = self.append.get().ok_or_else(|| Error::bug("a log that nothing appends to"))?;
        append(batches)
    }
}

/// A reader of one partition.
struct LogReader {
    partition: Arc<Partition>,
    /// Where the last read ended.
    hint: Option<Place>,
    /// The last read; its memory is used again unless somebody still holds it.
    last: Fetch,
}

impl Reader for LogReader {
    fn read(&mut self, from: Offset, most_bytes: usize) -> Result<Fetch> {
        let memory = Arc::try_unwrap(std::mem::take(&mut self.last.bytes)).unwrap_or_default();
        // At the end nothing is kept, so that idle readers take no memory.
        self.last = self.partition.read(from, most_bytes, &mut self.hint, memory)?;
        Ok(self.last.clone())
    }
}

/// The folder of topics in a data folder.
pub fn folder(data: &Path) -> PathBuf {
    data.join("topics")
}
