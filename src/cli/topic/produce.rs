//! `tidemill topic produce`: the lines of files to records, read, encoded and written at the same time.
//!
//! Three steps overlap: this thread reads lines and encodes records, and another one commits what was collected.
//! Between them waits one portion of about 8 MiB. From the standard input records are committed as soon as no further
//! line has come and the writer has nothing to do, so that a person who types sees each record at once.
//!
//! Records go to the partition of their key, as Kafka's clients send them; those without a key go to each partition in
//! turn, continuing with the number of records that are there.
//!
//! A bad line ends the command with status 1 and its place. The lines before it are written: the command says how many,
//! and the user goes on from there.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use clap::Args;

use super::csv::Csv;
use super::lines::{Lines, Next};
use super::maker::{Layout, Maker};
use super::source_of;
use crate::cli::common::Common;
use crate::cli::failure::{Done, FAILED, Failure};
use crate::cli::output::{Format, Output};
use crate::cli::stop::Stop;
use crate::config;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::topics::record::{BatchWriter, RecordBatch};
use crate::topics::{BATCH_BYTES, PartitionId, Topic, Topics, partition_of};

#[derive(Args)]
pub(crate) struct Arguments {
    /// The topic; it must be there.
    name: String,
    /// Files of JSON lines (or what --csv or --raw say), plain or gzip; `-` is the standard input.
    #[arg(value_name = "FILE", default_value = "-")]
    files: Vec<PathBuf>,
    /// The field of the value that is the record's key; null is no key, and each line must have the field.
    #[arg(long, value_name = "FIELD", conflicts_with = "envelope")]
    key: Option<String>,
    /// The field of the value that is the record's time: milliseconds since 1970, or a text like 2020-01-31T10:20:30Z or
    /// 2020-01-31 10:20:30.123456.
    #[arg(long, value_name = "FIELD", conflicts_with = "envelope")]
    timestamp: Option<String>,
    /// Each line is {"partition"?, "key", "value", "timestamp"?, "headers"?}.
    #[arg(long, conflicts_with_all = ["csv", "raw"])]
    envelope: bool,
    /// The files are comma-separated values; the first line of each names the fields.
    #[arg(long, conflicts_with = "raw")]
    csv: bool,
    /// Each line is the bytes of a value, whatever the catalog says of the topic.
    #[arg(long, conflicts_with_all = ["key", "timestamp"])]
    raw: bool,
}

/// About how many bytes of records are committed at once.
const COMMIT_BYTES: usize = 8 << 20;

/// Writes the files to the topic.
pub(super) fn run(common: &Common, arguments: &Arguments) -> Done {
    let engine = common.open_existing()?;
    let stop = Stop::on_signals()?;
    let catalog = engine.catalog();
    let topic = catalog.topic(&arguments.name).ok_or_else(|| catalog.no_topic(&arguments.name))?;
    let source = source_of(&catalog, &topic.name);
    let layout = match (arguments.envelope, arguments.raw) {
        (true, _) => Layout::Envelope,
        (_, true) => Layout::Raw,
        _ => Layout::Value { key: arguments.key.clone(), time: arguments.timestamp.clone() },
    };
    let mut producer = Producer::new(&engine, topic, Maker::new(layout, source))?;
    // Every file is looked for before anything is written.
    for path in arguments.files.iter().filter(|path| path.as_os_str() != "-") {
        std::fs::metadata(path).map_err(|e| Failure::unreadable(&path.display().to_string(), &e))?;
    }
    let produced = arguments.files.iter().try_for_each(|path| {
        let mut lines = Lines::open(path, producer.most_line_bytes(), &stop)?;
        let waits = path.as_os_str() == "-";
        match (arguments.csv, arguments.raw) {
            (true, _) => producer.file(&mut Csv::new(&mut lines, source), waits, &stop),
            (_, true) => producer.file(&mut Whole(&mut lines), waits, &stop),
            _ => producer.file(&mut lines, waits, &stop),
        }
    });
    let finished = producer.finish();
    let mut output = Output::new(Format::Table);
    output.line(format!("{} records written to topic '{}'", finished.records, topic.name))?;
    output.flush()?;
    finished.result?;
    produced?;
    if stop.is_asked() {
        let text = "interrupted before everything was read; what was read before is written".to_owned();
        return Err(Failure { status: FAILED, text });
    }
    Ok(0)
}

