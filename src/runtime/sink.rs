//! The end of a query: rows to records of the sink's topic, or to somebody who looks on.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::Int64Type;

use super::row_time::row_times;
use crate::catalog::Source;
use crate::error::Result;
use crate::formats::Encoder;
use crate::operators::{Log, Reason};
use crate::plan::node::Rekey;
use crate::topics::record::{BatchWriter, Header, RecordBatch};
use crate::topics::{PartitionId, TopicId, partition_of};
use crate::types::{Batch, Column, SqlType, Value, View};

/// Where the result goes.
#[derive(Clone)]
pub enum Target {
    Topic(Arc<TopicTarget>),
    /// Called with the result's columns, as the plan orders them, for every batch.
    Tap(Tap),
}

/// Takes rows as they come, and says whether it wants more.
pub type Tap = Arc<dyn Fn(&Batch) -> bool + Send + Sync>;

/// A topic that a query writes.
pub struct TopicTarget {
    pub source: Source,
    pub topic: TopicId,
    pub partitions: u32,
    /// The most bytes that a record may have.
    pub most_bytes: usize,
    /// All records go to the first partition: for tests that know one order only.
    pub single: bool,
    /// That the rows have got another key than their source's.
    pub rekey: Option<Rekey>,
}

/// A task's end of the query.
pub struct SinkTask {
    target: Target,
    /// The places of the result's columns.
    output: Vec<usize>,
    /// The place of the start of the window that belongs to the key.
    window_start: Option<usize>,
    task: u32,
    encoders: Option<(Box<dyn Encoder>, Box<dyn Encoder>)>,
    writers: BTreeMap<u32, BatchWriter>,
    finished: Vec<(PartitionId, RecordBatch)>,
    /// The largest time of a row so far, which a record without value gets where a column decides the time.
    pub stream_time: i64,
    /// Records since the start of the query.
    pub records: u64,
    bytes: usize,
    key: Vec<u8>,
    value: Vec<u8>,
}

/// A batch of records is about this large at most.
const BATCH_BYTES: usize = 512 << 10;

impl SinkTask {
    /// The end of a task.
    pub fn new(target: Target, output: &[usize], window_start: Option<usize>, task: u32) -> Self {
        let encoders = match &target {
            Target::Topic(topic) => {
                let (schema, source) = (&topic.source.schema, &topic.source);
                let key = source.key.encoder(schema.keys());
                Some((key, source.value.encoder(schema.values())))
            }
            Target::Tap(_) => None,
        };
        SinkTask {
            target,
            output: output.to_vec(),
            window_start,
            task,
            encoders,
            writers: BTreeMap::new(),
            finished: Vec::new(),
            stream_time: -1,
            records: 0,
            bytes: 0,
            key: Vec::new(),
            value: Vec::new(),
        }
    }

    /// Takes the rows of the result; whether more are wanted.
    pub fn take(&mut self, batches: &[Batch], log: &mut Log) -> Result<bool> {
        let mut wanted = true;
        for batch in batches {
            match self.target.clone() {
                Target::Topic(topic) => self.write(&topic, batch, log)?,
                Target::Tap(tap) => {
                    let columns = self.output.iter().map(|place| batch.columns[*place].clone()).collect();
                    self.records += batch.rows() as u64;
                    wanted &= tap(&Batch { columns, ..batch.clone() });
                }
            }
        }
        Ok(wanted)
    }

    fn write(&mut self, topic: &TopicTarget, batch: &Batch, log: &mut Log) -> Result<()> {
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
        for row in 0..batch.rows() {
            self.stream_time = self.stream_time.max(batch.time[row]);
            self.key.clear();
            self.value.clear();
            let absent = batch.is_absent(row);
            let keyed = match &topic.rekey {
                // A source's key of which all columns are NULL was no key.
                None if keys.iter().all(|key| key.is_null(row)) => false,
                Some(_) if absent => key_encoder.encode(&without_values, row, &mut self.key),
                _ => key_encoder.encode(keys, row, &mut self.key),
            };
            let partition = match keyed {
                _ if topic.single => 0,
                true => partition_of(&self.key, topic.partitions),
                // A record without key stays in the partition that its row comes from, so that rows keep their order.
                false => self.task % topic.partitions,
            };
            if let Some(starts) = starts {
                self.key.extend_from_slice(&starts[row].to_be_bytes());
            }
            let valued = !absent && value_encoder.encode(values, row, &mut self.value);
            let time = match &times {
                Some(_) if absent => self.stream_time,
                // Kafka takes -1 for no time of its own: that of the row stays.
                Some(times) if times[row] != -1 => times[row],
                _ => batch.time[row],
            };
            let has_time = times.is_none() || absent || time >= 0;
            if !has_time {
                log.add(Reason::NoTime, 1, || "Error writing row with extracted timestamp: it has none".to_owned());
                continue;
            }
            if self.key.len() + self.value.len() > topic.most_bytes {
                let size = self.key.len() + self.value.len();
                log.add(Reason::TooLarge, 1, || format!("a result of {size} bytes is larger than max.message.bytes"));
                continue;
            }
            let key = (keyed || starts.is_some()).then_some(self.key.as_slice());
            let value = valued.then_some(self.value.as_slice());
            let headers = headers_of(batch, row);
            let writer = self.writers.entry(partition).or_default();
            writer.push(time, key, value, &headers);
            self.records += 1;
            self.bytes += self.key.len() + self.value.len() + 16;
            if writer.size() > BATCH_BYTES {
                finish(topic, partition, std::mem::take(writer), &mut self.finished);
            }
        }
        Ok(())
    }

    /// The bytes that wait to be committed.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The records since the last call, partition by partition in their order.
    pub fn take_records(&mut self) -> Vec<(PartitionId, RecordBatch)> {
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

fn headers_of(batch: &Batch, row: usize) -> Vec<Header> {
    let Some(column) = &batch.headers else { return Vec::new() };
    let Value::Array(headers) = Value::at(column.as_ref(), row, &SqlType::headers()) else { return Vec::new() };
    let header = |value: &Value| {
        let Value::Struct(fields) = value else { return None };
        let [(_, Value::String(key)), (_, value)] = fields.as_slice() else { return None };
        let value = if let Value::Bytes(bytes) = value { Some(bytes.clone()) } else { None };
        Some(Header { key: key.clone(), value })
    };
    headers.iter().filter_map(header).collect()
}

/// The types of the result's columns, as a tap gets them.
pub fn output_types(plan: &crate::plan::Plan) -> Vec<SqlType> {
    plan.output.iter().map(|c| c.column.sql_type.clone()).collect()
}
