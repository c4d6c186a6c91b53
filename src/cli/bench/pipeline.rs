//! Throughput: a query over topics that were loaded before, from its start to its last decision.

use std::path::Path;
use std::time::Instant;

use super::bed::Bed;
use super::input::Input;
use super::{Benchmark, Measured, limit, usage};
use crate::config::Properties;
use crate::error::{Error, Result};
use crate::statements::{self, Outcome, Session};

/// A query with its input.
pub(super) struct Pipeline {
    pub name: &'static str,
    pub summary: &'static str,
    pub inputs: &'static [Input],
    /// The records of each input, unless the user says how many.
    ///
    /// For two inputs that is twice as many in all.
    pub rows: u64,
    /// Makes the sources.
    pub sources: &'static str,
    pub query: &'static str,
    /// Properties of the query.
    ///
    /// By name and value, set for the statement of the query alone.
    pub properties: &'static [(&'static str, &'static str)],
    /// For each source the columns that the query reads.
    pub reads: &'static [(&'static str, &'static [&'static str])],
    pub sink: &'static str,
    /// Whether the memory that each live group takes is measured.
    pub groups: bool,
}

/// What the command line says of all benchmarks.
pub(super) struct Options<'a> {
    pub folder: &'a Path,
    pub properties: &'a Properties,
    pub rows: Option<u64>,
    /// Topic and file.
    pub files: &'a [(String, std::path::PathBuf)],
}

impl Benchmark for Pipeline {
    fn name(&self) -> &'static str {
        self.name
    }

    fn summary(&self) -> &'static str {
        self.summary
    }

    fn run(&self, options: &Options) -> Result<Measured> {
        run(self, options)
    }
}

/// Runs a pipeline.
fn run(pipeline: &Pipeline, options: &Options) -> Result<Measured> {
    let bed = Bed::new(options.folder, pipeline.name, options.properties)?;
    bed.execute(pipeline.sources, Properties::default())?;
    let mut rows = 0;
    for input in pipeline.inputs {
        rows += match options.files.iter().find(|(topic, _)| topic == input.topic()) {
            Some((topic, path)) => bed.load_file(topic, path)?,
            None => bed.load(*input, options.rows.unwrap_or(pipeline.rows))?,
        };
    }
    let mut own = Properties::default();
    for (name, value) in pipeline.properties {
        own.set(name, value)?;
    }
    let (memory, written) = (usage::resident_bytes(None), bed.meter.written_bytes());
    let (start, cpu) = (Instant::now(), usage::cpu_seconds());
    bed.execute(pipeline.query, own)?;
    bed.engine.wait_drained(&|| false)?;
    let (wall, cpu) = (start.elapsed().as_secs_f64(), usage::cpu_seconds() - cpu);
    let written = bed.meter.written_bytes() - written;
    let peak = usage::peak_resident_bytes();
    let bytes_per_key = if pipeline.groups { Some(bytes_per_group(pipeline, &bed, memory)?) } else { None };
    let limit = limit::measure(pipeline, &bed)?;
    let results = limit.results;
    eprintln!(
        "{}: {rows} rows, {results} results, {wall:.2} s, {cpu:.2} s of processor; bare: decode {:.0}/s, encode {:.0}/s",
        pipeline.name, limit.decoded_per_second, limit.encoded_per_second
    );
    Ok(Measured {
        name: pipeline.name,
        rows: Some(rows),
        rows_per_core_second: Some((rows as f64 / cpu).round()),
        wall_seconds: Some((wall * 1e3).round() / 1e3),
        limit_rows_per_core_second: Some(limit.rows_per_second(rows).round()),
        bytes_per_key,
        disk_bytes_per_second: Some((written as f64 / wall).round()),
        peak_rss_bytes: Some(peak),
        ..Measured::default()
    })
}

/// How much more memory the process has in use for each live group, beyond the text of its key, after a checkpoint.
///
/// `before` is the resident memory before the query was started.
fn bytes_per_group(pipeline: &Pipeline, bed: &Bed, before: u64) -> Result<f64> {
    bed.engine.checkpoint()?;
    let grown = usage::resident_bytes(None).saturating_sub(before);
    let parsed = statements::parse(&format!("SELECT * FROM {};", pipeline.sink)).map_err(|mut e| e.remove(0))?;
    let Outcome::Rows(rows) = Session::new(&bed.engine, Properties::default()).run(&parsed[0])? else {
        return Err(Error::bug("a table shows its rows"));
    };
    let groups = rows.rows.len();
    let keys: usize = rows.rows.iter().filter_map(|row| row.first()).map(|key| key.to_text().len()).sum();
    eprintln!("{}: {groups} live groups with {keys} bytes of keys, {grown} bytes more in use", pipeline.name);
    Ok(grown.saturating_sub(keys as u64) as f64 / groups.max(1) as f64)
}
