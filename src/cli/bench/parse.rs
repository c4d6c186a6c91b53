//! Parsing: how long a statement takes from its text to its syntax tree, and a long script.

use std::time::Instant;

use super::pipeline::Options;
use super::{Benchmark, COUNT, Measured, percentiles};
use crate::error::{Error, Result};
use crate::statements;

const NAME: &str = "parse";
/// How often each statement is parsed.
const TIMES: usize = 20_000;
/// How many statements the long script has.
const SCRIPT: usize = 10_000;
const JOIN: &str = "CREATE STREAM payment_risk AS SELECT p.payment_id, p.amount, f.risk_score FROM payments p \
    LEFT JOIN fraud_signals f WITHIN 30 SECONDS ON p.user_id = f.user_id;";

/// Statements and a script that are parsed.
pub(super) struct Parse;

impl Benchmark for Parse {
    fn name(&self) -> &'static str {
        NAME
    }

    fn summary(&self) -> &'static str {
        "a windowed count and a join, one statement at a time, and a script of 10,000 statements"
    }

    fn run(&self, _: &Options) -> Result<Measured> {
        run()
    }
}

fn run() -> Result<Measured> {
    let mut all = Vec::with_capacity(2 * TIMES);
    for (what, text) in [("the windowed count", COUNT), ("the join", JOIN)] {
        let times: Vec<u64> = (0..TIMES).map(|_| parse(text)).collect::<Result<_>>()?;
        let mean = times.iter().sum::<u64>() as f64 / TIMES as f64 / 1e3;
        eprintln!("{NAME}: {what} takes {mean:.2} µs ({} characters)", text.len());
        all.extend(times);
    }
    let script = [COUNT, "\n", JOIN, "\n"].concat().repeat(SCRIPT / 2);
    let whole = parse(&script)?;
    eprintln!("{NAME}: {SCRIPT} statements ({:.1} MB) take {:.0} ms", script.len() as f64 / 1e6, whole as f64 / 1e6);
    Ok(Measured {
        name: NAME,
        rows: Some(SCRIPT as u64),
        rows_per_core_second: Some(SCRIPT as f64 / (whole as f64 / 1e9)),
        latency_ms: Some(percentiles(all, false)),
        ..Measured::default()
    })
}

/// Parses a text; the nanoseconds that it took.
fn parse(text: &str) -> Result<u64> {
    let start = Instant::now();
    let parsed = statements::parse(std::hint::black_box(text));
    let took = start.elapsed().as_nanos() as u64;
    std::hint::black_box(parsed)
        .map(|_| took)
        .map_err(|mut errors| errors.pop().unwrap_or_else(|| Error::bug("refused")))
}
