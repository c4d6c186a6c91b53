//! Who takes turns when: queries on the workers, and the ends of their epochs.
//!
//! A query is in the line of the workers at most once. It takes turns for 1 ms and, if there is more to do, goes to the
//! end of the line, so a thousand queries with work each get their share. It leaves the line when its sources are at
//! their ends, or when something must happen first: a decision, memory, a reader, a time.
//!
//! After each turn the epoch ends if it is due. When the sources are drained it ends at once, so with little input a
//! result waits for no interval.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tracing::{error, warn};

use super::Shared;
use super::failures::Failed;
use super::life::Life;
use super::queries::When;
use super::running::{EPOCH_BYTES, Running};
use crate::error::{Error, Result};
use crate::ids::TopicId;
use crate::journal::{Decision, Entry};
use crate::locks::{FairGuard, let_others};
use crate::runtime::{Now, QueryRun, Sealed, Turned};

/// For how long a query takes turns before others come. Queries that find rows decoded take many turns in it and those that
/// decode them few, so that those behind come up to those ahead.
///
/// 1 ms.
const SLICE_NS: u64 = 1_000_000;
/// How many turns it takes in it where the owner decides what happens when, so that epochs are many.
const MANUAL_TURNS: usize = 2;

impl Shared {
    /// Has a query take its turns, on a worker.
    ///
    /// Does nothing if the query is in line already, except that it then looks once more.
    pub(crate) fn wake(self: &Arc<Self>, query: &Arc<Running>) {
        if self.workers.exist() && query.wakes.add() {
            self.send_worker(query);
        }
    }

    /// Has a query take its turns at a time of the monotonic clock.
    fn wake_at(self: &Arc<Self>, query: &Arc<Running>, at_ns: u64) {
        if self.workers.exist() && query.wants_timer(at_ns, self.now().monotonic_ns) {
            let (shared, query) = (Arc::downgrade(self), Arc::downgrade(query));
            self.timers.set(at_ns, move || {
                if let (Some(shared), Some(query)) = (shared.upgrade(), query.upgrade()) {
                    shared.wake(&query);
                }
            });
        }
    }

    /// Something was decided for a topic: its readers take their turns, at once or together with what comes soon.
    pub(crate) fn wake_readers(self: &Arc<Self>, topic: TopicId) {
        self.followers.ring(topic);
        if !self.workers.exist() {
            return;
        }
        let Some(readers) = self.queries.readers(topic) else { return };
        match readers.when(self.now().monotonic_ns) {
            When::Planned => {}
            When::Now => {
                for query in readers.queries() {
                    if !query.lingers(true) {
                        self.commit.woke();
                    }
                    self.wake(&query);
                }
            }
            When::At(at_ns) => {
                let shared = Arc::downgrade(self);
                self.timers.set(at_ns, move || {
                    let Some(shared) = shared.upgrade() else { return };
                    readers.woken(shared.now().monotonic_ns);
                    readers.queries().iter().for_each(|query| shared.wake(query));
                });
            }
        }
    }

