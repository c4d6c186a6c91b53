//! A task: the operators of a stage over the rows of one logical partition.
//!
//! A task is what a stream task of Kafka Streams is: one partition's worth of a sub-topology, with its own state,
//! stream time and order of rows. It never shares anything with its neighbours, so tasks of a stage run on any threads
//! at the same time.
//!
//! A step takes rows up to a bound, pushes them through the chain, and hands out what comes. A step that was left is
//! continued before more rows are taken.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::chain::{Call, Chain, End, Step};
use super::exchange::{Exchange, Routed};
use super::merge::{Bound, Piece, UNBOUND, merge};
use super::placement::Placement;
use super::points::{Causes, Point, Points};
use super::program::{StageOutput, StageSpec, Target};
use super::sink::SinkTask;
use super::stages::FEW_ROWS;
use crate::error::Result;
use crate::operators::{Flow, Limit, Log, State, Table};
use crate::state::delta::SectionWriter;
use crate::state::{BucketId, OperatorTask};
use crate::types::Batch;
use crate::types::row::{Input, put_bytes, put_varint};

/// A task of a stage.
pub(super) struct Task {
    /// The number of the task in its stage.
    pub number: u32,
    ports: Vec<Target>,
    chain: Chain,
    /// How many rows an operator makes in one call, at most.
    call_rows: usize,
    /// Where rows go that come out of the chain.
    out: Out,
    /// Rows that have come and were not taken.
    pub pieces: Vec<Piece>,
    causes: Causes,
    /// The ordinal of the next row.
    ///
    /// Never falls, also over restarts: it is saved with each epoch, since entries of joins are known by ordinals.
    next_seq: u64,
    /// The limits of the stage's ports when the task last worked.
    limits: Vec<i64>,
    pub progress: Progress,
    /// Up to where the step at hand has taken rows.
    ///
    /// A step that was left goes on while the bound of the turn rises: rows up to the new bound are not taken yet. Only
    /// a step without bound, for which all rows of the turn have come, may flush and finish.
    bound: Bound,
    /// For each operator that keeps state, the horizon that was saved last.
    ///
    /// A section is written when its horizon has moved, even if no entry has changed.
    horizons: Vec<BucketId>,
    /// How many bytes of changes were saved last.
    delta_bytes: usize,
    pub log: Log,
}

/// How far a task is in a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// It has done everything.
    Finished,
    /// All rows that it makes from now on have this point or a later one.
    At(Point),
    /// The same, and it has rows or calls in the middle of which it left off.
    Left(Point),
}

/// Where rows go that come out of the chain.
pub(super) enum Out {
    /// To other tasks.
    ///
    /// With `most` bytes routed there is no more room until they are taken.
    Tasks { exchange: Option<Exchange>, routed: Vec<Routed>, bytes: usize, most: usize },
    /// They are the result.
    Sink(Box<SinkTask>),
}

impl Out {
    /// The way of a stage's rows to other tasks.
    pub(super) fn tasks(spec: &StageSpec, limit: Limit, placement: &Arc<dyn Placement>) -> Out {
        let exchange = match &spec.output {
            StageOutput::Exchange { key, encoding } => {
                Some(Exchange::new(key, encoding, spec.tasks, placement.clone()))
            }
            StageOutput::Result => None,
        };
        Out::Tasks { exchange, routed: Vec::new(), bytes: 0, most: limit.bytes }
    }
}

/// A chain's end in one step.
struct Ending<'a> {
    waiting: &'a AtomicUsize,
    /// Whether it was asked for room already: one call is made in any case, so that all go on.
    asked: Cell<bool>,
    out: &'a mut Out,
    causes: &'a Causes,
    number: u32,
}

impl<'a> Ending<'a> {
    fn new(turn: &'a TurnSpec, out: &'a mut Out, causes: &'a Causes, number: u32) -> Self {
        Ending { waiting: turn.waiting, asked: Cell::new(false), out, causes, number }
    }
}

impl End for Ending<'_> {
    fn take(&mut self, batch: Batch, log: &mut Log) -> Result<()> {
        match self.out {
            Out::Tasks { exchange, routed, bytes, .. } => {
                *bytes += batch.bytes();
                let causes = self.causes.clone();
                routed.push(match exchange {
                    Some(exchange) => exchange.route(batch, causes, self.number)?,
                    None => Routed::whole(batch, causes),
                });
                Ok(())
            }
            Out::Sink(sink) => sink.take(&batch, self.causes, log),
        }
    }

    fn has_room(&self) -> bool {
        let comes_first = self.asked.replace(true) && self.waiting.load(Ordering::Relaxed) > 0;
        !comes_first
            && match &self.out {
                Out::Tasks { bytes, most, .. } => bytes < most,
                Out::Sink(sink) => sink.has_room(),
            }
    }
}

