//! `tidemill bench`: what the standard pipelines reach on this machine, beside the limits of the same run.
//!
//! Each benchmark makes an engine over a folder of its own, loads topics with records that are computed from their
//! numbers, runs, and removes the folder. Figures go to the standard output, one JSON object for each benchmark; what
//! is told on the way goes to the standard error.
//!
//! A rate is rows per second of processor time, summed over all threads, so it says what one core does. Beside the rate
//! of a pipeline stands its limit: what the same machine reaches, in the same process, if it only decodes the input and
//! encodes the results.

mod bed;
mod beside;
mod decode;
mod input;
mod latency;
mod limit;
mod many;
mod parse;
mod pipeline;
mod restart;
mod scaling;
mod startup;
mod state;
mod turn;
mod usage;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::common::Common;
use super::failure::{Done, Failure};
use crate::config::Properties;
use crate::error::{Error, Kind, Result, nearest};
use input::Input;
use pipeline::{Options, Pipeline};

/// A benchmark.
///
/// One file each; the list below is the only place that names them.
trait Benchmark: Sync {
    /// The name by which it is run.
    fn name(&self) -> &'static str;

    /// What is measured, in a sentence.
    fn summary(&self) -> &'static str;

    /// Runs it.
    ///
    /// Removes what it has made on the disk, also if it fails.
    ///
    /// # Errors
    /// The engine fails, or finds what it must not; then the figures would mean nothing.
    fn run(&self, options: &Options) -> Result<Measured>;
}

/// All benchmarks but the pipelines, in the order in which they are run.
const OTHERS: &[&dyn Benchmark] = &[
    &scaling::Scaling,
    &many::SharedFilters,
    &many::ManyFilters,
    &turn::Turns,
    &decode::Decoding,
    &state::Checkpoints,
    &state::WindowedTables,
    &restart::Restart,
    &beside::Produce,
    &latency::Latency,
    &startup::Startup,
    &parse::Parse,
];

#[derive(Args)]
pub(super) struct Arguments {
    /// The benchmarks to run; all of them if none is named.
    names: Vec<String>,
    /// Loads a topic from a file of lines {"key":…,"timestamp":…,"value":{…}} instead of generating it.
    #[arg(long, value_name = "TOPIC=FILE", value_parser = topic_and_file)]
    input: Vec<(String, PathBuf)>,
    /// The records of each input, instead of the benchmark's own number.
    #[arg(long)]
    rows: Option<u64>,
    /// Where the report is written, as JSON.
    #[arg(long)]
    report: Option<PathBuf>,
}

fn topic_and_file(text: &str) -> std::result::Result<(String, PathBuf), String> {
    let (topic, file) = text.split_once('=').ok_or("expected TOPIC=FILE")?;
    Ok((topic.to_owned(), PathBuf::from(file)))
}

/// Percentiles in milliseconds.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Percentiles {
    /// Half of the values are at most this.
    pub p50: f64,
    pub p99: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p999: Option<f64>,
}

/// What a benchmark has found.
///
/// A figure that does not apply is `None` and left out of the report. Names of fields are part of the contract of
/// `tidemill bench --report`.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Measured {
    pub name: &'static str,
    /// What was taken in: records, or statements.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Per second of processor time in user and system mode, of all threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows_per_core_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wall_seconds: Option<f64>,
    /// The rate of decoding and encoding alone; a pipeline cannot be faster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_rows_per_core_second: Option<f64>,
    /// Resident memory for each live group beyond the bytes of its key, after a checkpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_per_key: Option<f64>,
    /// Bytes written, per second of wall time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_bytes_per_second: Option<f64>,
    /// Of the whole process, benchmarks before this one included, unless the benchmark has set the peak back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_rss_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<Percentiles>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync_ms: Option<Percentiles>,
    /// Figures that only this benchmark has.
    #[serde(flatten)]
    pub figures: BTreeMap<&'static str, f64>,
}

impl Measured {
    /// The result of a benchmark that has figures of its own.
    fn of(name: &'static str, figures: &[(&'static str, f64)]) -> Measured {
        // Six digits are more than any of them means.
        let rounded = |value: f64| format!("{value:.5e}").parse().unwrap_or(value);
        let figures = figures.iter().map(|(name, value)| (*name, rounded(*value))).collect();
        Measured { name, figures, ..Measured::default() }
    }
}

