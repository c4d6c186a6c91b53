//! `GET /metrics`: what the engine counts, in the text format of Prometheus.
//!
//! Names and units follow Prometheus' conventions: `_total` for what only rises, base units in the name. Labels are the
//! ids of persistent queries and the names of topics, so their number is bounded by what exists.

use std::fmt::Write;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::{Service, ksql};
use crate::engine::{Engine, Life};
use crate::topics::{PartitionId, Topic};

/// The media type of the text format.
pub(super) const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `GET /metrics`.
pub(super) async fn metrics(State(service): State<Arc<Service>>) -> Response {
    // Each query is asked between two of its turns, which may take a moment.
    match ksql::on_a_thread(move || Ok(text(&service.engine))).await {
        Ok(text) => ([(header::CONTENT_TYPE, TEXT)], text).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

/// Families of samples, each with its help and type before the first sample.
struct Families(Vec<Family>);

struct Family {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    samples: String,
}

impl Families {
    /// Adds a sample to a family.
    fn add(&mut self, name: &'static str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let Some(family) = self.0.iter_mut().find(|family| family.name == name) else { return };
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        // Writing to a text cannot fail.
        let _ = writeln!(family.samples, "{name}{labels} {value}");
    }

    fn text(&self) -> String {
        let filled = self.0.iter().filter(|family| !family.samples.is_empty());
        let shown = |f: &Family| format!("# HELP {0} {1}\n# TYPE {0} {2}\n{3}", f.name, f.help, f.kind, f.samples);
        filled.map(shown).collect()
    }
}

/// A label's value as it stands between quotes.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

const UP: &str = "tidemill_up";
const STATE: &str = "tidemill_query_state";
const ROWS: &str = "tidemill_query_rows_read_total";
const RECORDS: &str = "tidemill_query_records_written_total";
const LEFT_OUT: &str = "tidemill_query_rows_left_out_total";
const MEMORY: &str = "tidemill_query_state_bytes";
const LAG: &str = "tidemill_query_lag_records";
const EPOCHS: &str = "tidemill_query_commits_total";
const END: &str = "tidemill_topic_end_offset";
const START: &str = "tidemill_topic_start_offset";
const TOPIC_BYTES: &str = "tidemill_topic_log_bytes";
const JOURNAL: &str = "tidemill_journal_bytes";
const SHOWN: &str = "tidemill_push_queries";

/// The families in the order in which they are written.
fn families() -> Families {
    let all = [
        (UP, "gauge", "Whether the engine works: 0 if it cannot go on."),
        (STATE, "gauge", "1 for the state that a persistent query is in."),
        (ROWS, "counter", "Source rows that a query has taken."),
        (RECORDS, "counter", "Records that a query has written."),
        (LEFT_OUT, "counter", "Rows that a query has left out, by reason."),
        (MEMORY, "gauge", "Memory that the state of a query takes."),
        (LAG, "gauge", "Records of a topic that a query has not read yet."),
        (EPOCHS, "counter", "Commits of a query."),
        (END, "gauge", "The sum of the end offsets of a topic's partitions."),
        (START, "gauge", "The sum of the start offsets of a topic's partitions: records before them were deleted."),
        (TOPIC_BYTES, "gauge", "Bytes of a topic's records on the disk."),
        (JOURNAL, "gauge", "Journal since the last checkpoint."),
        (SHOWN, "gauge", "Queries whose rows are being shown."),
    ];
    let family = |(name, kind, help)| Family { name, kind, help, samples: String::new() };
    Families(all.map(family).into())
}

/// All samples.
fn text(engine: &Engine) -> String {
    let mut families = families();
    families.add(UP, &[], u8::from(engine.failure().is_none()));
    let catalog = engine.catalog();
    // The end of a partition that cannot be asked now is left out, and with it what is computed from it.
    let end = |topic: &Topic, partition| engine.topics().end(PartitionId { topic: topic.id, partition }).ok();
    for query in catalog.queries() {
        let id = [("query", query.id.as_str())];
        let state = engine.life(&query.id).map_or("created", |life| match life {
            Life::Failed(_) => "failed",
            _ if query.pauses.is_empty() => "running",
            _ => "paused",
        });
        families.add(STATE, &[id[0], ("state", state)], 1);
        let Some(stats) = engine.stats(&query.id) else { continue };
        families.add(ROWS, &id, stats.rows);
        families.add(RECORDS, &id, stats.records);
        families.add(MEMORY, &id, stats.memory);
        families.add(EPOCHS, &id, stats.epoch);
        for (reason, count) in &stats.totals {
            families.add(LEFT_OUT, &[id[0], ("reason", reason.name())], count);
        }
        for topic in catalog.topics() {
            let own = stats.positions.iter().filter(|(partition, _)| partition.topic == topic.id);
            let lag = |(partition, position): &(PartitionId, i64)| Some(end(topic, partition.partition)? - position);
            let lags: Vec<i64> = own.filter_map(lag).collect();
            if !lags.is_empty() {
                families.add(LAG, &[id[0], ("topic", &topic.name)], lags.iter().sum::<i64>());
            }
        }
    }
    for topic in catalog.topics() {
        let ends: i64 = (0..topic.partitions).filter_map(|partition| end(topic, partition)).sum();
        families.add(END, &[("topic", &topic.name)], ends);
        let start = |partition| engine.topics().start(PartitionId { topic: topic.id, partition }).ok();
        let starts: i64 = (0..topic.partitions).filter_map(start).sum();
        families.add(START, &[("topic", &topic.name)], starts);
        if let Ok(Some(bytes)) = engine.topic_bytes(topic) {
            families.add(TOPIC_BYTES, &[("topic", &topic.name)], bytes);
        }
    }
    families.add(JOURNAL, &[], engine.journal_bytes());
    families.add(SHOWN, &[], engine.shown_queries().len());
    families.text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_stand_behind_what_they_mean() {
        let mut families = families();
        families.add(MEMORY, &[("query", "a\"b")], 5);
        families.add(MEMORY, &[("query", "c")], 6);
        assert_eq!(
            families.text(),
            "# HELP tidemill_query_state_bytes Memory that the state of a query takes.\n\
             # TYPE tidemill_query_state_bytes gauge\n\
             tidemill_query_state_bytes{query=\"a\\\"b\"} 5\ntidemill_query_state_bytes{query=\"c\"} 6\n"
        );
    }
}
