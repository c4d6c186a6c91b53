//! The end of a query: rows to records of the sink's topic, or to a client.
//!
//! A task of the last stage writes its own record batches, one open batch for each partition of the sink. They are kept
//! until the epoch is sealed and become its outputs. Order is kept for each partition and task.
//!
//! ```text
//! row                                    record
//! ordinary                               key and value
//! without a value, or a deletion         key, no value (a tombstone)
//! all key columns NULL                   no key; stays in the partition of the task
//! key with a window                      key bytes, then the window's start in 8 bytes, big-endian
//! larger than `max.message.bytes`        none; counted as too large
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::Int64Type;

use super::placement::Placement;
use super::points::Causes;
use super::program::Program;
use super::row_time::row_times;
use crate::catalog::Source;
use crate::error::Result;
use crate::formats::Encoder;
use crate::ids::TopicId;
use crate::operators::{Log, Origin, Reason};
use crate::plan::node::Rekey;
use crate::topics::record::{BatchWriter, NO_HEADERS, RecordBatch};
use crate::topics::{BATCH_BYTES, PartitionId};
use crate::types::row::{Input, put_varint};
use crate::types::{Batch, Column, View};

/// Where the result goes.
#[derive(Clone)]
pub enum Target {
    /// A topic, to which rows are written as records.
    Topic(Arc<TopicTarget>),
    /// A client.
    Tap(Arc<dyn Tap>),
}

/// Takes a query's rows as they come.
pub trait Tap: Send + Sync {
    /// Takes rows with the result's columns, as the plan orders them.
    ///
    /// `origin` gives the record that a row comes from, if there is one. Called on the thread that runs the task. Rows of a
    /// push query wait for no commit of their own: their source rows are decided, and nothing of the query is kept.
    fn take(&self, batch: &Batch, origin: &dyn Fn(usize) -> Option<Origin>);

    /// Whether more rows should be made now.
    ///
    /// False makes the turn stop as soon as the operators can.
    fn has_room(&self) -> bool;

    /// Whether the client is still there.
    fn is_wanted(&self) -> bool;
}

/// A topic that a query writes.
pub struct TopicTarget {
    /// The stream or table that the rows belong to, with its formats.
    pub source: Source,
    /// The id of the topic, which the journal knows it by.
    pub topic: TopicId,
    /// How many partitions the topic has, at least 1.
    pub partitions: u32,
    /// The most bytes that a record may have.
    ///
    /// Of key and value together, as `max.message.bytes` in Kafka.
    pub most_bytes: usize,
    /// Set if the rows have another key than those of their source.
    pub rekey: Option<Rekey>,
    /// Decides which partition a record is written to.
    pub placement: Arc<dyn Placement>,
}

/// A task's end of the query.
pub(super) struct SinkTask {
    target: Target,
    /// The places of the result's columns.
    output: Vec<usize>,
    /// The place of the start of the window that belongs to the key.
    ///
    /// `None` if the result has no windows.
    window_start: Option<usize>,
    /// From 0. Rows without a key go to the partition of this number.
    task: u32,
    encoders: Option<(Box<dyn Encoder>, Box<dyn Encoder>)>,
    /// By partition.
    writers: BTreeMap<u32, BatchWriter>,
    finished: Vec<(PartitionId, RecordBatch)>,
    /// The largest time of a row so far, which a record without value gets where a column decides the time.
    pub stream_time: i64,
    /// Records since the start of the query.
    pub records: u64,
    /// Rows of the result since the last epoch that was ended, committed or not, whether or not a record came of them.
    pub emitted: u64,
    /// How many of the rows to come were dealt with before a restart, and what came of them was committed.
    ///
    /// Counted down by rows of the result, whether or not they become records; set after a restart only.
    pub skip: u64,
    bytes: usize,
    /// With so many bytes waiting to be committed, no more should be made.
    most: usize,
    key: Vec<u8>,
    value: Vec<u8>,
}

/// Why a row is left out whose timestamp column says no time.
const UNTIMED: &str = "Error writing row with extracted timestamp: it has none";

