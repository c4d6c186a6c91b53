//! Turns that are repeated: a query that is ended again and again, also while it repeats turns, commits the same records as
//! one that never ended.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::built_tests::{Bed, Given, exchange, follows, operator, program, reads, source, to};
use super::program::{Program, StageOutput, StageSpec, Target as To};
use super::{Now, Options, QueryRun, Reset, Sealed, Target, TopicTarget, Turned, placement};
use crate::disk::double::Random;
use crate::functions;
use crate::functions::signature::ArgType;
use crate::ids::{QueryNumber, TopicId};
use crate::journal::EpochHead;
use crate::operators::Operator;
use crate::operators::aggregate::{Aggregate, Call, Spec};
use crate::state::{OperatorId, OperatorKind};
use crate::topics::PartitionId;
use crate::topics::record::{BatchHead, RecordBatch, Records};
use crate::types::SqlType;
use crate::types::window::TimeWindow;

const PARTITIONS: u32 = 3;

/// COUNT by a column over windows, of which so many have a row: the column, the window, the count.
fn counting(key: usize, windows: i64, every_row: bool) -> Box<dyn Operator> {
    let function = functions::find_aggregate("COUNT").expect("a function");
    let function = function.bind(&[ArgType::Value(Some(SqlType::Bigint))], &[Err(String::new())]).expect("bound");
    let window = TimeWindow { size_ms: 200, advance_ms: 200 / windows, grace_ms: 1 << 40, retention_ms: 1 << 41 };
    Box::new(Aggregate::new(Spec {
        keys: vec![(key, SqlType::Bigint)],
        calls: vec![Call { function, args: vec![0] }],
        window: Some(window),
        every_row,
        last_only: None,
        old: false,
    }))
}

/// Counts of rows, exchanged and counted again: results of every row, or of an epoch's groups at its end.
fn counts(every_row: bool) -> Program {
    let stage = |ports, operators, output| StageSpec { ports, operators, output, tasks: PARTITIONS };
    let count = |number, make: fn(bool) -> Box<dyn Operator>, every_row| {
        let id = OperatorId { kind: OperatorKind::Aggregate, number };
        operator(Some(id), &[0], To::End, move |_| make(every_row), PARTITIONS)
    };
    let first = count(0, |every_row| counting(0, 4, every_row), true);
    let second = count(1, |every_row| counting(3, 10, every_row), every_row);
    let stages = vec![
        stage(vec![reads(0, 2, to(0, 0))], vec![first], exchange(3)),
        stage(vec![follows(0, &[0], to(0, 0))], vec![second], StageOutput::Result),
    ];
    program(&[2], PARTITIONS, stages, 4)
}

/// A query over the rows of a bed, as it stands at a head.
fn query(bed: &Bed, every_row: bool, (batch_rows, turn_bytes): (usize, usize), head: Option<&EpochHead>) -> QueryRun {
    let target = TopicTarget {
        source: source("result", 4),
        topic: TopicId::new(7),
        partitions: PARTITIONS,
        most_bytes: 1 << 20,
        rekey: None,
        placement: placement::usual(),
    };
    let options = Options { batch_rows, idle_ns: 0, turn_bytes, reset: Reset::Earliest, keeps_failures: false };
    let target = Target::Topic(Arc::new(target));
    let starts = |_| Ok(0);
    let made = QueryRun::new(QueryNumber::new(1), Arc::new(counts(every_row)), &target, (&bed.feeds, &starts), options);
    let mut run = made.expect("a query");
    head.map_or(Ok(()), |head| run.resume(head)).expect("a head of this program");
    run
}

/// The values of records, partition by partition.
type Values = Vec<Vec<Vec<u8>>>;

fn add(values: &mut Values, outputs: Vec<(PartitionId, RecordBatch)>) {
    for (id, batch) in outputs {
        let head = BatchHead::parse(batch.bytes()).expect("a batch").expect("whole");
        let mut records = Records::new(batch.bytes(), head);
        while let Some(record) = records.next_record().expect("a record") {
            values[id.partition as usize].push(record.value.expect("a value").to_vec());
        }
    }
}

/// What a query commits in one epoch that is ended once in so many steps, and never with 0; and how often it was ended while
/// turns were still to be repeated. `more` comes when the epoch has begun to end.
fn committed(
    (bed, threads): (&Bed, Option<&ThreadPool>),
    every_row: bool,
    random: &mut Random,
    ends: u64,
    more: &[Given],
) -> (Values, usize) {
    let (mut values, mut head) = (vec![Vec::new(); PARTITIONS as usize], None);
    let (mut cut_short, mut more) = (0, Some(more));
    loop {
        // The settings may be other ones after each restart.
        let limits = if ends == 0 { (3, 1 << 20) } else { (1 + random.below(6) as usize, 100 << random.below(8)) };
        let mut run = query(bed, every_row, limits, head.as_ref());
        (run.is_large, run.parallel_rows) = (true, 1);
        // Somebody waits for it all the time, or nobody.
        run.yields_to(Arc::new(AtomicUsize::new(if ends == 0 { 0 } else { random.below(2) as usize })));
        loop {
            // The clock goes on; repeated turns have that of their records.
            let now = Now { monotonic_ns: random.below(1 << 40), wall_ms: random.below(1 << 40) as i64 };
            // With threads for some turns and without them for others.
            let mut threads = || threads.filter(|_| ends > 0 && random.one_in(2));
            let is_over = run.is_ending() || run.turn(now, threads()).expect("no bug") == Turned::Drained;
            let repeats = !run.redo.0.is_empty();
            if is_over || run.is_left() || repeats {
                match run.seal(threads()).expect("no bug") {
                    Sealed::Nothing | Sealed::Yielded => {}
                    Sealed::Part(epoch) => {
                        assert!(!repeats, "what is repeated was committed");
                        if let Some(more) = more.take_if(|_| run.is_ending()) {
                            bed.append(more);
                        }
                        add(&mut values, epoch.outputs);
                        head = Some(epoch.head);
                    }
                    Sealed::Whole(epoch) => {
                        assert!(is_over, "an epoch ends when nothing waits");
                        add(&mut values, epoch.outputs);
                        return (values, cut_short);
                    }
                }
            }
            if ends > 0 && random.one_in(ends) {
                cut_short += usize::from(repeats);
                break;
            }
        }
    }
}

#[test]
fn a_query_that_is_ended_while_it_repeats_turns_commits_the_same_records() {
    let threads = ThreadPoolBuilder::new().num_threads(2).build().expect("threads");
    for every_row in [true, false] {
        let mut cut_short = 0;
        for seed in 0..15 {
            let mut random = Random::new(seed);
            let bed = Bed::new(1, PARTITIONS);
            let row = |number: i64, random: &mut Random| Given {
                topic: 0,
                partition: random.below(u64::from(PARTITIONS)) as u32,
                time: 1000 + random.below(300) as i64,
                row: vec![Some(random.below(4) as i64), Some(number)],
            };
            let given: Vec<Given> = (0..60).map(|number| row(number, &mut random)).collect();
            let (given, more) = given.split_at(50);
            bed.append(given);
            let (wanted, _) = committed((&bed, None), every_row, &mut random, 0, more);
            let (found, cut) = committed((&bed, Some(&threads)), every_row, &mut random, 6, more);
            assert_eq!(found, wanted, "seed {seed}, results of every row: {every_row}");
            cut_short += cut;
        }
        assert!(cut_short > 5, "queries were ended while they repeated turns");
    }
}
