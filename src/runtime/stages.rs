//! The stages of a query in a turn: passes over all of them, until nothing is left to do or the result has enough.
//!
//! In a pass each stage works as far as it may: a task takes rows only up to the least point of which those before it may
//! still send some. Mostly one pass does the whole turn. Where a stage makes more than the next one should have waiting, it
//! leaves off, and further passes go on from there.
//!
//! Backpressure needs no blocking: a stage that has made enough stops, the next one takes what is safe to take, and a
//! further pass continues the first. What waits between two stages is bounded by about one call's output for each task
//! and by rows that one task is ahead of the others.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::chain::Call;
use super::intake::{Rest, owner};
use super::merge::{Bound, Piece, UNBOUND, lane};
use super::points::Point;
use super::program::{PortOrigin, Program};
use super::task::{Progress, Task, TurnSpec};
use crate::error::Result;
use crate::locks::lock;

/// How many wait for a query that stops for nobody.
pub(super) static NOBODY: AtomicUsize = AtomicUsize::new(0);

/// The tasks of all stages.
pub(super) struct Stages {
    program: Arc<Program>,
    pub tasks: Vec<Vec<Task>>,
    /// How many wait for the query, to read it.
    pub waiting: Arc<AtomicUsize>,
    /// Whether somebody looks for keys of the query's table now and then, who should not wait long.
    pub is_looked_at: bool,
    /// Where the last pass stopped for those who wait, if it is not over.
    stopped: Option<Stop>,
}

/// A place in a pass.
struct Stop {
    stage: usize,
    /// The next task of the stage.
    task: usize,
    is_first: bool,
    /// How far the task is that is behind all others of the stage.
    least: Option<Point>,
}

/// How many rows an operator takes and makes in one call while its table is looked at, and how many of its changes are
/// saved at once: whoever looks waits for one call.
pub(super) const FEW_ROWS: usize = 1024;

/// What is being done with all stages.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    pub call: Call,
    /// How far each source lets stream times go.
    ///
    /// By source, in milliseconds since the epoch.
    pub limits: Vec<i64>,
    pub now_ms: i64,
    /// The point of what no row causes.
    ///
    /// Rows at this point are still part of the turn.
    pub end: Point,
}

/// The result of passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passed {
    /// Everything is done.
    Whole,
    /// The result has enough for now.
    ///
    /// Call again when there is room.
    Full,
    /// Somebody waits for the query.
    Yielded,
}

impl Stages {
    pub(super) fn new(program: Arc<Program>, tasks: Vec<Vec<Task>>) -> Self {
        Stages { program, tasks, waiting: Arc::default(), is_looked_at: false, stopped: None }
    }

