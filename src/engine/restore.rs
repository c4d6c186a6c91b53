//! Restoring: the state of queries that were there before, read while the engine already answers.
//!
//! The last checkpoint has the state in runs, the journal has what has changed since. Until all of a query's state is read, a
//! pull by key reads just the entries of that key.
//!
//! Order matters: an entry in a newer run overrides one in an older run, and the journal overrides both. Runs are
//! merged while they are read, so each key is loaded once, with tombstones left out; then the deltas are applied in
//! their order; the times come last, and with them what has expired is dropped. The tasks of a query are read from the
//! runs at the same time, by several threads.
//!
//! No checkpoint is made meanwhile, since it would take the journal away.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rayon::prelude::*;

use super::apply::Startable;
use super::checkpoint::Checkpoints;
use super::life::Life;
use super::record::Record;
use super::running::{QueryStats, Running};
use super::{Change, Shared};
use crate::catalog::Query;
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::journal::RecoveredQuery;
use crate::operators::State;
use crate::operators::table::WindowRange;
use crate::runtime::{self, QueryRun};
use crate::state::delta::{self, Change as StateChange};
use crate::state::runs::{Entry, Keys, Merge, Run, Section, Wanted};
use crate::state::{BucketId, EntryBatch, OperatorTask};
use crate::types::{Batch, Value};

/// A query that is to go on, until its state is read.
pub(crate) struct Restoring {
    query: Query,
    change: Change,
    record: Record,
    /// The runs of the last checkpoint.
    runs: Vec<Run>,
    /// For each operator task: no entry of an earlier bucket lives.
    ///
    /// Entries of earlier buckets are skipped unread.
    horizons: BTreeMap<OperatorTask, BucketId>,
    state: RecoveredQuery,
}

/// So many entries are handed to a store at once, and about so many bytes.
///
/// Enough that a store can look many keys up at once.
const BATCH: (usize, usize) = (1024, 256 << 10);

impl Restoring {
    /// A query that goes on with what was recovered of it, by the statement that made it and the record of that.
    pub(crate) fn new(
        query: Query,
        (change, record): (Change, Record),
        state: RecoveredQuery,
        checkpoints: &Checkpoints,
    ) -> Self {
        let (runs, horizons) = checkpoints.runs(query.number);
        Restoring { query, change, record, runs, horizons, state }
    }

    /// Reads all of the state into a query. `threads` may work on parts of it, and `is_over` says whether to give up.
    ///
    /// # Errors
    /// A run or the journal cannot be read or is damaged, or the state is not that of this plan.
    fn restore(
        &self,
        run: &mut QueryRun,
        home: (&dyn Disk, &Path),
        threads: Option<&rayon::ThreadPool>,
        is_over: &(dyn Fn() -> bool + Sync),
    ) -> Result<()> {
        let query = run.number();
        let mut states: Vec<(OperatorTask, &mut dyn State)> = run.states();
        let read = |(place, state): &mut (OperatorTask, &mut dyn State)| {
            let section = Section { query, place: *place };
            let least = self.horizons.get(place).copied().unwrap_or(BucketId::MIN);
            let mut loader = Loader::new(is_over);
            let merge = Merge::new(self.runs.iter().map(|run| run.scan_section(section)).collect()).drop_tombstones();
            let mut load = |entry: Entry| loader.push(&mut **state, entry.bucket, (entry.key, entry.value));
            merge.each(&|_, bucket| bucket >= least, &mut load)?;
            loader.finish(&mut **state)
        };
        match threads {
            Some(threads) => threads.install(|| states.par_iter_mut().try_for_each(read))?,
            None => states.iter_mut().try_for_each(read)?,
        }
        for delta in &self.state.deltas {
            let bytes = delta.read(home.0, home.1)?;
            let mut loader = Loader::new(is_over);
            let mut last = None;
            delta::read(&bytes, &mut |place, change| {
                let StateChange::Entry { bucket, key, value } = change else { return Ok(()) };
                let at = states.iter().position(|(own, _)| *own == place).ok_or_else(|| no_place(place))?;
                if let Some(before) = last.replace(at).filter(|before| *before != at) {
                    loader.flush(&mut *states[before].1)?;
                }
                loader.push(&mut *states[at].1, bucket, (key, value))
            })?;
            if let Some(at) = last {
                loader.finish(&mut *states[at].1)?;
            }
        }
        drop(states);
        self.state.head.as_ref().map_or(Ok(()), |head| run.resume(head))
    }

