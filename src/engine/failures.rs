//! Rows that failed, for those who look at them: the processing log, and dead letters.
//!
//! Both are records of topics, appended with the epoch in which the rows failed: each is there once, however often a
//! query was killed. A topic that was dropped gets none, and the query goes on.
//!
//! ```text
//! processing log   one topic for all queries; a record says in JSON which row failed and why, in ksqlDB's words.
//!                  Written if the topic is there. At most `MOST_LOGGED` rows of an epoch, then how many more failed.
//! dead letters     a topic for each query that wants them; the record as it was, and in headers why it failed.
//!                  Every record of which a row failed, once an epoch.
//! ```
//!
//! A query that reads the processing log does not write to it: what fails in it would be read by it again, for ever.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

use tracing::warn;

use super::Shared;
use super::running::Running;
use crate::config::{self, Properties};
use crate::error::{Error, Result};
use crate::ids::TopicId;
use crate::journal::{Append, Entry};
use crate::operators::{Failure, Log, Origin, Reason};
use crate::runtime::{QueryRun, records_at};
use crate::topics::PartitionId;
use crate::topics::record::{BatchWriter, Header, Record, RecordBatch, parse_headers};

/// How many failed rows of an epoch the processing log has, one by one.
const MOST_LOGGED: usize = 100;
/// A batch of records is about this large at most.
const BATCH_BYTES: usize = 512 << 10;

/// The topic of a query's dead letters.
pub fn dead_letter_topic(query: &str) -> String {
    format!("{query}-dead-letters")
}

/// What failed in an epoch of a query.
pub(super) struct Failed<'a> {
    pub query: &'a Running,
    pub run: &'a QueryRun,
    pub log: &'a Log,
}

/// A record as it was.
struct Original {
    time: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<Header>,
}

/// Records that are written one after the other to a partition.
struct Batches {
    to: PartitionId,
    writer: BatchWriter,
    finished: Vec<(PartitionId, RecordBatch)>,
}

impl Batches {
    /// Records for the first partition of a topic.
    fn new(topic: TopicId) -> Batches {
        Batches { to: PartitionId { topic, partition: 0 }, writer: BatchWriter::new(), finished: Vec::new() }
    }

    fn push(&mut self, time: i64, key: Option<&[u8]>, value: Option<&[u8]>, headers: &[Header]) {
        self.writer.push(time, key, value, headers);
        if self.writer.size() > BATCH_BYTES {
            self.finish();
        }
    }

    fn finish(&mut self) {
        let batch = std::mem::take(&mut self.writer).finish();
        self.finished.extend(batch.map(|batch| (self.to, batch)));
    }

    fn into_batches(mut self) -> Vec<(PartitionId, RecordBatch)> {
        self.finish();
        self.finished
    }
}

impl Shared {
    /// Whether a query with these properties keeps every row that fails.
    pub(super) fn keeps_failures(&self, properties: &Properties) -> bool {
        properties.flag(config::DEAD_LETTERS) || self.settings.properties.flag(config::LOG_TOPIC_CREATE)
    }

    /// The records that say what failed in an epoch of a query.
    ///
    /// # Errors
    /// The records of which rows failed cannot be read.
    pub(super) fn asides(&self, failed: &Failed) -> Result<Vec<(PartitionId, RecordBatch)>> {
        if failed.log.counts().is_empty() {
            return Ok(Vec::new());
        }
        let mut asides = self.logged(failed)?;
        if failed.query.dead_letters {
            asides.extend(self.dead_letters(failed)?);
        }
        self.compress(&mut asides)?;
        Ok(asides)
    }

    /// The topic of the processing log, for a query that may write to it.
    fn log_topic(&self, query: &Running) -> Option<TopicId> {
        let catalog = self.world.catalog();
        let topic = catalog.topic(self.settings.properties.text(config::LOG_TOPIC))?.id;
        (!query.reads.contains(&topic)).then_some(topic)
    }