    fn send_worker(self: &Arc<Self>, query: &Arc<Running>) {
        let (shared, query) = (self.clone(), query.clone());
        // In the order in which they are sent: queries that read the same rows follow each other closely.
        self.workers.send(move || {
            // The query's own panics are contained; after any other nobody knows what was left half done.
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| shared.work(&query))) {
                shared.progress.fail(panicked(panic.as_ref()));
            }
        });
    }

    /// The turns of a query on a worker.
    ///
    /// What came after `seen` was read sends the query again.
    fn work(self: &Arc<Self>, query: &Arc<Running>) {
        let seen = query.wakes.seen();
        let more = self.step(query);
        if query.lingers(false) {
            self.commit.ran_dry();
        }
        if more || !query.wakes.done(seen) {
            self.send_worker(query);
        }
    }

    /// A few turns of a query, and the end of its epoch if that is due; whether there is more to do at once. If something in it
    /// panics, the query fails, and no other.
    pub(crate) fn step(self: &Arc<Self>, query: &Arc<Running>) -> bool {
        self.contain(query, || self.try_step(query)).unwrap_or(false)
    }

    /// Does something for a query; if that fails, or panics, the query fails, and no other.
    ///
    /// `None` if it failed.
    pub(crate) fn contain<T>(self: &Arc<Self>, query: &Arc<Running>, work: impl FnOnce() -> Result<T>) -> Option<T> {
        // What the work left half done is the query's own, and nobody uses it any more; the locks of others are taken by
        // way of `crate::locks`.
        let done = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(panicked(panic.as_ref())));
        done.inspect_err(|error| self.fail_query(query, error.clone())).ok()
    }

    /// A query cannot go on: it is stopped, and the others go on. What comes of it later is no news.
    pub(crate) fn fail_query(self: &Arc<Self>, query: &Arc<Running>, error: Error) {
        if query.fail(error.clone()) {
            self.settings.tell(|| error!(query = query.id, "query {} has failed: {error}", query.id));
            self.log_end(query, &error);
            self.progress.announce();
            // Its next step gives its memory back; this one may be in the middle of something.
            self.wake(query);
        }
    }

    /// Takes turns for a slice of time. True if the slice was used up with work left; false if there is nothing to do,
    /// or the query will be woken by something else.
    fn try_step(self: &Arc<Self>, query: &Arc<Running>) -> Result<bool> {
        match query.life() {
            Life::Created | Life::Ended => return Ok(false),
            _ if self.progress.is_closing() => return Ok(false),
            Life::Failed(_) => {
                query.lock().forget();
                query.memory.set(0);
                self.wake_short();
                return Ok(false);
            }
            Life::Running | Life::Paused => {}
        }
        let mut run = query.lock();
        let began_ns = self.now().monotonic_ns;
        for turns in 0.. {
            let now = self.now();
            let is_over = match self.is_manual() {
                true => turns >= MANUAL_TURNS,
                false => now.monotonic_ns - began_ns >= SLICE_NS,
            };
            if is_over {
                break;
            }
            if run.is_ending() {
                if self.seal_if_possible(query, &mut run, now)? { continue } else { return Ok(false) }
            }
            let_others(&mut run);
            if !self.may_turn(query, &mut run, now)? {
                return Ok(false);
            }
            match run.turn(now, self.workers.shared())? {
                Turned::Drained => {
                    self.seal_if_possible(query, &mut run, now)?;
                    if let Some(at_ns) = run.next_wake(now) {
                        self.wake_at(query, at_ns);
                    }
                    return Ok(run.is_ending() && query.may_submit());
                }
                _ if !run.is_wanted() => {
                    run.forget_ahead();
                    query.end();
                    self.progress.announce();
                    return Ok(false);
                }
                Turned::Left => {
                    if !self.seal_if_possible(query, &mut run, now)? {
                        return Ok(false);
                    }
                }
                Turned::Took(_) if query.is_due(&run, now.monotonic_ns) => {
                    let sealed = self.seal_if_possible(query, &mut run, now)?;
                    if !sealed && (self.commit.is_pressed() || run.pending_bytes() >= 2 * EPOCH_BYTES) {
                        return Ok(false);
                    }
                }
                // Whoever waits for the query comes first.
                Turned::Yielded | Turned::Took(_) => {}
            }
        }
        Ok(true)
    }

    /// Whether a query may take a turn now. If it rests, or memory is short, it commits what it can instead, and keeps
    /// nothing that it can decode again.
    fn may_turn(self: &Arc<Self>, query: &Arc<Running>, run: &mut FairGuard<'_, QueryRun>, now: Now) -> Result<bool> {
        // Whoever rests finishes what was begun: only then there is a whole epoch to be committed.
        let rests = query.rests();
        if rests && !run.has_begun() {
            run.forget_ahead();
            self.seal_if_possible(query, run, now)?;
            return Ok(false);
        }
        if !self.is_manual() && !query.has_room() {
            return Ok(false);
        }
        if self.memory.is_exceeded() && run.forget_ahead() {
            query.memory.set(run.memory());
        }
        if !rests && self.is_short(query)? {
            self.seal_if_possible(query, run, now)?;
            return Ok(false);
        }
        Ok(true)
    }

    /// Ends the epoch or commits a part of it, unless too many wait for their decision; whether anything was committed.
    ///
    /// `false` if nothing was done since the last epoch, too many wait for their decision, or the journal is too long.
    /// The query is woken when that changes.
    pub(crate) fn seal_if_possible(
        self: &Arc<Self>,
        query: &Arc<Running>,
        run: &mut FairGuard<'_, QueryRun>,
        now: Now,
    ) -> Result<bool> {
        if !run.is_dirty() || !query.may_submit_or_waits() || (query.persistent && self.commit.is_pressed()) {
            return Ok(false);
        }
        let mut epoch = loop {
            match run.seal(self.workers.shared())? {
                Sealed::Nothing => return Ok(false),
                Sealed::Yielded => {
                    let_others(run);
                    // Whoever stops the engine may have gone on with it meanwhile.
                    if !query.may_submit_or_waits() {
                        return Ok(false);
                    }
                }
                Sealed::Part(epoch) => {
                    // There is more to do behind its decision, wherever the query rests until then.
                    query.waits_for_decision();
                    break epoch;
                }
                Sealed::Whole(epoch) => break epoch,
            }
        };
        match query.is_unread(now.monotonic_ns) {
            true => run.end_reading(),
            false => run.forget_undo(query.committed()),
        }
        query.sealed(now.monotonic_ns, run.memory());
        let log = run.take_log();
        for failure in log.samples() {
            let (reason, sentence) = (failure.reason.name(), run.sentence(failure));
            self.settings.tell(|| warn!(query = query.id, reason, "query {}: {reason}: {sentence}", query.id));
        }
        let asides = self.asides(&Failed { query, run, log: &log })?;
        if !query.persistent {
            self.submit_logged(asides);
            return Ok(true);
        }
        epoch.asides = asides;
        self.compress(&mut epoch.outputs)?;
        query.submitted();
        let (shared, decided, number) = (self.clone(), query.clone(), epoch.head.number);
        self.submit(
            Entry::Epoch(epoch),
            Box::new(move |decision| {
                match decision {
                    Ok(Decision::Committed { .. }) => decided.commits(number),
                    Ok(Decision::Ended) => decided.end(),
                    Ok(refused) => refused.refusal().into_iter().for_each(|error| shared.fail_query(&decided, error)),
                    Err(error) => shared.fail_query(&decided, error),
                }
                if decided.decided() {
                    shared.wake(&decided);
                }
            }),
        );
        Ok(true)
    }

    /// One turn of a query and the end of its epoch, on this thread; whether it took rows.
    pub(crate) fn turn_and_seal(self: &Arc<Self>, query: &Arc<Running>) -> Result<bool> {
        if !query.is_running() {
            return Ok(false);
        }
        let mut run = query.lock();
        let now = self.now();
        if run.is_ending() {
            self.seal_if_possible(query, &mut run, now)?;
            return Ok(true);
        }
        let turned = run.turn(now, self.workers.shared())?;
        self.seal_if_possible(query, &mut run, now)?;
        Ok(turned != Turned::Drained)
    }

    /// Stops all queries between two turns; what they have done is still committed.
    ///
    /// A turn that was left is not finished: its records may be committed in part, and it is repeated after the
    /// restart.
    pub(crate) fn stop_queries(self: &Arc<Self>) {
        for query in self.queries.all() {
            query.stop();
            self.contain(&query, || match query.is_running() {
                true => self.seal_if_possible(&query, &mut query.lock(), self.now()),
                false => Ok(false),
            });
        }
    }
}