const LOGS: &str = "CREATE STREAM application_logs (timestamp BIGINT, service_name VARCHAR, log_level VARCHAR) \
    WITH (KAFKA_TOPIC='application_logs', VALUE_FORMAT='JSON', PARTITIONS=4);";
const WIDE_LOGS: &str = "CREATE STREAM application_logs (timestamp BIGINT, service_name VARCHAR, log_level VARCHAR, \
    host VARCHAR, thread VARCHAR, logger VARCHAR, message VARCHAR, trace_id VARCHAR, duration_ms INT, status INT) \
    WITH (KAFKA_TOPIC='application_logs', VALUE_FORMAT='JSON', PARTITIONS=4);";
const PAYMENTS: &str = "CREATE STREAM payments (payment_id VARCHAR, user_id VARCHAR, amount DOUBLE) \
    WITH (KAFKA_TOPIC='payments', VALUE_FORMAT='JSON', PARTITIONS=4); \
    CREATE STREAM fraud_signals (user_id VARCHAR, risk_score DOUBLE) \
    WITH (KAFKA_TOPIC='fraud_signals', VALUE_FORMAT='JSON', PARTITIONS=4);";
const COUNT: &str = "CREATE TABLE error_counts AS SELECT service_name, COUNT(*) as error_count FROM application_logs \
    WINDOW TUMBLING (SIZE 5 MINUTES) WHERE log_level = 'ERROR' GROUP BY service_name;";
const COUNT_READS: &[(&str, &[&str])] = &[("APPLICATION_LOGS", &["SERVICE_NAME", "LOG_LEVEL"])];

/// The count that others are variants of.
const COUNTING: Pipeline = Pipeline {
    name: "tumbling_count_1k",
    summary: "errors by service in windows of five minutes, 1,000 services, results merged per commit",
    inputs: &[Input::Logs { services: 1000 }],
    rows: 4_000_000,
    sources: LOGS,
    query: COUNT,
    properties: &[],
    reads: COUNT_READS,
    sink: "ERROR_COUNTS",
    groups: false,
};

const PIPELINES: &[Pipeline] = &[
    Pipeline {
        name: "filter_project",
        summary: "ten declared columns, half of the rows pass, four columns out",
        inputs: &[Input::Logs { services: 1000 }],
        rows: 4_000_000,
        sources: WIDE_LOGS,
        query: "CREATE STREAM errors AS SELECT service_name, host, duration_ms, status FROM application_logs \
            WHERE log_level = 'ERROR';",
        properties: &[],
        reads: &[("APPLICATION_LOGS", &["SERVICE_NAME", "LOG_LEVEL", "HOST", "DURATION_MS", "STATUS"])],
        sink: "ERRORS",
        groups: false,
    },
    COUNTING,
    Pipeline {
        name: "tumbling_count_1k_uncached",
        summary: "the same with a result for every error",
        properties: &[("cache.max.bytes.buffering", "0")],
        ..COUNTING
    },
    Pipeline {
        name: "tumbling_count_1m",
        summary: "the same with 1,000,000 services and ten minutes of grace",
        inputs: &[Input::Logs { services: 1_000_000 }],
        query: "CREATE TABLE error_counts AS SELECT service_name, COUNT(*) as error_count FROM application_logs \
            WINDOW TUMBLING (SIZE 5 MINUTES, GRACE PERIOD 10 MINUTES) WHERE log_level = 'ERROR' GROUP BY service_name;",
        groups: true,
        ..COUNTING
    },
    Pipeline {
        name: "tumbling_count_64_partitions",
        summary: "errors by service in windows of five minutes, over a topic of 64 partitions",
        sources: "CREATE STREAM application_logs (timestamp BIGINT, service_name VARCHAR, log_level VARCHAR) \
            WITH (KAFKA_TOPIC='application_logs', VALUE_FORMAT='JSON', PARTITIONS=64);",
        ..COUNTING
    },
    Pipeline {
        name: "tumbling_count_1000_partitions",
        summary: "errors by service in windows of five minutes, over a topic of 1,000 partitions",
        sources: "CREATE STREAM application_logs (timestamp BIGINT, service_name VARCHAR, log_level VARCHAR) \
            WITH (KAFKA_TOPIC='application_logs', VALUE_FORMAT='JSON', PARTITIONS=1000);",
        ..COUNTING
    },
    Pipeline {
        name: "windowed_join",
        summary: "payments joined with the fraud signals of their user within 30 seconds, half of them match",
        inputs: &[Input::Payments, Input::Signals],
        rows: 2_000_000,
        sources: PAYMENTS,
        query: "CREATE STREAM payment_risk AS SELECT p.payment_id, p.amount, f.risk_score FROM payments p LEFT JOIN \
            fraud_signals f WITHIN 30 SECONDS GRACE PERIOD 1 MINUTE ON p.user_id = f.user_id;",
        properties: &[],
        reads: &[("PAYMENTS", &["PAYMENT_ID", "USER_ID", "AMOUNT"]), ("FRAUD_SIGNALS", &["USER_ID", "RISK_SCORE"])],
        sink: "PAYMENT_RISK",
        groups: false,
    },
];

