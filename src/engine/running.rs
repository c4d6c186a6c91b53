//! A query at work: when it takes its turns, when its epochs end, and what has become of it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Shared;
use super::memory::Share;
use super::wakes::Wakes;
use crate::catalog::Query;
use crate::config;
use crate::error::{Error, Result};
use crate::journal::{Decision, Entry};
use crate::operators::Reason;
use crate::runtime::{QueryRun, Turn};
use crate::topics::{Offset, PartitionId, TopicId};

/// What a query does.
#[derive(Clone, Debug)]
pub enum Status {
    Running,
    /// It cannot go on until the engine is started again.
    Failed(Error),
    /// It was terminated.
    Ended,
}

/// What is known of a query.
#[derive(Clone, Debug)]
pub struct QueryStats {
    pub rows: u64,
    pub records: u64,
    /// The bytes of memory that its state takes.
    pub memory: usize,
    pub epoch: u64,
    /// What has come to nothing, by reason.
    pub totals: BTreeMap<Reason, u64>,
    pub positions: Vec<(PartitionId, Offset)>,
}

/// Whether somebody who looks on has room for more rows.
pub type HasRoom = Box<dyn Fn() -> bool + Send + Sync>;

/// A query at work.
pub struct Running {
    pub id: String,
    pub number: u64,
    /// The topics that it reads.
    pub reads: Vec<TopicId>,
    /// Whether it is one of those that are kept; else it ends with whoever looks on.
    pub persistent: bool,
    /// Whether whoever looks on has room for more rows.
    has_room: Option<HasRoom>,
    run: Mutex<QueryRun>,
    status: Mutex<Status>,
    wakes: Wakes,
    /// The journal waits for it to run dry.
    linger: AtomicBool,
    /// Epochs that are not decided yet.
    in_flight: AtomicUsize,
    /// The last decided epoch.
    decided: AtomicU64,
    /// Readers of its table that wait for a moment in which all of it is committed.
    readers: AtomicUsize,
    /// What its state took at the end of the last epoch.
    pub memory: Share,
    /// It waits for memory that others may give back.
    waits_for_memory: AtomicBool,
    last_seal_ns: AtomicU64,
    commit_interval_ns: u64,
    cache_bytes: usize,
}

/// How many epochs of a query may wait for their decision.
const MOST_IN_FLIGHT: usize = 2;
/// How many bytes of results an epoch may have before it ends.
const EPOCH_BYTES: usize = 4 << 20;
/// How many turns a query takes before others come.
const TURNS: usize = 8;

impl Running {
    /// A query that is about to run. One that is not kept says whether whoever looks on has room for its rows.
    pub fn new(
        query: &Query,
        looker: Option<HasRoom>,
        mut run: QueryRun,
        properties: &config::Properties,
        memory: Share,
    ) -> Self {
        memory.set(run.memory());
        let mut reads: Vec<TopicId> = run.positions().iter().map(|(id, _)| id.topic).collect();
        reads.dedup();
        Running {
            id: query.id.clone(),
            number: query.number,
            reads,
            persistent: looker.is_none(),
            has_room: looker,
            status: Mutex::new(Status::Running),
            wakes: Wakes::default(),
            linger: AtomicBool::new(false),
            in_flight: AtomicUsize::new(0),
            decided: AtomicU64::new(run.epoch()),
            readers: AtomicUsize::new(0),
            memory,
            waits_for_memory: AtomicBool::new(false),
            last_seal_ns: AtomicU64::new(0),
            commit_interval_ns: properties.number(config::COMMIT_INTERVAL_MS) as u64 * 1_000_000,
            cache_bytes: properties.size(config::CACHE_BYTES),
            run: Mutex::new(run),
        }
    }