impl SinkTask {
    /// The end of a task. With `most` bytes waiting to be committed, it has no more room.
    pub(super) fn new(target: Target, program: &Program, task: u32, most: usize) -> Self {
        let encoders = match &target {
            Target::Topic(topic) => Some((topic.source.key.encoder(), topic.source.value.encoder())),
            Target::Tap(_) => None,
        };
        SinkTask {
            target,
            output: program.output.clone(),
            window_start: program.window_start,
            task,
            encoders,
            writers: BTreeMap::new(),
            finished: Vec::new(),
            stream_time: -1,
            records: 0,
            emitted: 0,
            skip: 0,
            bytes: 0,
            most,
            key: Vec::new(),
            value: Vec::new(),
        }
    }

    /// Takes rows of the result, and what caused them.
    pub(super) fn take(&mut self, batch: &Batch, causes: &Causes, log: &mut Log) -> Result<()> {
        match self.target.clone() {
            Target::Topic(topic) => self.write(&topic, batch, causes, log)?,
            Target::Tap(tap) => {
                self.records += batch.rows() as u64;
                tap.take(&batch.project(&self.output), &|row| causes.of(batch.seq.at(row)).origin());
            }
        }
        Ok(())
    }

    /// Whether more rows should be made now.
    ///
    /// A few more rows may come: those of the batch at hand.
    pub(super) fn has_room(&self) -> bool {
        match &self.target {
            Target::Topic(_) => self.bytes < self.most,
            Target::Tap(tap) => tap.has_room(),
        }
    }

    /// Whether the result is still wanted.
    pub(super) fn is_wanted(&self) -> bool {
        match &self.target {
            Target::Topic(_) => true,
            Target::Tap(tap) => tap.is_wanted(),
        }
    }

    /// Appends what a restart needs to know, as of the end of an epoch.
    ///
    /// Stream time (8 bytes, little-endian), then the number of records (varint).
    pub(super) fn save(&self, head: &mut Vec<u8>) {
        head.extend_from_slice(&self.stream_time.to_le_bytes());
        put_varint(head, self.records);
    }

    /// Reads what [`SinkTask::save`] wrote.
    pub(super) fn load(&mut self, input: &mut Input) -> Result<()> {
        self.stream_time = input.i64()?;
        self.records = input.varint()?;
        Ok(())
    }

