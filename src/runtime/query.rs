//! A running query: turns, epochs, and the way back after a restart.
//!
//! A **turn** takes rows from all source partitions at once: every partition that is not at its end has decoded rows, and
//! rows up to the least of their last points are taken. So when rows of several partitions meet, none that comes earlier in
//! their order can be missing, and after the turn nothing is under way. A turn in which the result has enough is *left*, and
//! taken up again when results were committed. An **epoch** is what happens between two commits; it ends after a turn.
//!
//! ```text
//! turn     decode where rows are few → find the point up to which all have rows → take → run all stages
//! seal     whole epoch: flush, state, positions   (no turn is open)
//!          part of one: the records alone         (a turn is open and has made too much)
//! ```
//!
//! What a turn depends on besides rows and state is noted in a record before it starts. So a restart between two parts
//! can take the same rows up to the same point with the same limits and the same clock.
//!
//! A query is driven by one thread at a time. That thread may lend it others for the tasks of a stage and for decoding.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use super::chain::Call;
use super::cursor::{Cursor, Taken};
use super::decode::Most;
use super::epoch::{Open, Saving, TurnRecord};
use super::feed::Feeds;
use super::intake::Intake;
use super::points::Point;
use super::program::{PortOrigin, Program};
use super::read::Undo;
use super::reset::Reset;
use super::sink::{SinkTask, Target};
use super::stages::{Passed, Stages, Turn};
use super::task::{Out, Task};
use crate::error::Result;
use crate::ids::{EpochNumber, QueryNumber};
use crate::operators::{Limit, Log, Reason, State};
use crate::state::OperatorTask;
use crate::topics::{Offset, PartitionId};

/// How a query is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The most records that are decoded at once. At least 1. It changes nothing in the result; tests set it to 1.
    pub batch_rows: usize,
    /// Idle timeout in nanoseconds: after this long at its end, a partition no longer holds back stream time. 0 means
    /// that a partition counts as idle as soon as it stands at its end.
    pub idle_ns: u64,
    /// About how many bytes of results a turn makes before it is left, so that they can be committed.
    pub turn_bytes: usize,
    /// Where streams are read on if records were deleted before they were read. Tables are read on at the earliest.
    pub reset: Reset,
    /// Whether every row that fails is kept until its epoch is committed, and not only one for each reason.
    pub keeps_failures: bool,
}

/// The time as a turn sees it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Now {
    /// Of a clock that never goes back, in nanoseconds.
    pub monotonic_ns: u64,
    /// Since the epoch, in milliseconds.
    pub wall_ms: i64,
}

/// A query that runs.
pub struct QueryRun {
    pub(super) number: QueryNumber,
    pub(super) program: Arc<Program>,
    pub(super) options: Options,
    /// What is decoded for the cursors on other threads.
    pub(super) intake: Intake,
    /// The partitions of each source. By source, in the order of the program's feeds, then by partition.
    pub(super) cursors: Vec<Vec<Cursor>>,
    pub(super) stages: Stages,
    /// What was begun and not finished. `None` between two turns. What is open must be finished before anything else is
    /// begun.
    pub(super) open: Option<(Open, Turn)>,
    /// The turns since the last whole epoch.
    pub(super) turns: Vec<TurnRecord>,
    /// The turns that are to be repeated after a restart, and whether the epoch ended after them.
    pub(super) redo: (VecDeque<TurnRecord>, bool),
    /// What was saved of an epoch that ends, while those come first who wait.
    pub(super) saving: Option<Saving>,
    /// The head of the last whole epoch. Without the byte that says that it is whole; `None` before the first one.
    pub(super) base: Option<Vec<u8>>,
    /// Rows dropped in this epoch, besides those that the tasks have noted.
    pub(super) log: Log,
    /// Rows dropped in earlier epochs, until they are read.
    unread: Log,
    /// Rows dropped since the query was made, by reason.
    pub(super) totals: BTreeMap<Reason, u64>,
    /// Source rows taken since the query was made; saved with each epoch.
    pub(super) rows: u64,
    /// The number of the last epoch or part; 0 before the first.
    pub(super) epoch: EpochNumber,
    /// Whether anything has happened since the last whole epoch.
    pub(super) dirty: bool,
    /// Whether the last turn had so many rows that it is worth waking other threads for parts of it.
    pub(super) is_large: bool,
    /// With fewer rows in a turn it is not worth waking another thread.
    pub(super) parallel_rows: usize,
    /// How often decoding has stopped for those who wait since the last turn began.
    pub(super) stops: usize,
    /// Whether partitions at their ends count as idle, however short they have been there.
    pub(super) idle_declared: bool,
    pub(super) undo: Undo,
    /// Whether the epoch must end before another turn, since records were skipped.
    pub(super) must_end: bool,
    /// Whether a step was begun and is not over: one that fails or panics leaves it so.
    pub(super) half_done: bool,
}

