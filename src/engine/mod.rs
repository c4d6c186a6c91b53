//! The control state: what exists, which queries run, and how changes of both come about.
//!
//! A change is validated against a snapshot of the catalog, committed through the journal, and takes effect when it is
//! decided. With [`Drive::Threads`] queries run by themselves; with [`Drive::Manual`] nothing happens unless the owner says
//! so, on the owner's thread, which is how tests decide what happens when.

mod apply;
mod change;
mod checkpoint;
mod commit;
mod folder;
mod history;
mod memory;
mod read;
mod recover;
mod running;
mod wakes;

pub use change::{Applied, Change, Ids, NewId, NewQuery, NewTopic, Record};
pub use read::{PullRows, PushQuery};
pub use running::{QueryStats, Status};

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::config::{self, Properties};
use crate::disk::{Disk, Lock, SyncOnce};
use crate::error::{Error, Result};
use crate::journal::{Manifest, WhenFull};
use crate::runtime::{Options, Ranks};
use crate::topics::Topics;
use crate::topics::log::Log;
use commit::Commit;
use history::History;
use memory::Memory;
use running::Running;

/// Makes the change that a statement's text means, against a catalog and the properties that were set for it.
pub type Compile = fn(&str, &Catalog, &Properties) -> Result<Change>;

/// Where topics and the journal are.
#[derive(Clone)]
pub enum Store {
    /// In memory, gone with the engine.
    Memory,
    /// In a folder.
    Folder { disk: Arc<dyn Disk>, path: PathBuf },
}

/// Who makes queries run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drive {
    /// Worker threads and a journal thread. `start` is whether queries run at all.
    Threads { start: bool },
    /// The owner, by [`Engine::settle`] and [`Engine::turn`].
    Manual,
}

/// How an engine is made.
#[derive(Clone)]
pub struct Settings {
    pub store: Store,
    pub drive: Drive,
    pub clock: Arc<dyn Clock>,
    pub properties: Properties,
    pub compile: Compile,
    pub when_full: WhenFull,
    /// For tests that know one order only: see [`Options::ranks`].
    pub ranks: Option<Ranks>,
    /// Called with messages that somebody should see: rows that came to nothing, queries that failed.
    pub report: Arc<dyn Fn(&str) + Send + Sync>,
}

/// An engine.
pub struct Engine {
    shared: Arc<Shared>,
    threads: Mutex<Vec<std::thread::JoinHandle<()>>>,
}

/// What the threads of an engine share.
pub(crate) struct Shared {
    pub settings: Settings,
    pub topics: Arc<dyn Topics>,
    pub log: Option<Arc<Log>>,
    pub commit: Commit,
    pub state: RwLock<State>,
    pub queries: RwLock<BTreeMap<String, Arc<Running>>>,
    pub pool: Option<rayon::ThreadPool>,
    /// Counts decisions, for those who wait for one.
    decisions: Mutex<u64>,
    decided: Condvar,
    /// Why the engine cannot go on.
    fatal: OnceLock<Error>,
    closing: AtomicBool,
    checkpointing: AtomicBool,
    /// The door to the disk, if there is one.
    syncs: Option<Arc<SyncOnce>>,
    memory: Memory,
    /// Held by whoever changes what exists, from its validation to its effect.
    changing: Mutex<()>,
    /// The number of the next bucket file.
    next_file: AtomicU64,
    /// Where the next record without a key goes.
    next_partition: AtomicU32,
    /// The bucket files that still hold what is in memory.
    files: Mutex<checkpoint::Files>,
    /// The last checkpoint.
    checkpointed: Mutex<Manifest>,
    /// Who owns the folder.
    _lock: Option<Box<dyn Lock>>,
}

/// What exists.
#[derive(Default)]
pub(crate) struct State {
    pub catalog: Arc<Catalog>,
    /// The statements that made it.
    pub history: History,
}

