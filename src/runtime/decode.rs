//! Records to rows: the columns that queries read, each row with its time; records that cannot be read are set aside.
//!
//! One decoding takes whole record batches as they lie in the log, up to a number of records and bytes; a batch that is
//! larger is continued next time. Key and value are decoded column by column, and only the columns that some query near
//! this place wants are built. All declared columns are checked all the same, so that a record is bad for every query
//! or for none.
//!
//! ```text
//! what is wrong                                     reason
//! key or value cannot be decoded                    Undecodable
//! record or timestamp column has no time, or < 0    NoTime
//! a table's record has no key                       NoKey
//! ```
//!
//! A record with several of these is counted once, under the first in this order.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryBuilder, Int32Array, Int64Array};
use arrow::buffer::{BooleanBuffer, ScalarBuffer};

use super::row_time::row_times;
use crate::catalog::{Source, SourceKind};
use crate::error::Result;
use crate::formats::Decoder;
use crate::operators::Reason;
use crate::plan::node::SourceColumn;
use crate::topics::Offset;
use crate::topics::record::{BatchHead, Header, Record, Records, parse_headers};
use crate::types::{Batch, Builder, Role, Seq, SqlType, Value};

/// What is read of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Ordered, so that the place of a column in decoded batches is its rank in the set.
    pub columns: BTreeSet<SourceColumn>,
    /// Whether the headers of records travel with their rows.
    pub headers: bool,
}

impl Wanted {
    /// Whether everything that `other` has is wanted.
    ///
    /// Rows with more columns than a query wants serve it too.
    pub(super) fn covers(&self, other: &Wanted) -> bool {
        // Mostly all readers want the same.
        std::ptr::eq(self, other) || self.columns.is_superset(&other.columns) && (self.headers || !other.headers)
    }

    /// Wants also what `other` has.
    pub(super) fn add(&mut self, other: &Wanted) {
        self.columns.extend(other.columns.iter().cloned());
        self.headers |= other.headers;
    }

    /// The place of a column in decoded batches.
    ///
    /// `None` if the column is not wanted.
    pub(super) fn place(&self, column: &SourceColumn) -> Option<usize> {
        self.columns.iter().position(|own| own == column)
    }
}

/// Rows of one partition that were decoded together; they never change.
#[derive(Debug)]
pub(super) struct Decoded {
    /// What the columns of the batch are.
    pub wanted: Arc<Wanted>,
    /// The offset of the first record, and the one after the last, readable or not.
    pub from: Offset,
    pub next: Offset,
    /// Only the readable records. Its ordinals are not set yet.
    pub batch: Batch,
    /// One for each row of the batch, rising.
    pub offsets: ScalarBuffer<i64>,
    /// The largest row time of these rows so far, at each row.
    ///
    /// In milliseconds since the epoch; starts anew with each decoding.
    pub times: ScalarBuffer<i64>,
    /// The records that could not be read, in the order of their offsets.
    pub bad: Vec<Bad>,
    /// About how many bytes it takes.
    pub bytes: usize,
    /// How many bytes the keys and values of the records have, readable or not.
    pub record_bytes: usize,
}

/// A record that could not be read.
#[derive(Debug)]
pub(super) struct Bad {
    pub offset: Offset,
    pub reason: Reason,
    /// Why. Records that follow each other often have the same, which is there once.
    pub message: Arc<str>,
}

/// The most characters of a message: it may quote a record, and every bad record of a batch keeps its own.
const MOST_MESSAGE: usize = 500;

/// A message that is not too long.
fn cut(mut message: String) -> Arc<str> {
    if let Some((at, _)) = message.char_indices().nth(MOST_MESSAGE) {
        message.truncate(at);
        message.push('…');
    }
    message.into()
}

/// How the records of a source become rows.
pub(super) struct Decode {
    source: Arc<Source>,
    partition: u32,
    wanted: Arc<Wanted>,
    key: Box<dyn Decoder>,
    value: Box<dyn Decoder>,
    /// For each wanted column where it comes from.
    origins: Vec<Origin>,
    /// The column that holds the time.
    ///
    /// `None` if the record's own timestamp is the row's time.
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
pub(super) struct Raw<'a> {
    keys: Vec<Option<&'a [u8]>>,
    values: Vec<Option<&'a [u8]>>,
    /// The timestamps of the records, in milliseconds since the epoch.
    times: Vec<i64>,
    offsets: Vec<Offset>,
    /// The headers of each record as bytes, if something reads them.
    headers: Vec<&'a [u8]>,
    bytes: usize,
}

impl<'a> Raw<'a> {
    /// The number of records.
    pub(super) fn len(&self) -> usize {
        self.times.len()
    }