/// The result of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turned {
    /// All sources stand at their ends, and nothing waits.
    Drained,
    /// So many rows were taken and worked off. May be 0: time alone has passed, or only bad records were found.
    Took(usize),
    /// The result has enough: the turn goes on when it was committed, or read.
    Left,
    /// Somebody waits for the query, to read it: the turn goes on when they have come.
    Yielded,
}

/// The number of [`QueryRun::parallel_rows`], unless a test has its own.
const PARALLEL_ROWS: usize = 2048;
/// The most rows in batches of all partitions together, one of each, if that leaves a few for each. Two or three of each
/// wait at most.
const MOST_ROWS: usize = 512 << 10;
const FEW_ROWS: usize = 64;
/// The most bytes of records that are decoded at once.
const MOST_BYTES: usize = 4 << 20;
/// The least bytes of results for which each task has room.
const FEW_BYTES: usize = 256 << 10;
/// How much an operator makes in one call.
const CALL: Limit = Limit { rows: 8192, bytes: 1 << 20 };
impl QueryRun {
    /// A query that reads each source partition from the offset that `starts` returns. A partition that is empty from
    /// there on counts as idle at once, so that it does not hold back stream time at the start.
    pub fn new(
        number: QueryNumber,
        program: Arc<Program>,
        target: &Target,
        (feeds, starts): (&Feeds, &dyn Fn(PartitionId) -> Result<Offset>),
        options: Options,
    ) -> Result<QueryRun> {
        let partitions: usize = program.feeds.iter().map(|feed| feed.partitions as usize).sum();
        let records = (MOST_ROWS / partitions.max(1)).max(FEW_ROWS).min(options.batch_rows);
        let most = Most { records, bytes: MOST_BYTES };
        let mut cursors = Vec::new();
        for spec in &program.feeds {
            let cursor = |partition| {
                let id = PartitionId { topic: spec.topic, partition };
                let start = starts(id)?;
                let mut cursor = Cursor::new(feeds, spec, partition, start, most);
                cursor.idle = feeds.topics().end(id)? <= start;
                Ok(cursor)
            };
            cursors.push((0..spec.partitions).map(cursor).collect::<Result<Vec<_>>>()?);
        }
        let limit = Limit { rows: CALL.rows.min(options.batch_rows), bytes: CALL.bytes.min(options.turn_bytes) };
        let tasks = tasks(&program, target, feeds, (limit, &options));
        Ok(QueryRun {
            log: Log::new(options.keeps_failures),
            unread: Log::new(options.keeps_failures),
            options,
            cursors,
            stages: Stages::new(program.clone(), tasks),
            ..QueryRun::empty(number, program)
        })
    }

    /// A query that reads nothing: in place of one that cannot run.
    pub fn nothing(number: QueryNumber) -> QueryRun {
        QueryRun::empty(number, Arc::default())
    }