    /// Makes records of rows. A row that was dealt with before a restart is encoded and counted like any other, and
    /// then not written.
    fn write(&mut self, topic: &TopicTarget, batch: &Batch, causes: &Causes, log: &mut Log) -> Result<()> {
        let Some((key_encoder, value_encoder)) = &mut self.encoders else { return Ok(()) };
        let schema = &topic.source.schema;
        let views: Vec<View> = schema
            .columns()
            .iter()
            .zip(&self.output)
            .map(|(column, place)| View::new(batch.columns[*place].as_ref(), &column.sql_type))
            .collect();
        let (keys, values) = views.split_at(schema.keys().len());
        let arrays = keys_without_values(topic, &self.output, batch);
        let without_values: Vec<View> =
            arrays.iter().zip(schema.keys()).map(|(a, c)| View::new(a.as_ref(), &c.sql_type)).collect();
        let starts = self.window_start.map(|place| batch.columns[place].as_primitive::<Int64Type>().values());
        let times = topic.source.timestamp.as_ref().and_then(|timestamp| {
            let (place, _) = schema.find(&timestamp.column)?;
            Some(row_times(&batch.columns[self.output[place]], timestamp))
        });
        let headers = batch.headers.as_ref().map(|headers| headers.as_binary::<i32>());
        let origin = |row: usize| causes.of(batch.seq.at(row)).origin();
        for row in 0..batch.rows() {
            self.stream_time = self.stream_time.max(batch.time[row]);
            // Counted before anything depends on settings, which another process may have changed.
            self.emitted += 1;
            let repeated = self.skip > 0;
            self.skip -= u64::from(repeated);
            self.key.clear();
            self.value.clear();
            let absent = batch.is_absent(row);
            let keyed = match &topic.rekey {
                // A source's key of which all columns are NULL was no key.
                None if keys.iter().all(|key| key.is_null(row)) => false,
                Some(_) if absent => key_encoder.encode(&without_values, row, &mut self.key),
                _ => key_encoder.encode(keys, row, &mut self.key),
            };
            // A record without key stays in the partition that its row comes from, so that rows keep their order.
            let partition =
                topic.placement.partition(keyed.then_some(self.key.as_slice()), self.task, topic.partitions);
            if let Some(starts) = starts {
                self.key.extend_from_slice(&starts[row].to_be_bytes());
            }
            let valued = !absent && value_encoder.encode(values, row, &mut self.value);
            let own = times.as_ref().map(|times| if absent { self.stream_time } else { times[row] });
            let Some(time) = record_time(own, batch.time[row]) else {
                log.add(Reason::NoTime, [row], origin, |_| UNTIMED.to_owned());
                continue;
            };
            if self.key.len() + self.value.len() > topic.most_bytes {
                let size = self.key.len() + self.value.len();
                log.add(Reason::TooLarge, [row], origin, |_| {
                    format!("a result of {size} bytes is larger than max.message.bytes")
                });
                continue;
            }
            let key = (keyed || starts.is_some()).then_some(self.key.as_slice());
            let value = valued.then_some(self.value.as_slice());
            self.records += 1;
            if repeated {
                continue;
            }
            let headers = headers.filter(|headers| headers.is_valid(row)).map_or(NO_HEADERS, |all| all.value(row));
            let writer = self.writers.entry(partition).or_default();
            writer.push_raw(time, key, value, headers);
            self.bytes += self.key.len() + self.value.len() + 16;
            if writer.size() > BATCH_BYTES {
                finish(topic, partition, std::mem::take(writer), &mut self.finished);
            }
        }
        Ok(())
    }

    /// The bytes that wait to be committed.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The records since the last call, partition by partition in their order.
    ///
    /// Afterwards no bytes wait.
    pub(super) fn take_records(&mut self) -> Vec<(PartitionId, RecordBatch)> {
        let mut finished = std::mem::take(&mut self.finished);
        if let Target::Topic(topic) = &self.target {
            for (partition, writer) in std::mem::take(&mut self.writers) {
                finish(topic, partition, writer, &mut finished);
            }
        }
        self.bytes = 0;
        finished
    }
}

/// The time of a record from that of a column, if one is declared, and that of its row; none if the column has no valid time.
///
/// ```text
/// time in the column    time of the record
/// no column declared    that of the row
/// −1                    that of the row, if it is not negative
/// negative              none: the row is left out and counted
/// else                  that of the column
/// ```
fn record_time(own: Option<i64>, row: i64) -> Option<i64> {
    match own {
        // Kafka takes -1 for no time of its own: that of the row stays.
        None | Some(-1) => Some(row).filter(|time| own.is_none() || *time >= 0),
        Some(time) => Some(time).filter(|time| *time >= 0),
    }
}

/// The columns of the new key for records without a value, of which only the old key can make one; nothing if there are no
/// such records.
fn keys_without_values(topic: &TopicTarget, output: &[usize], batch: &Batch) -> Vec<ArrayRef> {
    let Some(rekey) = topic.rekey.as_ref().filter(|_| batch.absent.is_some()) else { return Vec::new() };
    let columns = topic.source.schema.keys().iter().zip(output).zip(&rekey.from_values);
    let array = |((column, place), lost): ((&Column, &usize), &bool)| match lost {
        true => arrow::array::new_null_array(&column.sql_type.arrow(), batch.rows()),
        false => batch.columns[*place].clone(),
    };
    columns.map(array).collect()
}

fn finish(topic: &TopicTarget, partition: u32, writer: BatchWriter, to: &mut Vec<(PartitionId, RecordBatch)>) {
    to.extend(writer.finish().map(|batch| (PartitionId { topic: topic.topic, partition }, batch)));
}
