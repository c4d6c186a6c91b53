//! Records of cases: from JSON to bytes as the topic's source writes them, and back.
//!
//! A topic without a source is taken for JSON. DELIMITED is compared as its line, KAFKA as the value that Kafka's own
//! deserialisers give, JSON as JSON.

use serde_json::Value;
use serde_json::value::RawValue;

use super::case::{CaseRecord, CaseWindow};
use crate::catalog::{Catalog, Source};
use crate::error::{Error, Result};
use crate::formats::Part;
use crate::ids::TopicId;
use crate::topics::record::{BatchWriter, Header, RecordBatch};
use crate::topics::{Offset, PartitionId, Topics};
use crate::types::parse::{base64_bytes, base64_text};
use crate::types::{Column, Decimal, SqlType};

/// The first source over a topic.
pub(super) fn source_of<'a>(catalog: &'a Catalog, topic: &str) -> Option<&'a Source> {
    catalog.sources().map(AsRef::as_ref).find(|s| s.topic == topic)
}

/// The key of a record of a case, and a batch with the record alone.
///
/// # Errors
/// Kind `Unsupported` for a window, `Invalid` for a value that the format cannot hold.
pub(super) fn encode(record: &CaseRecord, source: Option<&Source>) -> Result<(Option<Vec<u8>>, RecordBatch)> {
    if record.window.is_some() {
        return Err(Error::unsupported("input with windows"));
    }
    let part = |part: Part, value: &Option<Box<RawValue>>| -> Result<Option<Vec<u8>>> {
        match value.as_ref().map(|v| v.get()).filter(|text| *text != "null") {
            None => Ok(None),
            Some(text) => encode_part(text, part, source),
        }
    };
    let (key, value) = (part(Part::Key, &record.key)?, part(Part::Value, &record.value)?);
    let header = |h: &super::case::CaseHeader| Header {
        key: h.key.clone(),
        value: h.value.as_ref().and_then(|v| base64_bytes(v)),
    };
    let headers: Vec<Header> = record.headers.iter().map(header).collect();
    let mut writer = BatchWriter::new();
    writer.push(record.timestamp.unwrap_or_default(), key.as_deref(), value.as_deref(), &headers);
    let batch = writer.finish().ok_or_else(|| Error::bug("a batch without its record"))?;
    Ok((key, batch))
}

/// The name of the format of a part, and its columns; a topic without a source is taken for JSON.
fn declared(part: Part, source: Option<&Source>) -> (&'static str, &[Column]) {
    match (source, part) {
        (None, _) => ("JSON", &[]),
        (Some(source), Part::Key) => (source.key.format.name(), source.schema.keys()),
        (Some(source), Part::Value) => (source.value.format.name(), source.schema.values()),
    }
}

fn encode_part(text: &str, part: Part, source: Option<&Source>) -> Result<Option<Vec<u8>>> {
    let (format, columns) = declared(part, source);
    match format {
        "NONE" => Ok(None),
        "JSON" => Ok(Some(plain_numbers(text).into_bytes())),
        "DELIMITED" => {
            let value: Value = serde_json::from_str(text).map_err(|e| Error::invalid(e.to_string()))?;
            let line = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            Ok(Some(line.into_bytes()))
        }
        _ => bare(text, columns.first().map(|c| &c.sql_type)).map(Some),
    }
}

/// JSON whose numbers have no exponents, as the peer's runner writes it.
fn plain_numbers(text: &str) -> String {
    let plain = |value: &Value| {
        let number = value.as_number()?.to_string();
        let decimal = Decimal::parse(&number).filter(|_| number.contains(['e', 'E']))?;
        serde_json::from_str(&decimal.plain()).ok()
    };
    fn walk(value: &mut Value, change: &dyn Fn(&Value) -> Option<Value>) -> bool {
        match value {
            Value::Array(items) => items.iter_mut().fold(false, |changed, item| walk(item, change) | changed),
            Value::Object(fields) => fields.values_mut().fold(false, |changed, field| walk(field, change) | changed),
            other => change(other).map(|new| *other = new).is_some(),
        }
    }
    let mut value = match serde_json::from_str::<Value>(text) {
        Ok(value) => value,
        Err(_) => return text.to_owned(),
    };
    if walk(&mut value, &plain) { value.to_string() } else { text.to_owned() }
}