    fn empty(number: QueryNumber, program: Arc<Program>) -> QueryRun {
        QueryRun {
            number,
            options: Options {
                batch_rows: 1,
                idle_ns: 0,
                turn_bytes: 1,
                reset: Reset::Earliest,
                keeps_failures: false,
            },
            intake: Intake::default(),
            cursors: Vec::new(),
            stages: Stages::new(program.clone(), Vec::new()),
            program,
            open: None,
            turns: Vec::new(),
            redo: Default::default(),
            saving: None,
            base: None,
            log: Log::default(),
            unread: Log::default(),
            totals: BTreeMap::new(),
            rows: 0,
            epoch: EpochNumber::default(),
            dirty: false,
            is_large: false,
            parallel_rows: PARALLEL_ROWS,
            stops: 0,
            idle_declared: false,
            undo: Undo::default(),
            must_end: false,
            half_done: false,
        }
    }

    /// Sets where it is counted how many wait for the query: a turn stops for them between two calls of operators.
    pub fn yields_to(&mut self, waiting: Arc<AtomicUsize>) {
        self.stages.waiting = waiting;
    }

    /// Forgets all state and all rows in memory: the query has failed and takes no more turns. Afterwards the query
    /// holds nearly no memory. Its numbers can still be asked for.
    pub fn forget(&mut self) {
        self.stages.tasks.clear();
        self.forget_ahead();
        self.cursors.iter_mut().flatten().for_each(Cursor::leave);
        (self.open, self.saving, self.dirty) = (None, None, false);
    }

    /// The number of the query.
    pub fn number(&self) -> QueryNumber {
        self.number
    }

    /// The number of the last epoch.
    pub fn epoch(&self) -> EpochNumber {
        self.epoch
    }

    /// Whether anything has happened since the last whole epoch.
    pub fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Whether an epoch has begun to end, and must be ended before another turn.
    pub fn is_ending(&self) -> bool {
        let ends = self.redo.0.is_empty() && self.redo.1;
        self.saving.is_some()
            || matches!(self.open, Some((Open::Flush, _)))
            || ((ends || self.must_end) && self.open.is_none())
    }

    /// Whether a turn or the end of an epoch was left: results should be committed, then it goes on.
    pub fn is_left(&self) -> bool {
        self.open.is_some() || self.saving.is_some()
    }

    /// Whether a turn was left, or turns are to be repeated that were begun before a restart.
    pub fn has_begun(&self) -> bool {
        self.is_left() || !self.redo.0.is_empty() || self.redo.1
    }

    /// Whether the result is still wanted.
    pub fn is_wanted(&self) -> bool {
        self.stages.iter().filter_map(Task::sink).all(SinkTask::is_wanted)
    }

    /// The number of rows that were taken since the query was made.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The number of records that were made since the query was made.
    pub fn records(&self) -> u64 {
        self.stages.iter().filter_map(Task::sink).map(|sink| sink.records).sum()
    }

    /// Rows dropped since the query was made, by reason.
    pub fn totals(&self) -> &BTreeMap<Reason, u64> {
        &self.totals
    }

    /// The position of every source partition.
    pub fn positions(&self) -> Vec<(PartitionId, Offset)> {
        self.cursors.iter().flatten().map(|cursor| (cursor.id, cursor.position())).collect()
    }

    /// The bytes of results that wait to be committed. Keys and values with 16 bytes for each record.
    pub fn pending_bytes(&self) -> usize {
        self.stages.iter().filter_map(Task::sink).map(SinkTask::bytes).sum()
    }

    /// About how many bytes of changed groups wait for the end of the epoch.
    pub fn held_bytes(&self) -> usize {
        self.stages.iter().map(Task::held_bytes).sum()
    }

    /// The bytes of memory that the query takes: its state, and the rows that wait.
    pub fn memory(&mut self) -> usize {
        let waiting: usize = self.cursors.iter().flatten().map(Cursor::waiting_bytes).sum();
        let states = self.stages.iter_mut().flat_map(Task::states).map(|(_, state)| state.memory());
        waiting + self.intake.bytes() + states.sum::<usize>()
    }

