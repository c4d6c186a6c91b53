//! Streams, by example: statements, the records that they read and the records that they write.
//!
//! A case is run in whole batches and one row at a time, which must give the same.

use tidemill::catalog::Source;
use tidemill::config::Properties;
use tidemill::engine::{Engine, Life};
use tidemill::statements::Session;
use tidemill::topics::record::{BatchWriter, Header, Record};
use tidemill::topics::{PartitionId, partition_of};
use tidemill::types::SqlType;

use super::{bench, cases, refusals};

/// An input record: `topic key | value @ time`, with ` ; name=text` for each header.
pub(super) struct Input<'a> {
    topic: &'a str,
    /// The partition that was written after a slash.
    partition: Option<u32>,
    /// `None` for NULL, as in the value.
    key: Option<&'a str>,
    value: Option<&'a str>,
    time_ms: i64,
    headers: Vec<Header>,
}

impl<'a> Input<'a> {
    pub(super) fn read(line: &'a str) -> Input<'a> {
        Input::parts(line).unwrap_or_else(|| panic!("'{line}' is not: > topic key | value @ time"))
    }

    fn parts(line: &'a str) -> Option<Input<'a>> {
        let (place, rest) = line.strip_prefix("> ")?.split_once(' ')?;
        let (key, rest) = rest.split_once(" | ")?;
        let (value, rest) = rest.rsplit_once(" @ ")?;
        let mut rest = rest.split(" ; ");
        let time_ms = rest.next()?.parse().ok()?;
        let header = |text: &str| {
            let (name, value) = text.split_once('=')?;
            Some(Header { key: name.to_owned(), value: Some(value.as_bytes().to_vec()) })
        };
        let headers = rest.map(header).collect::<Option<_>>()?;
        let (topic, partition) = match place.split_once('/') {
            Some((topic, partition)) => (topic, Some(partition.parse().ok()?)),
            None => (place, None),
        };
        let given = |text: &'a str| (text != "NULL").then_some(text);
        Some(Input { topic, partition, key: given(key), value: given(value), time_ms, headers })
    }

    /// Appends the record to its partition: the one that is written, else that of its key, else the first.
    pub(super) fn produce(&self, engine: &Engine) {
        let catalog = engine.catalog();
        let topic = catalog.topic(self.topic).unwrap_or_else(|| panic!("there is no topic {}", self.topic));
        let source = catalog.sources().find(|s| s.topic == self.topic);
        let key = self.key.map(|text| bytes_of(text, source.and_then(|s| key_type(s.as_ref()))));
        let value = self.value.map(|text| bytes_of(text, source.and_then(|s| value_type(s.as_ref()))));
        let mut writer = BatchWriter::new();
        writer.push(self.time_ms, key.as_deref(), value.as_deref(), &self.headers);
        let batch = writer.finish().expect("a batch of one record");
        let by_key = || key.as_deref().map_or(0, |key| partition_of(key, topic.partitions));
        let id = PartitionId { topic: topic.id, partition: self.partition.unwrap_or_else(by_key) };
        engine.topics().append(vec![(id, batch)]).expect("the record is appended");
    }
}

/// The type of a key in the KAFKA format; its numbers are not text.
fn key_type(source: &Source) -> Option<&SqlType> {
    let of_kafka = source.key.format.name() == "KAFKA";
    source.schema.keys().first().filter(|_| of_kafka).map(|column| &column.sql_type)
}

/// The type of a value in the KAFKA format.
fn value_type(source: &Source) -> Option<&SqlType> {
    let of_kafka = source.value.format.name() == "KAFKA";
    source.schema.values().first().filter(|_| of_kafka).map(|column| &column.sql_type)
}

fn bytes_of(text: &str, kafka: Option<&SqlType>) -> Vec<u8> {
    const NUMBER: &str = "a number of the type of its column";
    match kafka {
        Some(SqlType::Integer) => text.parse::<i32>().expect(NUMBER).to_be_bytes().to_vec(),
        Some(SqlType::Bigint) => text.parse::<i64>().expect(NUMBER).to_be_bytes().to_vec(),
        Some(SqlType::Double) => text.parse::<f64>().expect(NUMBER).to_be_bytes().to_vec(),
        _ => text.as_bytes().to_vec(),
    }
}

fn text_of(bytes: &[u8], kafka: Option<&SqlType>) -> String {
    const LENGTH: &str = "a number has the length of its type";
    match kafka {
        Some(SqlType::Integer) => i32::from_be_bytes(bytes.try_into().expect(LENGTH)).to_string(),
        Some(SqlType::Bigint) => i64::from_be_bytes(bytes.try_into().expect(LENGTH)).to_string(),
        Some(SqlType::Double) => f64::from_be_bytes(bytes.try_into().expect(LENGTH)).to_string(),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// A record of a sink as a line. The key of a window has its bounds after it.
fn line(place: &str, record: &Record, source: &Source) -> String {
    let mut key = record.key;
    let mut window = String::new();
    if let (Some(info), Some((own, start))) = (source.window, key.and_then(<[u8]>::split_last_chunk::<8>)) {
        let start = i64::from_be_bytes(*start);
        window = info.size_ms.map_or(format!(" [{start}]"), |size| format!(" [{start}, {})", start + size));
        key = Some(own);
    }
    let shown = |bytes: Option<&[u8]>, sql_type| bytes.map_or("NULL".to_owned(), |b| text_of(b, sql_type));
    let (key, value) = (shown(key, key_type(source)), shown(record.value, value_type(source)));
    let headers = record.headers().expect("headers of a record");
    let header = |h: &Header| format!(" ; {}={}", h.key, shown(h.value.as_deref(), None));
    let headers: String = headers.iter().map(header).collect();
    format!("{place} {key}{window} | {value} @ {}{headers}", record.time)
}

/// The records of a query's sink, partition by partition.
fn written(engine: &Engine, source: &Source) -> Vec<String> {
    let catalog = engine.catalog();
    let topic = catalog.topic(&source.topic).expect("a sink has a topic");
    let mut lines = Vec::new();
    for partition in 0..topic.partitions {
        let place = if topic.partitions == 1 { topic.name.clone() } else { format!("{}/{partition}", topic.name) };
        let id = PartitionId { topic: topic.id, partition };
        let mut reader = engine.topics().reader(id).expect("a reader of the partition");
        let mut next = 0;
        loop {
            let fetch = reader.read(next, 1 << 20).expect("records");
            if fetch.bytes.is_empty() {
                break;
            }
            let read = fetch.each_record(next, |record| {
                lines.push(line(&place, record, source));
                Ok(())
            });
            next = read.expect("whole batches");
        }
    }
    lines
}

/// Runs all queries until nothing is left to do.
pub(super) fn drain(engine: &Engine, whole: bool) {
    if whole {
        return engine.settle().expect("the queries run");
    }
    let queries: Vec<String> = engine.catalog().queries().into_iter().map(|query| query.id.clone()).collect();
    while queries.iter().any(|id| engine.turn(id).expect("a turn")) {}
}

/// What the queries of a case wrote, and which rows they counted as bad or late.
fn outcome_of(text: &str, whole: bool) -> String {
    let engine = bench::engine(if whole { "8192" } else { "1" });
    let mut session = Session::new(&engine, Properties::default());
    let is_record = |line: &&str| line.starts_with('>');
    let (records, statements): (Vec<&str>, Vec<&str>) = text.lines().partition(is_record);
    let mut shown = match bench::execute(&mut session, &statements.join("\n")) {
        Ok(shown) => shown,
        Err(errors) => return refusals(&errors),
    };
    records.iter().for_each(|record| Input::read(record).produce(&engine));
    drain(&engine, whole);
    let catalog = engine.catalog();
    let mut sinks: Vec<&str> = Vec::new();
    for query in catalog.queries() {
        if !sinks.contains(&query.sink.as_str()) {
            sinks.push(&query.sink);
            shown.extend(written(&engine, catalog.source(&query.sink).expect("the sink of a query")));
        }
    }
    for query in catalog.queries() {
        if let Some(Life::Failed(error)) = engine.life(&query.id) {
            shown.push(format!("{} failed: {error}", query.id));
        }
        let stats = engine.stats(&query.id).expect("a query has figures");
        let counted = stats.totals.iter().filter(|(_, count)| **count > 0);
        shown.extend(counted.map(|(reason, count)| format!("{} counts {}: {count}", query.id, reason.name())));
    }
    if shown.is_empty() { "nothing".to_owned() } else { shown.join("\n") }
}

fn outcome(text: &str) -> String {
    let whole = outcome_of(text, true);
    assert_eq!(outcome_of(text, false), whole, "one row at a time and whole batches differ:\n{text}");
    whole
}

#[test]
fn streams_write_what_is_written_down() {
    cases::check("streams", &outcome);
}
