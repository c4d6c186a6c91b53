//! Turns: what the smallest step of a query takes.
//!
//! The batch size is set to 1, and topics are in memory, so the time is that of a turn: looking for rows, taking one,
//! passing it through the operators, and ending an epoch now and then.

use std::sync::Arc;
use std::time::Instant;

use super::super::events;
use super::pipeline::Options;
use super::{Benchmark, LOGS, Measured, usage};
use crate::clock::SystemClock;
use crate::config;
use crate::engine::{Engine, Settings, Store};
use crate::error::Result;
use crate::statements;
use crate::topics::PartitionId;
use crate::topics::record::BatchWriter;

/// Turns of one row.
pub(super) struct Turns;

/// How many records are taken, one a turn.
const ROWS: u64 = 400_000;

impl Benchmark for Turns {
    fn name(&self) -> &'static str {
        "turn"
    }

    fn summary(&self) -> &'static str {
        "a filter that takes one row a turn, over topics in memory"
    }

    fn run(&self, options: &Options) -> Result<Measured> {
        let rows = options.rows.unwrap_or(ROWS);
        let settings = Settings {
            properties: options.properties.clone(),
            events: events::warnings(),
            ..Settings::new(Store::Memory, Arc::new(SystemClock::new()), statements::compile_kept)
        };
        let values = [(config::OFFSET_RESET, "earliest"), (config::BATCH_ROWS, "1")];
        let engine = Engine::open(settings.with(&values)?)?;
        let script = format!(
            "{} CREATE STREAM f AS SELECT service_name FROM application_logs WHERE log_level = 'ERROR';",
            LOGS.replace("PARTITIONS=4", "PARTITIONS=1")
        );
        statements::execute(&engine, &script)?;
        let catalog = engine.catalog();
        let topic = catalog.topic("application_logs").ok_or_else(|| catalog.no_topic("application_logs"))?;
        let mut writer = BatchWriter::new();
        for i in 0..rows {
            writer.push(i as i64, None, Some(b"{\"log_level\":\"INFO\",\"service_name\":\"svc\"}"), &[]);
            if writer.size() > 64 << 10 || i + 1 == rows {
                let id = PartitionId { topic: topic.id, partition: 0 };
                let batch = std::mem::take(&mut writer).finish();
                engine.topics().append(batch.map(|batch| (id, batch)).into_iter().collect())?;
            }
        }
        let (start, cpu) = (Instant::now(), usage::cpu_seconds());
        engine.settle()?;
        let (wall, cpu) = (start.elapsed().as_secs_f64(), usage::cpu_seconds() - cpu);
        let micros = cpu * 1e6 / rows as f64;
        eprintln!("{}: {rows} turns, {wall:.2} s, {micros:.2} µs of processor a turn", self.name());
        Ok(Measured { rows: Some(rows), ..Measured::of(self.name(), &[("turn_us", micros)]) })
    }
}
