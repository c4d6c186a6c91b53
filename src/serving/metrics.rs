//! What the engine counts: one list, with two ways out.
//!
//! `GET /metrics` shows it in the text format of Prometheus, and a collector gets it by OTLP (`otlp`). Names and units
//! follow the conventions of each: Prometheus has `_total` for what only rises and base units in the name;
//! OpenTelemetry has words with dots, and units beside the name. Labels are the ids of persistent queries and the
//! names of topics, so their number is bounded by what exists.

use std::fmt::Write;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::{Service, ksql};
use crate::engine::{Engine, Life, QueryStats};
use crate::topics::{PartitionId, Topic};

/// The media type of the text format.
pub(super) const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `GET /metrics`.
pub(super) async fn metrics(State(service): State<Arc<Service>>) -> Response {
    // Each query is asked between two of its turns, which may take a moment.
    match ksql::on_a_thread(move || Ok(text(&measured(&service)))).await {
        Ok(text) => ([(header::CONTENT_TYPE, TEXT)], text).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

/// Something that is measured.
pub(super) struct Family {
    /// Its name for Prometheus.
    name: &'static str,
    /// Its name for OpenTelemetry.
    pub otlp: &'static str,
    /// Its unit for OpenTelemetry.
    pub unit: &'static str,
    pub kind: Kind,
    pub help: &'static str,
}

/// How a value changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It rises and falls, and a sum of several says nothing.
    Gauge,
    /// It rises and falls, and a sum of several is one of all.
    Level,
    /// It only rises.
    Counter,
}

impl Kind {
    /// What Prometheus calls it.
    fn name(self) -> &'static str {
        match self {
            Kind::Gauge | Kind::Level => "gauge",
            Kind::Counter => "counter",
        }
    }
}

/// What tells samples of a family apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Label {
    name: &'static str,
    /// Its name for OpenTelemetry.
    pub otlp: &'static str,
}

const QUERY: &Label = &Label { name: "query", otlp: "tidemill.query.id" };
const QUERY_STATE: &Label = &Label { name: "state", otlp: "tidemill.query.state" };
const REASON: &Label = &Label { name: "reason", otlp: "tidemill.reason" };
const TOPIC: &Label = &Label { name: "topic", otlp: "tidemill.topic.name" };
const SIGNAL: &Label = &Label { name: "signal", otlp: "tidemill.otlp.signal" };

