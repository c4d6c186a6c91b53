//! Decoding ahead: every partition of a query has rows before a turn takes them, on one thread or on several.
//!
//! A turn stops where the first partition has no more decoded rows, so partitions that have none would make turns
//! small. Each is filled until it has about half of what is decoded at once, in at most four batches.
//!
//! With threads, decoding goes on beside the turns and not only before them: the query orders rows for partitions that have
//! few, the threads decode whatever lacks most, and the query takes it when it is there. So no thread waits at the end of a
//! turn for another one that is in the middle of a batch. When a turn wants threads, whoever decodes makes room after the
//! batch at hand; a thread that finds nothing more to do in the turn goes on with decoding.
//!
//! Whoever waits for the query, to read it, waits for one batch: then decoding stops, and goes on when they have come. How
//! often it may stop before a turn begins is for the caller to say.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use rayon::ThreadPool;

use super::cursor::{Cursor, Order};
use super::feed::Next;
use super::query::QueryRun;
use super::stages::NOBODY;
use crate::error::{Error, Result};
use crate::locks::{lock, wait};
use crate::topics::Offset;

/// How many batches are decoded for a partition before a turn takes them, at most: they may be small, or have no good
/// record.
const BATCHES: usize = 4;

/// How much is decoded ahead of the turns for each partition, in full batches; less where the batches are many anyway.
fn ahead(partitions: usize) -> usize {
    if partitions <= 16 { 2 } else { 1 }
}