/// Lines, of which each stands for a record.
///
/// Lines and records differ for CSV, where a record can go over several lines.
pub(super) trait Source {
    /// The next line that stands for a record.
    ///
    /// The line is without its end, and replaces what `line` held.
    ///
    /// # Errors
    /// The file cannot be read, or it is not what it should be.
    fn next(&mut self, line: &mut Vec<u8>) -> std::result::Result<Next, Failure>;

    /// The file that they come from.
    fn lines(&self) -> &Lines;

    /// Where the last line begins, for messages.
    fn place(&self) -> String {
        self.lines().place()
    }
}

impl Source for Lines {
    fn next(&mut self, line: &mut Vec<u8>) -> std::result::Result<Next, Failure> {
        self.next_line(line)
    }

    fn lines(&self) -> &Lines {
        self
    }
}

/// All lines, also those that are blank.
struct Whole<'l>(&'l mut Lines);

impl Source for Whole<'_> {
    fn next(&mut self, line: &mut Vec<u8>) -> std::result::Result<Next, Failure> {
        self.0.any_line(line)
    }

    fn lines(&self) -> &Lines {
        self.0
    }
}

/// Records on their way to a topic.
struct Producer<'e> {
    engine: &'e Engine,
    topic: &'e Topic,
    maker: Maker,
    /// Where the next record without a key goes.
    next_partition: u32,
    /// The batch of each partition while records are added to it.
    open: Vec<BatchWriter>,
    full: Vec<(PartitionId, RecordBatch)>,
    bytes: usize,
    /// `max.message.bytes`, for key and value together.
    most_bytes: usize,
    writer: Writer,
}

/// The thread that commits.
///
/// Ends when the sender is dropped, or with its first error.
struct Writer {
    send: SyncSender<Vec<(PartitionId, RecordBatch)>>,
    thread: JoinHandle<Result<()>>,
    shared: Arc<Progress>,
}

/// What the thread that commits has done.
#[derive(Default)]
struct Progress {
    /// What was sent to it and is not committed.
    ///
    /// Portions, not records.
    waiting: AtomicUsize,
    /// Committed ones.
    records: AtomicU64,
}

/// What has been written in the end.
struct Finished {
    records: u64,
    result: Result<()>,
}

impl Writer {
    fn start(topics: Arc<dyn Topics>) -> Result<Writer> {
        let (send, receive) = sync_channel(1);
        let shared = Arc::new(Progress::default());
        let progress = shared.clone();
        let body = move || commit_all(topics.as_ref(), &receive, &progress);
        let spawned = std::thread::Builder::new().name("produce".to_owned()).spawn(body);
        let thread = spawned.map_err(|e| Error::backend(format!("no thread to write with: {e}")))?;
        Ok(Writer { send, thread, shared })
    }

    fn is_idle(&self) -> bool {
        self.shared.waiting.load(Ordering::SeqCst) == 0
    }
}

/// # Errors
/// The first append that fails; later portions are not written.
fn commit_all(
    topics: &dyn Topics,
    receive: &Receiver<Vec<(PartitionId, RecordBatch)>>,
    progress: &Progress,
) -> Result<()> {
    while let Ok(batches) = receive.recv() {
        let records: u64 = batches.iter().map(|(_, batch)| u64::from(batch.records())).sum();
        topics.append(batches)?;
        progress.records.fetch_add(records, Ordering::SeqCst);
        progress.waiting.fetch_sub(1, Ordering::SeqCst);
    }
    Ok(())
}

