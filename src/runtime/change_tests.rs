//! Changes of a table on their way through two exchanges, against an oracle: what is cut, in which order the halves come,
//! and that each old side is what the consumer holds.
//!
//! There are no tables as sources, so the first operator makes changes of the records of a stream. Operators that keep a
//! table check the laws of [`crate::types::Batch`] row by row; the result is compared with that of an oracle, which knows
//! the records and Kafka's partitioner only.

use std::collections::BTreeMap;

use arrow::buffer::BooleanBuffer;

use super::built_tests::{
    Bed, Given, How, Row, Run, Shown, WHOLE, columns, exchange, follows, operator, program, reads, row_at, to,
};
use super::program::{Program, StageOutput, StageSpec, Target as To};
use crate::disk::double::Random;
use crate::error::Result;
use crate::operators::{Context, Flow, Operator, Output};
use crate::topics::partition_of;
use crate::types::{Batch, OldSide, Seq};

/// The columns of a row of the table.
const K: usize = 0;
const A: usize = 1;
const B: usize = 2;
const V: usize = 3;
const COLUMNS: usize = 4;

/// The columns of a group: what the rows are grouped by, their number, the sum of a column, and a part of the sum.
const GROUP: usize = 0;
const SUM: usize = 2;
const PART: usize = 3;

/// A record has whether there is a new row, the new row, whether there is an old one, the old row.
const RECORD: usize = 2 * (1 + COLUMNS);

/// Makes changes of records.
struct Uncover;

/// Changes as rows.
#[derive(Default)]
struct Changes {
    new: Vec<Row>,
    absent: Vec<bool>,
    old: Vec<Row>,
    old_absent: Vec<bool>,
}

impl Changes {
    /// `shown` are the columns of the new side, also if there is none.
    fn push(&mut self, shown: Row, absent: bool, old: Option<Row>) {
        self.new.push(shown);
        self.absent.push(absent);
        self.old_absent.push(old.is_none());
        self.old.push(old.unwrap_or_default());
    }

    fn into_batch(self, count: usize, of: &Batch) -> Batch {
        let seq = Seq::Each((0..of.rows()).map(|row| of.seq.at(row)).collect::<Vec<_>>().into());
        let mut batch = Batch::new(columns(&self.new, count), of.time.clone(), seq);
        batch.absent = Some(BooleanBuffer::from(self.absent));
        let absent = Some(BooleanBuffer::from(self.old_absent));
        batch.old = Some(Box::new(OldSide { columns: columns(&self.old, count), absent }));
        batch
    }
}

impl Operator for Uncover {
    fn process(&mut self, _: usize, batch: Batch, _: &mut Context, out: &mut Output) -> Result<Flow> {
        let width = 1 + COLUMNS;
        let mut changes = Changes::default();
        for row in 0..batch.rows() {
            let row = row_at(&batch.columns, row);
            let side = |at: usize| row[at * width + 1..(at + 1) * width].to_vec();
            // What an absent side holds means nothing: it is handed on as it came.
            changes.new.push(side(0));
            changes.absent.push(row[0] != Some(1));
            changes.old.push(side(1));
            changes.old_absent.push(row[width] != Some(1));
        }
        out.push(changes.into_batch(COLUMNS, &batch));
        Ok(Flow::Done)
    }
}

/// The record that a row comes from, as a number.
fn cause(cx: &Context, seq: u64) -> i64 {
    let origin = (cx.origin)(seq).expect("a record caused it");
    number_of(origin.partition, origin.offset)
}

fn number_of(partition: u32, offset: i64) -> i64 {
    i64::from(partition) * 1_000_000 + offset
}

/// The old row of a change.
fn old_of(batch: &Batch, row: usize) -> Option<Row> {
    let old = batch.old.as_ref().expect("changes have old sides");
    (!batch.is_old_absent(row)).then(|| row_at(&old.columns, row))
}

