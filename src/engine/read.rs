//! Looking: at tables as they are now, at results as they come, at the queries, and until nothing is left to do.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow::array::{Array, AsArray};

use super::apply::starts_latest;
use super::running::{QueryStats, Running, Status};
use super::{Engine, Shared};
use crate::catalog::{Catalog, Query};
use crate::config::Properties;
use crate::error::{Error, Result};
use crate::expr::{Caught, Rows};
use crate::plan::Plan;
use crate::plan::table::Pull;
use crate::runtime::{self, QueryRun, Tap, Target};
use crate::topics::PartitionId;
use crate::types::{Batch, Column, Value};

/// The rows of a pull query.
#[derive(Clone, Debug, Default)]
pub struct PullRows {
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<Value>>,
}

/// With so many rows waiting for the reader of a push query, the query takes no more turns until the reader has taken them.
const MOST_WAITING: usize = 4096;

/// A push query: rows as they come.
pub struct PushQuery {
    shared: Arc<Shared>,
    running: Arc<Running>,
    channel: Arc<Channel>,
    pub columns: Vec<Column>,
}

/// Rows on their way to a reader.
#[derive(Default)]
struct Channel {
    rows: Mutex<VecDeque<Vec<Value>>>,
    changed: Condvar,
    closed: AtomicBool,
}

/// Numbers the queries of those who look on.
static NEXT_PUSH: AtomicU64 = AtomicU64::new(0);

impl Engine {
    /// The rows of a table, as of its last commit.
    pub fn pull(&self, pull: &Pull) -> Result<PullRows> {
        let id = pull.source.query.as_deref().ok_or_else(|| Error::bug("a table without a query was pulled"))?;
        let gone = || Error::missing(format!("the query {id} that keeps the table does not run"));
        let query = self.shared.query(id).ok_or_else(gone)?;
        let found = self.shared.read_committed(&query, &mut |run| run.table(pull.keys.as_deref()))?;
        let batches = found.ok_or_else(|| {
            let name = &pull.source.name;
            Error::unsupported(format!("looking at the table {name}, whose query keeps no state"))
        })?;
        let mut rows = Vec::new();
        for batch in batches {
            rows.extend(pulled(pull, batch)?);
        }
        if let Some(limit) = pull.limit {
            rows.truncate(limit);
        }
        Ok(PullRows { columns: pull.items.iter().map(|(column, _)| column.clone()).collect(), rows })
    }

    /// Starts a query whose rows are shown as they come.
    pub fn push(&self, plan: &Plan, own: &Properties) -> Result<PushQuery> {
        let shared = &self.shared;
        let catalog = shared.catalog();
        let properties = shared.properties(own);
        let program = runtime::compile(plan, &catalog, &properties)?;
        let latest = starts_latest(plan, &catalog, &properties);
        let channel = Arc::new(Channel::default());
        let columns: Vec<Column> = plan.output.iter().map(|c| c.column.clone()).collect();
        let target = Target::Tap(tap(channel.clone(), columns.clone()));
        let start = |id: PartitionId| {
            if latest.contains(&id) { shared.topics.end(id) } else { shared.topics.start(id) }
        };
        let number = NEXT_PUSH.fetch_add(1, Ordering::Relaxed);
        let sources = plan.root.sources();
        let query = Query {
            id: format!("transient_{}_{number}", sources[0].name),
            number,
            statement: String::new(),
            sink: String::new(),
            reads: sources.iter().map(|s| s.name.clone()).collect(),
        };
        let options = shared.run_options(&properties);
        let run = QueryRun::new(number, Arc::new(program), &target, shared.topics.as_ref(), &start, options)?;
        let reader = channel.clone();
        let has_room = move || reader.lock().len() < MOST_WAITING;
        shared.start(Running::new(&query, Some(Box::new(has_room)), run, &properties, shared.memory.share()));
        let running = shared.query(&query.id).ok_or_else(|| Error::bug("a query that was just started is gone"))?;
        Ok(PushQuery { shared: shared.clone(), running, channel, columns })
    }

    /// Refuses a plan that the engine cannot run.
    pub fn check(&self, plan: &Plan, catalog: &Catalog, own: &Properties) -> Result<()> {
        runtime::compile(plan, catalog, &self.shared.properties(own)).map(|_| ())
    }

