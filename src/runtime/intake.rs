//! Intake: one source partition, its records decoded into rows, each with its place in the order of all rows.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array};
use arrow::buffer::BooleanBuffer;

use super::piece::{Codes, Piece, Point, Points};
use super::program::SourceSpec;
use super::row_time::row_times;
use crate::catalog::SourceKind;
use crate::error::Result;
use crate::formats::Decoder;
use crate::operators::{Log, Reason};
use crate::plan::node::SourceColumn;
use crate::topics::record::{BatchHead, Header, Record, Records};
use crate::topics::{Offset, PartitionId, Reader};
use crate::types::{Batch, Builder, Role, Seq, SqlType, Value};

/// About how many bytes are read at once.
const READ_BYTES: usize = 1 << 20;

/// Gives every record a place instead of the usual one: for tests that fix the order across topics.
pub type Ranks = Arc<dyn Fn(PartitionId, Offset) -> i64 + Send + Sync>;

/// Rows that were decoded and not handed on yet.
struct Decoded {
    batch: Batch,
    /// The stream time of the partition at each row.
    stream_times: Vec<i64>,
    /// What each row is ordered by first: the stream time, or its rank.
    order: Vec<i64>,
    offsets: Vec<Offset>,
    /// How many rows have been handed on.
    taken: usize,
    /// The offset behind the last record of the batch, readable or not.
    next: Offset,
}

/// A source partition.
pub struct Intake {
    pub id: PartitionId,
    /// The source, table or stream, and the partition, as the order of rows has them.
    code: u32,
    reader: Box<dyn Reader>,
    decode: Decode,
    most_rows: usize,
    ranks: Option<Ranks>,
    /// The first record that has not been handed on.
    position: Offset,
    /// The largest time of a row that was handed on.
    stream_time: i64,
    /// The largest time of a row that was decoded.
    decoded_time: i64,
    decoded: Option<Decoded>,
    /// Fetched bytes, where the next batch starts in them, and the offset of the next record.
    fetched: Option<(Arc<Vec<u8>>, usize)>,
    next: Offset,
    /// Records that came to nothing and are still ahead of the position.
    bad: VecDeque<(Offset, Reason, String)>,
    /// Whether the partition does not hold back the time of others while it stands at its end.
    pub idle: bool,
    /// Since when the partition stands at its end, in nanoseconds.
    pub at_end_since: Option<u64>,
}

/// How records become rows.
struct Decode {
    spec: Arc<SourceSpec>,
    key: Box<dyn Decoder>,
    value: Box<dyn Decoder>,
    /// For each column of the rows where it comes from.
    origins: Vec<Origin>,
    /// The column that holds the time.
    time: Option<Origin>,
}

/// Where a column of a row comes from.
#[derive(Clone, Debug)]
enum Origin {
    /// The built column of the key at this place.
    Key(usize),
    Value(usize),
    /// All headers, or the last of this name.
    Headers(Option<String>),
    Time,
    Partition,
    Offset,
}

/// The records of a batch before they are rows.
#[derive(Default)]
struct Raw<'a> {
    keys: Vec<Option<&'a [u8]>>,
    values: Vec<Option<&'a [u8]>>,
    times: Vec<i64>,
    offsets: Vec<Offset>,
    /// The headers of all records, if any has some.
    headers: Option<Vec<Vec<Header>>>,
}

impl Decode {
    fn new(spec: Arc<SourceSpec>) -> Self {
        let schema = &spec.source.schema;
        let (keys, values) = (schema.keys(), schema.values());
        let time_column = spec.source.timestamp.as_ref().and_then(|t| schema.find(&t.column)).map(|(place, _)| place);
        let read = |place: usize| spec.columns.contains(&SourceColumn::Declared(place)) || time_column == Some(place);
        let needed: Vec<bool> = (0..schema.columns().len()).map(read).collect();
        let (key_needed, rest) = needed.split_at(keys.len());
        let value_needed = &rest[..values.len()];
        let rank = |flags: &[bool], place: usize| flags[..place].iter().filter(|n| **n).count();
        let declared = |place: usize| match &schema.columns()[place].role {
            Role::Key => Origin::Key(rank(key_needed, place)),
            Role::Value => Origin::Value(rank(value_needed, place - keys.len())),
            Role::Headers(name) => Origin::Headers(name.clone()),
        };
        let origin = |column: &SourceColumn| match column {
            SourceColumn::Declared(place) => declared(*place),
            SourceColumn::RowTime => Origin::Time,
            SourceColumn::RowPartition => Origin::Partition,
            SourceColumn::RowOffset => Origin::Offset,
        };
        Decode {
            key: spec.source.key.decoder(keys, key_needed),
            value: spec.source.value.decoder(values, value_needed),
            origins: spec.columns.iter().map(origin).collect(),
            time: time_column.map(declared),
            spec,
        }
    }
}