/// Keeps the table that its input describes and hands every change on, with the number of the task and the cause. Panics if a
/// change breaks a law.
struct Keeper {
    task: i64,
    /// The places of what a row is known by.
    known_by: Vec<usize>,
    /// The rows as they were handed on.
    table: BTreeMap<Row, Row>,
    /// The causes that have come, in their order.
    causes: Vec<i64>,
    /// The stream time of the last cause.
    point_ms: i64,
}

impl Keeper {
    fn new(task: u32, known_by: &[usize]) -> Keeper {
        let known_by = known_by.to_vec();
        Keeper { task: i64::from(task), known_by, table: BTreeMap::new(), causes: Vec::new(), point_ms: i64::MIN }
    }

    /// The rows of a cause come together, and causes in the order of their records.
    fn note(&mut self, cause: i64, point_ms: i64) {
        assert!(point_ms >= self.point_ms, "{cause} comes too late");
        self.point_ms = point_ms;
        if self.causes.last() != Some(&cause) {
            assert!(!self.causes.contains(&cause), "what {cause} caused comes in two pieces");
            self.causes.push(cause);
        }
    }
}

impl Operator for Keeper {
    fn process(&mut self, _: usize, batch: Batch, cx: &mut Context, out: &mut Output) -> Result<Flow> {
        let width = batch.columns.len();
        let mut changes = Changes::default();
        for row in 0..batch.rows() {
            let cause = cause(cx, batch.seq.at(row));
            self.note(cause, (cx.point_ms)(batch.seq.at(row)));
            let (mut shown, absent, old) = (row_at(&batch.columns, row), batch.is_absent(row), old_of(&batch, row));
            assert!(!absent || old.is_some(), "a change of nothing is dropped by exchanges");
            let known_by = |row: &Row| self.known_by.iter().map(|place| row[*place]).collect::<Row>();
            let id = known_by(&shown);
            assert!(old.iter().all(|old| known_by(old) == id), "the old side of {shown:?} is another row: {old:?}");
            shown.extend([Some(self.task), Some(cause)]);
            let held = if absent { self.table.remove(&id) } else { self.table.insert(id, shown.clone()) };
            assert_eq!(old.as_deref(), held.as_ref().map(|held| &held[..width]), "the old side of {shown:?}");
            changes.push(shown, absent, held);
        }
        let made = changes.into_batch(width + 2, &batch);
        // What one row has caused goes on in pieces.
        (0..made.rows()).for_each(|row| out.push(made.slice(row, 1)));
        Ok(Flow::Done)
    }
}

/// Counts and adds up the rows of each group, and undoes what goes. Its changes have their causes.
struct Totals {
    task: i64,
    by: usize,
    of: usize,
    /// The groups as they were handed on.
    groups: BTreeMap<Option<i64>, Row>,
}

impl Operator for Totals {
    fn process(&mut self, _: usize, batch: Batch, cx: &mut Context, out: &mut Output) -> Result<Flow> {
        let mut changes = Changes::default();
        for row in 0..batch.rows() {
            let (shown, absent, gone) = (row_at(&batch.columns, row), batch.is_absent(row), old_of(&batch, row));
            let group = shown[self.by];
            let new = (!absent).then_some(shown);
            let held = self.groups.get(&group).cloned();
            let total = |held: &Option<Row>, place: usize| held.as_ref().and_then(|held| held[place]).unwrap_or(0);
            let value = |row: &Option<Row>| row.as_ref().and_then(|row| row[self.of]).unwrap_or(0);
            let count = total(&held, 1) + i64::from(new.is_some()) - i64::from(gone.is_some());
            let sum = total(&held, SUM) + value(&new) - value(&gone);
            let own = [Some(count), Some(sum), Some(sum.rem_euclid(5)), Some(self.task)];
            let made: Row = [group].into_iter().chain(own).chain([Some(cause(cx, batch.seq.at(row)))]).collect();
            if count == 0 {
                self.groups.remove(&group);
            } else {
                self.groups.insert(group, made.clone());
            }
            changes.push(made, count == 0, held);
        }
        out.push(changes.into_batch(6, &batch));
        Ok(Flow::Done)
    }
}

