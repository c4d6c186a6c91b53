//! `tidemill datagen`: rows that look like something, for trying out, with the arguments of `ksql-datagen`.
//!
//! ```text
//! settings   the arguments NAME=VALUE, and what they default to
//! schema     which values a field takes; quickstarts.json has schemas that are there already
//! sink       where rows go: a topic of the data folder, a server, the standard output
//! ```

mod chance;
mod pattern;
mod schema;
mod settings;
mod sink;

use std::time::Duration;

use clap::Args;

use super::common::Common;
use super::connect::Credentials;
use super::failure::{Done, Failure};
use super::stop::Stop;
use crate::clock::{Clock, SystemClock};
use crate::error::Error;
use crate::types::Value;
use chance::Chance;
use schema::Generator;
use settings::Settings;
use sink::Sink;

#[derive(Args)]
pub(super) struct Arguments {
    /// quickstart=NAME or schema=FILE, and topic, key, format, key-format, valueDelimiter, timestamp, iterations,
    /// msgRate, nThreads, printRows.
    #[arg(value_name = "NAME=VALUE")]
    settings: Vec<String>,
    /// The columns of the rows with their types, in place of a schema: "id INT, name STRING".
    #[arg(long, value_name = "COLUMNS")]
    columns: Option<String>,
    /// Makes the same rows each time.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Writes rows to the standard output, for topic produce --envelope.
    #[arg(long, conflicts_with = "server")]
    stdout: bool,
    /// The server with the stream or table that gets the rows, in place of the data folder.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    #[command(flatten)]
    credentials: Credentials,
}

/// A row that was made.
struct Row {
    /// One for each column.
    values: Vec<Value>,
    /// Milliseconds since 1970, if a column has them.
    time_ms: Option<i64>,
}

/// Makes rows until there are enough, or somebody wants the end.
pub(super) fn run(common: &Common, arguments: &Arguments) -> Done {
    let settings = Settings::read(&arguments.settings, arguments.columns.as_deref())?;
    let clock = SystemClock::new();
    let mut chance = Chance::new(arguments.seed.unwrap_or_else(|| clock.random()));
    // Each has its own iterations, as the threads of ksql-datagen do; they take turns.
    let mut generators = vec![settings.generator.clone(); settings.threads];
    let mut sink = match &arguments.server {
        Some(url) => Sink::server(common, url, &arguments.credentials, &settings)?,
        None if arguments.stdout => Sink::stdout(),
        None => Sink::topic(common, &settings)?,
    };
    let stop = Stop::on_signals()?;
    let total = settings.iterations.map(|each| each.saturating_mul(settings.threads as u64));
    let start = clock.monotonic_ns();
    let mut made = 0u64;
    while total.is_none_or(|total| made < total) && !stop.is_asked() {
        let place = (made % settings.threads as u64) as usize;
        let row = row(&mut generators[place], &mut chance, &settings)?;
        sink.put(&row, &settings)?;
        made += 1;
        if let Some(rate) = settings.rate {
            sink.flush()?;
            let due = (made as f64 / rate as f64 * 1e9) as u64;
            wait(&clock, due.saturating_sub(clock.monotonic_ns() - start), &stop);
        }
    }
    sink.end(made, &settings)
}

/// Waits, or until somebody wants the end.
fn wait(clock: &SystemClock, rest_ns: u64, stop: &Stop) {
    /// How often it is looked whether somebody wants the end.
    const LOOK_NS: u64 = 20_000_000;
    let mut rest_ns = rest_ns;
    while rest_ns > 0 && !stop.is_asked() {
        let pause = rest_ns.min(LOOK_NS);
        clock.sleep(Duration::from_nanos(pause));
        rest_ns -= pause;
    }
}

/// The next row.
fn row(generator: &mut Generator, chance: &mut Chance, settings: &Settings) -> Result<Row, Failure> {
    let Value::Struct(fields) = generator.next(chance) else {
        return Err(Error::bug("a row is a record").into());
    };
    let values: Vec<Value> = fields.into_iter().map(|(_, value)| value).collect();
    let time_ms = match settings.timestamp.map(|place| &values[place]) {
        Some(Value::Bigint(ms)) => Some(*ms),
        _ => None,
    };
    Ok(Row { values, time_ms })
}