    /// The query itself, between two turns.
    pub fn lock(&self) -> MutexGuard<'_, QueryRun> {
        // A turn that panicked has failed the query: nobody takes another one.
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it does.
    pub fn status(&self) -> Status {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set_status(&self, status: Status) {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }

    pub fn is_running(&self) -> bool {
        matches!(self.status(), Status::Running)
    }

    /// Whether nothing that it did is undecided.
    pub fn is_settled(&self) -> bool {
        self.in_flight.load(Ordering::SeqCst) == 0
    }

    /// The last epoch that is decided.
    pub fn decided_epoch(&self) -> u64 {
        self.decided.load(Ordering::SeqCst)
    }

    /// Somebody wants to read its table: it takes no turns until they are done.
    pub fn hold(&self) {
        self.readers.fetch_add(1, Ordering::SeqCst);
    }

    /// They are done.
    pub fn release(&self) {
        self.readers.fetch_sub(1, Ordering::SeqCst);
    }

    /// The journal waits for it to run dry.
    pub fn lingered(&self) {
        self.linger.store(true, Ordering::SeqCst);
    }

    /// Sets whether it waits for memory; whether it did before.
    pub fn waits_for_memory(&self, waits: bool) -> bool {
        self.waits_for_memory.swap(waits, Ordering::SeqCst)
    }

    /// What is known of it.
    pub fn stats(&self) -> QueryStats {
        let mut run = self.lock();
        QueryStats {
            rows: run.rows(),
            records: run.records(),
            memory: run.memory(),
            epoch: run.epoch(),
            totals: run.totals().clone(),
            positions: run.positions(),
        }
    }

    /// Whether its rows have somewhere to go; else whoever looks on wakes it when they have taken some.
    fn has_room(&self) -> bool {
        self.has_room.as_ref().is_none_or(|has_room| has_room())
    }

    /// Whether it has something to do: rows to take, or an epoch to be decided.
    pub fn is_busy(&self) -> bool {
        self.is_running() && (self.wakes.seen() > 0 || !self.is_settled())
    }

    fn may_submit(&self) -> bool {
        self.in_flight.load(Ordering::SeqCst) < MOST_IN_FLIGHT
    }

    fn is_due(&self, run: &QueryRun, now_ns: u64) -> bool {
        let since = now_ns.saturating_sub(self.last_seal_ns.load(Ordering::Relaxed));
        since >= self.commit_interval_ns || run.pending_bytes() >= EPOCH_BYTES || run.held_bytes() > self.cache_bytes
    }
}

impl Shared {
    /// Has a query take its turns, on a worker.
    pub fn wake(self: &Arc<Self>, query: &Arc<Running>) {
        if self.pool.is_some() && query.wakes.add() {
            self.send_worker(query);
        }
    }

    fn send_worker(self: &Arc<Self>, query: &Arc<Running>) {
        let Some(pool) = &self.pool else { return };
        let (shared, query) = (self.clone(), query.clone());
        pool.spawn(move || shared.work(&query));
    }

    /// The turns of a query on a worker.
    fn work(self: &Arc<Self>, query: &Arc<Running>) {
        let seen = query.wakes.seen();
        let more = self.step(query);
        if query.linger.swap(false, Ordering::SeqCst) {
            self.ran_dry();
        }
        if more || !query.wakes.done(seen) {
            self.send_worker(query);
        }
    }

    /// A few turns of a query, and the end of its epoch if that is due; whether there is more to do at once.
    pub fn step(self: &Arc<Self>, query: &Arc<Running>) -> bool {
        if let Status::Failed(_) = query.status() {
            query.lock().forget();
            query.memory.set(0);
            self.wake_short();
            return false;
        }
        if !query.is_running() || self.is_closing() {
            return false;
        }
        match self.try_step(query) {
            Ok(more) => more,
            Err(error) => {
                self.fail_query(query, error);
                false
            }
        }
    }

    /// A query cannot go on: it is stopped, and the others go on. What comes of it later is no news.
    pub fn fail_query(self: &Arc<Self>, query: &Arc<Running>, error: Error) {
        if let Status::Failed(_) = query.status() {
            return;
        }
        (self.settings.report)(&format!("query {} has failed: {error}", query.id));
        query.set_status(Status::Failed(error));
        self.announce();
        // Its next step gives its memory back; this one may be in the middle of something.
        self.wake(query);
    }