/// A stage of test operators, each after the one that feeds it.
fn stage(number: usize, tasks: u32, makes: Vec<fn(u32) -> Box<dyn Operator>>, output: StageOutput) -> StageSpec {
    let last = makes.len() - 1;
    let target = |at: usize| if at == last { To::End } else { to(at + 1, 0) };
    let operators = makes.into_iter().enumerate().map(|(at, make)| operator(None, &[0], target(at), make, tasks));
    let port = match number {
        0 => reads(0, RECORD, to(0, 0)),
        _ => follows(number - 1, &[0], to(0, 0)),
    };
    StageSpec { ports: vec![port], operators: operators.collect(), output, tasks }
}

/// The rows of the table by A, then by B.
fn carried(tasks: u32) -> Program {
    let stages = vec![
        stage(0, tasks, vec![|_| Box::new(Uncover)], exchange(A)),
        stage(1, tasks, vec![|task| Box::new(Keeper::new(task, &[A, K]))], exchange(B)),
        stage(2, tasks, vec![|task| Box::new(Keeper::new(task, &[B, A, K]))], StageOutput::Result),
    ];
    program(&[RECORD], tasks, stages, COLUMNS + 4)
}

/// The totals of V by A, and of those the totals by a part of the sum.
fn totalled(tasks: u32) -> Program {
    fn first(task: u32) -> Box<dyn Operator> {
        Box::new(Totals { task: i64::from(task), by: A, of: V, groups: BTreeMap::new() })
    }
    fn second(task: u32) -> Box<dyn Operator> {
        Box::new(Totals { task: i64::from(task), by: PART, of: SUM, groups: BTreeMap::new() })
    }
    let stages = vec![
        stage(0, tasks, vec![|_| Box::new(Uncover)], exchange(A)),
        stage(1, tasks, vec![|task| Box::new(Keeper::new(task, &[A, K])), first], exchange(PART)),
        stage(2, tasks, vec![|task| Box::new(Keeper::new(task, &[PART, GROUP])), second], StageOutput::Result),
    ];
    program(&[RECORD], tasks, stages, 6)
}

/// A change of the oracle.
#[derive(Clone, Debug)]
struct Change {
    /// The place of its record in the order of all.
    rank: usize,
    cause: i64,
    new: Option<Row>,
    old: Option<Row>,
}

/// Random changes of a table; records whose sides are absent hold what means nothing. `partitions` are cut by K.
fn changes(random: &mut Random, count: usize, partitions: u32) -> Vec<Given> {
    let mut table: BTreeMap<i64, Row> = BTreeMap::new();
    let mut given = Vec::new();
    for number in 0..count {
        let key = random.below(30) as i64;
        let old = table.get(&key).cloned();
        let some = |random: &mut Random| Some(random.below(6) as i64);
        let mut new = old.clone().unwrap_or_else(|| vec![Some(key), some(random), some(random), some(random)]);
        for place in [A, B, V] {
            if random.one_in(2) {
                new[place] = some(random);
            }
        }
        let new = (!random.one_in(5)).then_some(new);
        match &new {
            Some(new) => table.insert(key, new.clone()),
            None => table.remove(&key),
        };
        let garbage = |random: &mut Random| vec![Some(key), some(random), some(random), some(random)];
        let mut side = |side: Option<Row>| {
            let present = Some(i64::from(side.is_some()));
            std::iter::once(present).chain(side.unwrap_or_else(|| garbage(random))).collect::<Row>()
        };
        let row = [side(new), side(old)].concat();
        let time = 1000 + number as i64 - random.below(40) as i64;
        given.push(Given { topic: 0, partition: key as u32 % partitions, time, row });
    }
    given
}