    /// All tasks.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Task> {
        self.tasks.iter().flatten()
    }

    /// The same, to change them.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Task> {
        self.tasks.iter_mut().flatten()
    }

    /// The limits of a stage's ports: a source holds back only what has come through an exchange.
    ///
    /// `i64::MAX` for ports that no exchange feeds.
    fn limits(&self, stage: usize, limits: &[i64]) -> Vec<i64> {
        let ports = &self.program.stages[stage].ports;
        let least = |feeds: &std::collections::BTreeSet<usize>| feeds.iter().map(|feed| limits[*feed]).min();
        let limit = |port: &super::program::Port| least(&port.feeds).filter(|_| port.exchanged).unwrap_or(i64::MAX);
        ports.iter().map(limit).collect()
    }

    /// Begins a turn, or the end of an epoch; the rows have come.
    ///
    /// Tasks that have neither rows nor a new limit are finished at once, so an idle query with many tasks costs
    /// little.
    pub(super) fn start(&mut self, turn: &Turn) {
        self.stopped = None;
        for stage in 0..self.tasks.len() {
            let limits = self.limits(stage, &turn.limits);
            self.tasks[stage].iter_mut().for_each(|task| task.start(&limits, turn.call, turn.now_ms));
        }
    }

    /// Goes on with what was begun; with `rest` the tasks of a stage run on all threads of the pool that this one belongs to,
    /// and a thread calls it that finds no more of them.
    ///
    /// # Errors
    /// The first error of a task; others may have worked on.
    pub(super) fn run(&mut self, turn: &Turn, rest: Option<Rest>) -> Result<Passed> {
        let mut stopped = self.stopped.take();
        let mut is_first = stopped.as_ref().is_none_or(|stop| stop.is_first);
        loop {
            for stage in stopped.as_ref().map_or(0, |stop| stop.stage)..self.tasks.len() {
                self.stopped = self.pass(stage, turn, (rest, is_first), stopped.take())?;
                if self.stopped.is_some() {
                    return Ok(Passed::Yielded);
                }
            }
            if self.iter().all(|task| task.progress == Progress::Finished) {
                return Ok(Passed::Whole);
            }
            if self.iter().filter_map(Task::sink).any(|sink| !sink.has_room()) {
                return Ok(Passed::Full);
            }
            if self.may_yield() && self.waiting.load(Ordering::Relaxed) > 0 {
                return Ok(Passed::Yielded);
            }
            is_first = false;
        }
    }

    /// Whether it may stop for those who wait: not if other rows would be made when it is repeated, since a turn that is left
    /// in the middle can be committed in part.
    pub(super) fn may_yield(&self) -> bool {
        !self.program.is_fresh
    }

    /// Up to where a stage may take rows: those before it may send later ones.
    ///
    /// No bound if all earlier stages are finished.
    fn bound(&self, stage: usize) -> Bound {
        let mut bound = UNBOUND;
        for (port, spec) in self.program.stages[stage].ports.iter().enumerate() {
            let PortOrigin::Stage(before) = spec.origin else { continue };
            for task in &self.tasks[before] {
                if let Progress::At(point) | Progress::Left(point) = task.progress {
                    bound = bound.min((point, lane(port, task.number)));
                }
            }
        }
        bound
    }

    /// One pass over the tasks of a stage, or the rest of one that has stopped; where it stops for those who wait.
    fn pass(
        &mut self,
        stage: usize,
        turn: &Turn,
        (rest, is_first): (Option<Rest>, bool),
        stopped: Option<Stop>,
    ) -> Result<Option<Stop>> {
        let bound = self.bound(stage);
        let Turn { now_ms, call, end, .. } = *turn;
        let waiting: &AtomicUsize = if self.may_yield() { &self.waiting } else { &NOBODY };
        let call_rows = if self.is_looked_at { FEW_ROWS } else { usize::MAX };
        let spec = TurnSpec { now_ms, call, end, bound, waiting, call_rows };
        // What one task is ahead of the others waits in the next stage: from the second pass on, only the last one goes on.
        let is_last = stage + 1 == self.tasks.len();
        let tasks = &mut self.tasks[stage];
        let behind = || tasks.iter().filter_map(|task| point_of(task.progress)).min();
        let (from, least) = stopped.map_or_else(|| (0, behind()), |stop| (stop.task, stop.least));
        let goes_on = |task: &Task| match point_of(task.progress) {
            None => false,
            Some(point) => is_first || is_last || Some(point) == least,
        };
        if let Some(rest) = rest {
            share(tasks[from..].iter_mut().filter(|task| goes_on(task)).collect(), &spec, rest)?;
        } else {
            for number in (from..tasks.len()).filter(|number| goes_on(&tasks[*number])).collect::<Vec<_>>() {
                tasks[number].work(&spec)?;
                if number + 1 < tasks.len() && waiting.load(Ordering::Relaxed) > 0 {
                    return Ok(Some(Stop { stage, task: number + 1, is_first, least }));
                }
            }
        }
        if !is_last {
            self.hand_over(stage);
        }
        Ok(None)
    }

    /// Gives what a stage made to the tasks of the next one.
    ///
    /// A stage has one reader: the stage whose port names it.
    fn hand_over(&mut self, stage: usize) {
        let is_origin = |port: &super::program::Port| port.origin == PortOrigin::Stage(stage);
        let found = self
            .program
            .stages
            .iter()
            .enumerate()
            .find_map(|(next, spec)| spec.ports.iter().position(is_origin).map(|port| (next, port)));
        let Some((next, port)) = found else { return };
        for number in 0..self.tasks[stage].len() {
            let routed = self.tasks[stage][number].take_routed();
            let lane = lane(port, number as u32);
            for rows in &routed {
                let targets = if rows.is_whole() { 1 } else { self.tasks[next].len() };
                for target in 0..targets {
                    if let Some(piece) = rows.piece(target as u32, lane) {
                        self.tasks[next][target].receive(piece);
                    }
                }
            }
        }
    }

    /// Gives rows of a source partition to the task that reads it.
    pub(super) fn receive(&mut self, stage: usize, task: usize, piece: Piece) {
        self.tasks[stage][task].receive(piece);
    }
}

/// Has all threads of the pool work on tasks, each on its own first.
fn share(tasks: Vec<&mut Task>, spec: &TurnSpec, rest: Rest) -> Result<()> {
    let threads = rayon::current_num_threads();
    let helpers = tasks.len().min(threads).saturating_sub(1);
    let mut lists: Vec<Mutex<Vec<&mut Task>>> = (0..threads).map(|_| Mutex::default()).collect();
    for task in tasks {
        let own = owner(task.number, threads);
        lists[own].get_mut().unwrap_or_else(PoisonError::into_inner).push(task);
    }
    let failure = Mutex::new(None);
    let next = |own: usize| (own..threads).chain(0..own).find_map(|list| lock(&lists[list]).pop());
    let (at_work, caller) = (AtomicUsize::new(0), rayon::current_thread_index());
    let work = || {
        at_work.fetch_add(1, Ordering::Relaxed);
        let own = rayon::current_thread_index().unwrap_or_default();
        while let Some(task) = next(own) {
            if let Err(error) = task.work(spec) {
                lock(&failure).get_or_insert(error);
            }
        }
        at_work.fetch_sub(1, Ordering::Relaxed) > 1
    };
    rayon::scope(|scope| {
        for _ in 0..helpers {
            scope.spawn(|_| {
                work();
                // The caller takes it itself if nobody else does.
                if rayon::current_thread_index() != caller {
                    rest();
                }
            });
        }
        // If the helpers have not come, this thread is at the end of the tasks and has no time to rest.
        if work() {
            rest();
        }
    });
    failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

fn point_of(progress: Progress) -> Option<Point> {
    match progress {
        Progress::Finished => None,
        Progress::At(point) | Progress::Left(point) => Some(point),
    }
}