/// A value of a family.
pub(super) struct Sample {
    pub labels: Vec<(&'static Label, String)>,
    pub value: i64,
}

/// The values of a family.
pub(super) struct Measured {
    pub family: &'static Family,
    pub samples: Vec<Sample>,
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
const BEHIND: &str = "tidemill_push_queries_behind";
/// What was meant for a collector and not sent.
pub(super) const OTLP_DROPPED: &str = "tidemill_otlp_dropped_total";

/// Everything that is measured, in the order in which it is written.
const FAMILIES: &[Family] = &[
    Family {
        name: UP,
        otlp: "tidemill.up",
        unit: "",
        kind: Kind::Gauge,
        help: "Whether the engine works: 0 if it cannot go on.",
    },
    Family {
        name: STATE,
        otlp: "tidemill.query.status",
        unit: "",
        kind: Kind::Gauge,
        help: "1 for the state that a persistent query is in.",
    },
    Family {
        name: ROWS,
        otlp: "tidemill.query.rows.read",
        unit: "{row}",
        kind: Kind::Counter,
        help: "Source rows that a query has taken.",
    },
    Family {
        name: RECORDS,
        otlp: "tidemill.query.records.written",
        unit: "{record}",
        kind: Kind::Counter,
        help: "Records that a query has written.",
    },
    Family {
        name: LEFT_OUT,
        otlp: "tidemill.query.rows.left_out",
        unit: "{row}",
        kind: Kind::Counter,
        help: "Rows that a query has left out, by reason.",
    },
    Family {
        name: MEMORY,
        otlp: "tidemill.query.memory.usage",
        unit: "By",
        kind: Kind::Level,
        help: "Memory that the state of a query takes.",
    },
    Family {
        name: LAG,
        otlp: "tidemill.query.lag",
        unit: "{record}",
        kind: Kind::Level,
        help: "Records of a topic that a query has not read yet.",
    },
    Family {
        name: EPOCHS,
        otlp: "tidemill.query.commits",
        unit: "{commit}",
        kind: Kind::Counter,
        help: "Commits of a query.",
    },
    Family {
        name: END,
        otlp: "tidemill.topic.offset.end",
        unit: "{record}",
        kind: Kind::Gauge,
        help: "The sum of the end offsets of a topic's partitions.",
    },
    Family {
        name: START,
        otlp: "tidemill.topic.offset.start",
        unit: "{record}",
        kind: Kind::Gauge,
        help: "The sum of the start offsets of a topic's partitions: records before them were deleted.",
    },
    Family {
        name: TOPIC_BYTES,
        otlp: "tidemill.topic.log.size",
        unit: "By",
        kind: Kind::Level,
        help: "Bytes of a topic's records on the disk.",
    },
    Family {
        name: JOURNAL,
        otlp: "tidemill.journal.size",
        unit: "By",
        kind: Kind::Level,
        help: "Journal since the last checkpoint.",
    },
    Family {
        name: SHOWN,
        otlp: "tidemill.push_queries",
        unit: "{query}",
        kind: Kind::Level,
        help: "Queries whose rows are being shown.",
    },
    Family {
        name: BEHIND,
        otlp: "tidemill.push_queries_behind",
        unit: "{query}",
        kind: Kind::Level,
        help: "Those of them that wait for their readers, which take rows more slowly than they come.",
    },
    Family {
        name: OTLP_DROPPED,
        otlp: "tidemill.otlp.dropped",
        unit: "{item}",
        kind: Kind::Counter,
        help: "Spans, events and points that the collector has not got.",
    },
];

/// What is measured so far.
struct All(Vec<Measured>);

impl All {
    fn new() -> All {
        All(FAMILIES.iter().map(|family| Measured { family, samples: Vec::new() }).collect())
    }

    /// Adds a sample to a family.
    fn add(&mut self, name: &'static str, labels: &[(&'static Label, &str)], value: i64) {
        let Some(measured) = self.0.iter_mut().find(|measured| measured.family.name == name) else { return };
        let labels = labels.iter().map(|(label, value)| (*label, (*value).to_owned())).collect();
        measured.samples.push(Sample { labels, value });
    }

    /// Families without a sample are left out.
    fn filled(self) -> Vec<Measured> {
        self.0.into_iter().filter(|measured| !measured.samples.is_empty()).collect()
    }
}

/// The text format of Prometheus: families of samples, each with its help and type before the first sample.
fn text(all: &[Measured]) -> String {
    let mut text = String::new();
    for Measured { family, samples } in all {
        let (name, kind, help) = (family.name, family.kind.name(), family.help);
        // Writing to a text cannot fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for Sample { labels, value } in samples {
            let labels = labels.iter().map(|(label, value)| format!("{}=\"{}\"", label.name, escaped(value)));
            let labels = labels.collect::<Vec<_>>().join(",");
            let labels = if labels.is_empty() { labels } else { format!("{{{labels}}}") };
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    }
    text
}

