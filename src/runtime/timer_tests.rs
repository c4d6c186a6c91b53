//! What no row causes on its way through an exchange into a join: windows that close, also by the clock, and the results of
//! groups at the end of an epoch, against an oracle.
//!
//! A stream is aggregated over hopping windows; the results are exchanged by their counts and joined with a second stream.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::built_tests::{Bed, Given, How, Row, Run, Shown, WHOLE, exchange, follows, operator, program, reads, to};
use super::program::{OperatorSpec, Program, StageOutput, StageSpec, Target as To};
use crate::disk::double::Random;
use crate::functions;
use crate::functions::signature::ArgType;
use crate::operators::aggregate::{self, Aggregate};
use crate::operators::stream_join::{self, SideSpec, StreamJoin};
use crate::operators::{KeyBytes, Operator};
use crate::state::{OperatorId, OperatorKind};
use crate::topics::partition_of;
use crate::types::SqlType;
use crate::types::window::TimeWindow;

const SIZE_MS: i64 = 50;
const ADVANCE_MS: i64 = 25;
/// No row comes later than this.
const GRACE_MS: i64 = 20;
/// How far the partner of a row may be.
const REACH_MS: i64 = 60;
/// Rows of the join are found for ever.
const FOR_EVER_MS: i64 = 1 << 40;

/// When an aggregation hands on its results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Results {
    /// When a window closes.
    Last,
    /// At the end of an epoch.
    OfEpochs,
}

/// The key's bytes as they are sorted: the numbers of these tests are small and not negative.
fn key_bytes() -> KeyBytes {
    Arc::new(|keys| Ok(keys.iter().map(|key| key.to_vec()).collect()))
}

/// COUNT by a column: the group, start and end of the window, the count.
fn counting(key: usize, results: Results) -> Box<dyn Operator> {
    let function = functions::find_aggregate("COUNT").expect("a function");
    let function = function.bind(&[ArgType::Value(Some(SqlType::Bigint))], &[Err(String::new())]).expect("bound");
    let grace_ms = if results == Results::Last { GRACE_MS } else { FOR_EVER_MS };
    let window = TimeWindow { size_ms: SIZE_MS, advance_ms: ADVANCE_MS, grace_ms, retention_ms: 2 * FOR_EVER_MS };
    Box::new(Aggregate::new(aggregate::Spec {
        keys: vec![(key, SqlType::Bigint)],
        calls: vec![aggregate::Call { function, args: vec![0] }],
        window: Some(window),
        every_row: false,
        last_only: (results == Results::Last).then(key_bytes),
        old: false,
    }))
}

/// The join of the results by their counts with a stream by its first column: the count, the result, the second column.
fn joining(preserved: bool) -> Box<dyn Operator> {
    let side = |key: usize, columns: &[usize], preserved| SideSpec {
        key,
        columns: columns.iter().map(|place| (*place, SqlType::Bigint)).collect(),
        preserved,
    };
    Box::new(StreamJoin::new(stream_join::Spec {
        sides: [side(3, &[0, 1, 2], preserved), side(0, &[1], false)],
        key_type: SqlType::Bigint,
        before_ms: REACH_MS,
        after_ms: REACH_MS,
        grace_ms: None,
        implicit_grace_ms: FOR_EVER_MS,
        key_bytes: key_bytes(),
    }))
}

/// The columns of the result.
const COLUMNS: usize = 5;

fn counts_joined(partitions: u32, results: Results, preserved: bool) -> Program {
    let stage = |ports, operators: Vec<OperatorSpec>, output| StageSpec { ports, operators, output, tasks: partitions };
    let id = |kind| Some(OperatorId { kind, number: 0 });
    let count = operator(id(OperatorKind::Aggregate), &[0], To::End, move |_| counting(0, results), partitions);
    let join = operator(id(OperatorKind::Join), &[0, 1], To::End, move |_| joining(preserved), partitions);
    let stages = vec![
        stage(vec![reads(0, 2, To::End)], vec![], exchange(0)),
        stage(vec![follows(0, &[0], to(0, 0))], vec![count], exchange(3)),
        stage(vec![reads(1, 2, To::End)], vec![], exchange(0)),
        stage(vec![follows(1, &[0], to(0, 0)), follows(2, &[1], to(0, 1))], vec![join], StageOutput::Result),
    ];
    program(&[2, 2], partitions, stages, COLUMNS)
}

