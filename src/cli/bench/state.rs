//! State: what checkpoints of a large table write, and how many files many windowed tables make.
//!
//! Write amplification is the bytes that checkpoints and merges write, divided by the bytes of the entries that have
//! changed. The bytes of an entry are those of all state files after the first checkpoint, divided by the number of
//! keys.

use std::path::Path;
use std::time::Instant;

use super::bed::Bed;
use super::pipeline::Options;
use super::{Benchmark, Measured, usage};
use crate::config::{self, Properties};
use crate::error::Result;
use crate::topics::PartitionId;
use crate::topics::record::BatchWriter;

/// Checkpoints of a table of which little changes.
pub(super) struct Checkpoints;

/// How many keys the table has, unless the user says so.
const KEYS: u64 = 10_000_000;
/// How many checkpoints are made, after each of which a hundredth of the keys changes.
const CHECKPOINTS: u64 = 100;
/// Those before are not counted: it takes a while until runs are merged as often as they are made.
const WARM: u64 = 20;
/// The table, and the stream that it counts.
pub(super) const TABLE: &str = "CREATE STREAM s (k BIGINT KEY, v INT) WITH (KAFKA_TOPIC='s', PARTITIONS=4, VALUE_FORMAT='JSON'); \
    CREATE TABLE t AS SELECT k, COUNT(*) AS c FROM s GROUP BY k;";

/// Appends a record for each key, and waits until they are counted.
pub(super) fn count(bed: &Bed, keys: impl Iterator<Item = u64>) -> Result<()> {
    let topic = bed.topic("s")?;
    let mut writers: Vec<BatchWriter> = (0..topic.partitions).map(|_| BatchWriter::new()).collect();
    let append = |writers: &mut Vec<BatchWriter>, least: usize| {
        let mut ready = Vec::new();
        for (partition, writer) in writers.iter_mut().enumerate().filter(|(_, writer)| writer.size() >= least) {
            let id = PartitionId { topic: topic.id, partition: partition as u32 };
            ready.extend(std::mem::take(writer).finish().map(|batch| (id, batch)));
        }
        if ready.is_empty() { Ok(()) } else { bed.engine.topics().append(ready).map(drop) }
    };
    for (i, key) in keys.enumerate() {
        let bytes = key.to_be_bytes();
        let partition = crate::topics::partition_of(&bytes, topic.partitions);
        writers[partition as usize].push(i as i64, Some(&bytes), Some(b"{\"v\":1}"), &[]);
        if i % 65_536 == 0 {
            append(&mut writers, 1)?;
        }
    }
    append(&mut writers, 1)?;
    bed.engine.wait_drained(&|| false)
}

/// The bytes of the files in a folder, and how many there are.
///
/// With all folders below it.
fn files(folder: &Path) -> Result<(u64, u64)> {
    let mut found = (0, 0);
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let (bytes, count) =
            if entry.file_type()?.is_dir() { files(&entry.path())? } else { (entry.metadata()?.len(), 1) };
        found = (found.0 + bytes, found.1 + count);
    }
    Ok(found)
}