    /// How many records a query of this plan would not see, since it would start behind them.
    pub fn skipped(&self, plan: &Plan, own: &Properties) -> Result<u64> {
        let (shared, topics) = (&self.shared, self.topics());
        let latest = starts_latest(plan, &shared.catalog(), &shared.properties(own));
        latest.into_iter().try_fold(0, |sum, id| Ok(sum + (topics.end(id)? - topics.start(id)?) as u64))
    }

    /// What is known of a query.
    pub fn stats(&self, id: &str) -> Option<(Status, QueryStats)> {
        self.shared.query(id).map(|q| (q.status(), q.stats()))
    }

    /// The persistent queries that have failed, with why.
    pub fn failed(&self) -> Vec<(String, Error)> {
        let failed = |q: Arc<Running>| match q.status() {
            Status::Failed(error) if q.persistent => Some((q.id.clone(), error)),
            _ => None,
        };
        self.shared.running().into_iter().filter_map(failed).collect()
    }

    /// Waits until every running query stands at the ends of its sources and nothing is undecided, or `stop` says so. An
    /// error if a query fails meanwhile, or the engine.
    pub fn wait_drained(&self, stop: &dyn Fn() -> bool) -> Result<()> {
        let mut seen = 0;
        while !stop() {
            if let Some(error) = self.failure() {
                return Err(error.clone());
            }
            if let Some((id, error)) = self.failed().into_iter().next() {
                return Err(error.context(format!("query {id} has failed: ")));
            }
            let count = *self.shared.decisions();
            if self.shared.is_drained()? && *self.shared.decisions() == count {
                return Ok(());
            }
            seen = self.shared.wait_decision(seen.max(count));
        }
        Ok(())
    }

    /// Waits for a decision behind the `seen`th, or a moment; the number of decisions then.
    pub fn wait_decision(&self, seen: u64) -> u64 {
        self.shared.wait_decision(seen)
    }

    /// Has queries take turns on this thread, and makes rounds, until nothing is left to do; for [`super::Drive::Manual`].
    pub fn settle(&self) -> Result<()> {
        loop {
            let mut progress = self.shared.pump()?;
            for query in self.shared.running() {
                progress |= self.settle_query(&query.id)?;
            }
            if !progress {
                return Ok(());
            }
        }
    }

