//! Pull queries: SELECT without EMIT, answered once from what is committed.
//!
//! A look at one table goes the short way: some keys, or a walk over all rows, and our own expressions. Everything else
//! of SQL — joins, groups, subqueries, orders, windows of rows — is planned as relations ([`crate::plan::pull`]) and run by
//! DataFusion, whose relations meet our values.

mod evaluate;
mod fold;
mod lower;
mod relations;
mod single;
mod source;
mod table;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use datafusion::common::DataFusionError;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};

use crate::clock::Clock;
use crate::config::{self, Properties};
use crate::engine::Engine;
use crate::error::{Error, Limit, Result};
use crate::plan::pull::Pull;
use crate::types::{Column, Value};

pub use table::{Prepared, Soon};

/// The rows of a pull query.
#[derive(Clone, Debug, Default)]
pub struct PullRows {
    /// The names and types of the result, in the order of the values in each row.
    pub columns: Vec<Column>,
    /// All rows of the result; each has one value for each column.
    pub rows: Vec<Vec<Value>>,
}

/// Who asks, and for how long.
#[derive(Clone, Copy)]
pub struct Asker<'a> {
    /// The properties of the session.
    pub own: &'a Properties,
    /// Whether nobody waits for the answer any more.
    pub is_gone: &'a dyn Fn() -> bool,
}

/// What a query may take.
#[derive(Clone)]
struct Limits {
    memory_bytes: usize,
    /// When it must be done, on the monotonic clock; `None` if it has time.
    until_ns: Option<u64>,
    clock: Arc<dyn Clock>,
    /// Says that nobody wants the rows any more.
    cancelled: Arc<AtomicBool>,
}

/// The bytes of a result so far.
struct Budget<'a> {
    limits: &'a Limits,
    /// Who can be asked whether the answer is still wanted; `None` on another thread than the asker's.
    asker: Option<Asker<'a>>,
    bytes: usize,
}

impl Limits {
    fn new(engine: &Engine, own: &Properties) -> Limits {
        Limits::of(engine, &engine.properties().with(own))
    }

    /// Those that the properties of a session and of the process together set.
    fn of(engine: &Engine, properties: &Properties) -> Limits {
        let clock = engine.clock().clone();
        let most_ms = properties.number(config::PULL_TIMEOUT_MS) as u64;
        let until_ns = (most_ms > 0).then(|| clock.monotonic_ns().saturating_add(most_ms.saturating_mul(1_000_000)));
        Limits { memory_bytes: properties.size(config::PULL_MEMORY_BYTES), until_ns, clock, cancelled: Arc::default() }
    }

    /// Ends the query where it is.
    fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// # Errors
    /// The query has taken more time than it may, or was cancelled.
    fn check(&self) -> Result<()> {
        // Time first: a query that has taken too much of it is cancelled for that reason.
        if self.until_ns.is_some_and(|until_ns| self.clock.monotonic_ns() > until_ns) {
            let error = Error::backend("the query took more time than it may").by(Limit::Time);
            return Err(error.hint(format!("select less, or raise {}", config::PULL_TIMEOUT_MS)));
        }
        if self.cancelled.load(Ordering::Relaxed) { Err(cancelled()) } else { Ok(()) }
    }
}

impl Budget<'_> {
    /// # Errors
    /// The query has taken more time than it may, or nobody waits for its answer.
    fn check(&self) -> Result<()> {
        if self.asker.is_some_and(|asker| (asker.is_gone)()) {
            self.limits.cancel();
        }
        self.limits.check()
    }

    /// Counts values of a result, which have about so many bytes in columns.
    ///
    /// # Errors
    /// The result is larger than the query may be.
    fn take(&mut self, values: usize, bytes: usize) -> Result<()> {
        self.bytes = self.bytes.saturating_add(bytes).saturating_add(values.saturating_mul(size_of::<Value>()));
        if self.bytes > self.limits.memory_bytes { Err(too_much()) } else { Ok(()) }
    }
}

/// What is said of a query whose client does not want the answer any more.
pub fn cancelled() -> Error {
    Error::backend("the query was cancelled by its client").by(Limit::Cancelled)
}

/// What is said of a query that needs more memory than it may have.
pub fn too_much() -> Error {
    let error = Error::backend("the query needs more memory than it may have").by(Limit::Memory);
    error.hint(format!("select less, or raise {}", config::PULL_MEMORY_BYTES))
}

/// The rows of a pull query, as of the last commits.
///
/// # Errors
/// Those of [`Engine::table_rows`], whatever an expression says that is too large, and more memory or time than the query
/// may take.
pub fn rows(engine: &Engine, pull: &Pull, asker: Asker) -> Result<PullRows> {
    let limits = Limits::new(engine, asker.own);
    let mut budget = Budget { limits: &limits, asker: Some(asker), bytes: 0 };
    // Nothing is begun for a client that has gone already, however short it would be.
    budget.check()?;
    match pull {
        Pull::Table(look) => Ok(PullRows { columns: pull.columns(), rows: table::rows(engine, look, &mut budget)? }),
        Pull::Relations(relations) => relations::rows(engine, relations, &mut budget),
    }
}

/// A query that looks at a few keys of a table, to be answered without a thread of its own; `None` for all others.
pub fn soon(engine: &Engine, pull: Pull, own: &Properties) -> Option<Soon> {
    let columns = pull.columns();
    if let Pull::Table(look) = pull { Soon::of(engine, (*look, columns), own) } else { None }
}

/// What a query of DataFusion runs in: so much memory, and no files.
///
/// # Errors
/// A bug: DataFusion does not accept it.
pub fn environment(memory_bytes: usize) -> Result<Arc<RuntimeEnv>, DataFusionError> {
    let memory = Arc::new(GreedyMemoryPool::new(memory_bytes));
    let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
    RuntimeEnvBuilder::new().with_memory_pool(memory).with_disk_manager_builder(disk).build_arc()
}

/// An error of ours on its way through DataFusion.
fn outside(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