/// Rows of both streams whose times rise from `base`, but for what the grace allows. A partition ends the earlier, the smaller
/// its number, if it is `cut`.
fn rising(random: &mut Random, count: usize, (base, partitions): (i64, u32), cut: bool) -> Vec<Given> {
    let mut given = Vec::new();
    for number in 0..count {
        let partition = random.below(u64::from(partitions)) as u32;
        let time = base + GRACE_MS + 2 * number as i64 - random.below(GRACE_MS as u64 + 1) as i64;
        let row = vec![Some(random.below(5) as i64), Some(number as i64)];
        if !cut || (number as u32) < count as u32 * (partition + 1) / partitions {
            given.push(Given { topic: 0, partition, time, row });
        }
        if random.one_in(2) {
            let row = vec![Some(1 + random.below(8) as i64), Some(base + number as i64)];
            given.push(Given { topic: 1, partition: random.below(u64::from(partitions)) as u32, time, row });
        }
    }
    given
}

/// The place of a record in the order of all: stream time of its partition, topic, partition, offset.
type Place = (i64, u64, u32, i64);

/// A row that reaches a join: where its cause stands, the port and the task that it comes from, its time and columns.
type Reaches = (Place, (usize, u32), i64, Row);

/// All records in their order.
fn in_order(given: &[Given]) -> Vec<(Place, &Given)> {
    let mut partitions: BTreeMap<(u64, u32), (i64, i64)> = BTreeMap::new();
    let mut all: Vec<(Place, &Given)> = Vec::new();
    for record in given {
        let (point, offset) = partitions.entry((record.topic, record.partition)).or_insert((-1, 0));
        *point = (*point).max(record.time);
        all.push(((*point, record.topic, record.partition, *offset), record));
        *offset += 1;
    }
    all.sort_by_key(|(place, _)| *place);
    all
}

fn task_of(key: Option<i64>, partitions: u32) -> u32 {
    partition_of(&key.expect("a key").to_be_bytes(), partitions)
}

fn starts(time: i64) -> impl Iterator<Item = i64> {
    (0..=time / ADVANCE_MS).map(|number| number * ADVANCE_MS).filter(move |start| time < start + SIZE_MS)
}

/// The windows that close, in the order of the rows that close them, then of windows and groups.
fn closed(given: &[Given], partitions: u32) -> Vec<Reaches> {
    let mut closed = Vec::new();
    for task in 0..partitions {
        let mut open: BTreeMap<(i64, i64), (i64, i64)> = BTreeMap::new();
        let mut now = -1;
        for (place, record) in in_order(given).into_iter().filter(|(_, record)| record.topic == 0) {
            if task_of(record.row[0], partitions) != task {
                continue;
            }
            now = now.max(record.time);
            for start in starts(record.time) {
                assert!(start + SIZE_MS + GRACE_MS > now, "no row is late");
                let (count, time) = open.entry((start, record.row[0].expect("a group"))).or_insert((0, 0));
                (*count, *time) = (*count + 1, record.time.max(*time));
            }
            open.retain(|(start, group), (count, time)| {
                let closes = start + SIZE_MS + GRACE_MS <= now;
                if closes {
                    let row = [*group, *start, start + SIZE_MS, *count].map(Some).to_vec();
                    closed.push((place, (0, task), *time, row));
                }
                !closes
            });
        }
    }
    closed
}

/// The rows of the second stream.
fn seconds(given: &[Given]) -> Vec<Reaches> {
    let of = |(place, record): (Place, &Given)| (place, (1, record.partition), record.time, record.row.clone());
    in_order(given).into_iter().filter(|(_, record)| record.topic == 1).map(of).collect()
}

fn pair(key: Option<i64>, (left_time, left): (i64, &Row), right: Option<(i64, &Row)>) -> Shown {
    let time = right.map_or(left_time, |(time, _)| time.max(left_time));
    let row = vec![key, left[0], left[1], left[2], right.and_then(|(_, row)| row[1])];
    Shown { time, row, absent: false, old: None }
}

/// Whether two rows are partners.
fn are_near(left: i64, right: i64) -> bool {
    (left - right).abs() <= REACH_MS
}