impl QueryRun {
    /// Has every partition decode rows that has few, unless it stands at its end; false if it stopped for those who
    /// wait. It stops for them as often as there are partitions, and then not before a turn has begun.
    pub(super) fn fill(&mut self, threads: Option<&ThreadPool>) -> Result<bool> {
        // Rows that come all the time, and readers that do, must not keep a turn from beginning.
        let partitions = self.cursors.iter().map(Vec::len).sum();
        let waiting = (self.stops < partitions).then(|| self.stages.waiting.clone());
        let waiting = waiting.as_deref().unwrap_or(&NOBODY);
        if let Some(threads) = threads.filter(|_| self.is_large) {
            return self.fill_on(threads, waiting);
        }
        self.settle()?;
        for cursor in self.cursors.iter_mut().flatten() {
            for _ in 0..BATCHES {
                if !cursor.wants_more() || !cursor.fill()? {
                    break;
                }
                if waiting.load(Ordering::Relaxed) > 0 {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// The same on the threads of a pool.
    fn fill_on(&mut self, threads: &ThreadPool, waiting: &AtomicUsize) -> Result<bool> {
        self.order()?;
        let mut state = lock(&self.intake.shared.state);
        let mut has_come = false;
        let hungry = |(lane, cursor)| Hungry { lane, cursor, batches: 0, asked: false };
        let mut cursors: Vec<Hungry> = self.cursors.iter_mut().flatten().enumerate().map(hungry).collect();
        loop {
            for hungry in &mut cursors {
                has_come |= hungry.take(&mut state.lanes[hungry.lane])?;
            }
            cursors.retain(|hungry| hungry.lacks(&state.lanes[hungry.lane]));
            if cursors.is_empty() {
                return Ok(true);
            }
            if has_come && waiting.load(Ordering::Relaxed) > 0 {
                return Ok(false);
            }
            self.intake.send(&mut state, threads);
            state = wait(&self.intake.shared.changed, state);
        }
    }

    /// Orders rows for partitions that have few and do not stand at their ends.
    pub(super) fn order(&mut self) -> Result<()> {
        let mut state = lock(&self.intake.shared.state);
        let partitions = self.cursors.iter().map(Vec::len).sum();
        state.lanes.resize_with(partitions, Lane::default);
        for (cursor, lane) in self.cursors.iter_mut().flatten().zip(&mut state.lanes) {
            lane.partition = cursor.id.partition;
            while cursor.wants_more() && lane.hand_over(cursor)? {}
            if cursor.wants_more() && !lane.is_active() {
                lane.order = cursor.order()?;
            }
        }
        Ok(())
    }

    /// Forgets what was decoded and not taken, so that it takes no memory; whether there was anything. It is decoded anew
    /// when it is wanted.
    pub fn forget_ahead(&mut self) -> bool {
        self.intake.cancel().forget()
    }

    /// Waits for what is being decoded, takes all that was, and orders nothing more.
    fn settle(&mut self) -> Result<()> {
        let mut state = self.intake.cancel();
        for (cursor, lane) in self.cursors.iter_mut().flatten().zip(&mut state.lanes) {
            while lane.hand_over(cursor)? {}
        }
        state.forget();
        Ok(())
    }

    /// Has every partition decode rows up to an offset.
    pub(super) fn fill_to(&mut self, ends: &[Offset]) -> Result<()> {
        self.settle()?;
        self.cursors.iter_mut().flatten().zip(ends).try_for_each(|(cursor, end)| cursor.fill_to(*end))
    }
}

/// A partition for which a turn waits.
struct Hungry<'a> {
    lane: usize,
    cursor: &'a mut Cursor,
    /// How many batches it was given.
    batches: usize,
    /// Whether it was asked for its end since the turn waits.
    asked: bool,
}

impl Hungry<'_> {
    /// Takes what was decoded, as far as it is wanted; whether that was anything.
    fn take(&mut self, lane: &mut Lane) -> Result<bool> {
        let before = self.batches;
        while self.wants_more() && lane.hand_over(self.cursor)? {
            self.batches += 1;
        }
        // The end that a thread has found may have been that of a moment before the turn.
        if self.wants_more() && !lane.is_active() && !self.asked && self.cursor.deleted_to().is_none() {
            self.asked = true;
            lane.order = self.cursor.order()?;
        }
        Ok(self.batches > before)
    }

    fn wants_more(&self) -> bool {
        self.batches < BATCHES && self.cursor.wants_more()
    }

    /// Whether there is too little, and more may come.
    fn lacks(&self, lane: &Lane) -> bool {
        self.wants_more() && lane.is_active()
    }
}

/// What a thread calls that finds nothing to do in a turn. Returns at once.
pub(super) type Rest<'a> = &'a (dyn Fn() + Sync);

/// What threads of a pool decode for a query.
#[derive(Default)]
pub(super) struct Intake {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// A batch was decoded, or a partition has no more.
    changed: Condvar,
}

#[derive(Default)]
pub(super) struct State {
    /// What is ordered and decoded, by partition in the order of the query's cursors. Empty while nothing is.
    lanes: Vec<Lane>,
    /// How many jobs were sent to the pool and have not ended.
    jobs: usize,
    /// Whether a turn waits for a thread.
    is_held: bool,
    /// The thread of the pool on which a turn runs: it decodes one batch at a time, so that the turn can go on.
    turn_on: Option<usize>,
}

/// What is ordered and decoded for a partition.
#[derive(Default)]
struct Lane {
    /// The number of the partition in its topic.
    partition: u32,
    /// What is to be decoded next. None if nothing is wanted, while it is being decoded, and where there is no more.
    order: Option<Order>,
    is_decoding: bool,
    decoded: VecDeque<Next>,
    /// The rows and bytes of those.
    rows: usize,
    bytes: usize,
    /// Why there is no more.
    failure: Option<Failure>,
}

/// How decoding can fail.
enum Failure {
    Error(Error),
    Panic(Box<dyn Any + Send>),
}

impl Lane {
    /// Whether rows may still come.
    fn is_active(&self) -> bool {
        self.order.is_some() || self.is_decoding || !self.decoded.is_empty() || self.failure.is_some()
    }

    /// Whether more is to be decoded now, where so many full batches are decoded ahead.
    fn is_hungry(&self, ahead: usize) -> bool {
        let has_room = |order: &Order| self.rows <= (ahead - 1) * order.most.records && self.bytes < order.most.bytes;
        self.decoded.len() < BATCHES && self.order.as_ref().is_some_and(has_room)
    }

    /// How many full batches of rows were decoded.
    fn batches(&self) -> usize {
        self.order.as_ref().map_or(0, |order| self.rows / order.most.records)
    }

    /// Takes what was found for an order, and orders what comes behind it.
    fn decoded(&mut self, order: Order, next: std::thread::Result<Result<Next>>) {
        self.is_decoding = false;
        match next {
            Ok(Ok(Next::Rows(decoded))) => {
                self.rows += decoded.batch.rows();
                self.bytes += decoded.bytes;
                self.order = Some(Order { from: decoded.next, ..order });
                self.decoded.push_back(Next::Rows(decoded));
            }
            Ok(Ok(Next::End)) => {}
            Ok(Ok(deleted)) => self.decoded.push_back(deleted),
            Ok(Err(error)) => self.failure = Some(Failure::Error(error)),
            Err(panic) => self.failure = Some(Failure::Panic(panic)),
        }
    }

    /// Gives the partition's cursor the next of what was decoded; whether that was records.
    ///
    /// # Errors
    /// How decoding has failed, once all that was decoded before is handed over.
    fn hand_over(&mut self, cursor: &mut Cursor) -> Result<bool> {
        if let Some(next) = self.decoded.pop_front() {
            if let Next::Rows(decoded) = &next {
                self.rows -= decoded.batch.rows();
                self.bytes -= decoded.bytes;
            }
            return Ok(cursor.receive(next));
        }
        match self.failure.take() {
            None => Ok(false),
            Some(Failure::Error(error)) => Err(error),
            Some(Failure::Panic(panic)) => resume_unwind(panic),
        }
    }
}

impl Intake {
    /// Runs a part of a turn on the threads of a pool. What is ordered is decoded when it is over, and before that by those of
    /// them that find nothing to do in it: `turn` is given what they call then.
    pub(super) fn beside<T: Send>(&self, threads: &ThreadPool, turn: impl FnOnce(Rest) -> T + Send) -> T {
        lock(&self.shared.state).is_held = true;
        let done = threads.install(|| {
            let rest = || self.send(&mut lock(&self.shared.state), threads);
            {
                let mut state = lock(&self.shared.state);
                (state.is_held, state.turn_on) = (false, rayon::current_thread_index());
            }
            turn(&rest)
        });
        let mut state = lock(&self.shared.state);
        state.turn_on = None;
        self.send(&mut state, threads);
        done
    }

    /// The bytes of what was decoded and not taken.
    pub(super) fn bytes(&self) -> usize {
        lock(&self.shared.state).lanes.iter().map(|lane| lane.bytes).sum()
    }

    /// Orders nothing more, and waits for what is being decoded.
    pub(super) fn cancel(&self) -> MutexGuard<'_, State> {
        let mut state = lock(&self.shared.state);
        state.lanes.iter_mut().for_each(|lane| lane.order = None);
        while state.lanes.iter().any(|lane| lane.is_decoding) {
            state = wait(&self.shared.changed, state);
            state.lanes.iter_mut().for_each(|lane| lane.order = None);
        }
        state
    }

    /// Sends as many jobs to the pool as there are threads and something to do for.
    fn send(&self, state: &mut State, threads: &ThreadPool) {
        let ahead = ahead(state.lanes.len());
        let hungry = state.lanes.iter().filter(|lane| lane.is_hungry(ahead)).count();
        let more = hungry.min(threads.current_num_threads().saturating_sub(state.jobs));
        state.jobs += more;
        for _ in 0..more {
            let shared = self.shared.clone();
            threads.spawn(move || shared.work());
        }
    }
}

impl Drop for Intake {
    /// Nothing is read for a query that is gone.
    fn drop(&mut self) {
        drop(self.cancel());
    }
}

impl Shared {
    /// Decodes what lacks most, batch by batch, until there is enough or a turn wants the thread.
    fn work(&self) {
        let mut state = lock(&self.state);
        let mut goes_on = true;
        while goes_on && let Some((at, order)) = state.take_order() {
            goes_on = !state.is_in_turn();
            drop(state);
            let next = catch_unwind(AssertUnwindSafe(|| order.reader.next(order.from, order.most)));
            state = lock(&self.state);
            state.lanes[at].decoded(order, next);
            self.changed.notify_all();
        }
        state.jobs -= 1;
    }
}

impl State {
    /// Forgets what was decoded; whether that was anything.
    pub(super) fn forget(&mut self) -> bool {
        let any = self.lanes.iter().any(|lane| !lane.decoded.is_empty());
        self.lanes.clear();
        any
    }