/// What a turn means for a task.
pub(super) struct TurnSpec<'a> {
    pub now_ms: i64,
    pub call: Call,
    /// The point of what no row causes.
    pub end: Point,
    /// Up to where rows may be taken now.
    pub bound: Bound,
    /// How many wait for the query: for them a turn stops between two calls.
    pub waiting: &'a AtomicUsize,
    /// How many rows an operator takes, and makes, in one call, at most.
    pub call_rows: usize,
}

impl Task {
    /// A task of a stage that has done nothing yet.
    ///
    /// `keeps` is whether it keeps every failure.
    pub(super) fn new(spec: &StageSpec, number: u32, (limit, keeps): (Limit, bool), out: Out) -> Task {
        Task {
            number,
            ports: spec.ports.iter().map(|port| port.target).collect(),
            chain: Chain::new(&spec.operators, limit),
            call_rows: limit.rows,
            out,
            pieces: Vec::new(),
            causes: Causes { start: 0, points: Points::default(), end: Point::END },
            next_seq: 0,
            limits: Vec::new(),
            progress: Progress::Finished,
            bound: UNBOUND,
            horizons: vec![BucketId::MIN; spec.operators.iter().filter(|operator| operator.id.is_some()).count()],
            delta_bytes: 0,
            log: Log::new(keeps),
        }
    }

    /// Begins a turn or the end of an epoch. A task to which nothing comes and for which no time has passed has nothing to do,
    /// unless rows come to it later.
    pub(super) fn start(&mut self, limits: &[i64], call: Call, now_ms: i64) {
        let wakes = || self.chain.operators().any(|o| o.next_wake_ms().is_some_and(|wake| wake <= now_ms));
        let passes = self.limits != limits || call == Call::Flush || wakes();
        if passes {
            self.chain.set_limits(limits);
            limits.clone_into(&mut self.limits);
        }
        let idle = self.pieces.is_empty() && !passes;
        self.progress =
            if idle { Progress::Finished } else { Progress::At(Point { time: i64::MIN, code: 0, offset: 0 }) };
    }

    /// Rows have come.
    ///
    /// A task that had nothing to do is at work again.
    pub(super) fn receive(&mut self, piece: Piece) {
        if self.progress == Progress::Finished {
            self.progress = Progress::At(Point { time: i64::MIN, code: 0, offset: 0 });
        }
        self.pieces.push(piece);
    }

    /// Works on the turn as far as rows may be taken and there is room for what comes out.
    ///
    /// # Errors
    /// A bug, damaged state, or a result that cannot be encoded. The task must not be used any more.
    pub(super) fn work(&mut self, turn: &TurnSpec) -> Result<()> {
        self.chain.limit_rows(turn.call_rows.min(self.call_rows));
        if !matches!(self.progress, Progress::Left(_)) {
            self.take_rows(turn)?;
        }
        let Task { chain, out, causes, log, number, .. } = self;
        let origin = |seq: u64| causes.of(seq).origin();
        let point_ms = |seq: u64| causes.of(seq).time;
        let mut step = Step { now_ms: turn.now_ms, end: causes.end_seq(), origin: &origin, point_ms: &point_ms, log };
        let flow = chain.run(&mut step, &mut Ending::new(turn, out, causes, *number))?;
        self.progress = match flow {
            Flow::Left(seq) => Progress::Left(self.causes.of(seq)),
            Flow::Done if self.bound == UNBOUND => Progress::Finished,
            Flow::Done => Progress::At(self.bound.0),
        };
        Ok(())
    }

    /// Takes the rows up to the bound and begins a step with them.
    ///
    /// Ordinals go on from the last step. The one after the last row is for what no row causes.
    fn take_rows(&mut self, turn: &TurnSpec) -> Result<()> {
        let end = turn.end.min(turn.bound.0);
        let merged = merge(&mut self.pieces, self.ports.len(), turn.bound, self.next_seq, end)?;
        self.causes = merged.causes;
        // What no row causes has an ordinal of its own in every step.
        self.next_seq = self.causes.end_seq() + 1;
        // An epoch ends only when all rows have come.
        self.bound = turn.bound;
        self.chain.start(if self.bound == UNBOUND { turn.call } else { Call::Advance });
        let Task { chain, out, causes, log, number, .. } = self;
        let mut ending = Ending::new(turn, out, causes, *number);
        for (target, batches) in self.ports.iter().zip(merged.ports) {
            for batch in batches {
                for from in (0..batch.rows()).step_by(turn.call_rows) {
                    let part = batch.slice(from, turn.call_rows.min(batch.rows() - from));
                    chain.push(*target, part, &mut ending, log)?;
                }
            }
        }
        Ok(())
    }

