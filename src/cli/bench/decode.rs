//! Decoding: how fast JSON becomes columns, whatever the order of the fields, and with many columns.

use serde_json::{Map, Value};

use super::input::Input;
use super::pipeline::Options;
use super::{Benchmark, Measured, usage};
use crate::error::{Error, Result};
use crate::formats::{self, Asked, Encoding, Part, Settings};
use crate::types::{Column, SqlType};

/// Records of ten fields in several orders, and of a thousand fields.
pub(super) struct Decoding;

/// How many records of ten fields each kind has, unless the user says how many.
const ROWS: u64 = 1_000_000;
/// The rows of a batch.
const BATCH: usize = 8192;
/// How many different batches of ten fields there are; they are decoded again and again.
const BATCHES: usize = 8;
/// How many columns the wide records have, and in how many rows.
const WIDE: (usize, usize) = (1000, 1024);
/// Each kind is measured so often, in turns; the best time counts, since the others were disturbed.
const ROUNDS: usize = 5;

/// The columns of the logs that are read: those of the benchmark `filter_project`.
const READ: [&str; 5] = ["SERVICE_NAME", "LOG_LEVEL", "HOST", "DURATION_MS", "STATUS"];

/// Payloads of one kind with the columns that are declared for them.
struct Kind {
    name: &'static str,
    columns: Vec<Column>,
    needed: Vec<bool>,
    batches: Vec<Vec<Vec<u8>>>,
    /// How often all batches are decoded for one measurement.
    times: usize,
    /// Of processor time; infinite before the first measurement.
    best_seconds: f64,
}

impl Benchmark for Decoding {
    fn name(&self) -> &'static str {
        "decode"
    }

    fn summary(&self) -> &'static str {
        "JSON to columns: ten fields in order, shuffled, half of them missing, and 1,000 columns of which three are read"
    }

    fn run(&self, options: &Options) -> Result<Measured> {
        let mut kinds = kinds(options.rows.unwrap_or(ROWS))?;
        for _ in 0..ROUNDS {
            for kind in &mut kinds {
                kind.best_seconds = kind.best_seconds.min(measure(kind)?);
            }
        }
        let rates: Vec<f64> = kinds.iter().map(|kind| kind.rows() as f64 / kind.best_seconds).collect();
        for (kind, rate) in kinds.iter().zip(&rates) {
            eprintln!(
                "{}: {:<16} {rate:>10.0} rows per second, {:.2} of those in order",
                self.name(),
                kind.name,
                rate / rates[0]
            );
        }
        let figures: Vec<(&'static str, f64)> = kinds.iter().map(|kind| kind.name).zip(rates.iter().copied()).collect();
        Ok(Measured { rows: Some(kinds[0].rows() as u64), ..Measured::of(self.name(), &figures) })
    }
}

impl Kind {
    /// The rows of a measurement.
    fn rows(&self) -> usize {
        self.batches.iter().map(Vec::len).sum::<usize>() * self.times
    }
}

/// What is measured; the first is what the others are compared with.
fn kinds(rows: u64) -> Result<Vec<Kind>> {
    let types = |name: &str| match name {
        "timestamp" => SqlType::Bigint,
        "duration_ms" | "status" => SqlType::Integer,
        _ => SqlType::String,
    };
    let logs: Vec<Map<String, Value>> = (0..(BATCH * BATCHES) as u64).map(log).collect::<Result<_>>()?;
    let names: Vec<&String> = logs.first().into_iter().flat_map(Map::keys).collect();
    let columns: Vec<Column> = names.iter().map(|name| Column::value(name.to_uppercase(), types(name))).collect();
    let needed: Vec<bool> = columns.iter().map(|column| READ.contains(&column.name.as_str())).collect();
    let times = (rows as usize).div_ceil(logs.len());
    let kind = |name, change: &dyn Fn(usize, &Map<String, Value>) -> Vec<(String, Value)>| {
        let text = |(row, log)| Value::Object(Map::from_iter(change(row, log))).to_string().into_bytes();
        let payloads: Vec<Vec<u8>> = logs.iter().enumerate().map(text).collect();
        let batches = payloads.chunks(BATCH).map(<[Vec<u8>]>::to_vec).collect();
        Kind { name, columns: columns.clone(), needed: needed.clone(), batches, times, best_seconds: f64::INFINITY }
    };
    let fields = |log: &Map<String, Value>| log.clone().into_iter().collect::<Vec<_>>();
    let ordered = kind("ordered", &|_, log| fields(log));
    let shuffled = kind("shuffled", &|row, log| {
        let mut fields = fields(log);
        fields.sort_by_key(|(name, _)| scatter(row, name));
        fields
    });
    let half_missing = kind("half_missing", &|row, log| {
        let mut fields = fields(log);
        fields.retain(|(name, _)| scatter(row, name) & 1 == 0);
        fields
    });
    Ok(vec![ordered, shuffled, half_missing, wide(rows)])
}

/// Records with a thousand numbers, of which three are read.
fn wide(rows: u64) -> Kind {
    let (count, in_batch) = WIDE;
    let text = |row: usize| {
        let fields: Vec<String> = (0..count).map(|column| format!("\"c{column}\":{row}")).collect();
        format!("{{{}}}", fields.join(",")).into_bytes()
    };
    Kind {
        name: "columns_1000",
        columns: (0..count).map(|column| Column::value(format!("C{column}"), SqlType::Integer)).collect(),
        needed: (0..count).map(|column| column < 3).collect(),
        batches: vec![(0..in_batch).map(text).collect()],
        times: (rows as usize).div_ceil(64 * in_batch),
        best_seconds: f64::INFINITY,
    }
}

/// The fields of a log record.
fn log(i: u64) -> Result<Map<String, Value>> {
    let (input, mut key, mut value) = (Input::Logs { services: 1000 }, String::new(), String::new());
    input.key(i, &mut key);
    input.value(i, input.time(i), &key, &mut value);
    serde_json::from_str(&value).map_err(|e| Error::bug(format!("a record of the benchmark is no object: {e}")))
}

/// A number that looks random, the same for ever for a field of a row.
fn scatter(row: usize, name: &str) -> u64 {
    let seed = (row as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed =
        name.bytes().fold(seed, |mixed, b| (mixed ^ u64::from(b)).wrapping_mul(0xBF58_476D_1CE4_E5B9).rotate_left(29));
    mixed ^ mixed >> 32
}

/// Decodes all rows of a kind; the seconds of processor time.
///
/// The decoder is new each time, so what it learns about the order of fields counts.
fn measure(kind: &Kind) -> Result<f64> {
    let asked = Asked { part: Part::Value, columns: &kind.columns, settings: &Settings::default() };
    let mut decoder = Encoding::bind(formats::find("JSON")?, asked)?.decoder(&kind.needed);
    let payloads: Vec<Vec<Option<&[u8]>>> =
        kind.batches.iter().map(|batch| batch.iter().map(|payload| Some(payload.as_slice())).collect()).collect();
    let start = usage::cpu_seconds();
    for _ in 0..kind.times {
        for batch in &payloads {
            let decoded = std::hint::black_box(decoder.decode(batch));
            if let Some((row, reason)) = decoded.failed.first() {
                return Err(Error::bug(format!("row {row} of {} is not decoded: {reason}", kind.name)));
            }
        }
    }
    Ok(usage::cpu_seconds() - start)
}
