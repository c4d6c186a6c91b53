//! A running query: turns, epochs, and the way back after a restart.
//!
//! A **turn** takes rows from all source partitions at once: every partition that is not at its end has decoded rows, and
//! rows up to the least of their last places are handed on. So when rows of several partitions meet, none that comes
//! earlier in their order can be missing, and after the turn nothing is under way. An **epoch** is what happens between two
//! commits; it ends after a turn.

use std::collections::BTreeMap;
use std::sync::Arc;

use rayon::prelude::*;

use super::intake::{Intake, Ranks};
use super::piece::Piece;
use super::program::{Port, Program, SourceSpec, StageOutput};
use super::sink::{SinkTask, Target};
use super::task::{Task, TaskOutput, read_delta};
use crate::error::{Error, Result};
use crate::journal::{Epoch, EpochHead, OperatorId};
use crate::operators::{Log, Reason, State};
use crate::state::BucketId;
use crate::topics::{Offset, PartitionId, Topics};
use crate::types::row::{Input, put_varint};
use crate::types::{Batch, Value};

/// How a query is run.
#[derive(Clone)]
pub struct Options {
    /// The most rows that are decoded at once.
    pub batch_rows: usize,
    /// After how many nanoseconds at its end a partition holds back nobody.
    pub idle_ns: u64,
    /// Whether the tasks of a stage may run on several threads.
    pub parallel: bool,
    /// For tests that know one order only: every row to the first task, in the order of these ranks.
    pub ranks: Option<Ranks>,
}

/// A query that runs.
pub struct QueryRun {
    number: u64,
    program: Arc<Program>,
    options: Options,
    /// The partitions of each source.
    intakes: Vec<Vec<Intake>>,
    /// The tasks of each stage.
    stages: Vec<Vec<Task>>,
    sinks: Vec<SinkTask>,
    /// What has come to nothing in this epoch, besides what the tasks have noted.
    log: Log,
    /// The same of earlier epochs, for whoever asks.
    unread: Log,
    /// What has come to nothing since the query was made, by reason.
    totals: BTreeMap<Reason, u64>,
    rows: u64,
    epoch: u64,
    /// Whether anything has happened since the last epoch.
    dirty: bool,
    /// Whether somebody still wants the result.
    wanted: bool,
}

/// What a turn has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// All sources stand at their ends.
    Drained,
    /// Rows were handed on, this many.
    Took(usize),
}

/// With fewer rows in a turn it is not worth waking another thread.
const PARALLEL_ROWS: usize = 2048;

impl QueryRun {
    /// A query that starts at `starts`, for each source partition.
    pub fn new(
        number: u64,
        program: Arc<Program>,
        target: &Target,
        topics: &dyn Topics,
        starts: &dyn Fn(PartitionId) -> Result<Offset>,
        options: Options,
    ) -> Result<QueryRun> {
        let mut intakes = Vec::new();
        for (input, spec) in program.sources.iter().enumerate() {
            let shared = Arc::new(SourceSpec {
                source: spec.source.clone(),
                topic: spec.topic,
                partitions: spec.partitions,
                columns: spec.columns.clone(),
            });
            let partitions = (0..spec.partitions).map(|partition| {
                let id = PartitionId { topic: spec.topic, partition };
                let (reader, start, ranks) = (topics.reader(id)?, starts(id)?, options.ranks.clone());
                let mut intake = Intake::new(shared.clone(), input, id, reader, start, options.batch_rows, ranks);
                intake.idle = topics.end(id)? <= start;
                Ok(intake)
            });
            intakes.push(partitions.collect::<Result<Vec<_>>>()?);
        }
        let mut stages = Vec::new();
        for (stage, spec) in program.stages.iter().enumerate() {
            let task = |number| Task::new(stage as u32, number, spec, spec.tasks, options.ranks.is_some());
            stages.push((0..spec.tasks).map(task).collect::<Vec<_>>());
        }
        let last = stages.last().map_or(0, Vec::len) as u32;
        let sink = |task| SinkTask::new(target.clone(), &program.output, program.window_start, task);
        Ok(QueryRun {
            number,
            sinks: (0..last).map(sink).collect(),
            program,
            options,
            intakes,
            stages,
            log: Log::default(),
            unread: Log::default(),
            totals: BTreeMap::new(),
            rows: 0,
            epoch: 0,
            dirty: false,
            wanted: true,
        })
    }