impl Intake {
    /// The partition of a source, to be read from `position`.
    pub fn new(
        spec: Arc<SourceSpec>,
        input: usize,
        id: PartitionId,
        reader: Box<dyn Reader>,
        position: Offset,
        most_rows: usize,
        ranks: Option<Ranks>,
    ) -> Self {
        Intake {
            id,
            code: spec.code(input, id.partition),
            reader,
            decode: Decode::new(spec),
            most_rows,
            ranks,
            position,
            stream_time: -1,
            decoded_time: -1,
            decoded: None,
            fetched: None,
            next: position,
            bad: VecDeque::new(),
            idle: false,
            at_end_since: None,
        }
    }

    /// The first record that has not been handed on.
    pub fn position(&self) -> Offset {
        self.position
    }

    /// The largest time of a row that was handed on, −1 before the first.
    pub fn stream_time(&self) -> i64 {
        self.stream_time
    }

    /// Goes on where a commit has left off.
    pub fn resume(&mut self, position: Offset, stream_time: i64, idle: bool) {
        (self.position, self.next) = (position, position);
        (self.stream_time, self.decoded_time, self.idle) = (stream_time, stream_time, idle);
    }

    /// Forgets rows and bytes that wait.
    pub fn forget(&mut self) {
        (self.decoded, self.fetched) = (None, None);
    }

    /// Decodes the next rows, unless some wait; whether any wait then. Records that come to nothing are stepped over.
    pub fn fill(&mut self) -> Result<bool> {
        while self.decoded.is_none() {
            let Some((bytes, at)) = self.fetched.take().filter(|(bytes, at)| *at < bytes.len()) else {
                let fetch = self.reader.read(self.next, READ_BYTES)?;
                if fetch.bytes.is_empty() {
                    return Ok(false);
                }
                self.fetched = Some((fetch.bytes, 0));
                continue;
            };
            let used = self.decode_rows(&bytes, at)?;
            self.fetched = Some((bytes, used));
        }
        Ok(true)
    }

    /// Decodes up to the most rows from whole batches in `bytes`; where it got to.
    fn decode_rows(&mut self, bytes: &[u8], mut at: usize) -> Result<usize> {
        let mut raw = Raw::default();
        while raw.times.len() < self.most_rows {
            let Some(head) = BatchHead::parse(&bytes[at..])? else { break };
            let batch = &bytes[at..at + head.length];
            let mut records = Records::new(batch, head);
            raw.reserve((head.records as usize).min(self.most_rows - raw.times.len()));
            while let Some(record) = records.next_record()? {
                if record.offset < self.next {
                    continue;
                }
                if raw.times.len() == self.most_rows {
                    // The rest of the batch comes next time: the position tells where it starts.
                    self.finish_rows(raw)?;
                    return Ok(at);
                }
                self.next = record.offset + 1;
                raw.push(&record)?;
            }
            self.next = head.next_offset();
            at += head.length;
        }
        self.finish_rows(raw)?;
        Ok(at)
    }