    /// The same for one query; whether there was anything to do.
    pub fn settle_query(&self, id: &str) -> Result<bool> {
        let Some(query) = self.shared.query(id) else { return Ok(false) };
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
    pub fn turn(&self, id: &str) -> Result<bool> {
        let Some(query) = self.shared.query(id) else { return Ok(false) };
        let took = self.shared.turn_and_seal(&query)?;
        self.shared.pump()?;
        Ok(took)
    }
}

impl Shared {
    /// Whether every persistent query that runs stands at its end with all that it did decided.
    fn is_drained(self: &Arc<Self>) -> Result<bool> {
        for query in self.running().into_iter().filter(|q| q.persistent && q.is_running()) {
            let run = query.lock();
            if run.is_dirty() || !query.is_settled() {
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
        Ok(true)
    }

    /// Looks at a query at a moment at which all that it did is committed.
    fn read_committed<T>(
        self: &Arc<Self>,
        query: &Arc<Running>,
        look: &mut dyn FnMut(&mut QueryRun) -> Result<T>,
    ) -> Result<T> {
        query.hold();
        let result = self.read_held(query, look);
        query.release();
        self.wake(query);
        result
    }

    fn read_held<T>(
        self: &Arc<Self>,
        query: &Arc<Running>,
        look: &mut dyn FnMut(&mut QueryRun) -> Result<T>,
    ) -> Result<T> {
        let mut seen = 0;
        loop {
            if let Some(error) = self.fatal.get() {
                return Err(error.clone());
            }
            match query.status() {
                Status::Running if self.is_closing() => return Err(Error::backend("the engine is shutting down")),
                Status::Running => {}
                Status::Failed(error) => return Err(error.context(format!("query {} has failed: ", query.id))),
                // What it did last will never be committed.
                Status::Ended => return Err(Error::missing(format!("the query {} has ended", query.id))),
            }
            let dirty = {
                let mut run = query.lock();
                if !run.is_dirty() && query.is_settled() {
                    return look(&mut run);
                }
                run.is_dirty()
            };
            if dirty {
                self.step(query);
            }
            if self.is_manual() {
                self.pump()?;
            } else {
                seen = self.wait_decision(seen);
            }
        }
    }
}

/// The rows of a batch that a pull query shows.
fn pulled(pull: &Pull, batch: Batch) -> Result<Vec<Vec<Value>>> {
    let batch = match &batch.absent {
        Some(absent) => batch.clone().filter(&!absent)?,
        None => batch,
    };
    let count = batch.rows();
    let columns = table_columns(pull, batch)?;
    let mut caught = Caught::default();
    let mut rows = Rows { columns: &columns, count, caught: &mut caught };
    let keep = match &pull.condition {
        None => None,
        Some(condition) => Some(condition.eval_column(&mut rows)?.0),
    };
    let keeps = |row: usize| match keep.as_ref().map(|k| k.as_boolean_opt()) {
        None => true,
        Some(Some(holds)) => holds.is_valid(row) && holds.value(row),
        Some(None) => false,
    };
    let mut items = Vec::new();
    for (column, expr) in &pull.items {
        items.push((expr.eval_column(&mut rows)?.0, column.sql_type.clone()));
    }
    let row = |row: usize| items.iter().map(|(array, t)| Value::at(array.as_ref(), row, t)).collect();
    Ok((0..count).filter(|r| keeps(*r)).map(row).collect())
}

/// The columns as a pull query's expressions expect them: the table's, the window's bounds, the row's time.
fn table_columns(pull: &Pull, batch: Batch) -> Result<Vec<arrow::array::ArrayRef>> {
    use arrow::array::Int64Array;
    use arrow::datatypes::Int64Type;
    let mut columns = batch.columns;
    if let Some(window) = pull.source.window {
        let size = window.size_ms.unwrap_or_default();
        let start = columns.last().ok_or_else(|| Error::bug("a windowed table without windows"))?;
        let ends = start.as_primitive::<Int64Type>().unary::<_, Int64Type>(|s| s + size);
        columns.push(Arc::new(ends));
    }
    columns.push(Arc::new(Int64Array::new(batch.time, None)));
    Ok(columns)
}

fn tap(channel: Arc<Channel>, columns: Vec<Column>) -> Tap {
    Arc::new(move |batch: &Batch| {
        let row = |row: usize| {
            let absent = batch.is_absent(row);
            let value = |(column, array): (&Column, &arrow::array::ArrayRef)| match absent {
                true => Value::Null,
                false => Value::at(array.as_ref(), row, &column.sql_type),
            };
            columns.iter().zip(&batch.columns).map(value).collect()
        };
        channel.push((0..batch.rows()).map(row))
    })
}

impl Channel {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Vec<Value>>> {
        // A row is added or taken in one go, so that a panic leaves the queue whole.
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds rows; `false` if nobody wants them.
    fn push(&self, rows: impl Iterator<Item = Vec<Value>>) -> bool {
        self.lock().extend(rows);
        self.changed.notify_all();
        !self.closed.load(Ordering::SeqCst)
    }
}

impl PushQuery {
    /// The rows that have come, all of them; waits up to `wait` for the first. None if the query has ended.
    pub fn rows(&self, wait: Duration) -> Result<VecDeque<Vec<Value>>> {
        let rows = self.channel.lock();
        let waits = |rows: &mut VecDeque<Vec<Value>>| rows.is_empty() && self.running.is_running() && !self.is_over();
        let waited = self.channel.changed.wait_timeout_while(rows, wait, waits);
        let taken = std::mem::take(&mut *waited.unwrap_or_else(PoisonError::into_inner).0);
        if let (true, Status::Failed(error)) = (taken.is_empty(), self.running.status()) {
            return Err(error);
        }
        if taken.len() >= MOST_WAITING {
            self.shared.wake(&self.running);
        }
        Ok(taken)
    }

    /// Whether the query was ended: no more rows will come than those that wait.
    pub fn is_over(&self) -> bool {
        matches!(self.running.status(), Status::Ended) || self.shared.is_closing()
    }

    /// Whether the query stands at the ends of its sources and all its rows were taken.
    pub fn is_drained(&self) -> Result<bool> {
        let run = self.running.lock();
        if run.is_dirty() {
            return Ok(false);
        }
        for (id, position) in run.positions() {
            if position < self.shared.topics.end(id)? {
                return Ok(false);
            }
        }
        drop(run);
        Ok(self.channel.lock().is_empty())
    }
}

impl Drop for PushQuery {
    fn drop(&mut self) {
        self.channel.closed.store(true, Ordering::SeqCst);
        self.channel.changed.notify_all();
        self.running.set_status(Status::Ended);
        self.shared.queries.write().unwrap_or_else(PoisonError::into_inner).remove(&self.running.id);
    }
}