/// A label's value as it stands between quotes.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// A count as a sample has it; none comes near the largest number.
fn count(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// Everything that is measured, as it is now.
pub(super) fn measured(service: &Service) -> Vec<Measured> {
    let engine = &service.engine;
    let mut all = All::new();
    all.add(UP, &[], i64::from(engine.failure().is_none()));
    add_queries(&mut all, engine);
    add_topics(&mut all, engine);
    all.add(JOURNAL, &[], count(engine.journal_bytes()));
    let shown = engine.shown_queries();
    all.add(SHOWN, &[], count(shown.len()));
    all.add(BEHIND, &[], count(shown.iter().filter(|query| query.is_behind()).count()));
    for (signal, dropped) in service.setup.telemetry.iter().flat_map(|telemetry| telemetry.dropped()) {
        all.add(OTLP_DROPPED, &[(SIGNAL, signal.name())], count(dropped));
    }
    all.filled()
}

/// The end of a partition. One that cannot be asked now is left out, and with it what is computed from it.
fn end(engine: &Engine, topic: &Topic, partition: u32) -> Option<i64> {
    engine.topics().end(PartitionId { topic: topic.id, partition }).ok()
}

fn add_queries(all: &mut All, engine: &Engine) {
    for query in engine.catalog().queries() {
        let id = (QUERY, query.id.as_str());
        let state = engine.life(&query.id).map_or("created", |life| match life {
            Life::Failed(_) => "failed",
            _ if query.pauses.is_empty() => "running",
            _ => "paused",
        });
        all.add(STATE, &[id, (QUERY_STATE, state)], 1);
        let Some(stats) = engine.stats(&query.id) else { continue };
        all.add(ROWS, &[id], count(stats.rows));
        all.add(RECORDS, &[id], count(stats.records));
        all.add(MEMORY, &[id], count(stats.memory));
        all.add(EPOCHS, &[id], count(stats.epoch.get()));
        for (reason, number) in &stats.totals {
            all.add(LEFT_OUT, &[id, (REASON, reason.name())], count(*number));
        }
        for topic in engine.catalog().topics() {
            if let Some(lag) = lag(engine, &stats, topic) {
                all.add(LAG, &[id, (TOPIC, &topic.name)], lag);
            }
        }
    }
}

/// How many records of a topic a query has not read yet; None if it does not read the topic.
fn lag(engine: &Engine, stats: &QueryStats, topic: &Topic) -> Option<i64> {
    let own = stats.positions.iter().filter(|(partition, _)| partition.topic == topic.id);
    let lag = |(id, position): &(PartitionId, i64)| Some(end(engine, topic, id.partition)? - position);
    let lags: Vec<i64> = own.filter_map(lag).collect();
    (!lags.is_empty()).then(|| lags.iter().sum())
}

fn add_topics(all: &mut All, engine: &Engine) {
    for topic in engine.catalog().topics() {
        let label = [(TOPIC, topic.name.as_str())];
        all.add(END, &label, (0..topic.partitions).filter_map(|partition| end(engine, topic, partition)).sum());
        let start = |partition| engine.topics().start(PartitionId { topic: topic.id, partition }).ok();
        all.add(START, &label, (0..topic.partitions).filter_map(start).sum());
        if let Ok(Some(bytes)) = engine.topic_bytes(topic) {
            all.add(TOPIC_BYTES, &label, count(bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_stand_behind_what_they_mean() {
        let mut all = All::new();
        all.add(MEMORY, &[(QUERY, "a\"b")], 5);
        all.add(MEMORY, &[(QUERY, "c")], 6);
        assert_eq!(
            text(&all.filled()),
            "# HELP tidemill_query_state_bytes Memory that the state of a query takes.\n\
             # TYPE tidemill_query_state_bytes gauge\n\
             tidemill_query_state_bytes{query=\"a\\\"b\"} 5\ntidemill_query_state_bytes{query=\"c\"} 6\n"
        );
    }

    #[test]
    fn every_family_is_documented_with_both_names() {
        let page = include_str!("../../docs/serving.md");
        let row = |family: &Family| {
            let unit = if family.unit.is_empty() { String::new() } else { format!(" `{}`", family.unit) };
            format!("| `{}` | `{}`{unit} |", family.name, family.otlp)
        };
        let missing: Vec<String> = FAMILIES.iter().map(row).filter(|row| !page.contains(row)).collect();
        assert!(missing.is_empty(), "{missing:#?}");
    }

    #[test]
    fn names_follow_the_conventions() {
        for family in FAMILIES {
            assert_eq!(family.name.ends_with("_total"), family.kind == Kind::Counter, "{}", family.name);
            assert_eq!(family.name.ends_with("_bytes"), family.unit == "By", "{}", family.name);
            // A name that is also the first part of another one cannot be told from it by some backends.
            let is_part = |other: &&Family| other.otlp.starts_with(&format!("{}.", family.otlp));
            assert!(FAMILIES.iter().find(is_part).is_none(), "{}", family.otlp);
        }
    }
}
