//! A query at work: what is known of it, and what it may do now.
//!
//! Everything here but the query itself can be read and set without waiting for a turn. Order of locks: the query's
//! `run` first, then `life`; nothing is taken under `life`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::life::Life;
use super::memory::Share;
use super::restore::Restoring;
use super::wakes::Wakes;
use crate::catalog::Query;
use crate::config;
use crate::error::Error;
use crate::ids::{EpochNumber, QueryNumber, TopicId};
use crate::locks::{Errand, FairGuard, FairMutex, lock};
use crate::operators::Reason;
use crate::runtime::QueryRun;
use crate::topics::{Offset, PartitionId};

/// What is known of a query.
#[derive(Clone, Debug)]
pub struct QueryStats {
    /// The source rows that were taken since the query was made.
    pub rows: u64,
    /// The records, or rows for a client, that the query has made.
    pub records: u64,
    /// The bytes of memory that its state takes.
    pub memory: usize,
    /// The number of the last epoch; epochs of a query are counted from 1.
    pub epoch: EpochNumber,
    /// The rows that were left out, by reason.
    pub totals: BTreeMap<Reason, u64>,
    /// For each source partition, the offset of the next record to read.
    pub positions: Vec<(PartitionId, Offset)>,
}

impl QueryStats {
    /// What is known of a query between two turns.
    pub fn of(run: &mut QueryRun) -> QueryStats {
        QueryStats {
            rows: run.rows(),
            records: run.records(),
            memory: run.memory(),
            epoch: run.epoch(),
            totals: run.totals().clone(),
            positions: run.positions(),
        }
    }
}

/// The way of a push query to its reader.
pub(super) trait Reader: Send + Sync {
    /// Whether the reader has room for more rows.
    fn has_room(&self) -> bool;

    /// Has the reader look again: the query is over.
    fn tell(&self);
}

/// A query at work.
///
/// Its flags answer one question each: why does it take no turn now? It is paused, stopped, short of memory,
/// without room at its reader, or waits for a decision. The code that ends the reason wakes it.
pub(crate) struct Running {
    pub id: String,
    pub number: QueryNumber,
    /// The topics that it reads.
    pub reads: Vec<TopicId>,
    /// Whether the query is persistent; a transient query ends with its client.
    pub persistent: bool,
    reader: Option<Arc<dyn Reader>>,
    /// Held for a whole slice of turns.
    run: FairMutex<QueryRun>,
    life: Mutex<Life>,
    paused: AtomicBool,
    /// What its state is read from, while that is done.
    restoring: Mutex<Option<Arc<Restoring>>>,
    pub(super) wakes: Wakes,
    /// Whether the journal waits until it has no more input.
    linger: AtomicBool,
    /// Epochs that are not decided yet.
    ///
    /// At most two.
    in_flight: AtomicUsize,
    /// It cannot go on before one of them is decided.
    waits_for_decision: AtomicBool,
    /// The last epoch that was committed.
    committed: AtomicU64,
    /// Whether it takes no more turns, since the engine stops.
    stopped: AtomicBool,
    /// Up to when its table counts as read, since keys of it were looked up, on the monotonic clock.
    read_until_ns: AtomicU64,
    /// How many wait for a commit, to read its table as of that.
    waits_for_commit: Arc<()>,
    /// What its state took at the end of the last epoch.
    pub memory: Share,
    /// Whether it waits for memory that other queries may free.
    waits_for_memory: AtomicBool,
    last_seal_ns: AtomicU64,
    /// The time of the timer that will wake it.
    ///
    /// `u64::MAX` before the first timer. A time in the past means that none is set.
    timer_ns: AtomicU64,
    commit_interval_ns: u64,
    cache_bytes: usize,
    /// Whether records of which rows fail go to a topic of their own.
    pub dead_letters: bool,
}

/// How many epochs of a query may wait for their decision.
///
/// One is being written while the next one is made.
const MOST_IN_FLIGHT: usize = 2;
/// For how long after a look-up in its table a query keeps what further ones need.
///
/// 1 minute.
const READ_NS: u64 = 60_000_000_000;
/// How many bytes of results an epoch may have before it ends.
pub(super) const EPOCH_BYTES: usize = 4 << 20;

