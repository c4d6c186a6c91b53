//! The bed of a benchmark: an engine over a folder of its own, and the loading of its topics.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::events;
use super::input::Input;
use super::usage::{Meter, MeteredDisk};
use crate::clock::SystemClock;
use crate::config::{self, Properties};
use crate::engine::{Drive, Engine, Settings, Store};
use crate::error::{Error, Result};
use crate::statements::{self, Outcome, Session};
use crate::topics::record::{BatchWriter, RecordBatch};
use crate::topics::{PartitionId, Topic, partition_of};

/// An engine over a new folder, which goes when the bed does.
pub(super) struct Bed {
    // In this order: the engine closes before its folder goes.
    pub engine: Engine,
    pub meter: Arc<Meter>,
    pub folder: Folder,
}

/// A folder of a benchmark, which goes with this.
pub(super) struct Folder(PathBuf);

impl Folder {
    /// The folder of a benchmark in `parent`, which is not made yet.
    pub(super) fn new(parent: &Path, name: &str) -> Folder {
        Folder(parent.join(format!("bench-{}-{name}", std::process::id())))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays behind is named in the folder's own name; the next benchmark takes another.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A batch of records is about this large.
const BATCH_BYTES: usize = 64 << 10;
/// An append is about this large.
const APPEND_BYTES: usize = 4 << 20;

impl Bed {
    /// An engine over the folder `name` in `parent`.
    pub(super) fn new(parent: &Path, name: &str, properties: &Properties) -> Result<Bed> {
        Bed::open(Folder::new(parent, name), properties)
    }

    /// An engine over a folder.
    pub(super) fn open(folder: Folder, properties: &Properties) -> Result<Bed> {
        let meter = Arc::new(Meter::default());
        let store = Store::Folder { disk: Arc::new(MeteredDisk(meter.clone())), path: folder.0.clone() };
        let settings = Settings {
            drive: Drive::Threads { start: true },
            properties: properties.clone(),
            events: events::warnings(),
            ..Settings::new(store, Arc::new(SystemClock::new()), statements::compile_kept)
        };
        let engine = Engine::open(settings.with(&[(config::OFFSET_RESET, "earliest")])?)?;
        Ok(Bed { engine, meter, folder })
    }

    /// Executes statements, under properties of their own.
    pub(super) fn execute(&self, text: &str, own: Properties) -> Result<()> {
        let script = statements::parse(text).map_err(|mut errors| errors.remove(0))?;
        let mut session = Session::new(&self.engine, own);
        for parsed in &script {
            match session.run(parsed)? {
                Outcome::Changed { .. } | Outcome::Done { .. } | Outcome::Reply(_) => {}
                Outcome::Rows(_) | Outcome::Push { .. } | Outcome::Print { .. } => {
                    return Err(Error::bug("a benchmark shows no rows"));
                }
            }
        }
        Ok(())
    }

    /// A topic that a statement has made.
    pub(super) fn topic(&self, name: &str) -> Result<Arc<Topic>> {
        let catalog = self.engine.catalog();
        catalog.topic(name).cloned().ok_or_else(|| catalog.no_topic(name))
    }

    /// Fills a topic with the first records of an input, cut by their keys; the number of records.
    pub(super) fn load(&self, input: Input, rows: u64) -> Result<u64> {
        let mut loader = Loader::new(self, input.topic())?;
        let (mut key, mut value) = (String::new(), String::new());
        for i in 0..rows {
            input.key(i, &mut key);
            input.value(i, input.time(i), &key, &mut value);
            loader.push(input.time(i), &key, &value)?;
        }
        loader.finish()
    }

    /// Fills a topic with the lines of a file, `{"key":…,"timestamp":…,"value":{…}}` each; the number of records.
    pub(super) fn load_file(&self, topic: &str, path: &Path) -> Result<u64> {
        let mut loader = Loader::new(self, topic)?;
        let mut file = BufReader::with_capacity(1 << 20, File::open(path)?);
        let mut line = String::new();
        let mut number = 0;
        while file.read_line(&mut line)? > 0 {
            number += 1;
            let parsed: Line = serde_json::from_str(&line)
                .map_err(|e| Error::invalid(format!("{} line {number}: {e}", path.display())))?;
            loader.push(parsed.timestamp, &parsed.key, parsed.value.get())?;
            line.clear();
        }
        loader.finish()
    }
}

/// A line of an input file. The value is not parsed: its text becomes the record's value.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    key: std::borrow::Cow<'a, str>,
    timestamp: i64,
    #[serde(borrow)]
    value: &'a RawValue,
}

/// Records on their way to a topic.
///
/// Batches are about 64 KiB and appends about 4 MiB, so that loading costs few rounds.
struct Loader<'a> {
    bed: &'a Bed,
    topic: Arc<Topic>,
    writers: Vec<BatchWriter>,
    ready: Vec<(PartitionId, RecordBatch)>,
    ready_bytes: usize,
    records: u64,
}

impl<'a> Loader<'a> {
    fn new(bed: &'a Bed, topic: &str) -> Result<Self> {
        let topic = bed.topic(topic)?;
        let writers = (0..topic.partitions).map(|_| BatchWriter::new()).collect();
        Ok(Loader { bed, topic, writers, ready: Vec::new(), ready_bytes: 0, records: 0 })
    }

    /// Adds a record. `time` is in milliseconds since the epoch; the partition is that of the key by Kafka's rule.
    fn push(&mut self, time: i64, key: &str, value: &str) -> Result<()> {
        let partition = partition_of(key.as_bytes(), self.topic.partitions);
        let writer = &mut self.writers[partition as usize];
        writer.push(time, Some(key.as_bytes()), Some(value.as_bytes()), &[]);
        self.records += 1;
        if writer.size() >= BATCH_BYTES {
            self.close(partition);
            if self.ready_bytes >= APPEND_BYTES {
                self.append()?;
            }
        }
        Ok(())
    }

    fn close(&mut self, partition: u32) {
        let writer = std::mem::take(&mut self.writers[partition as usize]);
        self.ready_bytes += writer.size();
        let id = PartitionId { topic: self.topic.id, partition };
        self.ready.extend(writer.finish().map(|batch| (id, batch)));
    }

    fn append(&mut self) -> Result<()> {
        self.ready_bytes = 0;
        self.bed.engine.topics().append(std::mem::take(&mut self.ready)).map(|_| ())
    }

    fn finish(mut self) -> Result<u64> {
        (0..self.topic.partitions).for_each(|partition| self.close(partition));
        self.append()?;
        Ok(self.records)
    }
}
