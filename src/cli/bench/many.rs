//! Many queries: filters that read the same topic, from its start and as records come.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::bed::Bed;
use super::input::Input;
use super::pipeline::Options;
use super::{Benchmark, LOGS, Measured, percentiles, usage};
use crate::config::Properties;
use crate::error::Result;
use crate::topics::record::BatchWriter;
use crate::topics::{PartitionId, Reader, Topic};

/// The service whose rows the first filters let pass.
const FIRST: &str = "svc-0000001";

/// The statement of a filter, which writes to a topic of its own.
fn filter(number: usize) -> String {
    format!(
        "CREATE STREAM f{number} AS SELECT service_name FROM application_logs WHERE service_name = '{}';",
        service(number)
    )
}

/// Few rows pass each filter, so that the filters are measured and not what they write.
fn service(number: usize) -> String {
    if number == 0 { FIRST.to_owned() } else { format!("svc-{number:07}-none") }
}

/// Filters over a topic that was filled before.
pub(super) struct SharedFilters;

impl Benchmark for SharedFilters {
    fn name(&self) -> &'static str {
        "shared_filters"
    }

    fn summary(&self) -> &'static str {
        "100 filters over one topic, from its start"
    }

    fn run(&self, options: &Options) -> Result<Measured> {
        const QUERIES: usize = 100;
        let bed = Bed::new(options.folder, self.name(), options.properties)?;
        bed.execute(LOGS, Properties::default())?;
        let rows = bed.load(Input::Logs { services: 1000 }, options.rows.unwrap_or(1_000_000))?;
        let script: String = (0..QUERIES).map(filter).collect();
        let (start, cpu) = (Instant::now(), usage::cpu_seconds());
        bed.execute(&script, Properties::default())?;
        bed.engine.wait_drained(&|| false)?;
        let (wall, cpu) = (start.elapsed().as_secs_f64(), usage::cpu_seconds() - cpu);
        let taken = rows as f64 * QUERIES as f64;
        eprintln!("{}: {QUERIES} queries, {rows} rows each, {wall:.2} s, {cpu:.2} s of processor", self.name());
        Ok(Measured {
            rows: Some(rows),
            rows_per_core_second: Some((taken / cpu).round()),
            wall_seconds: Some(wall),
            peak_rss_bytes: Some(usage::peak_resident_bytes()),
            ..Measured::of(self.name(), &[("queries", QUERIES as f64)])
        })
    }
}

/// Filters over a topic to which records come one at a time.
pub(super) struct ManyFilters;

/// Records a second, and the seconds of the run.
const RATE: u64 = 1_000;
const SECONDS: u64 = 10;

impl Benchmark for ManyFilters {
    fn name(&self) -> &'static str {
        "many_filters"
    }

    fn summary(&self) -> &'static str {
        "1,000 filters over one topic to which 1,000 records come a second, each in a commit of its own"
    }

    fn run(&self, options: &Options) -> Result<Measured> {
        const QUERIES: usize = 1_000;
        let bed = Bed::new(options.folder, self.name(), options.properties)?;
        bed.execute(LOGS, Properties::default())?;
        let script: String = (0..QUERIES).map(filter).collect();
        bed.execute(&script, Properties::default())?;
        bed.engine.wait_drained(&|| false)?;
        let (logs, sink) = (bed.topic("application_logs")?, bed.topic("F0")?);
        let (start, cpu) = (Instant::now(), usage::cpu_seconds());
        let (send, receive) = std::sync::mpsc::channel();
        let done = std::thread::scope(|scope| {
            let (bed, sink) = (&bed, &sink);
            let reading = scope.spawn(move || read(bed, sink, &receive));
            let produced = produce(bed, &logs, start, &send);
            drop(send);
            let latencies = reading.join().expect("the reader does not panic");
            produced.and(latencies)
        })?;
        let (wall, cpu) = (start.elapsed().as_secs_f64(), usage::cpu_seconds() - cpu);
        eprintln!("{}: {QUERIES} queries, {:.2} of a core, {} records timed", self.name(), cpu / wall, done.len());
        Ok(Measured {
            rows: Some(RATE * SECONDS),
            latency_ms: Some(percentiles(done, false)),
            ..Measured::of(self.name(), &[("queries", QUERIES as f64), ("cores", cpu / wall)])
        })
    }
}

/// Appends records as they fall due, each by itself; those that pass the first filter are told by their times.
fn produce(
    bed: &Bed,
    topic: &Arc<Topic>,
    start: Instant,
    passes: &std::sync::mpsc::Sender<(i64, Instant)>,
) -> Result<()> {
    let input = Input::Logs { services: 1000 };
    let (mut key, mut value) = (String::new(), String::new());
    for i in 0..RATE * SECONDS {
        let due = Duration::from_micros(i * 1_000_000 / RATE);
        std::thread::sleep(due.saturating_sub(start.elapsed()));
        let time = super::input::BASE_MS + i as i64;
        key.clear();
        key.push_str(if i % 4 == 0 { FIRST } else { "svc-0000000" });
        input.value(i, time, &key, &mut value);
        let mut writer = BatchWriter::new();
        writer.push(time, Some(key.as_bytes()), Some(value.as_bytes()), &[]);
        if i % 4 == 0 {
            // The reader listens until the producer is done.
            let _ = passes.send((time, Instant::now()));
        }
        let id = PartitionId { topic: topic.id, partition: (i % u64::from(topic.partitions)) as u32 };
        bed.engine.topics().append(writer.finish().map(|batch| (id, batch)).into_iter().collect())?;
    }
    Ok(())
}

/// Reads the results of the first filter: how long after its append each record was there.
///
/// In nanoseconds. A record is known by its time, which is unique.
fn read(bed: &Bed, topic: &Arc<Topic>, passes: &std::sync::mpsc::Receiver<(i64, Instant)>) -> Result<Vec<u64>> {
    let ids = (0..topic.partitions).map(|partition| PartitionId { topic: topic.id, partition });
    let mut readers: Vec<(Box<dyn Reader>, i64)> =
        ids.map(|id| Ok((bed.engine.topics().reader(id)?, 0))).collect::<Result<_>>()?;
    let (mut appended, mut latencies, mut decisions) = (HashMap::new(), Vec::new(), 0);
    let wanted = (RATE * SECONDS / 4) as usize;
    while latencies.len() < wanted {
        appended.extend(passes.try_iter());
        for (reader, position) in &mut readers {
            let fetch = reader.read(*position, 1 << 20)?;
            let now = Instant::now();
            *position = fetch.each_record(*position, |record| {
                let took = appended.get(&record.time).map(|then| now.duration_since(*then));
                latencies.extend(took.map(|took| took.as_nanos() as u64));
                Ok(())
            })?;
        }
        decisions = bed.engine.wait_decision(decisions);
    }
    Ok(latencies)
}