/// The changes of each partition, in the one order of all records: by stream time of the partition, partition and offset.
fn of_partitions(given: &[Given], partitions: u32) -> Vec<Vec<Change>> {
    let mut state = vec![(i64::MIN, 0i64); partitions as usize];
    let mut all = Vec::new();
    for Given { partition, time, row, .. } in given {
        let (point, offset) = &mut state[*partition as usize];
        *point = (*point).max(*time);
        let side = |at: usize| (row[at] == Some(1)).then(|| row[at + 1..at + 1 + COLUMNS].to_vec());
        all.push((*point, *partition, *offset, side(0), side(1 + COLUMNS)));
        *offset += 1;
    }
    all.sort();
    let mut found = vec![Vec::new(); partitions as usize];
    for (rank, (_, partition, offset, new, old)) in all.into_iter().enumerate() {
        found[partition as usize].push(Change { rank, cause: number_of(partition, offset), new, old });
    }
    found
}

/// What tasks get of changes that others made: by cause, then by the task that made them; a change whose key moves is cut.
fn exchanged(made: Vec<Vec<Change>>, key: usize) -> Vec<Vec<Change>> {
    let tasks = made.len();
    let mut all: Vec<(usize, usize, Change)> = Vec::new();
    for (task, changes) in made.into_iter().enumerate() {
        all.extend(changes.into_iter().map(|change| (change.rank, task, change)));
    }
    // A stable sort: those of a task keep their order.
    all.sort_by_key(|(rank, task, _)| (*rank, *task));
    let mut got = vec![Vec::new(); tasks];
    let mut give = |change: Change| {
        let side = change.new.as_ref().or(change.old.as_ref()).expect("a change has a side");
        let key = side[key].expect("a key").to_be_bytes();
        got[partition_of(&key, tasks as u32) as usize].push(change);
    };
    for (_, _, change) in all {
        match (&change.new, &change.old) {
            (None, None) => {}
            (Some(new), Some(old)) if new[key] != old[key] => {
                give(Change { new: None, ..change.clone() });
                give(Change { old: None, ..change });
            }
            _ => give(change),
        }
    }
    got
}

/// The changes with the task and the cause at their ends, as a keeper hands them on.
fn kept(changes: Vec<Vec<Change>>, known_by: &[usize]) -> Vec<Vec<Change>> {
    let keep = |(task, changes): (usize, Vec<Change>)| {
        let mut table: BTreeMap<Row, Row> = BTreeMap::new();
        let keep = |change: Change| {
            let side = change.new.as_ref().or(change.old.as_ref()).expect("a change has a side");
            let id: Row = known_by.iter().map(|place| side[*place]).collect();
            let old = table.remove(&id);
            let new = change.new.map(|new| [new, vec![Some(task as i64), Some(change.cause)]].concat());
            table.extend(new.iter().map(|new| (id.clone(), new.clone())));
            Change { new, old, ..change }
        };
        changes.into_iter().map(keep).collect()
    };
    changes.into_iter().enumerate().map(keep).collect()
}

/// The totals by one column of another; all rows are gone through again for each change.
fn totals(changes: Vec<Vec<Change>>, by: usize, of: usize) -> Vec<Vec<Change>> {
    let total = |(task, changes): (usize, Vec<Change>)| {
        let mut rows: Vec<Row> = Vec::new();
        let mut last: BTreeMap<Option<i64>, Row> = BTreeMap::new();
        let total = |change: Change| {
            if let Some(old) = &change.old {
                rows.swap_remove(rows.iter().position(|row| row == old).expect("a row that was there"));
            }
            rows.extend(change.new.clone());
            let group = change.new.as_ref().or(change.old.as_ref()).expect("a change has a side")[by];
            let own: Vec<i64> = rows.iter().filter(|row| row[by] == group).filter_map(|row| row[of]).collect();
            let sum: i64 = own.iter().sum();
            let numbers = [own.len() as i64, sum, sum.rem_euclid(5), task as i64, change.cause];
            let new = [group].into_iter().chain(numbers.map(Some)).collect::<Row>();
            let new = (!own.is_empty()).then_some(new);
            let old = last.remove(&group);
            last.extend(new.iter().map(|new| (group, new.clone())));
            Change { new, old, ..change }
        };
        changes.into_iter().map(total).collect()
    };
    changes.into_iter().enumerate().map(total).collect()
}

