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
//! A query that reads the processing log, or what others made of it, does not write to it, and one that reads its own dead
//! letters writes none: what fails in it would be read by it again, for ever.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value as Json, json};

use tracing::warn;

use super::Shared;
use super::letters::{dead_letter_topic, written_letters};
use super::running::Running;
use crate::catalog::Catalog;
use crate::config::{self, Properties};
use crate::error::{Error, Result};
use crate::ids::TopicId;
use crate::journal::{Append, Entry};
use crate::operators::{Failure, Log, Origin, Reason};
use crate::runtime::{QueryRun, records_at};
use crate::topics::record::{BatchWriter, Header, Record, RecordBatch, parse_headers};
use crate::topics::{BATCH_BYTES, PartitionId};
use crate::types::parse::base64_text;

/// How many failed rows of an epoch the processing log has, one by one.
const MOST_LOGGED: usize = 100;

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
        // A query that commits nothing keeps none.
        if failed.query.persistent && failed.query.dead_letters {
            asides.extend(self.dead_letters(failed)?);
        }
        self.compress(&mut asides)?;
        Ok(asides)
    }

    /// The topic of the processing log, for a query that may write to it.
    fn log_topic(&self, query: &Running) -> Option<TopicId> {
        let catalog = self.world.catalog();
        let topic = catalog.topic(self.settings.properties.text(config::LOG_TOPIC))?;
        let made = made_of(&topic.name, &catalog);
        let is_read = made.iter().filter_map(|name| catalog.topic(name)).any(|topic| query.reads.contains(&topic.id));
        (!is_read).then_some(topic.id)
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
        let topic = catalog.topic(&dead_letter_topic(&failed.query.id));
        let Some(topic) = topic.filter(|topic| !failed.query.reads.contains(&topic.id)) else { return Ok(Vec::new()) };
        let now_ms = self.now().wall_ms;
        let mut first: BTreeMap<Origin, &Failure> = BTreeMap::new();
        for failure in failed.log.failures() {
            failure.origin.into_iter().for_each(|origin| {
                first.entry(origin).or_insert(failure);
            });
        }
        let mut batches = Batches::new(topic.id);
        self.each_original(failed.run, &first.keys().copied().collect::<Vec<_>>(), &mut |origin, record| {
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
        self.each_original(run, &origins, &mut |origin, record| {
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
        origins: &[Origin],
        take: &mut dyn FnMut(Origin, Option<&Record>) -> Result<()>,
    ) -> Result<()> {
        for same in origins.chunk_by(|a, b| (a.topic, a.partition) == (b.topic, b.partition)) {
            let id = PartitionId { topic: run.topic_of(same[0]).0, partition: same[0].partition };
            let offsets: Vec<i64> = same.iter().map(|origin| origin.offset).collect();
            records_at(self.topics.as_ref(), id, &offsets, &mut |offset, record| {
                take(Origin { offset, ..same[0] }, record)
            })?;
        }
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

    /// Appends records to the processing log with no epoch.
    ///
    /// Nobody waits for it; if they cannot be appended, that is reported.
    pub(super) fn submit_logged(self: &Arc<Self>, batches: Vec<(PartitionId, RecordBatch)>) {
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
                            .map(|bytes| base64_text(bytes)),
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

/// The names of a topic and of those that queries fill from it, over any number of steps.
fn made_of(topic: &str, catalog: &Catalog) -> BTreeSet<String> {
    let mut made = BTreeSet::from([topic.to_owned()]);
    let queries = catalog.queries();
    let topic_of = |source: &String| catalog.source(source).map(|source| source.topic.as_str());
    loop {
        let before = made.len();
        for query in &queries {
            if query.reads.iter().filter_map(topic_of).any(|name| made.contains(name)) {
                made.extend(topic_of(&query.sink).map(str::to_owned));
                made.extend(written_letters(query, catalog));
            }
        }
        if made.len() == before {
            return made;
        }
    }
}

/// A record of the processing log.
fn entry(logger: &str, level: &str, time: i64, message: Json) -> Vec<u8> {
    let entry = json!({ "level": level, "logger": format!("processing.{logger}"), "time": time, "message": message });
    entry.to_string().into_bytes()
}

#[cfg(test)]
mod tests;