impl Running {
    /// A query that will run. One that is not kept has a reader.
    pub(super) fn new(
        query: &Query,
        reads: Vec<TopicId>,
        reader: Option<Arc<dyn Reader>>,
        properties: &config::Properties,
        memory: Share,
    ) -> Self {
        Running {
            id: query.id.clone(),
            number: query.number,
            reads,
            persistent: reader.is_none(),
            reader,
            life: Mutex::new(Life::Created),
            paused: AtomicBool::new(!query.pauses.is_empty()),
            restoring: Mutex::default(),
            wakes: Wakes::default(),
            linger: AtomicBool::new(false),
            in_flight: AtomicUsize::new(0),
            waits_for_decision: AtomicBool::new(false),
            committed: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            read_until_ns: AtomicU64::new(0),
            waits_for_commit: Arc::default(),
            memory,
            waits_for_memory: AtomicBool::new(false),
            last_seal_ns: AtomicU64::new(0),
            timer_ns: AtomicU64::new(u64::MAX),
            commit_interval_ns: properties.number(config::COMMIT_INTERVAL_MS) as u64 * 1_000_000,
            cache_bytes: properties.size(config::CACHE_BYTES),
            dead_letters: properties.flag(config::DEAD_LETTERS),
            run: FairMutex::new(QueryRun::nothing(query.number)),
        }
    }

