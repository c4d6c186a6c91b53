//! The embedded log: a folder for each partition, with segments of record batches.
//!
//! Only the journal writes. It assigns offsets, and what it wrote becomes visible when it is decided. So undecided
//! bytes are always at the end of a partition.
//!
//! ```text
//! topics/             the folder of the log
//!   7/                a topic, by its id
//!     0/              a partition
//!       00000000000000000000.log    a segment, by the offset of its first record
//!       00000000000000000200.1.log  one that took the place of others when it was compacted
//!       00000000000000123456.log
//! ```
//!
//! A segment holds record batches one after the other and nothing else; what is an index on disk elsewhere is kept in
//! memory and built when it is asked for. The name of a topic is nowhere in the log.
//!
//! Reading goes by the shortest way: the last decided batches of each partition are in memory; else a reader that goes
//! on where it stopped knows the byte; else the index of the segment finds it.

mod compaction;
mod front;
mod layout;
mod partition;
mod read;
mod retention;
mod segment;
mod tail;

pub use compaction::{Compaction, Work};
pub use front::Front;
pub use layout::{Compacted, Layout};
pub use partition::{Partition, Place, WriteFailure, Written};

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, OnceLock, RwLock};

use super::compression;
use super::record::RecordBatch;
use super::settings::TopicSettings;
use super::{AppendHandle, Count, Fetch, Offset, PartitionId, Reader, Topic, Topics};
use crate::disk::{Disk, Handles, SyncSite};
use crate::error::{Error, Result};
use crate::ids::TopicId;
use crate::locks::{read, write};

/// The log of a data folder.
pub struct Log {
    handles: Arc<Handles>,
    /// The bytes that all partitions keep in memory for readers at their ends.
    ///
    /// At most about 32 MiB, and 16 KiB for each partition.
    tails: Arc<AtomicUsize>,
    /// The folder of all topics.
    root: PathBuf,
    /// A batch that would pass it begins a new segment.
    segment_bytes: u64,
    partitions: RwLock<HashMap<PartitionId, Arc<Partition>>>,
    /// Empty until the engine has connected the journal.
    append: OnceLock<AppendHandle>,
}

