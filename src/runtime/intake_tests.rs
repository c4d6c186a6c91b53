//! Decoding on other threads: what fails there comes up in the query, and nothing is read for one that is gone.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::built_tests::{Bed, Given, program, reads, source};
use super::program::{Program, StageOutput, StageSpec, Target as To};
use super::{Feeds, Now, Options, QueryRun, Reset, Target, TopicTarget, Turned, placement};
use crate::error::{Error, Result};
use crate::ids::{QueryNumber, TopicId};
use crate::topics::memory::MemoryTopics;
use crate::topics::record::RecordBatch;
use crate::topics::{Count, Fetch, Offset, PartitionId, Reader, Topic, Topics};

const PARTITIONS: u32 = 3;
const ROWS: i64 = 300;

/// What happens to who reads a bad record.
#[derive(Clone, Copy)]
enum Fault {
    Error,
    Panic,
}

/// Topics of which some records cannot be read.
struct BadTopics {
    topics: Arc<MemoryTopics>,
    /// Records from here on, in the last partition.
    bad: Option<(Offset, Fault)>,
    /// How many threads are reading.
    reading: Arc<AtomicUsize>,
}

struct BadReader {
    reader: Box<dyn Reader>,
    bad: Option<(Offset, Fault)>,
    reading: Arc<AtomicUsize>,
}

impl Reader for BadReader {
    fn read(&mut self, from: Offset, most_bytes: usize) -> Result<Fetch> {
        match self.bad.filter(|(offset, _)| from >= *offset) {
            Some((_, Fault::Error)) => return Err(Error::backend("the disk is gone")),
            Some((_, Fault::Panic)) => std::panic::resume_unwind(Box::new("on purpose")),
            None => {}
        }
        self.reading.fetch_add(1, Ordering::SeqCst);
        // Long enough for the others to go on meanwhile.
        (0..50).for_each(|_| std::thread::yield_now());
        // One record's batch at a time.
        let fetch = self.reader.read(from, most_bytes.min(1));
        self.reading.fetch_sub(1, Ordering::SeqCst);
        fetch
    }
}

impl Topics for BadTopics {
    fn create(&self, topic: &Topic) -> Result<()> {
        self.topics.create(topic)
    }

    fn delete(&self, topic: TopicId) -> Result<()> {
        self.topics.delete(topic)
    }

    fn reader(&self, partition: PartitionId) -> Result<Box<dyn Reader>> {
        let bad = self.bad.filter(|_| partition.partition == PARTITIONS - 1);
        Ok(Box::new(BadReader { reader: self.topics.reader(partition)?, bad, reading: self.reading.clone() }))
    }

    fn start(&self, partition: PartitionId) -> Result<Offset> {
        self.topics.start(partition)
    }

    fn end(&self, partition: PartitionId) -> Result<Offset> {
        let end = self.topics.end(partition)?;
        // Long enough, too, for records to come meanwhile.
        if rayon::current_thread_index().is_some() {
            (0..1000).for_each(|_| std::thread::yield_now());
        }
        Ok(end)
    }

    fn count(&self, partition: PartitionId) -> Result<Count> {
        self.topics.count(partition)
    }

    fn offset_for_time(&self, partition: PartitionId, time_ms: i64) -> Result<Offset> {
        self.topics.offset_for_time(partition, time_ms)
    }

    fn append(&self, batches: Vec<(PartitionId, RecordBatch)>) -> Result<Vec<Offset>> {
        self.topics.append(batches)
    }
}

/// A query that copies a topic of 300 records in batches of at most 8, with threads to decode on.
fn copying(bad: Option<(Offset, Fault)>) -> (QueryRun, ThreadPool, Arc<AtomicUsize>) {
    let bed = Bed::new(1, PARTITIONS);
    let reading = Arc::new(AtomicUsize::new(0));
    let (run, threads) = copying_from(&bed, bad, &reading);
    for number in 0..ROWS {
        let partition = number as u32 % PARTITIONS;
        bed.append(&[Given { topic: 0, partition, time: number, row: vec![Some(number)] }]);
    }
    (run, threads, reading)
}