/// A value as Kafka's own serialisers write it.
fn bare(text: &str, sql_type: Option<&SqlType>) -> Result<Vec<u8>> {
    let value: Value = serde_json::from_str(text).map_err(|e| Error::invalid(e.to_string()))?;
    let wrong = || Error::invalid(format!("{text} cannot be written in the KAFKA format"));
    Ok(match (sql_type, &value) {
        (Some(SqlType::Integer), Value::Number(n)) => {
            let number: i32 = n.to_string().parse().map_err(|_| wrong())?;
            number.to_be_bytes().to_vec()
        }
        (Some(SqlType::Bigint), Value::Number(n)) => {
            let number: i64 = n.to_string().parse().map_err(|_| wrong())?;
            number.to_be_bytes().to_vec()
        }
        (Some(SqlType::Double), Value::Number(n)) => {
            let number: f64 = n.to_string().parse().map_err(|_| wrong())?;
            number.to_be_bytes().to_vec()
        }
        (_, Value::String(text)) => text.as_bytes().to_vec(),
        (_, other) => other.to_string().into_bytes(),
    })
}

/// A record as it is compared.
#[derive(Debug)]
pub(super) struct Actual {
    pub key: Datum,
    /// Start and end in milliseconds since the epoch.
    pub window: Option<(i64, i64)>,
    pub value: Datum,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
    pub headers: Vec<Header>,
}

/// A key or value as it is compared: JSON, where `Kafka` marks numbers that are no JSON numbers of the peer.
#[derive(Debug, PartialEq)]
pub(super) enum Datum {
    Json(Value),
    Kafka(Value),
}

/// All records of a topic.
///
/// Partition by partition, in the order of offsets; cases have all records in the first.
///
/// # Errors
/// Bytes that are not in the declared format.
pub(super) fn read_all(
    topics: &dyn Topics,
    topic: TopicId,
    partitions: u32,
    source: Option<&Source>,
) -> Result<Vec<Actual>> {
    let mut all = Vec::new();
    for partition in 0..partitions {
        let mut reader = topics.reader(PartitionId { topic, partition })?;
        let mut next: Offset = 0;
        loop {
            let fetch = reader.read(next, 1 << 20)?;
            if fetch.bytes.is_empty() {
                break;
            }
            next = fetch.each_record(next, |record| {
                all.push(decode(record, source)?);
                Ok(())
            })?;
        }
    }
    Ok(all)
}

fn decode(record: &crate::topics::record::Record, source: Option<&Source>) -> Result<Actual> {
    let mut key = record.key;
    let mut window = None;
    if let (Some(info), Some(bytes)) = (source.and_then(|s| s.window), key)
        && let Some((own, start)) = bytes.split_last_chunk::<8>()
    {
        let start = i64::from_be_bytes(*start);
        window = Some((start, start + info.size_ms.unwrap_or_default()));
        key = Some(own);
    }
    Ok(Actual {
        key: decode_part(key, Part::Key, source)?,
        window,
        value: decode_part(record.value, Part::Value, source)?,
        timestamp: record.time,
        headers: record.headers()?,
    })
}

/// A key or value as it is compared. Missing bytes are JSON's null.
fn decode_part(bytes: Option<&[u8]>, part: Part, source: Option<&Source>) -> Result<Datum> {
    let Some(bytes) = bytes else { return Ok(Datum::Json(Value::Null)) };
    let (format, columns) = declared(part, source);
    if format == "JSON" {
        let parsed = serde_json::from_slice(bytes);
        return parsed.map(Datum::Json).map_err(|e| Error::invalid(format!("a record is no JSON: {e}")));
    }
    if format == "DELIMITED" {
        return Ok(Datum::Json(Value::String(String::from_utf8_lossy(bytes).into_owned())));
    }
    let wrong = || Error::invalid("a record has another length than its type");
    Ok(Datum::Kafka(match columns.first().map(|c| &c.sql_type) {
        Some(SqlType::Integer) => i32::from_be_bytes(bytes.try_into().map_err(|_| wrong())?).into(),
        Some(SqlType::Bigint) => i64::from_be_bytes(bytes.try_into().map_err(|_| wrong())?).into(),
        Some(SqlType::Double) => {
            let number = f64::from_be_bytes(bytes.try_into().map_err(|_| wrong())?);
            serde_json::from_str(&crate::types::text::double(number)).unwrap_or(Value::Null)
        }
        Some(SqlType::Bytes) | Some(SqlType::String) | None | Some(_) => {
            Value::String(String::from_utf8_lossy(bytes).into_owned())
        }
    }))
}

/// The window of a record, if the case says one.
pub(super) fn window_of(window: &Option<CaseWindow>) -> Option<(i64, i64)> {
    window.as_ref().map(|w| (w.start, w.end))
}

/// The value of a header as cases write it.
pub(super) fn header_text(header: &Header) -> Option<String> {
    header.value.as_ref().map(|v| base64_text(v))
}