    /// Reads just what belongs to some keys of the table that a query keeps.
    ///
    /// `run` gets only these entries, so it can answer for these keys and must not run.
    fn look_up(&self, run: &mut QueryRun, home: (&dyn Disk, &Path), keys: &[Vec<Value>]) -> Result<()> {
        let query = run.number();
        let mut states = run.states();
        // Computed once for each state, since the journal's tail has millions of entries.
        let prefixes_of = |state: &dyn State| {
            let mut prefixes: Vec<Vec<u8>> = keys.iter().filter_map(|key| state.prefix(key)).collect();
            prefixes.sort_unstable();
            prefixes
        };
        let all_prefixes: Vec<Vec<Vec<u8>>> = states.iter().map(|(_, state)| prefixes_of(&**state)).collect();
        for ((place, state), prefixes) in states.iter_mut().zip(&all_prefixes) {
            let least = self.horizons.get(place).copied().unwrap_or(BucketId::MIN);
            for run in &self.runs {
                let section = Section { query, place: *place };
                let wanted = Wanted { section, buckets: least..=BucketId::MAX, keys: prefixes, by: Keys::Starts };
                run.look_up(&wanted, &mut |entry| {
                    let mut batch = EntryBatch::default();
                    batch.push(entry.key, entry.value);
                    state.load(entry.bucket, &batch)
                })?;
            }
        }
        for delta in &self.state.deltas {
            let bytes = delta.read(home.0, home.1)?;
            delta::read(&bytes, &mut |place, change| {
                let StateChange::Entry { bucket, key, value } = change else { return Ok(()) };
                let Some(at) = states.iter().position(|(own, _)| *own == place) else { return Ok(()) };
                if all_prefixes[at].iter().any(|prefix| key.starts_with(prefix)) {
                    let state = &mut states[at].1;
                    let mut batch = EntryBatch::default();
                    batch.push(key, value);
                    state.load(bucket, &batch)?;
                }
                Ok(())
            })?;
        }
        drop(states);
        self.state.head.as_ref().map_or(Ok(()), |head| run.resume(head))
    }
}

fn no_place(place: OperatorTask) -> Error {
    Error::bug(format!("there is state for {} in task {}, which is not there", place.operator, place.task))
}

/// Hands entries to a store, many at a time.
struct Loader<'a> {
    bucket: BucketId,
    batch: EntryBatch,
    is_over: &'a (dyn Fn() -> bool + Sync),
}

impl<'a> Loader<'a> {
    fn new(is_over: &'a (dyn Fn() -> bool + Sync)) -> Self {
        Loader { bucket: 0, batch: EntryBatch::default(), is_over }
    }

    fn push(&mut self, state: &mut dyn State, bucket: BucketId, entry: (&[u8], Option<&[u8]>)) -> Result<()> {
        if bucket != self.bucket || self.batch.len() >= BATCH.0 || self.batch.bytes() >= BATCH.1 {
            self.flush(state)?;
            self.bucket = bucket;
        }
        self.batch.push(entry.0, entry.1);
        Ok(())
    }

    fn flush(&mut self, state: &mut dyn State) -> Result<()> {
        if (self.is_over)() {
            return Err(Error::backend("restoring its state was given up"));
        }
        if !self.batch.is_empty() {
            state.load(self.bucket, &self.batch)?;
            self.batch.clear();
        }
        Ok(())
    }

    fn finish(mut self, state: &mut dyn State) -> Result<()> {
        self.flush(state)
    }
}