    /// The bytes of keys, values and headers.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn reserve(&mut self, records: usize) {
        self.keys.reserve(records);
        self.values.reserve(records);
        self.times.reserve(records);
        self.offsets.reserve(records);
    }

    #[inline]
    pub(super) fn push(&mut self, record: &Record<'a>, headers: bool) {
        self.keys.push(record.key);
        self.values.push(record.value);
        self.times.push(record.time);
        self.offsets.push(record.offset);
        if headers {
            self.headers.push(record.raw_headers());
        }
        self.bytes += record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
    }
}

/// How much is decoded at once.
///
/// Decoding stops at whichever comes first, after at least one record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Most {
    pub records: usize,
    pub bytes: usize,
}

/// A place in fetched bytes: the start of a batch, and the next record in it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    pub byte: usize,
    /// Where in the batch the record begins, as [`Records::place`] says it; none if that is still to be found.
    pub inside: Option<(usize, u32)>,
    /// The first record that is not decoded. Batches may hold earlier ones, which are left out.
    pub offset: Offset,
}

impl Decode {
    pub(super) fn new(source: Arc<Source>, partition: u32, wanted: Arc<Wanted>) -> Self {
        let schema = &source.schema;
        let (keys, values) = (schema.keys(), schema.values());
        let time_column = source.timestamp.as_ref().and_then(|t| schema.find(&t.column)).map(|(place, _)| place);
        let read = |place: usize| wanted.columns.contains(&SourceColumn::Declared(place)) || time_column == Some(place);
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
            key: source.key.decoder(key_needed),
            value: source.value.decoder(value_needed),
            origins: wanted.columns.iter().map(origin).collect(),
            time: time_column.map(declared),
            partition,
            wanted,
            source,
        }
    }

    /// What is decoded.
    pub(super) fn wanted(&self) -> &Arc<Wanted> {
        &self.wanted
    }

    fn reads_headers(&self) -> bool {
        self.wanted.headers || self.origins.iter().any(|origin| matches!(origin, Origin::Headers(_)))
    }

    /// Decodes records from whole batches in `bytes`, from `place` on, which is moved to where the next call goes on. Nothing
    /// if there was no record.
    ///
    /// # Errors
    /// Kind `Backend`: the bytes are no whole record batches. Kind `Unsupported`: a batch is compressed. A payload that
    /// cannot be read is no error: its record is set aside.
    pub(super) fn decode(&mut self, bytes: &[u8], place: &mut Place, most: Most) -> Result<Option<Decoded>> {
        let headers = self.reads_headers();
        let mut raw = Raw::default();
        let from = place.offset;
        'batches: while raw.len() < most.records && raw.bytes() < most.bytes {
            let Some(head) = BatchHead::parse(&bytes[place.byte..])? else { break };
            let batch = &bytes[place.byte..place.byte + head.length];
            let mut records = Records::new(batch, head);
            if let Some(inside) = place.inside.take() {
                records.go_to(inside);
            }
            raw.reserve((head.records as usize).min(most.records - raw.len()));
            loop {
                let inside = records.place();
                let Some(record) = records.next_record()? else { break };
                if record.offset < place.offset {
                    continue;
                }
                if raw.len() >= most.records || (raw.len() > 0 && raw.bytes() >= most.bytes) {
                    // The rest of the batch comes next time.
                    place.inside = Some(inside);
                    break 'batches;
                }
                place.offset = record.offset + 1;
                raw.push(&record, headers);
            }
            place.offset = head.next_offset().max(place.offset);
            place.byte += head.length;
        }
        if place.offset == from {
            return Ok(None);
        }
        self.rows(raw, from, place.offset).map(Some)
    }

    /// Makes rows of records.
    fn rows(&mut self, raw: Raw, from: Offset, next: Offset) -> Result<Decoded> {
        let key = self.key.decode(&raw.keys);
        let value = self.value.decode(&raw.values);
        let mut bad: Vec<(u32, Reason, String)> = Vec::new();
        bad.extend(key.failed.into_iter().map(|(row, why)| (row, Reason::Undecodable, format!("key: {why}"))));
        bad.extend(value.failed.into_iter().map(|(row, why)| (row, Reason::Undecodable, format!("value: {why}"))));
        let times = self.row_times(&raw, &key.columns, &value.columns, &mut bad);
        if self.source.kind == SourceKind::Table {
            let keyless = raw.keys.iter().enumerate().filter(|(_, k)| k.is_none());
            bad.extend(keyless.map(|(row, _)| (row as u32, Reason::NoKey, "a table's record has no key".to_owned())));
        }
        let columns = self.columns(&raw, &key.columns, &value.columns, &times)?;
        let mut batch = Batch::new(columns, times.into(), Seq::From(0));
        if raw.values.iter().any(Option::is_none) {
            batch.absent = Some(BooleanBuffer::collect_bool(raw.len(), |row| raw.values[row].is_none()));
        }
        batch.headers = self.wanted.headers.then(|| raw_headers(&raw)).flatten();
        self.without_bad(batch, raw, bad, (from, next))
    }

    /// Sets the bad records aside.
    ///
    /// `bad` has places in the batch, in any order and a record perhaps twice.
    fn without_bad(
        &self,
        mut batch: Batch,
        raw: Raw,
        mut bad: Vec<(u32, Reason, String)>,
        (from, next): (Offset, Offset),
    ) -> Result<Decoded> {
        let (record_bytes, mut offsets) = (raw.bytes, raw.offsets);
        bad.sort_by_key(|(row, ..)| *row);
        bad.dedup_by_key(|(row, ..)| *row);
        let mut keep = vec![true; if bad.is_empty() { 0 } else { batch.rows() }];
        bad.iter().for_each(|(row, ..)| keep[*row as usize] = false);
        let (bad, bad_bytes) = set_aside(bad, &offsets);
        if !bad.is_empty() {
            batch = batch.filter(&BooleanBuffer::from(keep.as_slice()))?;
            let mut kept = keep.iter();
            offsets.retain(|_| kept.next().copied().unwrap_or(true));
        }
        let mut largest = i64::MIN;
        let times: Vec<i64> = batch
            .time
            .iter()
            .map(|time| {
                largest = largest.max(*time);
                largest
            })
            .collect();
        let bytes = batch.bytes() + offsets.len() * 2 * size_of::<i64>() + bad_bytes;
        let wanted = self.wanted.clone();
        Ok(Decoded {
            wanted,
            from,
            next,
            batch,
            offsets: offsets.into(),
            times: times.into(),
            bad,
            bytes,
            record_bytes,
        })
    }

    /// The time of every row; rows without one are bad.
    ///
    /// Adds to `bad` each record whose time is negative, as Kafka Streams drops records with a negative timestamp.
    fn row_times(
        &self,
        raw: &Raw,
        keys: &[ArrayRef],
        values: &[ArrayRef],
        bad: &mut Vec<(u32, Reason, String)>,
    ) -> Vec<i64> {
        let column = match &self.time {
            Some(Origin::Key(place)) => Some(&keys[*place]),
            Some(Origin::Value(place)) => Some(&values[*place]),
            Some(_) | None => None,
        };
        let said = column.zip(self.source.timestamp.as_ref());
        let times = said.map_or_else(|| raw.times.clone(), |(column, timestamp)| row_times(column, timestamp));
        for (row, time) in times.iter().enumerate().filter(|(_, time)| **time < 0) {
            let declared = said.and_then(|(column, at)| Some((column, self.source.schema.find(&at.column)?.1)));
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
                Origin::Headers(name) => headers_column(raw, name.as_deref())?,
                Origin::Time => Arc::new(Int64Array::from(times.to_vec())),
                Origin::Partition => Arc::new(Int32Array::from(vec![self.partition as i32; times.len()])),
                Origin::Offset => Arc::new(Int64Array::from(raw.offsets.clone())),
            })
        };
        self.origins.iter().map(column).collect()
    }
}