/// Runs benchmarks; the exit status.
pub(super) fn run(common: &Common, arguments: &Arguments) -> Done {
    let folder = common.bench_dir();
    let measured = run_in(&folder, &common.properties()?, arguments);
    // Each benchmark has removed its own folder; this one goes if nobody else uses it.
    let _ = std::fs::remove_dir(&folder);
    measured.map_err(|error| match error.kind() {
        // An argument names what is not there.
        Kind::Invalid => Failure::usage(error),
        _ => error.into(),
    })
}

/// One of `known`, or an error that names what is near.
fn check_known(what: &str, name: &str, known: &[&str]) -> Result<()> {
    if known.contains(&name) {
        return Ok(());
    }
    let error = Error::invalid(format!("there is no {what} {name}"));
    Err(match nearest(name, known.iter().copied()) {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None => error.hint(format!("there are {}", known.join(", "))),
    })
}

fn run_in(folder: &Path, properties: &Properties, arguments: &Arguments) -> Result<u8> {
    let pipelines = PIPELINES.iter().map(|pipeline| pipeline as &dyn Benchmark);
    let all: Vec<&dyn Benchmark> = pipelines.chain(OTHERS.iter().copied()).collect();
    let known: Vec<&str> = all.iter().map(|benchmark| benchmark.name()).collect();
    arguments.names.iter().try_for_each(|name| check_known("benchmark", name, &known))?;
    let topics: BTreeSet<&str> = PIPELINES.iter().flat_map(|p| p.inputs).map(|input| input.topic()).collect();
    let topics = Vec::from_iter(topics);
    arguments.input.iter().try_for_each(|(topic, _)| check_known("input of a benchmark", topic, &topics))?;
    let wanted = |name: &str| arguments.names.is_empty() || arguments.names.iter().any(|n| n == name);
    let options = Options { folder, properties, rows: arguments.rows, files: &arguments.input };
    let mut results = Vec::new();
    for benchmark in all.into_iter().filter(|benchmark| wanted(benchmark.name())) {
        eprintln!("{}: {}", benchmark.name(), benchmark.summary());
        results.push(benchmark.run(&options)?);
        show(results.last());
    }
    if let Some(path) = &arguments.report {
        let report = serde_json::json!({ "results": results });
        let text = serde_json::to_string_pretty(&report).map_err(|e| Error::bug(e.to_string()))?;
        std::fs::write(path, text)?;
    }
    Ok(0)
}

/// Prints a result as a line of JSON.
fn show(result: Option<&Measured>) {
    if let Some(text) = result.and_then(|r| serde_json::to_string(r).ok()) {
        println!("{text}");
    }
}

/// A percentile of sorted nanoseconds, in milliseconds.
///
/// The value at the place `⌊n × share⌋` from 0; 0 if there is none.
fn percentile(sorted_ns: &[u64], share: f64) -> f64 {
    let index = ((sorted_ns.len() as f64 * share) as usize).min(sorted_ns.len().saturating_sub(1));
    sorted_ns.get(index).map_or(0.0, |ns| *ns as f64 / 1e6)
}

/// The percentiles of nanoseconds.
///
/// In milliseconds.
fn percentiles(mut ns: Vec<u64>, with_p999: bool) -> Percentiles {
    ns.sort_unstable();
    let p999 = with_p999.then(|| percentile(&ns, 0.999));
    Percentiles { p50: percentile(&ns, 0.5), p99: percentile(&ns, 0.99), p999 }
}