    /// Makes rows of records.
    fn finish_rows(&mut self, raw: Raw) -> Result<()> {
        if raw.times.is_empty() {
            return Ok(());
        }
        let key = self.decode.key.decode(&raw.keys);
        let value = self.decode.value.decode(&raw.values);
        let mut keep = vec![true; raw.times.len()];
        let mut bad: Vec<(u32, Reason, String)> = Vec::new();
        for (row, reason) in key.failed {
            bad.push((row, Reason::Undecodable, format!("key: {reason}")));
        }
        for (row, reason) in value.failed {
            bad.push((row, Reason::Undecodable, format!("value: {reason}")));
        }
        let times = self.row_times(&raw, &key.columns, &value.columns, &mut bad);
        if self.decode.spec.source.kind == SourceKind::Table {
            let keyless = raw.keys.iter().enumerate().filter(|(_, k)| k.is_none());
            bad.extend(keyless.map(|(row, _)| (row as u32, Reason::NoKey, "a table's record has no key".to_owned())));
        }
        bad.sort_by_key(|(row, ..)| *row);
        bad.dedup_by_key(|(row, ..)| *row);
        for (row, reason, message) in bad {
            keep[row as usize] = false;
            self.bad.push_back((raw.offsets[row as usize], reason, message));
        }
        let columns = self.columns(&raw, &key.columns, &value.columns, &times)?;
        self.stage(raw, columns, times, &keep)
    }

    /// The time of every row; rows without one are bad.
    fn row_times(
        &self,
        raw: &Raw,
        keys: &[ArrayRef],
        values: &[ArrayRef],
        bad: &mut Vec<(u32, Reason, String)>,
    ) -> Vec<i64> {
        let column = match &self.decode.time {
            None => None,
            Some(Origin::Key(place)) => Some(&keys[*place]),
            Some(Origin::Value(place)) => Some(&values[*place]),
            Some(_) => None,
        };
        let source = &self.decode.spec.source;
        let said = column.zip(source.timestamp.as_ref());
        let times = said.map_or_else(|| raw.times.clone(), |(column, timestamp)| row_times(column, timestamp));
        for (row, time) in times.iter().enumerate().filter(|(_, time)| **time < 0) {
            let declared = said.and_then(|(column, at)| Some((column, source.schema.find(&at.column)?.1)));
            let message = match declared {
                Some((column, declared)) => {
                    let value = Value::at(column.as_ref(), row, &declared.sql_type).to_text();
                    format!("column {} says no valid time: {value}", declared.name)
                }
                None => format!("the record has the time {time}"),
            };
            bad.push((row as u32, Reason::NoTime, message));
        }
        times
    }

    fn columns(&self, raw: &Raw, keys: &[ArrayRef], values: &[ArrayRef], times: &[i64]) -> Result<Vec<ArrayRef>> {
        let column = |origin: &Origin| -> Result<ArrayRef> {
            Ok(match origin {
                Origin::Key(place) => keys[*place].clone(),
                Origin::Value(place) => values[*place].clone(),
                Origin::Headers(name) => headers_column(raw, name.as_deref()),
                Origin::Time => Arc::new(Int64Array::from(times.to_vec())),
                Origin::Partition => Arc::new(Int32Array::from(vec![self.id.partition as i32; times.len()])),
                Origin::Offset => Arc::new(Int64Array::from(raw.offsets.clone())),
            })
        };
        self.decode.origins.iter().map(column).collect()
    }

    /// Puts the rows that are kept in line.
    fn stage(&mut self, raw: Raw, columns: Vec<ArrayRef>, times: Vec<i64>, keep: &[bool]) -> Result<()> {
        let headers = raw.headers.as_ref().map(|_| headers_column(&raw, None));
        let absent = raw.values.iter().any(Option::is_none);
        let absent = absent.then(|| BooleanBuffer::collect_bool(keep.len(), |row| raw.values[row].is_none()));
        let mut batch = Batch::new(columns, times.into(), Seq::From(0));
        (batch.headers, batch.absent) = (headers, absent);
        let mut offsets = raw.offsets;
        if keep.contains(&false) {
            batch = batch.filter(&BooleanBuffer::from(keep))?;
            let mut kept = keep.iter();
            offsets.retain(|_| kept.next().copied().unwrap_or(true));
        }
        if batch.rows() == 0 {
            // Nothing is left to wait for: the records are done with.
            self.position = self.next;
            return Ok(());
        }
        let mut stream_times = Vec::with_capacity(batch.rows());
        for time in batch.time.iter() {
            self.decoded_time = self.decoded_time.max(*time);
            stream_times.push(self.decoded_time);
        }
        let order = match &self.ranks {
            Some(ranks) => offsets.iter().map(|offset| ranks(self.id, *offset)).collect(),
            None => stream_times.clone(),
        };
        self.decoded = Some(Decoded { batch, stream_times, order, offsets, taken: 0, next: self.next });
        Ok(())
    }