/// The error of a panic.
fn panicked(panic: &(dyn std::any::Any + Send)) -> Error {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
    Error::bug(format!("the query panicked: {text}"))
        .hint("please report this with the statement and, if you can, the record")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::clock::{ManualClock, SystemClock};
    use crate::config::{self, Properties};
    use crate::disk::double::ForgetfulDisk;
    use crate::engine::{Drive, Engine, Settings, Store};
    use crate::journal::WhenFull;
    use crate::locks::lock;
    use crate::statements::{self, Session};

    /// An engine with a query that holds six results back, has no room for more than one at once, and is paused.
    fn bed() -> (Engine, Arc<Running>) {
        let values = [
            (config::OFFSET_RESET, "earliest"),
            (config::TURN_BYTES, "1"),
            (config::COMMIT_INTERVAL_MS, "1000000"),
            (config::WORKERS, "2"),
            (config::BATCH_ROWS, "2"),
        ];
        let store = Store::Folder { disk: ForgetfulDisk::new(0).boot(), path: "/data".into() };
        let settings = Settings {
            drive: Drive::Threads { start: true },
            when_full: WhenFull::Retry,
            ..Settings::new(store, Arc::new(SystemClock::new()), statements::compile_kept)
        };
        let engine = Engine::open(settings.with(&values).expect("properties")).expect("an engine");
        let text = "CREATE STREAM s (v VARCHAR) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');
             CREATE TABLE t AS SELECT v, COUNT(*) AS c FROM s GROUP BY v;
             PAUSE CTAS_T_0;
             INSERT INTO s (v) VALUES ('a'); INSERT INTO s (v) VALUES ('b'); INSERT INTO s (v) VALUES ('c');
             INSERT INTO s (v) VALUES ('d'); INSERT INTO s (v) VALUES ('e'); INSERT INTO s (v) VALUES ('f');";
        statements::execute(&engine, text).expect("done");
        let query = engine.shared.queries.get("CTAS_T_0").expect("there");
        until("it rests", || query.wakes.seen() == 0);
        (engine, query)
    }

    fn until(what: &str, mut holds: impl FnMut() -> bool) {
        let end = Instant::now() + Duration::from_secs(30);
        while !holds() {
            assert!(Instant::now() < end, "in vain waited for: {what}");
            std::thread::yield_now();
        }
    }

    #[test]
    fn the_end_of_an_epoch_goes_on_when_its_parts_are_decided() {
        let (engine, query) = bed();
        let shared = &engine.shared;
        // As if the epoch before were not decided yet, and no round could be made.
        query.submitted();
        let journal = lock(shared.commit.journal().expect("a journal"));
        query.pause(false);
        shared.wake(&query);
        until("two are undecided, and it rests", || !query.may_submit() && query.wakes.seen() == 0);
        drop(journal);
        if query.decided() {
            shared.wake(&query);
        }
        until("all is committed", || query.is_settled() && !query.lock().is_dirty());
    }

    #[test]
    fn the_end_of_an_epoch_of_a_paused_query_goes_on_when_its_parts_are_decided() {
        let (engine, query) = bed();
        let shared = &engine.shared;
        // It has taken turns and is paused before it has ended its epoch.
        while query.lock().turn(shared.now(), None).expect("a turn") != Turned::Drained {}
        assert!(query.lock().is_dirty());
        shared.wake(&query);
        until("all is committed", || query.is_settled() && !query.lock().is_dirty());
    }

    /// A table whose query has taken rows and ended no epoch, on this thread.
    fn begun(values: &[(&str, &str)]) -> (Engine, Arc<Running>) {
        let store = Store::Folder { disk: ForgetfulDisk::new(0).boot(), path: "/data".into() };
        let settings = Settings::new(store, Arc::new(ManualClock::new()), statements::compile_kept);
        let engine = Engine::open(settings.with(values).expect("properties")).expect("an engine");
        let text = "CREATE STREAM s (v VARCHAR) WITH (KAFKA_TOPIC='s', PARTITIONS=1, VALUE_FORMAT='JSON');
             CREATE TABLE t AS SELECT v, COUNT(*) AS c FROM s GROUP BY v;
             INSERT INTO s (v) VALUES ('a'); INSERT INTO s (v) VALUES ('b'); INSERT INTO s (v) VALUES ('c');";
        statements::execute(&engine, text).expect("done");
        let query = engine.shared.queries.get("CTAS_T_0").expect("there");
        while query.lock().turn(engine.shared.now(), None).expect("a turn") != Turned::Drained {}
        assert!(query.lock().is_dirty());
        (engine, query)
    }

    #[test]
    fn what_a_query_has_half_done_is_neither_read_nor_committed() {
        let (engine, query) = begun(&[(config::OFFSET_RESET, "none")]);
        let look = || {
            let parsed = statements::parse("SELECT c FROM t WHERE v = 'a';").expect("a query");
            Session::new(&engine, Properties::default()).soon(&parsed[0]).expect("a query").expect("of one key")
        };
        engine.settle().expect("settled");
        assert!(look().wait(&engine).expect("no bug").is_some());
        let insert =
            |count| statements::execute(&engine, &"INSERT INTO s (v) VALUES ('a');".repeat(count)).expect("done");
        insert(1);
        let mut run = query.lock();
        assert_eq!(run.turn(engine.shared.now(), None).expect("a turn"), Turned::Took(1));
        insert(2);
        let topic = engine.catalog().topic("s").expect("there").clone();
        engine.delete_records(&topic, None, 5).expect("deleted");
        assert!(run.turn(engine.shared.now(), None).is_err() && query.is_running());
        let (send, found) = std::sync::mpsc::channel();
        look()
            .find(&engine, Box::new(move |found| send.send(found.is_ok_and(|found| found.is_none())).expect("there")))
            .expect("it is sent");
        // It is given back before its failure is known.
        drop(run);
        assert!(found.recv().expect("an answer"), "it cannot be read");
        engine.shared.stop_queries();
        assert!(query.is_settled(), "nothing of it is submitted");
    }

    /// Whoever stops the engine takes a query that lets others have it in the middle of the end of an epoch.
    #[test]
    fn no_more_epochs_are_submitted_than_may_be_whoever_ends_them() {
        let (engine, query) = begun(&[(config::OFFSET_RESET, "earliest"), (config::CACHE_BYTES, "100000")]);
        let (shared, mut run) = (&engine.shared, query.lock());
        query.submitted();
        let other = query.clone();
        query.send(Box::new(move |_| other.submitted()));
        let sealed = |run: &mut FairGuard<'_, QueryRun>| shared.seal_if_possible(&query, run, shared.now());
        assert!(!sealed(&mut run).expect("no bug") && run.is_ending() && !query.may_submit());
        assert!(query.decided(), "it waits for that");
        assert!(sealed(&mut run).expect("no bug") && !run.is_dirty() && !query.may_submit());
    }
}