impl Log {
    /// The log in a folder; its topics are opened by [`Topics::create`].
    pub fn new(disk: Arc<dyn Disk>, root: PathBuf, segment_bytes: u64) -> Self {
        let handles = Arc::new(Handles::sharing(disk));
        Log {
            handles,
            tails: Arc::default(),
            root,
            segment_bytes,
            partitions: RwLock::default(),
            append: OnceLock::new(),
        }
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
    ///
    /// By topic, then by number.
    pub fn partitions(&self) -> Vec<Arc<Partition>> {
        let mut all: Vec<_> = read(&self.partitions).values().cloned().collect();
        all.sort_by_key(|p| p.id);
        all
    }

    /// Has the partitions of a topic follow its settings from now on.
    pub fn configure(&self, topic: &Topic) {
        let settings = Arc::new(TopicSettings::of(&topic.config));
        let partitions = read(&self.partitions);
        let own = partitions.values().filter(|partition| partition.id.topic == topic.id);
        own.for_each(|partition| partition.configure(settings.clone()));
    }

    /// Compresses batches as the settings of their topics say. A topic that is gone has none.
    ///
    /// # Errors
    /// A bug.
    pub fn compress(&self, batches: &mut [(PartitionId, RecordBatch)]) -> Result<()> {
        // Mostly all batches are of one topic.
        let mut last = None;
        for (id, batch) in batches {
            if last.is_none_or(|(topic, _)| topic != id.topic) {
                let codec = self.partition(*id).ok().and_then(|partition| partition.settings().codec);
                last = Some((id.topic, codec));
            }
            if let Some((_, Some(codec))) = last {
                *batch = compression::compress(batch.clone(), codec)?;
            }
        }
        Ok(())
    }

    /// Makes everything durable that was written before, in all partitions.
    ///
    /// # Errors
    /// A segment cannot be synced.
    pub fn sync(&self, site: SyncSite) -> Result<()> {
        self.sync_each(&self.partitions(), site)
    }

    fn sync_each(&self, partitions: &[Arc<Partition>], site: SyncSite) -> Result<()> {
        for partition in partitions {
            match partition.sync(site) {
                // Its topic was deleted meanwhile: there is nothing left to be made durable.
                Err(error) if error.kind() == ErrorKind::NotFound && self.partition(partition.id).is_err() => {}
                other => other?,
            }
        }
        Ok(())
    }

    /// Removes the folders of topics that are not among `known`: a crash may have left them. What the log has not written
    /// stays, and its paths are returned.
    ///
    /// Called once, before topics are opened. A folder counts as a topic's if its name is a number as the log writes
    /// it.
    ///
    /// # Errors
    /// A folder cannot be read or removed.
    pub fn remove_unknown(&self, known: &dyn Fn(TopicId) -> bool) -> Result<Vec<PathBuf>> {
        let mut foreign = Vec::new();
        for name in self.handles.disk().names(&self.root)? {
            let path = self.root.join(&name);
            match name.parse().ok().map(TopicId::new).filter(|topic| topic.to_string() == name) {
                Some(topic) if known(topic) => {}
                Some(_) => foreign.extend(self.remove_topic(&path)?),
                None => foreign.push(path),
            }
        }
        Ok(foreign)
    }

    /// Removes what the log has written to the folder of a topic, and the folder if that is all; what else is in it.
    ///
    /// Foreign files keep their folders; the segments beside them go all the same.
    fn remove_topic(&self, dir: &Path) -> std::io::Result<Vec<PathBuf>> {
        let disk = self.handles.disk();
        // A file has no names in it: it is no folder of a topic.
        let names = |path: &Path| match disk.names(path) {
            Err(error) if error.kind() == ErrorKind::NotADirectory => Ok(None),
            other => other.map(Some),
        };
        let Some(partitions) = names(dir)? else { return Ok(vec![dir.to_owned()]) };
        let mut foreign = Vec::new();
        for name in partitions {
            let path = dir.join(&name);
            let files = if name.parse::<u32>().is_ok() { names(&path)? } else { None };
            let Some(files) = files else {
                foreign.push(path);
                continue;
            };
            let (ours, others): (Vec<String>, Vec<String>) =
                files.into_iter().partition(|file| segment::parse_name(file).is_some());
            if others.is_empty() {
                disk.remove_dir(&path)?;
            } else {
                ours.iter().try_for_each(|file| disk.remove_file(&path.join(file)))?;
                foreign.extend(others.iter().map(|file| path.join(file)));
            }
        }
        if foreign.is_empty() {
            disk.remove_dir(dir)?;
        }
        Ok(foreign)
    }

    /// The folder of a topic.
    fn topic_dir(&self, topic: TopicId) -> PathBuf {
        self.root.join(topic.to_string())
    }

    /// Makes the missing directories of a topic and makes their names durable.
    ///
    /// All partitions from 0 on, in their order. Nothing is synced if all were there.
    fn make_dirs(&self, topic: &Topic) -> std::io::Result<Vec<PathBuf>> {
        let dir = self.topic_dir(topic.id);
        let mut made = self.handles.disk().create_dir(&dir)?;
        let dirs: Vec<PathBuf> = (0..topic.partitions).map(|p| dir.join(p.to_string())).collect();
        for dir in &dirs {
            made |= self.handles.disk().create_dir(dir)?;
        }
        if made {
            for dir in [dir.as_path(), self.root.as_path()] {
                self.handles.disk().sync_dir(dir, SyncSite::TopicDirectory)?;
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
        let settings = Arc::new(TopicSettings::of(&topic.config));
        let mut opened = Vec::new();
        for (number, dir) in dirs.into_iter().enumerate() {
            let id = id(number as u32);
            let partition = Partition::open(self.handles.clone(), self.tails.clone(), (dir, id), self.segment_bytes)?;
            partition.configure(settings.clone());
            opened.push((id, Arc::new(partition)));
        }
        write(&self.partitions).extend(opened);
        Ok(())
    }

    fn delete(&self, topic: TopicId) -> Result<()> {
        write(&self.partitions).retain(|id, _| id.topic != topic);
        let foreign = match self.remove_topic(&self.topic_dir(topic)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        match foreign.first() {
            None => Ok(()),
            Some(path) => {
                let count = foreign.len();
                Err(Error::backend(format!(
                    "{count} files in it are not of the log and stay, {} is one",
                    path.display()
                )))
            }
        }
    }

    fn reader(&self, partition: PartitionId) -> Result<Box<dyn Reader>> {
        Ok(Box::new(LogReader { partition: self.partition(partition)?, hint: None, last: Fetch::default() }))
    }

    fn start(&self, partition: PartitionId) -> Result<Offset> {
        Ok(self.partition(partition)?.front().start)
    }

    fn end(&self, partition: PartitionId) -> Result<Offset> {
        Ok(self.partition(partition)?.decided().offset)
    }

    fn count(&self, partition: PartitionId) -> Result<Count> {
        // The start first: it may go on meanwhile, and never passes the end.
        let (start, end) = (self.start(partition)?, self.end(partition)?);
        let count = (end - start) as u64;
        // Offsets of the log have no gaps, except where it was compacted.
        Ok(match self.partition(partition)?.layout().compacted.is_empty() {
            true => Count::Exactly(count),
            false => Count::AtMost(count),
        })
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
    ///
    /// Only a hint: it is used if offset and segment fit.
    hint: Option<read::Hint>,
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::disk::double::ForgetfulDisk;
    use crate::topics::record::BatchWriter;

    /// A log with a topic of so many partitions that not all of their files stay open; something was written to each.
    fn bed() -> (Log, Arc<dyn Disk>) {
        let disk = ForgetfulDisk::new(0).boot();
        let log = Log::new(disk.clone(), PathBuf::from("/topics"), 1 << 20);
        disk.create_dir(Path::new("/topics")).expect("a folder");
        let topic = Topic { name: "t".to_owned(), id: TopicId::new(0), partitions: 40, config: BTreeMap::new() };
        log.create(&topic).expect("created");
        for partition in log.partitions() {
            let mut writer = BatchWriter::new();
            writer.push(0, None, Some(b"x"), &[]);
            partition.write(&mut writer.finish().expect("a record")).expect("written");
        }
        (log, disk)
    }

    #[test]
    fn records_that_are_not_decided_are_not_counted() {
        let (log, _) = bed();
        assert_eq!(log.count(PartitionId { topic: TopicId::new(0), partition: 3 }).expect("there"), Count::NONE);
    }

    #[test]
    fn a_topic_that_is_deleted_while_all_are_synced_is_in_nobodys_way() {
        let (log, _) = bed();
        let partitions = log.partitions();
        log.delete(TopicId::new(0)).expect("deleted");
        log.sync_each(&partitions, SyncSite::CheckpointSegment).expect("what is left is durable");
    }

    #[test]
    fn a_segment_that_is_gone_although_its_topic_is_there_cannot_be_synced() {
        let (log, disk) = bed();
        for partition in 0..40 {
            disk.remove_file(&PathBuf::from(format!("/topics/0/{partition}/{}", segment::file_name((0, 0)))))
                .expect("removed");
        }
        assert!(log.sync(SyncSite::CheckpointSegment).is_err());
    }
}