    /// What [`QueryRun::turn`] does.
    pub(super) fn take_turn(&mut self, now: Now, threads: Option<&rayon::ThreadPool>) -> Result<Turned> {
        if matches!(self.open, Some((Open::Turn { .. }, _))) {
            return self.go_on(threads);
        }
        debug_assert!(!self.is_ending(), "an epoch that has begun to end is ended before another turn");
        let again = self.redo.0.pop_front();
        let record = match again {
            Some(record) => {
                self.fill_to(&record.ends)?;
                // Those that bring rows again are idle no more, whatever the last whole epoch says.
                let waiting = self.cursors.iter_mut().flatten().filter(|cursor| cursor.waits());
                waiting.for_each(|cursor| (cursor.idle, cursor.at_end_since) = (false, None));
                record
            }
            None => {
                if !self.fill(threads)? {
                    self.stops += 1;
                    return Ok(Turned::Yielded);
                }
                self.stops = 0;
                if self.skip_deleted()? {
                    return Ok(Turned::Took(0));
                }
                let time_passed = self.note_idle(now.monotonic_ns) | self.wakes(now.wall_ms);
                let waits = self.cursors.iter().flatten().any(Cursor::waits);
                if !waits && !time_passed {
                    return Ok(Turned::Drained);
                }
                TurnRecord { now_ms: now.wall_ms, until: self.until(), limits: self.limits(), ends: Vec::new() }
            }
        };
        self.start(record, threads)
    }

    /// Begins a turn.
    fn start(&mut self, record: TurnRecord, threads: Option<&rayon::ThreadPool>) -> Result<Turned> {
        let taken = self.take(&record);
        let rows: usize = taken.iter().flatten().flatten().map(|taken| taken.count).sum();
        let ends = self.cursors.iter().flatten().map(Cursor::position).collect();
        let turn =
            Turn { call: Call::Advance, limits: record.limits.clone(), now_ms: record.now_ms, end: record.until };
        self.turns.push(TurnRecord { ends, ..record });
        self.rows += rows as u64;
        self.dirty = true;
        self.hand_out(&taken)?;
        drop(taken);
        self.stages.start(&turn);
        self.is_large = rows >= self.parallel_rows;
        let passed = match threads.filter(|_| self.is_large) {
            Some(threads) => {
                // While the stages work, the rows of the next turn are decoded.
                self.order()?;
                self.intake.beside(threads, |rest| self.stages.run(&turn, Some(rest)))?
            }
            None => self.stages.run(&turn, None)?,
        };
        self.open = Some((Open::Turn { rows }, turn));
        Ok(self.passed(passed))
    }

    /// Goes on with a turn that was left.
    fn go_on(&mut self, threads: Option<&rayon::ThreadPool>) -> Result<Turned> {
        let passed = self.run_open(threads)?;
        Ok(self.passed(passed))
    }

    /// Has the stages go on with what was begun.
    fn run_open(&mut self, threads: Option<&rayon::ThreadPool>) -> Result<Passed> {
        let Some((_, turn)) = &self.open else { return Ok(Passed::Whole) };
        let stages = &mut self.stages;
        match threads.filter(|_| self.is_large) {
            Some(threads) => self.intake.beside(threads, |rest| stages.run(turn, Some(rest))),
            None => stages.run(turn, None),
        }
    }

    fn passed(&mut self, passed: Passed) -> Turned {
        match (passed, &self.open) {
            (Passed::Whole, Some((Open::Turn { rows }, _))) => {
                let rows = *rows;
                self.open = None;
                self.bound_failures();
                Turned::Took(rows)
            }
            (Passed::Yielded, _) => Turned::Yielded,
            _ => Turned::Left,
        }
    }

    /// Up to where rows can be taken: no partition may still bring one that comes before another's. [`Point::END`]
    /// where rows of several partitions never meet, or all stand at their ends.
    fn until(&self) -> Point {
        if !self.program.merges {
            return Point::END;
        }
        self.cursors.iter().flatten().filter_map(Cursor::frontier).min().unwrap_or(Point::END)
    }