/// A change of the result: new row, old row, cause.
type Told = (Option<Row>, Option<Row>, Option<i64>);

/// The result, task by task: the task and the cause are the last columns.
fn of_tasks(shown: Vec<Shown>, tasks: u32) -> Vec<Vec<Told>> {
    let mut found = vec![Vec::new(); tasks as usize];
    for Shown { row, absent, old, .. } in shown {
        let (task, cause) = (row[row.len() - 2].expect("a task"), row[row.len() - 1]);
        found[task as usize].push(((!absent).then_some(row), old, cause));
    }
    found
}

fn told(changes: Vec<Vec<Change>>) -> Vec<Vec<Told>> {
    let one = |change: Change| (change.new, change.old, Some(change.cause));
    changes.into_iter().map(|changes| changes.into_iter().map(one).collect()).collect()
}

/// In how many ways and with how many records each program is run.
fn hows() -> [(usize, How); 6] {
    [
        (2600, WHOLE),
        (2600, How { workers: 2, ..WHOLE }),
        (300, How { batch_rows: 1, ..WHOLE }),
        (300, How { batch_rows: 7, waiting: 1, ..WHOLE }),
        (300, How { batch_rows: 7, turn_bytes: 1, tap_rows: 1, ..WHOLE }),
        (300, How { batch_rows: 7, turn_bytes: 400, tap_rows: 30, workers: 2, waiting: 1, ..WHOLE }),
    ]
}

/// Runs a program in all ways and compares it with its oracle.
fn check(make: fn(u32) -> Program, oracle: fn(Vec<Vec<Change>>) -> Vec<Vec<Change>>) {
    let seeds = std::env::var("CHANGE_SEEDS").map_or(3, |seeds| seeds.parse().expect("CHANGE_SEEDS is a number"));
    for (seed, partitions) in (0..seeds).flat_map(|seed| [1, 4, 7].map(|partitions| (seed, partitions))) {
        for (count, how) in hows() {
            let given = changes(&mut Random::new(seed), count, partitions);
            let bed = Bed::new(1, partitions);
            let mut run = Run::new(&bed, make(partitions), &how);
            bed.append(&given);
            run.drain(0);
            run.seal();
            let wanted = told(oracle(of_partitions(&given, partitions)));
            let found = of_tasks(run.take(), partitions);
            for (task, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
                let first = found.iter().zip(wanted).position(|(found, wanted)| found != wanted);
                let place = first.unwrap_or(found.len().min(wanted.len()));
                let (found, wanted) = (found.get(place..), wanted.get(place..));
                let few = |rows: Option<&[Told]>| rows.unwrap_or_default().iter().take(3).cloned().collect::<Vec<_>>();
                assert_eq!(few(found), few(wanted), "seed {seed}, {partitions} partitions, {how:?}, task {task}");
            }
        }
    }
}

#[test]
fn changes_whose_keys_move_are_deleted_where_they_were_and_inserted_where_they_go() {
    check(carried, |given| kept(exchanged(kept(exchanged(given, A), &[A, K]), B), &[B, A, K]));
}

#[test]
fn totals_of_totals_undo_what_moves() {
    check(totalled, |given| {
        let first = totals(kept(exchanged(given, A), &[A, K]), A, V);
        totals(kept(exchanged(first, PART), &[PART, GROUP]), PART, SUM)
    });
}