impl Benchmark for Checkpoints {
    fn name(&self) -> &'static str {
        "checkpoints"
    }

    fn summary(&self) -> &'static str {
        "a table of 10,000,000 keys, of which a hundredth changes from checkpoint to checkpoint"
    }

    fn run(&self, options: &Options) -> Result<Measured> {
        let keys = options.rows.unwrap_or(KEYS);
        let mut properties = options.properties.clone();
        // Checkpoints come when they are asked for.
        properties.set(config::CHECKPOINT_BYTES, &(1u64 << 40).to_string())?;
        let bed = Bed::new(options.folder, self.name(), &properties)?;
        bed.execute(TABLE, Properties::default())?;
        count(&bed, 0..keys)?;
        bed.engine.checkpoint()?;
        let state = bed.folder.path().join("state");
        let whole = files(&state)?.0;
        let entry = whole as f64 / keys as f64;
        eprintln!("{}: {keys} keys, {:.0} MB of state files, {entry:.1} bytes a key", self.name(), whole as f64 / 1e6);
        let (mut written, mut changed, mut took) = (0, 0.0, Vec::new());
        let step = keys / 100;
        for round in 0..CHECKPOINTS {
            // Uniformly chosen, and other ones each time.
            let random = (0..step).map(|i| mix(round * step + i) % keys);
            count(&bed, random)?;
            let (before, start) = (bed.meter.written_bytes(), Instant::now());
            bed.engine.checkpoint()?;
            if round >= WARM {
                written += bed.meter.written_bytes() - before;
                changed += step as f64 * entry;
                took.push(start.elapsed().as_nanos() as u64);
            }
        }
        let amplification = written as f64 / changed;
        let disk = files(&state)?;
        eprintln!(
            "{}: {amplification:.2} bytes written for each that changed; {:.0} MB in {} files of state",
            self.name(),
            disk.0 as f64 / 1e6,
            disk.1
        );
        Ok(Measured {
            latency_ms: Some(super::percentiles(took, false)),
            peak_rss_bytes: Some(usage::peak_resident_bytes()),
            ..Measured::of(self.name(), &[("keys", keys as f64), ("write_amplification", amplification)])
        })
    }
}

/// A well-mixed number.
pub(super) fn mix(i: u64) -> u64 {
    let z = i.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z ^ (z >> 31)
}

/// Many windowed tables that are closed.
pub(super) struct WindowedTables;

impl Benchmark for WindowedTables {
    fn name(&self) -> &'static str {
        "windowed_tables"
    }

    fn summary(&self) -> &'static str {
        "100 tables over 4 partitions with 24 hours of windows: the files of their state, and how long the end takes"
    }

    fn run(&self, options: &Options) -> Result<Measured> {
        const TABLES: usize = 100;
        let bed = Bed::new(options.folder, self.name(), options.properties)?;
        let stream = "CREATE STREAM s (k BIGINT KEY, v INT) WITH (KAFKA_TOPIC='s', PARTITIONS=4, VALUE_FORMAT='JSON');";
        bed.execute(stream, Properties::default())?;
        let table = |i: usize| {
            format!(
                "CREATE TABLE t{i} AS SELECT k, COUNT(*) AS c FROM s \
                 WINDOW TUMBLING (SIZE 5 MINUTES, RETENTION 24 HOURS, GRACE PERIOD 10 MINUTES) GROUP BY k;"
            )
        };
        bed.execute(&(0..TABLES).map(table).collect::<String>(), Properties::default())?;
        let topic = bed.topic("s")?;
        // A record for each of eight keys in each window of a day.
        for window in 0..24 * 12u64 {
            let mut writers: Vec<BatchWriter> = (0..topic.partitions).map(|_| BatchWriter::new()).collect();
            for key in 0..8u64 {
                let bytes = key.to_be_bytes();
                let partition = crate::topics::partition_of(&bytes, topic.partitions);
                writers[partition as usize].push((window * 300_000) as i64, Some(&bytes), Some(b"{\"v\":1}"), &[]);
            }
            let id = |partition| PartitionId { topic: topic.id, partition };
            let batches = (0..).zip(writers).filter_map(|(p, writer)| Some((id(p), writer.finish()?)));
            bed.engine.topics().append(batches.collect())?;
        }
        bed.engine.wait_drained(&|| false)?;
        let start = Instant::now();
        bed.engine.close();
        let close = start.elapsed().as_secs_f64();
        let (bytes, count) = files(&bed.folder.path().join("state"))?;
        eprintln!("{}: closed in {close:.2} s; {count} files of state, {bytes} bytes", self.name());
        Ok(Measured::of(self.name(), &[("state_files", count as f64), ("close_seconds", close)]))
    }
}