impl Shared {
    /// Has the queries go on where they stood, as soon as their state is read. One that cannot has failed; the others go on.
    ///
    /// Returns at once; the workers do the work, or this thread if there are none.
    pub(crate) fn restart_queries(self: &Arc<Self>, all: Vec<Restoring>) {
        self.restoring.fetch_add(all.len(), Ordering::SeqCst);
        for restoring in all.into_iter().map(Arc::new) {
            let properties = restoring.record.properties(&self.settings.properties).unwrap_or_default();
            let query = Arc::new(self.query_of(&restoring.query, None, &properties));
            query.restores(Some(restoring.clone()));
            self.queries.add(&query);
            let shared = self.clone();
            self.workers.send(move || {
                if let Some(Some(run)) = shared.contain(&query, || shared.restore(&query, &restoring)) {
                    query.begin(run);
                }
                query.restores(None);
                if shared.restoring.fetch_sub(1, Ordering::SeqCst) == 1 {
                    shared.upkeep.poke();
                }
                shared.progress.announce();
                shared.wake(&query);
            });
        }
    }

    /// A query with all its state. `None` if the query or the engine has ended meanwhile.
    fn restore(&self, query: &Running, restoring: &Restoring) -> Result<Option<QueryRun>> {
        let mut run = self.run_again(restoring)?;
        let is_over = || self.progress.is_closing() || matches!(query.life(), Life::Ended);
        match restoring.restore(&mut run, self.home()?, self.workers.shared(), &is_over) {
            Err(_) if is_over() => Ok(None),
            done => done.map(|()| Some(run)),
        }
    }

    /// A query without any state yet.
    ///
    /// # Errors
    /// Kind `Conflict`: the plan of today keeps its state in another form. The other queries are not affected.
    fn run_again(&self, restoring: &Restoring) -> Result<QueryRun> {
        let Restoring { query, change, record, .. } = restoring;
        let new = change.query().ok_or_else(|| Error::bug("a query without a plan"))?;
        let properties = record.properties(&self.settings.properties)?;
        let catalog = self.world.catalog();
        let program = runtime::compile(&new.plan, &catalog, &properties)?;
        if let Some((id, _)) = record.operators.iter().find(|kept| !program.operators.contains(kept)) {
            let message =
                format!("the kept state of its {id} does not fit the plan that this version makes of the statement");
            return Err(Error::conflict(message).hint("DROP and CREATE it again to rebuild the state from its sources"));
        }
        let (number, sink) = (query.number, &new.sink.source);
        self.new_run(Startable { number, program, sink, properties: &properties, starts: &record.starts })
    }

    /// What is known of a query whose state is still being read.
    pub(crate) fn stats(&self, restoring: &Restoring) -> Result<QueryStats> {
        let mut run = self.run_again(restoring)?;
        restoring.state.head.as_ref().map_or(Ok(()), |head| run.resume(head))?;
        Ok(QueryStats::of(&mut run))
    }

    /// The rows of some keys of the table that a query keeps, if its state is still being read.
    ///
    /// `None` if the state is complete: then the query itself is asked.
    pub(crate) fn look_up(
        &self,
        query: &Running,
        windows: &WindowRange,
        keys: &[Vec<Value>],
    ) -> Result<Option<Vec<Batch>>> {
        if query.restoring().is_none() {
            return Ok(None);
        }
        // Begins before the check that counts, so that no checkpoint removes the journal in between.
        let _reading = Reading::begin(self);
        let Some(restoring) = query.restoring() else { return Ok(None) };
        let mut run = self.run_again(&restoring)?;
        restoring.look_up(&mut run, self.home()?, keys)?;
        match run.keeps_table() {
            true => run.look_up(run.epoch(), windows, keys).map(Some),
            false => Ok(None),
        }
    }
}

/// Marks that state is being read from the runs and the journal, so that no checkpoint is made.
struct Reading<'a>(&'a Shared);

impl<'a> Reading<'a> {
    fn begin(shared: &'a Shared) -> Self {
        shared.restoring.fetch_add(1, Ordering::SeqCst);
        Reading(shared)
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        if self.0.restoring.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.upkeep.poke();
        }
    }
}

#[cfg(test)]
mod tests;