    /// A query that reads nothing: in place of one that cannot run.
    pub fn nothing(number: u64) -> QueryRun {
        QueryRun {
            number,
            program: Arc::new(Program::default()),
            options: Options { batch_rows: 1, idle_ns: 0, parallel: false, ranks: None },
            intakes: Vec::new(),
            stages: Vec::new(),
            sinks: Vec::new(),
            log: Log::default(),
            unread: Log::default(),
            totals: BTreeMap::new(),
            rows: 0,
            epoch: 0,
            dirty: false,
            wanted: true,
        }
    }

    /// Forgets all state and all rows in memory: the query has failed and takes no more turns.
    pub fn forget(&mut self) {
        self.stages.clear();
        self.intakes.iter_mut().flatten().for_each(Intake::forget);
        self.dirty = false;
    }

    /// The number of the last epoch.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether anything has happened since the last epoch.
    pub fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Whether somebody still wants the result.
    pub fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// The number of rows that were taken since the query was made.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The number of records that were made since the query was made.
    pub fn records(&self) -> u64 {
        self.sinks.iter().map(|s| s.records).sum()
    }

    /// What has come to nothing since the query was made, by reason.
    pub fn totals(&self) -> &BTreeMap<Reason, u64> {
        &self.totals
    }

    /// The position of every source partition.
    pub fn positions(&self) -> Vec<(PartitionId, Offset)> {
        self.intakes.iter().flatten().map(|i| (i.id, i.position())).collect()
    }

    /// The bytes of results that wait for the end of the epoch.
    pub fn pending_bytes(&self) -> usize {
        self.sinks.iter().map(SinkTask::bytes).sum()
    }

    /// About how many bytes of changed groups wait for the end of the epoch.
    pub fn held_bytes(&self) -> usize {
        self.stages.iter().flatten().map(Task::held_bytes).sum()
    }

    /// The bytes of memory that the state takes.
    pub fn memory(&mut self) -> usize {
        self.stages.iter_mut().flatten().flat_map(Task::states).map(|(_, state)| state.memory()).sum()
    }

    /// Takes rows from all source partitions, at `now_ns` of a clock that never goes back.
    pub fn turn(&mut self, now_ns: u64) -> Result<Turn> {
        self.fill()?;
        if self.intakes.iter().flatten().all(|intake| !intake.waits()) {
            self.note_idle(now_ns);
            return Ok(Turn::Drained);
        }
        let limits = self.limits();
        self.note_idle(now_ns);
        let waiting = || self.intakes.iter().flatten().filter_map(Intake::last_point);
        let until = if self.program.merges { waiting().min() } else { None };
        let log = &mut self.log;
        let mut taken: Vec<Vec<Option<Piece>>> = Vec::new();
        for partitions in &mut self.intakes {
            taken.push(partitions.iter_mut().map(|intake| intake.take(until, log)).collect());
        }
        let rows: usize = taken.iter().flatten().flatten().map(Piece::len).sum();
        self.rows += rows as u64;
        self.dirty = true;
        self.run_stages(taken, &limits, rows)?;
        Ok(Turn::Took(rows))
    }

    /// Has every partition decode rows, unless it has some or stands at its end.
    fn fill(&mut self) -> Result<()> {
        let before: Vec<Offset> = self.intakes.iter().flatten().map(Intake::position).collect();
        let empty = self.intakes.iter().flatten().filter(|i| !i.waits()).count();
        let all = self.intakes.iter_mut().flatten();
        if self.options.parallel && empty > 1 {
            let all: Vec<&mut Intake> = all.collect();
            all.into_par_iter().try_for_each(|intake| intake.fill().map(|_| ()))?;
        } else {
            for intake in all {
                intake.fill()?;
            }
        }
        // Records that come to nothing move a position too.
        let moved = self.intakes.iter().flatten().map(Intake::position).ne(before);
        if moved {
            self.dirty = true;
            let log = &mut self.log;
            for intake in self.intakes.iter_mut().flatten().filter(|i| !i.waits()) {
                intake.take(None, log);
            }
        }
        Ok(())
    }