    /// The records of the processing log.
    fn logged(&self, failed: &Failed) -> Result<Vec<(PartitionId, RecordBatch)>> {
        let Some(topic) = self.log_topic(failed.query) else { return Ok(Vec::new()) };
        let now_ms = self.now().wall_ms;
        let shown = failed.shown();
        let includes = self.settings.properties.flag(config::LOG_ROWS);
        let records = if includes { self.originals(failed.run, &shown)? } else { BTreeMap::new() };
        let mut batches = Batches::new(topic);
        let mut counts = failed.log.counts().clone();
        for failure in shown {
            let record = failure.origin.and_then(|origin| records.get(&origin));
            batches.push(now_ms, None, Some(&failed.entry(failure, record, now_ms)), &[]);
            counts.entry(failure.reason).and_modify(|count| *count = count.saturating_sub(1));
        }
        for (reason, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
            let message = format!("{count} more rows failed meanwhile: {}", reason.name());
            let more = Failure { reason, origin: None, message };
            batches.push(now_ms, None, Some(&failed.entry(&more, None, now_ms)), &[]);
        }
        Ok(batches.into_batches())
    }

    /// The dead letters, in the order of topics, partitions and offsets. A record of which several rows failed is there
    /// once, with the first failure.
    fn dead_letters(&self, failed: &Failed) -> Result<Vec<(PartitionId, RecordBatch)>> {
        let catalog = self.world.catalog();
        let Some(topic) = catalog.topic(&dead_letter_topic(&failed.query.id)) else { return Ok(Vec::new()) };
        let now_ms = self.now().wall_ms;
        let mut first: BTreeMap<Origin, &Failure> = BTreeMap::new();
        for failure in failed.log.failures() {
            failure.origin.into_iter().for_each(|origin| {
                first.entry(origin).or_insert(failure);
            });
        }
        let mut batches = Batches::new(topic.id);
        self.each_original(failed.run, first.keys().copied(), &mut |origin, record| {
            let mut headers = record.map_or_else(|| Ok(Vec::new()), |record| parse_headers(record.raw_headers()))?;
            headers.extend(failed.headers(first[&origin], origin, record.is_some()));
            let (key, value) = record.map_or((None, None), |record| (record.key, record.value));
            batches.push(record.map_or(now_ms, |record| record.time), key, value, &headers);
            Ok(())
        })?;
        Ok(batches.into_batches())
    }