    /// The place of the last row that waits, if any does.
    pub fn last_point(&self) -> Option<Point> {
        let decoded = self.decoded.as_ref()?;
        let last = decoded.offsets.len() - 1;
        Some(Point { time: decoded.order[last], code: self.code, offset: decoded.offsets[last] })
    }

    /// Hands on the rows up to a place, or all that wait; what came to nothing among them goes to the log.
    pub fn take(&mut self, until: Option<Point>, log: &mut Log) -> Option<Piece> {
        let decoded = self.decoded.as_mut();
        let piece = decoded.and_then(|decoded| {
            let from = decoded.taken;
            let before = |row: &usize| {
                let point = Point { time: decoded.order[*row], code: self.code, offset: decoded.offsets[*row] };
                until.is_none_or(|until| point <= until)
            };
            let all = decoded.offsets.len();
            let count = match until {
                None => all - from,
                Some(_) => (from..all).take_while(before).count(),
            };
            if count == 0 {
                return None;
            }
            decoded.taken += count;
            let to = from + count;
            self.stream_time = self.stream_time.max(decoded.stream_times[to - 1]);
            self.position = decoded.offsets.get(to).copied().unwrap_or(decoded.next);
            let points = Points {
                order: decoded.order[from..to].to_vec(),
                codes: Codes::One(self.code),
                offsets: decoded.offsets[from..to].to_vec(),
            };
            Some(Piece { batch: decoded.batch.slice(from, count), points, rows: None })
        });
        if self.decoded.as_ref().is_some_and(|d| d.taken == d.offsets.len()) {
            self.decoded = None;
        }
        while let Some((offset, ..)) = self.bad.front()
            && *offset < self.position
        {
            if let Some((offset, reason, message)) = self.bad.pop_front() {
                let (topic, partition) = (&self.decode.spec.source.topic, self.id.partition);
                log.add(reason, 1, || format!("topic {topic} partition {partition} offset {offset}: {message}"));
            }
        }
        piece
    }

    /// Whether rows wait that were decoded.
    pub fn waits(&self) -> bool {
        self.decoded.is_some()
    }
}

impl<'a> Raw<'a> {
    fn reserve(&mut self, rows: usize) {
        self.keys.reserve(rows);
        self.values.reserve(rows);
        self.times.reserve(rows);
        self.offsets.reserve(rows);
    }

    fn push(&mut self, record: &Record<'a>) -> Result<()> {
        if record.has_headers() || self.headers.is_some() {
            let earlier = self.times.len();
            let all = self.headers.get_or_insert_with(|| vec![Vec::new(); earlier]);
            all.push(record.headers()?);
        }
        self.keys.push(record.key);
        self.values.push(record.value);
        self.times.push(record.time);
        self.offsets.push(record.offset);
        Ok(())
    }
}

/// The headers of every record, all of them or the last with this name.
fn headers_column(raw: &Raw, name: Option<&str>) -> ArrayRef {
    let sql_type = if name.is_some() { SqlType::Bytes } else { SqlType::headers() };
    let mut out = Builder::new(&sql_type, raw.times.len());
    let bytes = |value: &Option<Vec<u8>>| value.clone().map_or(Value::Null, Value::Bytes);
    for row in 0..raw.times.len() {
        let headers = raw.headers.as_ref().map_or(&[][..], |all| &all[row]);
        match name {
            Some(name) => {
                let last = headers.iter().rev().find(|h| h.key == name);
                out.push(&last.map_or(Value::Null, |h| bytes(&h.value)));
            }
            None => {
                let entry = |h: &Header| {
                    let key = ("KEY".to_owned(), Value::String(h.key.clone()));
                    Value::Struct(vec![key, ("VALUE".to_owned(), bytes(&h.value))])
                };
                out.push(&Value::Array(headers.iter().map(entry).collect()));
            }
        }
    }
    out.finish()
}