    /// How far each source lets the stream time of an operator go: a partition at its end may still bring earlier rows.
    fn limits(&self) -> Vec<i64> {
        let holds_back = |i: &&Intake| !i.waits() && !i.idle;
        let limit = |partitions: &Vec<Intake>| {
            partitions.iter().filter(holds_back).map(Intake::stream_time).min().unwrap_or(i64::MAX)
        };
        self.intakes.iter().map(limit).collect()
    }

    fn note_idle(&mut self, now_ns: u64) {
        for intake in self.intakes.iter_mut().flatten() {
            if intake.waits() {
                (intake.idle, intake.at_end_since) = (false, None);
                continue;
            }
            let since = *intake.at_end_since.get_or_insert(now_ns);
            intake.idle |= now_ns.saturating_sub(since) >= self.options.idle_ns;
        }
    }

    fn run_stages(&mut self, taken: Vec<Vec<Option<Piece>>>, limits: &[i64], rows: usize) -> Result<()> {
        let program = self.program.clone();
        let parallel = self.options.parallel && rows >= PARALLEL_ROWS;
        let mut taken = taken;
        let mut inboxes: Vec<Vec<Vec<Piece>>> =
            program.stages.iter().map(|stage| (0..stage.tasks).map(|_| Vec::new()).collect()).collect();
        for (number, spec) in program.stages.iter().enumerate() {
            let time_limits: Vec<i64> = spec
                .feeds
                .iter()
                .zip(&spec.exchanged)
                .map(|(feeds, exchanged)| {
                    let least = feeds.iter().map(|source| limits[*source]).min();
                    least.filter(|_| *exchanged).unwrap_or(i64::MAX)
                })
                .collect();
            let mut inputs: Vec<Vec<Vec<Piece>>> = (0..spec.tasks).map(|_| Vec::new()).collect();
            for port in &spec.ports {
                for (task, input) in inputs.iter_mut().enumerate() {
                    input.push(match port {
                        Port::Source(source) => taken[*source][task].take().into_iter().collect(),
                        Port::Stage(stage) => std::mem::take(&mut inboxes[*stage][task]),
                    });
                }
            }
            let result = matches!(spec.output, StageOutput::Result);
            let sinks: &mut [SinkTask] = if result { &mut self.sinks } else { &mut [] };
            let outputs = run_tasks(&mut self.stages[number], sinks, inputs, &time_limits, parallel)?;
            for (pieces, wanted) in outputs {
                self.wanted &= wanted;
                for (target, piece) in pieces {
                    inboxes[number][target as usize].push(piece);
                }
            }
        }
        Ok(())
    }

    /// Ends the epoch; nothing if nothing has happened in it.
    pub fn seal(&mut self) -> Result<Option<Epoch>> {
        if !self.dirty {
            return Ok(None);
        }
        let last = self.stages.len().saturating_sub(1);
        for (number, tasks) in self.stages.iter_mut().enumerate() {
            for task in tasks {
                let results = task.flush()?;
                if number == last && !results.is_empty() {
                    let sink = &mut self.sinks[task.number as usize];
                    self.wanted &= sink.take(&results, &mut task.log)?;
                }
            }
        }
        self.collect_log();
        let (mut bytes, mut delta) = (Vec::new(), Vec::new());
        self.save_head(&mut bytes, &mut delta);
        let outputs = self.sinks.iter_mut().flat_map(SinkTask::take_records).collect();
        self.epoch += 1;
        self.dirty = false;
        Ok(Some(Epoch { head: EpochHead { query: self.number, number: self.epoch, bytes }, delta, outputs }))
    }

    /// Adds what came to nothing in the epoch to the totals.
    fn collect_log(&mut self) {
        let mut fresh = std::mem::take(&mut self.log);
        for task in self.stages.iter_mut().flatten() {
            fresh.merge(std::mem::take(&mut task.log));
        }
        for (reason, count) in fresh.counts() {
            *self.totals.entry(*reason).or_default() += count;
        }
        self.unread.merge(fresh);
    }

    /// What came to nothing in the epochs since the last call.
    pub fn take_log(&mut self) -> Log {
        std::mem::take(&mut self.unread)
    }

