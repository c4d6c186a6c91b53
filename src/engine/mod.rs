//! The control state: what exists, which queries run, and how changes of both come about.
//!
//! A change is validated against a snapshot of the catalog, committed through the journal, and takes effect when it is
//! decided. With [`Drive::Threads`] queries run by themselves; with [`Drive::Manual`] nothing happens unless the owner says
//! so, on the owner's thread, which is how tests decide what happens when.
//!
//! The way of a statement that changes something: `compile` makes a [`Change`] of it, which is a list of effects and
//! does nothing by itself. The change is applied to a copy of the catalog, which shows whether it can be. A command
//! with the text goes to the journal. When it is decided, the copy becomes the catalog and the effects on topics and
//! queries are taken, in the order of decisions. At the next start the kept texts are compiled again, with the
//! properties and ids of then.
//!
//! The way of rows: a decision wakes the queries that read what was written. A query takes turns on a worker for a
//! slice of time, and submits what it did as an epoch. At most two epochs of a query wait for their decision.
//!
//! Threads, where there are any:
//!
//! ```text
//! worker 0, 1, …      turns of queries, restoring of state
//! turns 0, 1, …       parts of one large turn, if no other query waits
//! journal             rounds: one after the other, each with one commit
//! checkpoint          checkpoints and spare files
//! merge               merges of runs
//! cleanup             deletes and compacts what the settings of topics no longer keep
//! timer               wakes queries at a time
//! ```
//!
//! A panic in a query fails that query. A panic in a thread of the engine, or a failed sync, fails the engine: it takes
//! nothing more and must be opened again.

mod apply;
mod backup;
mod checkpoint;
mod cleanup;
mod commit;
mod drain;
mod effect;
mod failures;
mod folder;
mod follow;
mod history;
mod letters;
mod life;
mod memory;
mod open;
mod progress;
mod pull;
mod push;
mod queries;
mod record;
mod restore;
mod resume;
mod running;
mod timers;
mod turns;
mod upkeep;
mod wakes;
mod workers;
mod world;
#[cfg(test)]
mod yield_tests;

pub use apply::Committed;
pub use backup::Backup;
pub use effect::{Applied, Change, Effect, Ids, NewId, NewQuery, NewTopic};
pub use follow::{Follower, TopicRecord};
pub(crate) use history::History;
pub use letters::dead_letter_topic;
pub use life::Life;
pub use pull::{StreamReads, TableReader, TableSnapshot};
pub use push::{PushQuery, PushRow, ShownQuery};
pub use record::Record;
pub use resume::Bookmark;
pub use running::QueryStats;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tracing::{Dispatch, error};

use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::config::{self, Properties};
use crate::disk::{Disk, Lock, SyncOnce};
use crate::error::{Error, Result};
use crate::ids::QueryNumber;
use crate::journal::WhenFull;
use crate::locks::lock;
use crate::process;
use crate::runtime::{Feeds, Now, Options, Placement, Reset, placement};
use crate::topics::Topics;
use crate::topics::log::Log;
use checkpoint::Checkpoints;
use commit::Commit;
use memory::Memory;
use progress::Progress;
use queries::Queries;
use timers::Timers;
use upkeep::Upkeep;
use workers::Workers;
use world::World;

/// Makes the change that a statement's text means, against a catalog and the properties that were set for it.
///
/// Must give the same change for the same arguments for ever: it is called again at each start.
pub type Compile = fn(&str, &Catalog, &Properties) -> Result<Change>;

/// Where topics and the journal are.
///
/// With memory, an epoch is decided when it is submitted and nothing survives; all else is the same.
#[derive(Clone)]
pub enum Store {
    /// In memory, gone with the engine.
    Memory,
    /// In a folder.
    Folder {
        /// The door to the disk.
        disk: Arc<dyn Disk>,
        /// The data folder.
        path: PathBuf,
    },
}

/// Who makes queries run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drive {
    /// Worker threads and a journal thread. `start` is whether queries run at all.
    Threads {
        /// False if queries exist but take no turns.
        start: bool,
    },
    /// The owner, by [`Engine::settle`] and [`Engine::turn`].
    ///
    /// No thread is started; a call that waits for a decision makes the rounds itself.
    Manual,
}

/// How an engine is made.
#[derive(Clone)]
pub struct Settings {
    /// Decides whether the engine outlives the process.
    pub store: Store,
    /// Decides which threads give queries their turns.
    pub drive: Drive,
    /// The source of all times.
    pub clock: Arc<dyn Clock>,
    /// The properties of the process; those of a session or statement take precedence.
    pub properties: Properties,
    /// Makes the changes of kept statements again when the engine starts.
    ///
    /// A parameter, since the engine does not know statements.
    pub compile: Compile,
    /// What happens to epochs while the disk is full.
    pub when_full: WhenFull,
    /// Where rows go, and in which order those of several partitions are taken.
    pub placement: Arc<dyn Placement>,
    /// Takes events that somebody should see: rows that were left out, queries that failed.
    ///
    /// They come from any thread, and what takes them must not call the engine.
    pub events: Dispatch,
}