    /// Takes rows out of the partitions, source by source and partition by partition. A repeated turn takes exactly up
    /// to the offsets in its record, which new turns do not have.
    fn take(&mut self, record: &TurnRecord) -> Vec<Vec<Vec<Taken>>> {
        let (until, log) = (record.until, &mut self.log);
        let mut ends = record.ends.iter();
        let mut take = |cursor: &mut Cursor| cursor.take(until, ends.next().copied().unwrap_or(Offset::MAX), log);
        self.cursors.iter_mut().map(|feed| feed.iter_mut().map(&mut take).collect()).collect()
    }

    /// Gives rows to the tasks that read them.
    fn hand_out(&mut self, taken: &[Vec<Vec<Taken>>]) -> Result<()> {
        let program = self.program.clone();
        for (stage, spec) in program.stages.iter().enumerate() {
            for (number, port) in spec.ports.iter().enumerate() {
                let PortOrigin::Feed { feed, columns } = &port.origin else { continue };
                for (partition, taken) in taken[*feed].iter().enumerate() {
                    for rows in taken {
                        let wanted = &rows.decoded.wanted;
                        let places: Vec<usize> = columns.iter().filter_map(|column| wanted.place(column)).collect();
                        let piece = rows.piece(&places, number)?;
                        self.stages.receive(stage, partition, piece);
                    }
                }
            }
        }
        Ok(())
    }

    /// Begins or goes on with the end of an epoch: what operators have held back is handed on.
    /// Takes the clock and the limits of the last turn, so that a repeated flush sees the same.
    pub(super) fn flush(&mut self, threads: Option<&rayon::ThreadPool>) -> Result<Passed> {
        if !matches!(self.open, Some((Open::Flush, _))) {
            let now_ms = self.turns.last().map_or(0, |turn| turn.now_ms);
            let limits =
                self.turns.last().map_or_else(|| vec![i64::MAX; self.cursors.len()], |turn| turn.limits.clone());
            let turn = Turn { call: Call::Flush, limits, now_ms, end: Point::END };
            self.stages.start(&turn);
            self.open = Some((Open::Flush, turn));
        }
        let passed = self.run_open(threads)?;
        if passed == Passed::Whole {
            self.open = None;
        }
        Ok(passed)
    }

    /// Adds the rows dropped in the epoch to the totals.
    pub(super) fn collect_log(&mut self) {
        let mut fresh = Log::new(self.options.keeps_failures);
        fresh.take(&mut self.log);
        for task in self.stages.iter_mut() {
            fresh.take(&mut task.log);
        }
        for (reason, count) in fresh.counts() {
            *self.totals.entry(*reason).or_default() += count;
        }
        self.unread.take(&mut fresh);
    }

    /// Rows dropped in the epochs since the last call.
    pub fn take_log(&mut self) -> Log {
        std::mem::replace(&mut self.unread, Log::new(self.options.keeps_failures))
    }

    /// The states of all operators.
    pub fn states(&mut self) -> Vec<(OperatorTask, &mut dyn State)> {
        self.stages.iter_mut().flat_map(Task::states).collect()
    }
}

/// The tasks of all stages; those of the last one end in the target and share the room for results.
fn tasks(program: &Program, target: &Target, feeds: &Feeds, (limit, options): (Limit, &Options)) -> Vec<Vec<Task>> {
    let turn_bytes = options.turn_bytes;
    let last = program.stages.len().saturating_sub(1);
    let stage = |(stage, spec): (usize, &super::program::StageSpec)| {
        let task = |number| {
            let out = if stage == last {
                // A part of a turn can be committed only if the same records would be made again.
                let most = match program.is_fresh {
                    true => usize::MAX,
                    false => (2 * turn_bytes / spec.tasks as usize).clamp(turn_bytes.min(FEW_BYTES), turn_bytes),
                };
                Out::Sink(Box::new(SinkTask::new(target.clone(), program, number, most)))
            } else {
                Out::tasks(spec, limit, feeds.placement())
            };
            Task::new(spec, number, (limit, options.keeps_failures), out)
        };
        (0..spec.tasks).map(task).collect()
    };
    program.stages.iter().enumerate().map(stage).collect()
}