/// What each task of the join makes of rows in their order: left rows without a partner so far are handed on at once.
fn joined(mut all: Vec<Reaches>, partitions: u32) -> Vec<Vec<Shown>> {
    all.sort_by_key(|(place, from, ..)| (*place, *from));
    let mut made = vec![Vec::new(); partitions as usize];
    let mut seen: [Vec<(i64, Row)>; 2] = Default::default();
    for (_, (port, _), time, row) in all {
        let key = if port == 0 { row[3] } else { row[0] };
        let key_of = |row: &Row| if port == 0 { row[0] } else { row[3] };
        let mut found: Vec<&(i64, Row)> =
            seen[1 - port].iter().filter(|(t, other)| key_of(other) == key && are_near(*t, time)).collect();
        found.sort_by_key(|(time, _)| *time);
        let made = &mut made[task_of(key, partitions) as usize];
        for (other_time, other) in &found {
            made.push(match port {
                0 => pair(key, (time, &row), Some((*other_time, other))),
                _ => pair(key, (*other_time, other), Some((time, &row))),
            });
        }
        if found.is_empty() && port == 0 {
            made.push(pair(key, (time, &row), None));
        }
        seen[port].push((time, row));
    }
    made
}

/// All pairs of rows, sorted.
fn pairs(left: &[Reaches], right: &[Reaches]) -> Vec<Shown> {
    let mut pairs = Vec::new();
    for (_, _, left_time, left) in left {
        let partners = right.iter().filter(|(_, _, time, row)| row[0] == left[3] && are_near(*left_time, *time));
        pairs.extend(partners.map(|(_, _, time, row)| pair(left[3], (*left_time, left), Some((*time, row)))));
    }
    pairs.sort();
    pairs
}

fn sorted(mut rows: Vec<Shown>) -> Vec<Shown> {
    rows.sort();
    rows
}

fn hows() -> [(usize, How); 6] {
    [
        (2200, WHOLE),
        (2200, How { workers: 2, ..WHOLE }),
        (300, How { batch_rows: 1, ..WHOLE }),
        (300, How { batch_rows: 7, waiting: 1, ..WHOLE }),
        (300, How { batch_rows: 7, turn_bytes: 1, tap_rows: 1, ..WHOLE }),
        (300, How { batch_rows: 7, turn_bytes: 400, tap_rows: 30, workers: 2, waiting: 1, ..WHOLE }),
    ]
}

/// Calls `check` with a seed, a number of partitions, a number of records and a way to run.
fn for_all(check: impl Fn(&mut Random, u32, usize, How)) {
    let seeds = std::env::var("CHANGE_SEEDS").map_or(3, |seeds| seeds.parse().expect("CHANGE_SEEDS is a number"));
    for (seed, partitions) in (0..seeds).flat_map(|seed| [1, 4, 7].map(|partitions| (seed, partitions))) {
        for (count, how) in hows() {
            println!("seed {seed}, {partitions} partitions, {count} records, {how:?}");
            check(&mut Random::new(seed), partitions, count, how);
        }
    }
}

#[test]
fn windows_that_rows_close_reach_a_join_at_the_places_of_those_rows() {
    for_all(|random, partitions, count, how| {
        let given = rising(random, count, (0, partitions), false);
        let bed = Bed::new(2, partitions);
        bed.append(&given);
        let mut run = Run::new(&bed, counts_joined(partitions, Results::Last, true), &how);
        run.drain(0);
        let wanted = joined([closed(&given, partitions), seconds(&given)].concat(), partitions);
        let mut found = vec![Vec::new(); partitions as usize];
        for shown in run.take() {
            found[task_of(shown.row[0], partitions) as usize].push(shown);
        }
        assert!(wanted.iter().map(Vec::len).sum::<usize>() > count / 5, "the test joins something");
        for (found, wanted) in found.iter().zip(&wanted) {
            let first = found.iter().zip(wanted).position(|(found, wanted)| found != wanted);
            let place = first.unwrap_or(found.len().min(wanted.len()));
            assert_eq!(found.get(place), wanted.get(place), "at {place}");
        }
    });
}