    /// The records of which rows failed, as far as they are still there.
    fn originals(&self, run: &QueryRun, failures: &[&Failure]) -> Result<BTreeMap<Origin, Original>> {
        let mut found = BTreeMap::new();
        let mut origins: Vec<Origin> = failures.iter().filter_map(|failure| failure.origin).collect();
        origins.sort_unstable();
        origins.dedup();
        self.each_original(run, origins.into_iter(), &mut |origin, record| {
            if let Some(record) = record {
                let headers = parse_headers(record.raw_headers())?;
                let [key, value] = [record.key, record.value].map(|bytes| bytes.map(<[u8]>::to_vec));
                found.insert(origin, Original { time: record.time, key, value, headers });
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// Calls `take` with the record of each origin, which rise; with `None` for one that is not there any more.
    fn each_original(
        &self,
        run: &QueryRun,
        origins: impl Iterator<Item = Origin>,
        take: &mut dyn FnMut(Origin, Option<&Record>) -> Result<()>,
    ) -> Result<()> {
        let origins: Vec<Origin> = origins.collect();
        for same in origins.chunk_by(|a, b| (a.topic, a.partition) == (b.topic, b.partition)) {
            let id = PartitionId { topic: run.topic_of(same[0]).0, partition: same[0].partition };
            let offsets: Vec<i64> = same.iter().map(|origin| origin.offset).collect();
            records_at(self.topics.as_ref(), id, &offsets, &mut |offset, record| {
                take(Origin { offset, ..same[0] }, record)
            })?;
        }
        Ok(())
    }

    /// Appends to the processing log what failed in a query that commits nothing.
    ///
    /// Nobody waits for it; if it cannot be appended, that is reported.
    pub(super) fn append_logged(self: &Arc<Self>, failed: &Failed) -> Result<()> {
        let mut batches = self.logged(failed)?;
        self.compress(&mut batches)?;
        self.submit_logged(batches);
        Ok(())
    }

    /// Appends to the processing log that a query has failed.
    pub(super) fn log_end(self: &Arc<Self>, query: &Running, error: &Error) {
        let Some(topic) = self.log_topic(query) else { return };
        let now_ms = self.now().wall_ms;
        let message = json!({
            "type": 4,
            "kafkaStreamsThreadError": { "errorMessage": error.to_string(), "threadName": query.id, "cause": [] },
        });
        let mut batches = Batches::new(topic);
        batches.push(now_ms, None, Some(&entry(&query.id, "ERROR", now_ms, message)), &[]);
        self.submit_logged(batches.into_batches());
    }

    fn submit_logged(self: &Arc<Self>, batches: Vec<(PartitionId, RecordBatch)>) {
        if batches.is_empty() {
            return;
        }
        let shared = self.clone();
        let decided = move |decision: Result<_>| {
            if let Err(error) = decision {
                shared.settings.tell(|| warn!("the processing log could not be written: {error}"));
            }
        };
        self.submit(Entry::Append(Append { batches }), Box::new(decided));
    }
}

impl Failed<'_> {
    /// The failures that are logged one by one: the first ones, or one for each reason if they were not kept.
    fn shown(&self) -> Vec<&Failure> {
        match self.log.failures() {
            [] => self.log.samples().collect(),
            all => all.iter().take(MOST_LOGGED).collect(),
        }
    }

    /// A failure as the processing log has it.
    fn entry(&self, failure: &Failure, record: Option<&Original>, now_ms: i64) -> Vec<u8> {
        let sentence = self.run.sentence(failure);
        let message = match failure.reason {
            Reason::Undecodable => {
                let (target, why) = failure.message.split_once(": ").unwrap_or(("value", &failure.message));
                json!({
                    "type": 0,
                    "deserializationError": {
                        "target": target,
                        "errorMessage": sentence,
                        "recordB64": record.and_then(|r| if target == "key" { r.key.as_ref() } else { r.value.as_ref() })
                            .map(|bytes| STANDARD.encode(bytes)),
                        "cause": [why],
                        "topic": failure.origin.map(|origin| self.run.topic_of(origin).1),
                    },
                })
            }
            Reason::TooLarge => json!({ "type": 2, "productionError": { "errorMessage": sentence } }),
            _ => json!({
                "type": 1,
                "recordProcessingError": {
                    "errorMessage": sentence,
                    "record": record.map(Original::shown),
                    "cause": [],
                },
            }),
        };
        let level = if matches!(failure.reason, Reason::Late | Reason::Deleted) { "WARN" } else { "ERROR" };
        entry(&format!("{}.{}", self.query.id, failure.reason.name()), level, now_ms, message)
    }

    /// The headers of a dead letter that say why the record is there.
    fn headers(&self, failure: &Failure, origin: Origin, is_there: bool) -> Vec<Header> {
        let gone = (!is_there).then(|| ("record", "deleted before it could be copied".to_owned()));
        let said = [
            ("query", self.query.id.clone()),
            ("reason", failure.reason.name().to_owned()),
            ("message", failure.message.clone()),
            ("topic", self.run.topic_of(origin).1.to_owned()),
            ("partition", origin.partition.to_string()),
            ("offset", origin.offset.to_string()),
        ];
        let header = |(name, value): (&str, String)| Header {
            key: format!("tidemill.error.{name}"),
            value: Some(value.into_bytes()),
        };
        said.into_iter().chain(gone).map(header).collect()
    }
}

impl Original {
    /// Key, value and time as a text for people to read.
    fn shown(&self) -> String {
        let text = |bytes: &Option<Vec<u8>>| bytes.as_deref().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let headers: Vec<&str> = self.headers.iter().map(|header| header.key.as_str()).collect();
        json!({ "key": text(&self.key), "value": text(&self.value), "timestamp": self.time, "headers": headers })
            .to_string()
    }
}

/// A record of the processing log.
fn entry(logger: &str, level: &str, time: i64, message: Json) -> Vec<u8> {
    let entry = json!({ "level": level, "logger": format!("processing.{logger}"), "time": time, "message": message });
    entry.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::disk::double::{End, ForgetfulDisk, Random};
    use crate::engine::{Engine, Settings, Store};
    use crate::statements::{self, Session};

    const STATEMENTS: &str = "
        CREATE TOPIC 'log' WITH (PARTITIONS=1);
        CREATE STREAM s (k INT KEY, v INT) WITH (KAFKA_TOPIC='s', PARTITIONS=2, KEY_FORMAT='JSON', VALUE_FORMAT='JSON');
        SET 'tidemill.dead.letters.enable'='true';
        CREATE STREAM divided AS SELECT k, 100 / v AS q FROM s;
        CREATE TABLE counted AS SELECT k, COUNT(*) AS c FROM s WINDOW TUMBLING (SIZE 1 SECOND, GRACE PERIOD 0 SECONDS)
            GROUP BY k EMIT CHANGES;
        UNSET 'tidemill.dead.letters.enable';
        CREATE STREAM without AS SELECT k, 100 / v AS q FROM s;
        CREATE STREAM logged (logger VARCHAR, message STRUCT<type INT>) WITH (KAFKA_TOPIC='log', VALUE_FORMAT='JSON');
        CREATE STREAM reader AS SELECT 1 / (message->type - message->type) AS q FROM logged;";

    fn open(machine: &ForgetfulDisk, clock: &Arc<ManualClock>) -> Result<Engine> {
        let store = Store::Folder { disk: machine.boot(), path: "/data".into() };
        let settings = Settings::new(store, clock.clone(), statements::compile_kept);
        let values = [
            (config::OFFSET_RESET, "earliest"),
            (config::TURN_BYTES, "1"),
            (config::BATCH_ROWS, "2"),
            (config::CACHE_BYTES, "0"),
            (config::JOURNAL_BYTES, "65536"),
            (config::LOG_TOPIC, "log"),
            (config::LOG_TOPIC_CREATE, "true"),
            (config::LOG_ROWS, "true"),
        ];
        Engine::open(settings.with(&values)?)
    }

    fn execute(engine: &Engine, text: &str) {
        let mut session = Session::new(engine, Properties::default());
        let parsed = statements::parse(text).expect("statements");
        parsed.iter().try_for_each(|statement| session.run(statement).map(drop)).expect("done");
    }

    /// Record by record: bad JSON, a division by zero, a late row, rows that are good.
    fn append(engine: &Engine) {
        let topic = engine.catalog().topic("s").expect("there").clone();
        for n in 0..24i64 {
            let (time, value) = match n % 4 {
                0 => (n * 1000, "{\"V\":5}".to_owned()),
                1 => (n * 1000, format!("bad {n}")),
                2 => (n * 1000, "{\"V\":0}".to_owned()),
                _ => (0, "{\"V\":7}".to_owned()),
            };
            let header = Header { key: "own".to_owned(), value: Some(n.to_string().into_bytes()) };
            let mut writer = BatchWriter::new();
            writer.push(time, Some(b"1"), Some(value.as_bytes()), &[header]);
            engine.insert(&topic, Some(b"1"), writer.finish().expect("a record")).expect("appended");
        }
    }

    /// The records of a topic's first partition: value and headers.
    fn records(engine: &Engine, topic: &str) -> Vec<(String, BTreeMap<String, String>)> {
        let id = PartitionId { topic: engine.catalog().topic(topic).expect("there").id, partition: 0 };
        let offsets: Vec<i64> = (0..engine.topics().end(id).expect("an end")).collect();
        let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
        let mut all = Vec::new();
        records_at(engine.topics().as_ref(), id, &offsets, &mut |_, record| {
            let record = record.expect("nothing was deleted");
            let headers = record.headers()?.into_iter().map(|h| (h.key, text(h.value.as_deref())));
            all.push((text(record.value), headers.collect()));
            Ok(())
        })
        .expect("readable");
        all
    }

    /// Offsets of dead letters with their reasons, in their order.
    fn letters(engine: &Engine, query: &str) -> Vec<(i64, String)> {
        let letter = |(value, headers): (String, BTreeMap<String, String>)| {
            let offset: i64 = headers["tidemill.error.offset"].parse().expect("a number");
            assert_eq!(headers["own"], offset.to_string(), "its own headers come with it");
            assert_eq!(headers["tidemill.error.query"], query);
            let wanted =
                ["{\"V\":5}".to_owned(), format!("bad {offset}"), "{\"V\":0}".to_owned(), "{\"V\":7}".to_owned()];
            assert_eq!(value, wanted[offset as usize % 4]);
            (offset, headers["tidemill.error.reason"].clone())
        };
        records(engine, &dead_letter_topic(query)).into_iter().map(letter).collect()
    }

    /// What the processing log says of a query: the types of its entries, sorted.
    fn logged(engine: &Engine, query: &str) -> Vec<i64> {
        let entry = |(value, _): (String, _)| {
            let entry: Json = serde_json::from_str(&value).expect("JSON");
            let is_of = entry["logger"].as_str().is_some_and(|name| name.starts_with(&format!("processing.{query}.")));
            is_of.then(|| entry["message"]["type"].as_i64().expect("a number"))
        };
        let mut all: Vec<i64> = records(engine, "log").into_iter().filter_map(entry).collect();
        all.sort_unstable();
        all
    }

    fn check(engine: &Engine) {
        let every = |rest: i64, reason: &str| (0..6).map(|n| (4 * n + rest, reason.to_owned())).collect::<Vec<_>>();
        let sorted = |mut all: Vec<(i64, String)>| {
            all.sort();
            all
        };
        let divided = sorted([every(1, "undecodable"), every(2, "expression-errors")].concat());
        assert_eq!(sorted(letters(engine, "CSAS_DIVIDED_0")), divided);
        // The first one moves no time back: it is late from the second on.
        let late: Vec<_> = every(3, "late");
        assert_eq!(sorted(letters(engine, "CTAS_COUNTED_1")), sorted([every(1, "undecodable"), late].concat()));
        for query in ["CSAS_DIVIDED_0", "CSAS_WITHOUT_2"] {
            assert_eq!(logged(engine, query), [[0; 6], [1; 6]].concat(), "{query}");
        }
        assert_eq!(logged(engine, "CSAS_READER_3"), [0; 0], "a reader of the log does not write to it");
    }

    #[test]
    fn what_fails_is_in_the_log_and_among_the_dead_letters_once() {
        let (machine, clock) = (ForgetfulDisk::new(0), Arc::new(ManualClock::new()));
        let engine = open(&machine, &clock).expect("an engine");
        execute(&engine, STATEMENTS);
        append(&engine);
        engine.settle().expect("settled");
        check(&engine);
        let dropped = statements::parse("DROP TOPIC 'CSAS_DIVIDED_0-dead-letters';").expect("a statement");
        let error = Session::new(&engine, Properties::default()).run(&dropped[0]).map(drop).expect_err("in use");
        assert!(error.to_string().contains("has the dead letters of query CSAS_DIVIDED_0"), "{error}");
        execute(&engine, "TERMINATE CSAS_DIVIDED_0; DROP TOPIC 'CSAS_DIVIDED_0-dead-letters';");
    }

    #[test]
    fn what_fails_is_there_once_however_often_the_process_ends() {
        for seed in 0..40 {
            let mut random = Random::new(seed);
            let (machine, clock) = (ForgetfulDisk::new(seed), Arc::new(ManualClock::new()));
            let engine = open(&machine, &clock).expect("an engine");
            execute(&engine, STATEMENTS);
            append(&engine);
            drop(engine);
            for _ in 0..12 {
                let Ok(engine) = open(&machine, &clock) else { continue };
                let end = if random.one_in(2) { End::Kill } else { End::Cut };
                machine.end_after(end, 1 + random.below(20));
                // It ends in the middle, or has nothing more to do.
                let _ = engine.settle();
            }
            let engine = open(&machine, &clock).expect("an engine");
            engine.settle().expect("settled");
            check(&engine);
        }
    }

    #[test]
    fn a_log_that_is_dropped_takes_no_query_with_it() {
        let (machine, clock) = (ForgetfulDisk::new(0), Arc::new(ManualClock::new()));
        let engine = open(&machine, &clock).expect("an engine");
        execute(&engine, STATEMENTS);
        execute(&engine, "TERMINATE CSAS_READER_3; DROP STREAM reader; DROP STREAM logged; DROP TOPIC 'log';");
        append(&engine);
        engine.settle().expect("settled");
        assert_eq!(letters(&engine, "CSAS_DIVIDED_0").len(), 12);
    }
}