impl Settings {
    /// The settings of an engine that is driven by hand and tells nobody anything: [`Drive::Manual`], no property set,
    /// epochs refused while the disk is full, rows placed as usual, events for nobody.
    ///
    /// Callers say what differs: `Settings { drive, ..Settings::new(store, clock, compile) }`.
    pub fn new(store: Store, clock: Arc<dyn Clock>, compile: Compile) -> Settings {
        Settings {
            store,
            drive: Drive::Manual,
            clock,
            properties: Properties::default(),
            compile,
            when_full: WhenFull::Refuse,
            placement: placement::usual(),
            events: Dispatch::none(),
        }
    }

    /// Has an event told.
    pub(crate) fn tell(&self, event: impl FnOnce()) {
        tracing::dispatcher::with_default(&self.events, event);
    }

    /// The settings with values for properties, over those that were set before.
    ///
    /// # Errors
    /// A property is unknown, or a value is not valid for it.
    pub fn with(mut self, values: &[(&str, &str)]) -> Result<Settings> {
        values.iter().try_for_each(|(name, value)| self.properties.set(name, value))?;
        Ok(self)
    }
}

/// An engine.
///
/// Dropping it closes it. It can be shared by threads.
pub struct Engine {
    shared: Arc<Shared>,
    threads: Mutex<Vec<std::thread::JoinHandle<()>>>,
}

/// The parts of an engine, which its threads share.
pub(crate) struct Shared {
    settings: Settings,
    topics: Arc<dyn Topics>,
    feeds: Feeds,
    commit: Commit,
    world: World,
    queries: Queries,
    memory: Memory,
    progress: Progress,
    workers: Workers,
    timers: Timers,
    upkeep: Upkeep,
    /// What there is only with a data folder.
    log: Option<Arc<Log>>,
    checkpoints: Option<Checkpoints>,
    /// The door to the disk.
    syncs: Option<Arc<SyncOnce>>,
    /// The lock of the folder, given back at the end.
    folder_lock: Mutex<Option<Box<dyn Lock>>>,
    /// How many queries have state that is still to be read, and how many pulls read such state.
    ///
    /// While it is above 0 no checkpoint is made, since the journal is being read.
    restoring: AtomicUsize,
    /// Where the next record without a key goes.
    ///
    /// Round robin over the partitions, one counter for all topics; not kept over a restart.
    next_partition: AtomicU32,
    /// The queries whose rows are being shown, by their numbers.
    shown: Mutex<std::collections::BTreeMap<QueryNumber, ShownQuery>>,
    /// Whether rows are shown no more, since the process ends.
    stops_showing: AtomicBool,
    /// Those that follow a topic.
    followers: follow::Followers,
}

impl Shared {
    /// The engine cannot go on.
    ///
    /// The first failure counts. Everybody who waits is told.
    fn fail(&self, error: Error) {
        self.settings.tell(|| error!("the engine cannot go on: {error}"));
        self.progress.fail(error);
    }

    fn is_manual(&self) -> bool {
        self.settings.drive == Drive::Manual
    }

    /// The properties of the process with those of a statement over them.
    ///
    /// Those of the statement win.
    fn properties(&self, own: &Properties) -> Properties {
        self.settings.properties.with(own)
    }

    /// The time as a turn sees it.
    fn now(&self) -> Now {
        let clock = &self.settings.clock;
        Now { monotonic_ns: clock.monotonic_ns(), wall_ms: clock.wall_ms() }
    }

    /// The disk and the data folder.
    ///
    /// # Errors
    /// A bug: the engine is in memory.
    fn home(&self) -> Result<(&dyn Disk, &Path)> {
        match &self.settings.store {
            Store::Folder { disk, path } => Ok((disk.as_ref(), path)),
            Store::Memory => Err(Error::bug("an engine without a folder has nothing kept")),
        }
    }

    /// How queries with these properties run.
    fn run_options(&self, properties: &Properties) -> Options {
        Options {
            batch_rows: properties.size(config::BATCH_ROWS),
            idle_ns: properties.number(config::IDLE_MS) as u64 * 1_000_000,
            turn_bytes: properties.size(config::TURN_BYTES),
            reset: reset(properties),
            keeps_failures: self.keeps_failures(properties),
        }
    }
}

/// What a query with these properties does about records that were deleted before it read them. If nothing was set it
/// reads all that there is, although a new query starts at the end: a deletion must not make it miss still more.
fn reset(properties: &Properties) -> Reset {
    let text = properties.text(config::OFFSET_RESET);
    match () {
        () if !properties.is_set(config::OFFSET_RESET) => Reset::Earliest,
        () if text.eq_ignore_ascii_case("latest") => Reset::Latest,
        () if text.eq_ignore_ascii_case("none") => Reset::None,
        () => Reset::Earliest,
    }
}

