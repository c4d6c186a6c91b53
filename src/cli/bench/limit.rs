//! The limit of a pipeline: what it takes to do no more than read and decode its input and encode its results.
//!
//! Both steps run on one thread over the pipeline's own records, with the same decoder and encoder, and nothing else:
//! no hash table, no commit, no exchange. The limit for `n` rows and `r` results is `n / (n / decode + r / encode)`.

use std::time::{Duration, Instant};

use super::bed::Bed;
use super::pipeline::Pipeline;
use crate::catalog::Source;
use crate::error::{Error, Result};
use crate::formats::Decoded;
use crate::topics::record::{self, BatchHead, Records};
use crate::topics::{Fetch, PartitionId};
use crate::types::{Column, View};

/// What the bare steps reach on one core.
pub(super) struct Limit {
    /// Rows per second of wall time, on one thread.
    pub decoded_per_second: f64,
    pub encoded_per_second: f64,
    /// The number of results that the pipeline has made.
    pub results: u64,
}

impl Limit {
    /// The rows of input per second, if nothing were done but decoding them and encoding the results.
    pub(super) fn rows_per_second(&self, rows: u64) -> f64 {
        let seconds = rows as f64 / self.decoded_per_second + self.results as f64 / self.encoded_per_second;
        rows as f64 / seconds
    }
}

/// Records that are looked at, at most, of each topic.
const SAMPLE: u64 = 400_000;

/// Measures the bare steps over the pipeline's topics.
pub(super) fn measure(pipeline: &Pipeline, bed: &Bed) -> Result<Limit> {
    let (mut rows, mut spent) = (0, Duration::ZERO);
    for (name, columns) in pipeline.reads {
        let source = source(bed, name)?;
        let needed = |column: &Column| columns.contains(&column.name.as_str());
        let sample = decode(bed, &source, &needed)?;
        rows += sample.rows;
        spent += sample.decoding;
    }
    let sink = source(bed, pipeline.sink)?;
    let results = decode(bed, &sink, &|_| true)?;
    let encoding = encode(&sink, &results);
    let topic = bed.topic(&sink.topic)?;
    let mut total = 0;
    for partition in 0..topic.partitions {
        total += bed.engine.topics().end(PartitionId { topic: topic.id, partition })? as u64;
    }
    Ok(Limit {
        decoded_per_second: rows as f64 / spent.as_secs_f64(),
        encoded_per_second: results.rows as f64 / encoding.as_secs_f64(),
        results: total,
    })
}

fn source(bed: &Bed, name: &str) -> Result<Source> {
    bed.engine.catalog().expect_source(name).map(|s| Source::clone(s))
}

/// Decoded records of a topic.
struct Sample {
    rows: u64,
    values: Vec<Decoded>,
    /// The time that reading and decoding took.
    decoding: Duration,
}

fn decode(bed: &Bed, source: &Source, needed: &dyn Fn(&Column) -> bool) -> Result<Sample> {
    let columns = source.schema.values();
    let wanted: Vec<bool> = columns.iter().map(needed).collect();
    let mut decoder = source.value.decoder(&wanted);
    let topic = bed.topic(&source.topic)?;
    let mut sample = Sample { rows: 0, values: Vec::new(), decoding: Duration::ZERO };
    for partition in 0..topic.partitions {
        let mut reader = bed.engine.topics().reader(PartitionId { topic: topic.id, partition })?;
        let mut next = 0;
        while sample.rows < SAMPLE * u64::from(partition + 1) / u64::from(topic.partitions) {
            let start = Instant::now();
            let fetch = reader.read(next, 1 << 20)?;
            if fetch.bytes.is_empty() {
                break;
            }
            next = decode_fetch(&fetch, &mut sample, &mut |payloads| decoder.decode(payloads))?;
            sample.decoding += start.elapsed();
        }
    }
    Ok(sample)
}

/// Decodes the records of a fetch; the offset behind them.
fn decode_fetch(
    fetch: &Fetch,
    sample: &mut Sample,
    decode: &mut dyn FnMut(&[Option<&[u8]>]) -> Decoded,
) -> Result<i64> {
    let mut rest = fetch.bytes.as_slice();
    let mut next = 0;
    let mut payloads = Vec::new();
    while let Some(head) = BatchHead::parse(rest)? {
        let (batch, behind) = rest.split_at(head.length);
        if !record::is_intact(batch) {
            return Err(Error::backend("a record batch is damaged"));
        }
        let mut records = Records::new(batch, head);
        while let Some(record) = records.next_record()? {
            payloads.push(record.value);
        }
        next = head.next_offset();
        rest = behind;
    }
    for chunk in payloads.chunks(8192) {
        sample.values.push(decode(chunk));
        sample.rows += chunk.len() as u64;
    }
    Ok(next)
}

/// The time that it takes to encode the values of a sample again.
fn encode(source: &Source, sample: &Sample) -> Duration {
    let columns = source.schema.values();
    let mut encoder = source.value.encoder();
    let mut out = Vec::with_capacity(1 << 20);
    let start = Instant::now();
    for decoded in &sample.values {
        let views: Vec<View> =
            decoded.columns.iter().zip(columns).map(|(a, c)| View::new(a.as_ref(), &c.sql_type)).collect();
        out.clear();
        for row in 0..decoded.columns.first().map_or(0, |c| c.len()) {
            encoder.encode(&views, row, &mut out);
        }
    }
    std::hint::black_box(&out);
    start.elapsed()
}