#[test]
fn windows_that_the_clock_closes_reach_a_join() {
    for_all(|random, partitions, count, how| {
        let how = How { idle_ns: 1_000_000_000, ..how };
        let bed = Bed::new(2, partitions);
        let mut run = Run::new(&bed, counts_joined(partitions, Results::Last, false), &how);
        let (mut given, mut found) = (Vec::new(), Vec::new());
        for part in 0..3i64 {
            let more = rising(random, count / 3, (part * 10_000, partitions), true);
            bed.append(&more);
            given.extend(more);
            run.drain(part as u64 * 10_000);
            found.extend(run.take());
            let before = found.len();
            // The partitions become idle: time passes, and no row comes.
            run.drain(part as u64 * 10_000 + 1_000);
            found.extend(run.take());
            assert!(partitions == 1 || found.len() > before, "the clock has closed windows");
            run.seal();
            assert!(run.take().is_empty(), "the end of an epoch closes none");
            let wanted = pairs(&closed(&given, partitions), &seconds(&given));
            assert_eq!(sorted(found.clone()), wanted);
        }
    });
}

/// The groups that an epoch has touched, as they are at its end.
fn touched(before: &[Given], epoch: &[Given]) -> Vec<Reaches> {
    let firsts = |given: &[Given]| given.iter().filter(|record| record.topic == 0).cloned().collect::<Vec<_>>();
    let groups = |record: &Given| starts(record.time).map(move |start| (start, record.row[0])).collect::<Vec<_>>();
    let touched: std::collections::BTreeSet<_> = firsts(epoch).iter().flat_map(groups).collect();
    let all = [firsts(before), firsts(epoch)].concat();
    let result = |(start, group): (i64, Option<i64>)| {
        let own = all.iter().filter(|record| groups(record).contains(&(start, group)));
        let times: Vec<i64> = own.map(|record| record.time).collect();
        let row = vec![group, Some(start), Some(start + SIZE_MS), Some(times.len() as i64)];
        ((0, 0, 0, 0), (0, 0), times.into_iter().max().expect("a row"), row)
    };
    touched.into_iter().map(result).collect()
}

/// The results of the first stream by their counts, and how many there are of each.
fn counts_counted(partitions: u32) -> Program {
    let stage = |ports, operators: Vec<OperatorSpec>, output| StageSpec { ports, operators, output, tasks: partitions };
    let count = |number, key| {
        let id = OperatorId { kind: OperatorKind::Aggregate, number };
        operator(Some(id), &[0], To::End, move |_| counting(key, Results::OfEpochs), partitions)
    };
    let stages = vec![
        stage(vec![reads(0, 2, To::End)], vec![], exchange(0)),
        stage(vec![follows(0, &[0], to(0, 0))], vec![count(0, 0)], exchange(3)),
        stage(vec![follows(1, &[0], to(0, 0))], vec![count(1, 3)], StageOutput::Result),
    ];
    program(&[2], partitions, stages, 4)
}

#[test]
fn results_of_an_epoch_are_counted_before_it_ends_and_each_group_once() {
    for_all(|random, partitions, count, how| {
        let bed = Bed::new(1, partitions);
        let mut run = Run::new(&bed, counts_counted(partitions), &how);
        let (mut given, mut left) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            let mut epoch = rising(random, count / 6, (0, partitions), false);
            epoch.retain(|record| record.topic == 0);
            bed.append(&epoch);
            let as_given =
                |(_, _, time, row): Reaches| Given { topic: 0, partition: 0, time, row: vec![row[3], row[0]] };
            let results: Vec<Given> = touched(&given, &epoch).into_iter().map(as_given).collect();
            let shown = |(_, _, time, row): Reaches| Shown { time, row, absent: false, old: None };
            let wanted: Vec<Shown> = touched(&left, &results).into_iter().map(shown).collect();
            given.extend(epoch);
            left.extend(results);
            run.drain(0);
            run.seal();
            assert_eq!(sorted(run.take()), sorted(wanted));
        }
    });
}

#[test]
fn results_of_an_epoch_reach_a_join_before_it_ends() {
    for_all(|random, partitions, count, how| {
        let bed = Bed::new(2, partitions);
        let mut run = Run::new(&bed, counts_joined(partitions, Results::OfEpochs, false), &how);
        let (mut given, mut left, mut found) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..3 {
            // All epochs are about the same times.
            let epoch = rising(random, count / 6, (0, partitions), false);
            bed.append(&epoch);
            left.extend(touched(&given, &epoch));
            given.extend(epoch);
            run.drain(0);
            run.seal();
            found.extend(run.take());
            assert_eq!(sorted(found.clone()), pairs(&left, &seconds(&given)));
        }
        assert!(!found.is_empty(), "the test joins something");
    });
}