    fn save_head(&mut self, head: &mut Vec<u8>, delta: &mut Vec<u8>) {
        for intake in self.intakes.iter().flatten() {
            put_varint(head, intake.position() as u64);
            head.extend_from_slice(&intake.stream_time().to_le_bytes());
            head.push(u8::from(intake.idle));
        }
        for task in self.stages.iter_mut().flatten() {
            task.save(head, delta);
        }
        for sink in &self.sinks {
            head.extend_from_slice(&sink.stream_time.to_le_bytes());
            put_varint(head, sink.records);
        }
        put_varint(head, self.rows);
        for reason in Reason::ALL {
            put_varint(head, self.totals.get(&reason).copied().unwrap_or_default());
        }
    }

    /// Sets an entry of the state, from a checkpoint.
    pub fn load(&mut self, operator: OperatorId, bucket: BucketId, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        let task = self.stages.get_mut(operator.stage as usize).and_then(|s| s.get_mut(operator.task as usize));
        task.ok_or_else(|| Error::bug("state for a task that is not there"))?.load(operator.place, bucket, key, value)
    }

    /// Applies the changes of an epoch.
    pub fn apply(&mut self, delta: &[u8]) -> Result<()> {
        read_delta(delta, &mut |e| self.load(e.operator, e.bucket, e.key, e.value))
    }

    /// Stands where an epoch left off; the state has been loaded.
    pub fn resume(&mut self, head: &EpochHead) -> Result<()> {
        let mut input = Input(&head.bytes);
        for intake in self.intakes.iter_mut().flatten() {
            let position = input.varint()? as i64;
            let stream_time = input.i64()?;
            intake.resume(position, stream_time, input.byte()? != 0);
        }
        for task in self.stages.iter_mut().flatten() {
            task.load_head(&mut input)?;
        }
        for sink in &mut self.sinks {
            sink.stream_time = input.i64()?;
            sink.records = input.varint()?;
        }
        self.rows = input.varint()?;
        for reason in Reason::ALL {
            self.totals.insert(reason, input.varint()?);
        }
        self.epoch = head.number;
        Ok(())
    }

    /// The states of all operators, for a checkpoint.
    pub fn states(&mut self) -> Vec<(OperatorId, &mut dyn State)> {
        self.stages.iter_mut().flatten().flat_map(Task::states).collect()
    }

    /// The rows of the table that the query keeps, for all keys or the given ones: the result's columns. `None` if it keeps
    /// no table.
    pub fn table(&mut self, keys: Option<&[Vec<Value>]>) -> Result<Option<Vec<Batch>>> {
        let output = self.program.output.clone();
        let window_start = self.program.window_start;
        let Some(tasks) = self.stages.last_mut() else { return Ok(None) };
        let mut all = Vec::new();
        let mut keeps = false;
        for task in tasks {
            let mut found = None;
            for (id, state) in task.states() {
                if let Some(rows) = state.rows(keys)? {
                    found = Some((id.place, rows));
                }
            }
            let Some((place, rows)) = found else { continue };
            keeps = true;
            for batch in task.project(place, rows)? {
                let places = output.iter().copied().chain(window_start);
                let columns = places.map(|place| batch.columns[place].clone()).collect();
                all.push(Batch { columns, ..batch });
            }
        }
        Ok(keeps.then_some(all))
    }
}

type Handed = (Vec<(u32, Piece)>, bool);

/// Runs the tasks of a stage, each with the pieces for its ports; results go to the sinks.
fn run_tasks(
    tasks: &mut [Task],
    sinks: &mut [SinkTask],
    inputs: Vec<Vec<Vec<Piece>>>,
    time_limits: &[i64],
    parallel: bool,
) -> Result<Vec<Handed>> {
    let mut sinks = sinks.iter_mut();
    let jobs: Vec<_> = tasks.iter_mut().zip(inputs).map(|(task, input)| (task, sinks.next(), input)).collect();
    let run = |(task, sink, input): (&mut Task, Option<&mut SinkTask>, Vec<Vec<Piece>>)| -> Result<Handed> {
        match (task.turn(input, time_limits)?, sink) {
            (TaskOutput::Pieces(pieces), _) => Ok((pieces, true)),
            (TaskOutput::Result(batches), Some(sink)) => Ok((Vec::new(), sink.take(&batches, &mut task.log)?)),
            (TaskOutput::Result(_), None) => Err(Error::bug("a result without a sink")),
        }
    };
    if parallel { jobs.into_par_iter().map(run).collect() } else { jobs.into_iter().map(run).collect() }
}