    /// The rows for other tasks that were made since the last call.
    pub(super) fn take_routed(&mut self) -> Vec<Routed> {
        match &mut self.out {
            Out::Tasks { routed, bytes, .. } => {
                *bytes = 0;
                std::mem::take(routed)
            }
            Out::Sink(_) => Vec::new(),
        }
    }

    /// The end of the query, if this is a task of the last stage.
    pub(super) fn sink(&self) -> Option<&SinkTask> {
        if let Out::Sink(sink) = &self.out { Some(sink) } else { None }
    }

    /// The same, to change it.
    pub(super) fn sink_mut(&mut self) -> Option<&mut SinkTask> {
        if let Out::Sink(sink) = &mut self.out { Some(sink) } else { None }
    }

    /// About how many bytes of changes wait for the end of the epoch.
    pub(super) fn held_bytes(&self) -> usize {
        self.chain.operators().map(|o| o.held_bytes()).sum()
    }

    /// The time of the wall clock at which an operator wants to be called.
    pub(super) fn next_wake_ms(&self) -> Option<i64> {
        self.chain.operators().filter_map(|o| o.next_wake_ms()).min()
    }

    /// A delta of the first changes of the state, about as many as may be at once while a table is read; `None` if there are
    /// none left that can be had by themselves.
    ///
    /// # Errors
    /// As for [`Task::save`], which saves the rest.
    pub(super) fn save_some(&mut self) -> Result<Option<Vec<u8>>> {
        for (id, operator) in self.chain.operators_mut() {
            let (Some(id), Some(state)) = (id, operator.state()) else { continue };
            let mut delta = Vec::new();
            let mut section = SectionWriter::new(OperatorTask { operator: id, task: self.number }, &mut delta);
            if state.take_some_changes(FEW_ROWS.min(self.call_rows), &mut |bucket, key, value| {
                section.push(bucket, key, value)
            }) {
                section.finish(state.horizon())?;
                return Ok(Some(delta));
            }
        }
        Ok(None)
    }

    /// A delta of the changes of the state since the last call; appends the times to `head`, for [`Task::load_head`].
    ///
    /// # Errors
    /// The state of a key is too large.
    pub(super) fn save(&mut self, head: &mut Vec<u8>) -> Result<Vec<u8>> {
        put_varint(head, self.next_seq);
        // Mostly about as much changes as in the epoch before.
        let (mut delta, mut times) = (Vec::with_capacity(self.delta_bytes), Vec::new());
        let mut horizons = self.horizons.iter_mut();
        for (id, operator) in self.chain.operators_mut() {
            let (Some(id), Some(state)) = (id, operator.state()) else { continue };
            let mut section = SectionWriter::new(OperatorTask { operator: id, task: self.number }, &mut delta);
            state.take_changes(&mut |bucket, key, value| section.push(bucket, key, value));
            let horizon = state.horizon();
            let last = horizons.next().map_or(horizon, |last| std::mem::replace(last, horizon));
            debug_assert!(last <= horizon, "what was dropped would be there again");
            if last != horizon || !section.is_empty() {
                section.finish(horizon)?;
            } else {
                section.cancel();
            }
            times.clear();
            state.save_times(&mut times);
            put_bytes(head, &times);
        }
        if let Out::Sink(sink) = &self.out {
            sink.save(head);
        }
        self.delta_bytes = delta.len();
        Ok(delta)
    }

    /// Reads what [`Task::save`] wrote to the head.
    pub(super) fn load_head(&mut self, input: &mut Input) -> Result<()> {
        self.next_seq = input.varint()?;
        for (_, operator) in self.chain.operators_mut() {
            if let Some(state) = operator.state() {
                state.load_times(&mut Input(input.bytes()?))?;
            }
        }
        match &mut self.out {
            Out::Sink(sink) => sink.load(input),
            Out::Tasks { .. } => Ok(()),
        }
    }

    /// The operators that keep state, with their ids.
    pub(super) fn states(&mut self) -> impl Iterator<Item = (OperatorTask, &mut dyn State)> {
        let task = self.number;
        self.chain
            .operators_mut()
            .filter_map(move |(id, operator)| Some((OperatorTask { operator: id?, task }, operator.state()?)))
    }

    /// The table that the task keeps: that of the last operator that does.
    pub(super) fn table(&mut self) -> Option<&mut dyn Table> {
        self.chain.operators_mut().filter_map(|(_, operator)| operator.state()?.table()).last()
    }
}