fn copying_from(bed: &Bed, bad: Option<(Offset, Fault)>, reading: &Arc<AtomicUsize>) -> (QueryRun, ThreadPool) {
    let topics = Arc::new(BadTopics { topics: bed.topics.clone(), bad, reading: reading.clone() });
    let feeds = Feeds::new(topics, placement::usual());
    let target = TopicTarget {
        source: source("result", 1),
        topic: TopicId::new(7),
        partitions: PARTITIONS,
        most_bytes: 1 << 20,
        rekey: None,
        placement: placement::usual(),
    };
    let ports = vec![reads(0, 1, To::End)];
    let stage = StageSpec { ports, operators: Vec::new(), output: StageOutput::Result, tasks: PARTITIONS };
    let program = Arc::new(Program { merges: false, ..program(&[1], PARTITIONS, vec![stage], 1) });
    let options =
        Options { batch_rows: 8, idle_ns: 0, turn_bytes: 1 << 20, reset: Reset::Earliest, keeps_failures: false };
    let starts = |_| Ok(0);
    let target = Target::Topic(Arc::new(target));
    let mut run = QueryRun::new(QueryNumber::new(1), program, &target, (&feeds, &starts), options).expect("a query");
    (run.is_large, run.parallel_rows) = (true, 1);
    (run, ThreadPoolBuilder::new().num_threads(2).build().expect("threads"))
}

/// Takes turns until all is taken; what happens at last.
fn drain(run: &mut QueryRun, threads: &ThreadPool) -> std::thread::Result<Result<()>> {
    loop {
        let turn = catch_unwind(AssertUnwindSafe(|| run.turn(Now::default(), Some(threads))))?;
        match turn {
            Ok(Turned::Drained) => return Ok(Ok(())),
            Ok(_) => {}
            Err(error) => return Ok(Err(error)),
        }
    }
}

#[test]
fn what_fails_on_a_thread_fails_the_query() {
    let (mut run, threads, _) = copying(None);
    assert!(drain(&mut run, &threads).is_ok_and(|drained| drained.is_ok()));
    assert_eq!(run.rows(), ROWS as u64);

    let (mut run, threads, _) = copying(Some((50, Fault::Error)));
    let failed = drain(&mut run, &threads).expect("no panic").expect_err("the disk is gone");
    assert!(failed.to_string().contains("the disk is gone"), "{failed}");

    let (mut run, threads, _) = copying(Some((50, Fault::Panic)));
    let panic = drain(&mut run, &threads).expect_err("the panic of the reader");
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"on purpose"));
    // The threads are there for others.
    assert_eq!(threads.install(|| 7), 7);
}

#[test]
fn nothing_is_read_for_a_query_that_is_gone() {
    for turns in 0..40 {
        let (mut run, threads, reading) = copying(None);
        for _ in 0..turns % 8 {
            run.turn(Now::default(), Some(&threads)).expect("a turn");
        }
        if turns % 2 == 0 {
            run.forget()
        } else {
            drop(run)
        }
        assert_eq!(reading.load(Ordering::SeqCst), 0);
    }
}

#[test]
fn a_record_that_came_before_a_turn_is_taken_in_it() {
    let bed = Bed::new(1, PARTITIONS);
    let (mut run, threads) = copying_from(&bed, None, &Arc::default());
    for round in 0..300 {
        // As many as are decoded at once: the turn waits for no more, and somebody looks for them meanwhile.
        let given = |number| Given { topic: 0, partition: 0, time: round, row: vec![Some(number)] };
        bed.append(&(0..8).map(given).collect::<Vec<_>>());
        assert_eq!(run.turn(Now::default(), Some(&threads)).expect("a turn"), Turned::Took(8), "round {round}");
    }
}

#[test]
fn what_was_decoded_ahead_and_forgotten_is_decoded_again() {
    let (mut run, threads, _) = copying(None);
    let mut forgotten = 0;
    while run.turn(Now::default(), Some(&threads)).expect("a turn") != Turned::Drained {
        forgotten += usize::from(run.forget_ahead());
    }
    assert_eq!(run.rows(), ROWS as u64);
    assert!(forgotten > 0);
}