impl Shared {
    pub fn catalog(&self) -> Arc<Catalog> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).catalog.clone()
    }

    pub fn running(&self) -> Vec<Arc<Running>> {
        let queries = self.queries.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = queries.values().cloned().collect();
        all.sort_by_key(|q| q.number);
        all
    }

    pub fn query(&self, id: &str) -> Option<Arc<Running>> {
        self.queries.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    fn decisions(&self) -> MutexGuard<'_, u64> {
        self.decisions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells those who wait that something was decided, or that the engine cannot go on.
    pub fn announce(&self) {
        *self.decisions() += 1;
        self.decided.notify_all();
    }

    /// Waits for a decision behind the `seen`th, or a moment; the number of decisions then.
    pub fn wait_decision(&self, seen: u64) -> u64 {
        let count = self.decisions();
        let waited = self.decided.wait_timeout_while(count, Duration::from_millis(20), |c| *c <= seen);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// The engine cannot go on.
    pub fn fail(&self, error: Error) {
        (self.settings.report)(&format!("the engine cannot go on: {error}"));
        let _ = self.fatal.set(error);
        self.announce();
    }

    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst) || self.fatal.get().is_some()
    }

    pub fn is_manual(&self) -> bool {
        self.settings.drive == Drive::Manual
    }

    /// The properties of the process with those of a statement over them.
    pub fn properties(&self, own: &Properties) -> Properties {
        self.settings.properties.with(own)
    }

    /// How queries with these properties run.
    pub fn run_options(&self, properties: &Properties) -> Options {
        Options {
            batch_rows: properties.size(config::BATCH_ROWS),
            idle_ns: properties.number(config::IDLE_MS) as u64 * 1_000_000,
            parallel: self.pool.as_ref().is_some_and(|p| p.current_num_threads() > 1),
            ranks: self.settings.ranks.clone(),
        }
    }
}

impl Engine {
    /// Opens an engine; over a folder, what a crash left there is brought to what was decided, and its queries go on.
    pub fn open(settings: Settings) -> Result<Engine> {
        let workers = match settings.properties.size(config::WORKERS) {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            some => some,
        };
        let pool = match settings.drive {
            Drive::Manual => None,
            Drive::Threads { .. } => {
                let builder = rayon::ThreadPoolBuilder::new().num_threads(workers).stack_size(8 << 20);
                let pool = builder.thread_name(|n| format!("worker {n}")).build();
                Some(pool.map_err(|e| Error::backend(format!("no worker threads: {e}")))?)
            }
        };
        let (shared, recovered) = recover::open(settings, pool)?;
        let engine = Engine { shared: Arc::new(shared), threads: Mutex::default() };
        engine.shared.connect_append(&engine.shared);
        let starts = !matches!(engine.shared.settings.drive, Drive::Threads { start: false });
        if starts {
            engine.shared.restart_queries(recovered);
        }
        if !engine.shared.is_manual() {
            engine.spawn_threads()?;
            engine.shared.running().iter().for_each(|q| engine.shared.wake(q));
        }
        Ok(engine)
    }

    fn spawn_threads(&self) -> Result<()> {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, body) in
            [("journal", Shared::journal_loop as fn(&Arc<Shared>)), ("checkpoint", Shared::checkpoint_loop)]
        {
            let shared = self.shared.clone();
            let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(move || body(&shared));
            threads.push(spawned.map_err(|e| Error::backend(format!("no thread for the {name}: {e}")))?);
        }
        Ok(())
    }

    /// What exists now.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.shared.catalog()
    }

    /// The topics, to read and to append to.
    pub fn topics(&self) -> &Arc<dyn Topics> {
        &self.shared.topics
    }

    /// The time.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.shared.settings.clock
    }

    /// The properties of the process.
    pub fn properties(&self) -> &Properties {
        &self.shared.settings.properties
    }

    /// Why the engine cannot go on, if it cannot.
    pub fn failure(&self) -> Option<&Error> {
        self.shared.fatal.get()
    }

    /// Ends all work in order: what is in line is still committed.
    pub fn close(&self) {
        self.shared.stop_queries();
        self.shared.commit.close();
        self.shared.closing.store(true, Ordering::SeqCst);
        self.shared.announce();
        for thread in self.threads.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // A thread that panicked has said so; there is nothing to add.
            let _ = thread.join();
        }
        if self.failure().is_none() {
            self.shared.checkpoint_at_end();
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.close();
    }
}
