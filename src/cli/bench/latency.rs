//! Latency: from the append of a record to the moment when a committed reader has the result that counts it.
//!
//! Records are appended in batches of what is due, 10,000 a second for 20 seconds, by one thread. Another reads the
//! results as a consumer would. A count tells which records it has seen: a result with count 7 after one with count 5
//! answers the sixth and seventh record of its group. The first five seconds are not counted.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::bed::Bed;
use super::input::Input;
use super::pipeline::Options;
use super::{Benchmark, COUNT, LOGS, Measured, percentiles, usage};
use crate::config::Properties;
use crate::error::{Error, Result};
use crate::locks::lock;
use crate::topics::record::BatchWriter;
use crate::topics::{PartitionId, Reader, Topic, partition_of};

const NAME: &str = "latency";
/// Records a second.
const RATE: u64 = 10_000;
const SERVICES: u64 = 1_000;
/// The seconds of the run, of which the first ones are left out.
const SECONDS: u64 = 20;
const WARM_SECONDS: u64 = 5;

/// The times at which the records of a group were appended, in the order of their counts.
///
/// By the bytes of the group's key.
type Appended = Mutex<HashMap<Vec<u8>, Vec<Instant>>>;

/// A windowed count at a steady rate.
pub(super) struct Latency;

impl Benchmark for Latency {
    fn name(&self) -> &'static str {
        NAME
    }

    fn summary(&self) -> &'static str {
        "errors by service at 10,000 records a second, from the append to a committed reader"
    }

    fn run(&self, options: &Options) -> Result<Measured> {
        run(options)
    }
}

fn run(options: &Options) -> Result<Measured> {
    let bed = Bed::new(options.folder, NAME, options.properties)?;
    bed.execute(LOGS, Properties::default())?;
    bed.execute(COUNT, Properties::default())?;
    let (logs, counts) = (bed.topic("application_logs")?, bed.topic("ERROR_COUNTS")?);
    let appended = Appended::default();
    let done = AtomicBool::new(false);
    let cpu = usage::cpu_seconds();
    let latencies = std::thread::scope(|scope| {
        let reading = scope.spawn(|| read(&bed, &counts, &appended, &done));
        let produced = produce(&bed, &logs, &appended);
        let drained = produced.and_then(|()| bed.engine.wait_drained(&|| false));
        done.store(true, Ordering::SeqCst);
        let latencies = reading.join().map_err(|_| Error::bug("the reader panicked"))?;
        drained.and(latencies)
    })?;
    let cpu = usage::cpu_seconds() - cpu;
    let syncs = bed.meter.take_syncs_ns();
    let (measured, rounds) = (latencies.len(), syncs.len());
    eprintln!("{NAME}: {measured} errors, {rounds} rounds, {:.2} of a core", cpu / SECONDS as f64);
    Ok(Measured {
        name: NAME,
        rows: Some(RATE * SECONDS),
        latency_ms: Some(percentiles(latencies, true)),
        sync_ms: Some(percentiles(syncs, false)),
        ..Measured::default()
    })
}

/// Appends records as they fall due: those of each partition that are due as a batch.
fn produce(bed: &Bed, topic: &Arc<Topic>, appended: &Appended) -> Result<()> {
    let input = Input::Logs { services: SERVICES };
    let (start, total) = (Instant::now(), RATE * SECONDS);
    let (mut key, mut value) = (String::new(), String::new());
    let mut next = 0;
    while next < total {
        let due = (start.elapsed().as_micros() as u64 * RATE / 1_000_000).min(total);
        if due == next {
            std::thread::sleep(Duration::from_micros(100));
            continue;
        }
        let mut writers: Vec<BatchWriter> = (0..topic.partitions).map(|_| BatchWriter::new()).collect();
        let now = Instant::now();
        {
            let mut groups = lock(appended);
            for i in next..due {
                // Ten records a millisecond of event time.
                let time = super::input::BASE_MS + (i / 10) as i64;
                input.key(i, &mut key);
                input.value(i, time, &key, &mut value);
                if Input::is_error(i) {
                    groups.entry(key.as_bytes().to_vec()).or_default().push(now);
                }
                let partition = partition_of(key.as_bytes(), topic.partitions);
                writers[partition as usize].push(time, Some(key.as_bytes()), Some(value.as_bytes()), &[]);
            }
        }
        let id = |partition: usize| PartitionId { topic: topic.id, partition: partition as u32 };
        let batches = writers.into_iter().enumerate().filter_map(|(p, w)| w.finish().map(|batch| (id(p), batch)));
        bed.engine.topics().append(batches.collect())?;
        next = due;
    }
    Ok(())
}

/// Reads the committed counts and finds out how long ago the records were appended that they count.
///
/// In nanoseconds, one for each record that was an error.
fn read(bed: &Bed, topic: &Arc<Topic>, appended: &Appended, done: &AtomicBool) -> Result<Vec<u64>> {
    let ids = (0..topic.partitions).map(|partition| PartitionId { topic: topic.id, partition });
    let mut readers: Vec<(PartitionId, Box<dyn Reader>, i64)> =
        ids.map(|id| Ok((id, bed.engine.topics().reader(id)?, 0))).collect::<Result<_>>()?;
    let mut seen: HashMap<Vec<u8>, usize> = HashMap::new();
    let mut latencies = Vec::new();
    let warm = Instant::now() + Duration::from_secs(WARM_SECONDS);
    let mut decisions = 0;
    loop {
        let last = done.load(Ordering::SeqCst);
        for (_, reader, position) in &mut readers {
            let fetch = reader.read(*position, 1 << 20)?;
            let now = Instant::now();
            let groups = lock(appended);
            *position = fetch.each_record(*position, |record| {
                let (Some(key), Some(value)) = (record.key, record.value) else { return Ok(()) };
                // A windowed key ends with the start of its window; all records are in the same one.
                let service = &key[..key.len() - 8];
                let count = counted(value)?;
                let from = seen.insert(service.to_vec(), count).unwrap_or(0);
                let times = groups.get(service).map_or(&[][..], |all| &all[from.min(count)..count.min(all.len())]);
                let counted = times.iter().filter(|time| **time >= warm);
                latencies.extend(counted.map(|time| now.duration_since(*time).as_nanos() as u64));
                Ok(())
            })?;
        }
        if last {
            return Ok(latencies);
        }
        decisions = bed.engine.wait_decision(decisions);
    }
}

/// The count in a result.
fn counted(value: &[u8]) -> Result<usize> {
    let parsed: serde_json::Value = serde_json::from_slice(value).map_err(|e| Error::bug(format!("a result: {e}")))?;
    parsed["ERROR_COUNT"].as_u64().map(|c| c as usize).ok_or_else(|| Error::bug("a result without a count"))
}