/// The headers of every record as its bytes hold them, NULL for none; nothing if no record has any.
///
/// The bytes are those of the record format: a count, then keys and values. The first byte is 0 where there are none.
fn raw_headers(raw: &Raw) -> Option<ArrayRef> {
    let has = |headers: &&[u8]| headers.first().is_some_and(|count| *count != 0);
    if !raw.headers.iter().any(&has) {
        return None;
    }
    let mut column = BinaryBuilder::with_capacity(raw.len(), raw.headers.iter().map(|h| h.len()).sum());
    raw.headers.iter().for_each(|headers| column.append_option(Some(headers).filter(|h| has(h))));
    Some(Arc::new(column.finish()))
}

/// The declared column of headers: all of them, or the last with this name.
///
/// With a name the type is BYTES: the value of the last header of that name, NULL if there is none. Without one it is
/// `ARRAY<STRUCT<KEY STRING, VALUE BYTES>>`, as in ksqlDB.
fn headers_column(raw: &Raw, name: Option<&str>) -> Result<ArrayRef> {
    let sql_type = if name.is_some() { SqlType::Bytes } else { SqlType::headers() };
    let mut out = Builder::new(&sql_type, raw.len());
    let bytes = |value: &Option<Vec<u8>>| value.clone().map_or(Value::Null, Value::Bytes);
    for headers in &raw.headers {
        let headers = parse_headers(headers)?;
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
    Ok(out.finish())
}

/// The bad records with these rows and messages, and about how many bytes they take.
fn set_aside(bad: Vec<(u32, Reason, String)>, offsets: &[Offset]) -> (Vec<Bad>, usize) {
    let (mut aside, mut bytes): (Vec<Bad>, usize) = (Vec::with_capacity(bad.len()), bad.len() * size_of::<Bad>());
    for (row, reason, message) in bad {
        let message = cut(message);
        let last = aside.last().map(|last| &last.message).filter(|last| **last == message);
        let message = last.cloned().unwrap_or_else(|| {
            bytes += message.len();
            message
        });
        aside.push(Bad { offset: offsets[row as usize], reason, message });
    }
    (aside, bytes)
}