    /// Whether this is the thread on which a turn runs.
    fn is_in_turn(&self) -> bool {
        self.turn_on.is_some() && self.turn_on == rayon::current_thread_index()
    }

    /// The next order, of the partition that lacks most; none if there is enough, or a turn waits for the thread. Of those
    /// that lack as much a thread takes its own, whose rows it works on afterwards.
    fn take_order(&mut self) -> Option<(usize, Order)> {
        if self.is_held {
            return None;
        }
        let (own, threads) = (rayon::current_thread_index(), rayon::current_num_threads());
        let is_own = |lane: &Lane| Some(owner(lane.partition, threads)) == own;
        let ahead = ahead(self.lanes.len());
        let hungry = self.lanes.iter_mut().enumerate().filter(|(_, lane)| lane.is_hungry(ahead));
        let lack = |lane: &Lane| (!lane.decoded.is_empty(), lane.batches(), !is_own(lane), lane.rows);
        let (at, lane) = hungry.min_by_key(|(_, lane)| lack(lane))?;
        lane.is_decoding = true;
        Some((at, lane.order.take()?))
    }
}

/// Which of so many threads takes a partition first, to decode it, and a task, to work on it. So what a task keeps, and what
/// was just decoded for it, is mostly near the processor that wants it.
pub(super) fn owner(number: u32, threads: usize) -> usize {
    number as usize % threads
}