impl Engine {
    /// Opens an engine; over a folder, what a crash left there is brought to what was decided, and its queries go on.
    ///
    /// Queries go on as soon as their state is read, which may be after this returns.
    ///
    /// # Errors
    /// Kind `Backend`: the folder cannot be used or is in use, a file is damaged or of another version, or no thread
    /// can be started. Whatever `compile` says of a kept statement, with the statement in the message.
    pub fn open(settings: Settings) -> Result<Engine> {
        let workers = match settings.properties.size(config::WORKERS) {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            some => some,
        };
        let workers = match settings.drive {
            Drive::Manual => Workers::default(),
            Drive::Threads { .. } => Workers::new(workers)?,
        };
        let (shared, restoring) = open::open(settings, workers)?;
        let engine = Engine { shared: Arc::new(shared), threads: Mutex::default() };
        engine.shared.connect_append(&engine.shared);
        if !engine.shared.is_manual() {
            engine.spawn_threads()?;
        }
        if !matches!(engine.shared.settings.drive, Drive::Threads { start: false }) {
            engine.shared.restart_queries(restoring);
        }
        Ok(engine)
    }

    /// # Errors
    /// The system has no more threads; those that were started end with the engine.
    fn spawn_threads(&self) -> Result<()> {
        // A checkpoint and a merge work for long, and nobody waits for them; where the journal grows too long, queries do,
        // and leave the processors to them.
        let loops: [(&str, fn(&Arc<Shared>)); 5] = [
            ("journal", Shared::journal_loop),
            ("checkpoint", |shared| process::lower_priority(|| shared.checkpoint_loop())),
            ("merge", |shared| process::lower_priority(|| shared.merge_loop())),
            ("cleanup", |shared| process::lower_priority(|| shared.cleanup_loop())),
            ("timer", |shared| shared.timers.run(shared.settings.clock.as_ref())),
        ];
        for (name, body) in loops {
            let shared = self.shared.clone();
            let contained = move || {
                if catch_unwind(AssertUnwindSafe(|| body(&shared))).is_err() {
                    // Its work may be half done: the engine must end and recover.
                    shared.fail(Error::bug(format!("the {name} thread panicked")));
                }
            };
            let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(contained);
            lock(&self.threads).push(spawned.map_err(|e| Error::backend(format!("no thread for the {name}: {e}")))?);
        }
        Ok(())
    }

    /// What exists now.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.shared.world.catalog()
    }

    /// The statements that made what exists, in the order in which they were executed.
    pub fn statements(&self) -> Vec<Record> {
        self.shared.world.statements()
    }

    /// The properties that the statement of a query was executed with, but for those of the process.
    pub fn properties_of(&self, query: QueryNumber) -> Vec<(String, String)> {
        self.shared.world.properties_of(query)
    }

    /// The topics, to read and to append to.
    pub fn topics(&self) -> &Arc<dyn Topics> {
        &self.shared.topics
    }

    /// The time.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.shared.settings.clock
    }

    /// What takes events.
    pub fn events(&self) -> &Dispatch {
        &self.shared.settings.events
    }

    /// The properties of the process.
    pub fn properties(&self) -> &Properties {
        &self.shared.settings.properties
    }

    /// Why the engine cannot go on, if it cannot.
    pub fn failure(&self) -> Option<&Error> {
        self.shared.progress.failure()
    }

    /// The bytes of journal since the last checkpoint.
    pub fn journal_bytes(&self) -> u64 {
        self.shared.commit.journal_bytes()
    }

    /// Where a query is in its life, if it is there.
    pub fn life(&self, id: &str) -> Option<Life> {
        self.shared.queries.get(id).map(|query| query.life())
    }

    /// What is known of a query.
    ///
    /// `None` if there is no such query.
    pub fn stats(&self, id: &str) -> Option<QueryStats> {
        let query = self.shared.queries.get(id)?;
        // Until its state is read, what was committed tells the rest.
        let restoring = query.restoring().and_then(|restoring| self.shared.stats(&restoring).ok());
        Some(restoring.unwrap_or_else(|| query.stats()))
    }

    /// Ends all work in order: what is in line is still committed.
    ///
    /// Waits for threads and for what is in line; makes a checkpoint if more than 1 MiB of journal would have to be
    /// read. Calling it twice does no harm.
    pub fn close(&self) {
        let shared = &self.shared;
        shared.stop_queries();
        shared.progress.close();
        shared.commit.close();
        shared.timers.close();
        shared.upkeep.close();
        for thread in lock(&self.threads).drain(..) {
            // A thread that panicked has said so; there is nothing to add.
            let _ = thread.join();
        }
        let mut seen = 0;
        let at_work = || shared.restoring.load(Ordering::SeqCst) + shared.workers.jobs();
        while at_work() > 0 && !shared.is_manual() {
            seen = shared.progress.wait(seen);
        }
        if self.failure().is_none() {
            shared.checkpoint_at_end();
        }
        // The folder is free from here on, even if a query still holds parts of the engine.
        lock(&shared.folder_lock).take();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.close();
    }
}
