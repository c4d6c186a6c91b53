//! Draining: waits until queries have no work left. Without threads, runs them until then.
//!
//! Drained means: every persistent query that runs has taken all that is decided in its sources, and all its own epochs
//! are decided. Chains of queries drain too, since one query's output is the next one's input. The counter of decisions
//! is read before and after the check. If it has changed, the check is repeated.
//!
//! When all are at their ends, partitions are declared idle, so that windows and joins that wait for stream time go on
//! as far as the data allow; only if that brings nothing more is it over.

use std::sync::Arc;
use std::time::Duration;

use super::life::Life;
use super::running::Running;
use super::{Engine, Shared};
use crate::catalog::Catalog;
use crate::error::{Error, Result};
use crate::journal::WhenFull;

impl Engine {
    /// The persistent queries that have failed, with why.
    ///
    /// The id of each, in the order in which the queries were made.
    pub fn failed(&self) -> Vec<(String, Error)> {
        let failed = |q: Arc<Running>| match q.life() {
            Life::Failed(error) if q.persistent => Some((q.id.clone(), error)),
            _ => None,
        };
        self.shared.queries.all().into_iter().filter_map(failed).collect()
    }

    /// Waits until every running query stands at the ends of its sources and nothing is undecided, or `stop` says so. An
    /// error if a query fails meanwhile, or the engine.
    ///
    /// Paused queries are not waited for. With `stop` it returns without an error.
    ///
    /// # Errors
    /// That of the first failed query, with its id; that of the engine; or that of the full disk, if the settings say
    /// that it is not waited for.
    pub fn wait_drained(&self, stop: &dyn Fn() -> bool) -> Result<()> {
        let mut seen = 0;
        while !stop() {
            let count = self.shared.progress.count();
            let is_drained = self.shared.is_drained()? && self.shared.progress.count() == count;
            // Checked after draining, which does not count a failed query as having work left.
            self.shared.progress.check()?;
            if let Some((id, error)) = self.failed().into_iter().next() {
                return Err(error.context(format!("query {id} has failed: ")));
            }
            if let (WhenFull::Refuse, Some(reason)) = (self.shared.settings.when_full, self.shared.blocked()) {
                return Err(Error::backend(reason).hint("make room on the disk; nothing is lost"));
            }
            if is_drained {
                return Ok(());
            }
            seen = self.shared.progress.wait(seen.max(count));
        }
        Ok(())
    }

    /// Waits until `holds` of what exists, or `most` has passed, or `stop` says so.
    ///
    /// Without threads it does not wait: nothing could change meanwhile.
    pub fn wait_until(&self, most: Duration, holds: &dyn Fn(&Catalog) -> bool, stop: &dyn Fn() -> bool) {
        let (shared, clock) = (&self.shared, self.clock());
        let end = clock.monotonic_ns().saturating_add(u64::try_from(most.as_nanos()).unwrap_or(u64::MAX));
        let mut seen = shared.progress.count();
        let is_futile = || shared.is_manual() || shared.progress.is_closing() || stop();
        while !holds(&self.catalog()) && !is_futile() && clock.monotonic_ns() < end {
            seen = shared.progress.wait(seen);
        }
    }

    /// Waits for a decision after the `seen`th, or a moment; the number of decisions then.
    ///
    /// Waits at most about 20 ms, so that the caller can look at other things.
    pub fn wait_decision(&self, seen: u64) -> u64 {
        self.shared.progress.wait(seen)
    }

    /// Has queries take turns on this thread, and makes rounds, until nothing is left to do; for [`super::Drive::Manual`].
    ///
    /// # Errors
    /// The engine cannot go on. A query that fails is no error here.
    pub fn settle(&self) -> Result<()> {
        loop {
            let mut progress = self.shared.pump()?;
            for query in self.shared.queries.all() {
                progress |= self.settle_query(&query.id)?;
            }
            if !progress {
                return Ok(());
            }
        }
    }

    /// The same for one query; whether there was anything to do.
    ///
    /// `false` also if there is no such query.
    pub fn settle_query(&self, id: &str) -> Result<bool> {
        let Some(query) = self.shared.queries.get(id) else { return Ok(false) };
        let mut any = false;
        loop {
            let before = query.lock().rows();
            let more = self.shared.step(&query);
            let progress = self.shared.pump()? || more || query.lock().rows() != before;
            any |= progress;
            if !progress {
                return Ok(any);
            }
        }
    }

    /// One turn of a query and the commit of what it did; whether it took any rows. For [`super::Drive::Manual`].
    ///
    /// # Errors
    /// A failure of the query, which does not become its life here, or of the engine.
    pub fn turn(&self, id: &str) -> Result<bool> {
        let Some(query) = self.shared.queries.get(id) else { return Ok(false) };
        let took = self.shared.turn_and_seal(&query)?;
        self.shared.pump()?;
        Ok(took)
    }
}

impl Shared {
    /// Whether every persistent query that runs stands at its end with all that it did decided. Where nothing more will come, no
    /// partition holds back the time of others any more.
    fn is_drained(self: &Arc<Self>) -> Result<bool> {
        let active = || self.queries.all().into_iter().filter(|q| q.persistent && q.life().is_active());
        for query in active() {
            let run = query.lock();
            if !query.is_running() || run.is_dirty() || !query.is_settled() {
                return Ok(false);
            }
            for (id, position) in run.positions() {
                if position < self.topics.end(id)? {
                    drop(run);
                    self.wake(&query);
                    return Ok(false);
                }
            }
        }
        for query in active() {
            if query.lock().declare_idle() {
                self.wake(&query);
                return Ok(false);
            }
        }
        Ok(true)
    }
}