impl<'e> Producer<'e> {
    fn new(engine: &'e Engine, topic: &'e Topic, maker: Maker) -> Result<Producer<'e>> {
        let topics = engine.topics();
        // Goes on behind the records that are there, so that many small calls spread them as one large one does.
        let mut there = 0;
        for partition in 0..topic.partitions {
            there += topics.end(PartitionId { topic: topic.id, partition })?;
        }
        Ok(Producer {
            engine,
            topic,
            maker,
            next_partition: (there % i64::from(topic.partitions)) as u32,
            open: (0..topic.partitions).map(|_| BatchWriter::new()).collect(),
            full: Vec::new(),
            bytes: 0,
            most_bytes: engine.properties().size(config::MAX_MESSAGE_BYTES),
            writer: Writer::start(topics.clone())?,
        })
    }

    /// The most bytes of a line: JSON may write a character with six.
    fn most_line_bytes(&self) -> usize {
        self.most_bytes.saturating_mul(6).saturating_add(4096)
    }

    /// Writes the lines of a file, until somebody asks for the end; `waits` if it may be long until the next line comes.
    fn file(&mut self, source: &mut impl Source, waits: bool, stop: &Stop) -> std::result::Result<(), Failure> {
        let mut line = Vec::new();
        loop {
            let next = source.next(&mut line);
            // What comes with the wish to end may be half a line, or the cut end of a compressed file.
            if stop.is_asked() && !(matches!(next, Ok(Next::Line)) && source.lines().is_ended()) {
                return Ok(());
            }
            let taken = match next? {
                Next::End => return Ok(()),
                Next::TooLong => Err(self.too_large(line.len())),
                Next::Line => self.maker.read(&line).and_then(|()| self.put()),
            };
            taken.map_err(|reason| bad_line(&source.place(), &reason))?;
            if stop.is_asked() {
                return Ok(());
            }
            if self.bytes >= COMMIT_BYTES || (waits && source.lines().is_dry() && self.writer.is_idle()) {
                self.send();
                if self.writer.thread.is_finished() {
                    return Ok(());
                }
            }
        }
    }

    fn too_large(&self, bytes: usize) -> String {
        let property = config::MAX_MESSAGE_BYTES;
        format!("a record of {bytes} bytes is larger than {property}, {}", self.most_bytes)
    }

    /// Adds the record that the maker has made.
    ///
    /// # Errors
    /// The reason: no such partition, or the record is too large.
    fn put(&mut self) -> std::result::Result<(), String> {
        let count = self.topic.partitions;
        let partition = match (self.maker.partition, self.maker.partition_key()) {
            (Some(partition), _) if partition >= count => {
                return Err(format!("there is no partition {partition}: the topic has {count}"));
            }
            (Some(partition), _) => partition,
            (None, Some(key)) => partition_of(key, count),
            (None, None) => {
                let next = self.next_partition;
                self.next_partition = (next + 1) % count;
                next
            }
        };
        let size = self.maker.key().map_or(0, <[u8]>::len) + self.maker.value().map_or(0, <[u8]>::len);
        if size > self.most_bytes {
            return Err(self.too_large(size));
        }
        let time = self.maker.time.unwrap_or_else(|| self.engine.clock().wall_ms());
        self.maker.key();
        let batch = &mut self.open[partition as usize];
        batch.push(time, self.maker.partition_key(), self.maker.value(), &self.maker.headers);
        self.bytes += size + 16;
        if batch.size() >= BATCH_BYTES {
            let full = std::mem::take(batch).finish();
            self.full.extend(full.map(|batch| (PartitionId { topic: self.topic.id, partition }, batch)));
        }
        Ok(())
    }

    /// Hands all records to the thread that commits.
    ///
    /// Waits if one portion waits already.
    fn send(&mut self) {
        let mut batches = std::mem::take(&mut self.full);
        for (partition, batch) in self.open.iter_mut().enumerate() {
            let id = PartitionId { topic: self.topic.id, partition: partition as u32 };
            batches.extend(std::mem::take(batch).finish().map(|batch| (id, batch)));
        }
        self.bytes = 0;
        if !batches.is_empty() {
            self.writer.shared.waiting.fetch_add(1, Ordering::SeqCst);
            // If the thread has ended, it has failed, and says so when it is waited for.
            let _ = self.writer.send.send(batches);
        }
    }

    /// Commits what is left and waits for it.
    fn finish(mut self) -> Finished {
        self.send();
        let Writer { send, thread, shared } = self.writer;
        drop(send);
        let ended = thread.join().unwrap_or_else(|_| Err(Error::bug("the thread that writes has panicked")));
        let records = shared.records.load(Ordering::SeqCst);
        Finished { records, result: ended }
    }
}

/// The refusal of a line.
///
/// Status 1.
pub(super) fn bad_line(place: &str, reason: &str) -> Failure {
    let error = Error::invalid(format!("{place}: {reason}"));
    let error = error.hint("the lines before it were written; correct it and produce the rest from there");
    Failure { status: FAILED, text: error.render(None) }
}