    fn try_step(self: &Arc<Self>, query: &Arc<Running>) -> Result<bool> {
        let mut run = query.lock();
        for _ in 0..TURNS {
            let now = self.settings.clock.monotonic_ns();
            if query.readers.load(Ordering::SeqCst) > 0 {
                self.seal_if_possible(query, &mut run, now)?;
                return Ok(false);
            }
            if !self.is_manual() && !query.has_room() {
                return Ok(false);
            }
            if self.is_short(query)? {
                self.seal_if_possible(query, &mut run, now)?;
                return Ok(false);
            }
            match run.turn(now)? {
                Turn::Drained => {
                    self.seal_if_possible(query, &mut run, now)?;
                    return Ok(false);
                }
                Turn::Took(_) if !run.is_wanted() => {
                    query.set_status(Status::Ended);
                    self.announce();
                    return Ok(false);
                }
                Turn::Took(_) if query.is_due(&run, now) => {
                    if !self.seal_if_possible(query, &mut run, now)? && run.pending_bytes() >= 2 * EPOCH_BYTES {
                        return Ok(false);
                    }
                }
                Turn::Took(_) => {}
            }
        }
        Ok(true)
    }

    /// Ends the epoch, unless too many wait for their decision; whether it was ended.
    fn seal_if_possible(self: &Arc<Self>, query: &Arc<Running>, run: &mut QueryRun, now_ns: u64) -> Result<bool> {
        if !run.is_dirty() || !query.may_submit() {
            return Ok(false);
        }
        let Some(epoch) = run.seal()? else { return Ok(false) };
        let number = epoch.head.number;
        query.last_seal_ns.store(now_ns, Ordering::Relaxed);
        query.memory.set(run.memory());
        for (reason, message) in run.take_log().samples() {
            (self.settings.report)(&format!("query {}: {}: {message}", query.id, reason.name()));
        }
        if !query.persistent {
            return Ok(true);
        }
        query.in_flight.fetch_add(1, Ordering::SeqCst);
        let (shared, decided) = (self.clone(), query.clone());
        self.submit(
            Entry::Epoch(epoch),
            Box::new(move |decision| {
                match decision {
                    Ok(Decision::Committed { .. }) => decided.decided.store(number, Ordering::SeqCst),
                    Ok(Decision::Ended) => decided.set_status(Status::Ended),
                    Ok(refused) => refused.refusal().into_iter().for_each(|error| shared.fail_query(&decided, error)),
                    Err(error) => shared.fail_query(&decided, error),
                }
                // Behind its fate: whoever sees that nothing is in flight also sees whether it was committed.
                decided.in_flight.fetch_sub(1, Ordering::SeqCst);
                shared.wake(&decided);
            }),
        );
        Ok(true)
    }

    /// One turn of a query and the end of its epoch, on this thread; whether it took rows.
    pub fn turn_and_seal(self: &Arc<Self>, query: &Arc<Running>) -> Result<bool> {
        if !query.is_running() {
            return Ok(false);
        }
        let mut run = query.lock();
        let now = self.settings.clock.monotonic_ns();
        let took = matches!(run.turn(now)?, Turn::Took(_));
        self.seal_if_possible(query, &mut run, now)?;
        Ok(took)
    }

    /// Ends the epoch of a query and makes the round that decides it, on this thread.
    pub fn finish_epoch(self: &Arc<Self>, query: &Arc<Running>) -> Result<()> {
        let now = self.settings.clock.monotonic_ns();
        self.seal_if_possible(query, &mut query.lock(), now)?;
        self.pump().map(|_| ())
    }

    /// Stops all queries between two turns; what they have done is still committed.
    pub fn stop_queries(self: &Arc<Self>) {
        for query in self.running() {
            query.hold();
            let mut run = query.lock();
            let now = self.settings.clock.monotonic_ns();
            if query.is_running()
                && let Err(error) = self.seal_if_possible(&query, &mut run, now)
            {
                self.fail_query(&query, error);
            }
        }
    }
}