    /// The query itself, between two turns.
    pub(crate) fn lock(&self) -> FairGuard<'_, QueryRun> {
        // A turn that panicked has failed the query: nobody takes another one.
        self.run.lock()
    }

    /// The same without hurry: turns are not stopped for it before that time is over.
    pub(crate) fn lock_within(&self, patience: Duration) -> FairGuard<'_, QueryRun> {
        self.run.lock_within(patience)
    }

    /// Has something done with the query between two turns, without waiting for it: here if it is free, and else by the
    /// thread that has it.
    pub(crate) fn send(&self, errand: Errand<QueryRun>) {
        self.run.send(errand);
    }

    /// It runs from now on, unless it has ended meanwhile.
    pub(crate) fn begin(&self, mut run: QueryRun) {
        self.memory.set(run.memory());
        self.committed.store(run.epoch().get(), Ordering::SeqCst);
        run.yields_to(self.run.waiting().clone());
        *self.lock() = run;
        let mut life = lock(&self.life);
        if let Life::Created = *life {
            *life = Life::Running;
        }
    }

    /// Sets what its state is read from, while that is done.
    pub(crate) fn restores(&self, restoring: Option<Arc<Restoring>>) {
        *lock(&self.restoring) = restoring;
    }

    /// What its state is read from, while that is done.
    pub(crate) fn restoring(&self) -> Option<Arc<Restoring>> {
        lock(&self.restoring).clone()
    }

    /// Where it is in its life.
    ///
    /// Paused is not a state of its own: a query can be paused while its state is still read.
    pub(crate) fn life(&self) -> Life {
        match &*lock(&self.life) {
            Life::Running if self.paused.load(Ordering::SeqCst) => Life::Paused,
            life => life.clone(),
        }
    }

    /// Whether it takes turns.
    pub(crate) fn is_running(&self) -> bool {
        matches!(self.life(), Life::Running)
    }

    /// Lets it rest, or go on.
    pub(crate) fn pause(&self, paused: bool) {
        self.paused.store(paused, Ordering::SeqCst);
    }

    /// It cannot go on. `false` if it had failed or ended before.
    pub(crate) fn fail(&self, error: Error) -> bool {
        let mut life = lock(&self.life);
        if let Life::Failed(_) | Life::Ended = *life {
            return false;
        }
        *life = Life::Failed(error);
        drop(life);
        self.tell_reader();
        true
    }

    fn tell_reader(&self) {
        self.reader.iter().for_each(|reader| reader.tell());
    }

    /// It ends.
    pub(crate) fn end(&self) {
        *lock(&self.life) = Life::Ended;
        self.tell_reader();
    }

    /// Whether every epoch that it submitted is decided.
    ///
    /// Says nothing about what the query has done and not submitted.
    pub(crate) fn is_settled(&self) -> bool {
        self.in_flight.load(Ordering::SeqCst) == 0
    }

    /// Whether another epoch may be submitted.
    pub(crate) fn may_submit(&self) -> bool {
        self.in_flight.load(Ordering::SeqCst) < MOST_IN_FLIGHT
    }

    /// Like [`Running::may_submit`]. If not, the next decision tells that the query waits.
    pub(crate) fn may_submit_or_waits(&self) -> bool {
        // Asked again after the flag is set: a decision in between has not seen the flag.
        self.may_submit() || {
            self.waits_for_decision();
            self.may_submit()
        }
    }

    /// Has the next decision tell that the query waits.
    pub(crate) fn waits_for_decision(&self) {
        self.waits_for_decision.store(true, Ordering::SeqCst);
    }

    /// An epoch was submitted.
    pub(crate) fn submitted(&self) {
        self.in_flight.fetch_add(1, Ordering::SeqCst);
    }

    /// An epoch was committed. Epochs of a query are decided in their order.
    pub(crate) fn commits(&self, number: EpochNumber) {
        self.committed.store(number.get(), Ordering::SeqCst);
    }

    /// The last epoch that was committed; 0 before the first.
    pub(crate) fn committed(&self) -> EpochNumber {
        EpochNumber::new(self.committed.load(Ordering::SeqCst))
    }

    /// Keys of its table are looked up.
    pub(crate) fn is_read(&self, now_ns: u64) {
        self.read_until_ns.store(now_ns + READ_NS, Ordering::Relaxed);
    }

    /// Somebody waits for a commit, to read its table as of that, until what this returns is dropped.
    pub(crate) fn waits_for_commit(&self) -> Arc<()> {
        self.waits_for_commit.clone()
    }

    /// Whether its table does not count as read any more, and nobody waits for a commit.
    pub(crate) fn is_unread(&self, now_ns: u64) -> bool {
        now_ns >= self.read_until_ns.load(Ordering::Relaxed) && Arc::strong_count(&self.waits_for_commit) == 1
    }

    /// An epoch was decided; whether the query waits for that. Called when the decision has been noted, so that a settled query
    /// has a known outcome.
    pub(crate) fn decided(&self) -> bool {
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
        self.waits_for_decision.swap(false, Ordering::SeqCst)
    }

    /// It takes no more turns: the engine stops.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }

    /// Whether it finishes what was begun and takes no more rows.
    pub(crate) fn rests(&self) -> bool {
        self.stopped.load(Ordering::SeqCst) || matches!(self.life(), Life::Paused)
    }

    /// Sets whether the journal waits until it has no more input; whether it did before.
    pub(crate) fn lingers(&self, lingers: bool) -> bool {
        self.linger.swap(lingers, Ordering::SeqCst)
    }

    /// Sets whether it waits for memory; whether it did before.
    pub(crate) fn waits_for_memory(&self, waits: bool) -> bool {
        self.waits_for_memory.swap(waits, Ordering::SeqCst)
    }

    /// Whether a timer at this time is to be set for it: none that is set will wake it by then.
    pub(crate) fn wants_timer(&self, at_ns: u64, now_ns: u64) -> bool {
        let set = self.timer_ns.load(Ordering::SeqCst);
        let wants = set > at_ns || set <= now_ns;
        if wants {
            self.timer_ns.store(at_ns, Ordering::SeqCst);
        }
        wants
    }

    /// What is known of it.
    pub(crate) fn stats(&self) -> QueryStats {
        QueryStats::of(&mut self.lock())
    }

    /// Whether its rows have somewhere to go; else its reader wakes it when they have taken some.
    pub(crate) fn has_room(&self) -> bool {
        self.reader.as_ref().is_none_or(|reader| reader.has_room())
    }

    /// Whether it has something to do: rows to take, an epoch to be decided, or to look again if there is memory.
    pub(crate) fn is_busy(&self) -> bool {
        let looks_again = || self.is_running() && self.waits_for_memory.load(Ordering::SeqCst);
        self.life().is_active() && (self.wakes.seen() > 0 || !self.is_settled() || looks_again())
    }

    /// Notes the end of an epoch.
    pub(crate) fn sealed(&self, now_ns: u64, memory: usize) {
        self.last_seal_ns.store(now_ns, Ordering::Relaxed);
        self.memory.set(memory);
    }

    /// Whether the epoch should end.
    ///
    /// After `commit.interval.ms`, with 4 MiB of results, or with more changed groups whose results wait than
    /// `cache.max.bytes.buffering` holds; at once if the end was begun.
    pub(crate) fn is_due(&self, run: &QueryRun, now_ns: u64) -> bool {
        if run.is_ending() {
            return true;
        }
        let since = now_ns.saturating_sub(self.last_seal_ns.load(Ordering::Relaxed));
        since >= self.commit_interval_ns || run.pending_bytes() >= EPOCH_BYTES || run.held_bytes() > self.cache_bytes
    }
}
