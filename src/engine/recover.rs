//! Opening an engine: the statements that made what exists are read again, and the queries go on where they stood.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError, RwLock};

use super::commit::Commit;
use super::history::History;
use super::memory::Memory;
use super::running::Running;
use super::{Change, Record, Settings, Shared, State, Store, folder};
use crate::catalog::{Catalog, Query};
use crate::config::{self, Properties};
use crate::disk::{Disk, SyncOnce};
use crate::error::{Error, Result};
use crate::journal::{self, Manifest, QueryState, Queue, Recovered, RecoveredQuery};
use crate::runtime::{self, QueryRun};
use crate::state::buckets;
use crate::topics::log::Log;
use crate::topics::memory::MemoryTopics;
use crate::topics::{Topics, log};
use crate::types::row::Input;

/// A query that is to go on.
pub struct Restart {
    query: Query,
    change: Change,
    record: Record,
    state: RecoveredQuery,
}

/// Opens the store; the queries that are to go on, if there were any.
pub fn open(settings: Settings, pool: Option<rayon::ThreadPool>) -> Result<(Shared, Vec<Restart>)> {
    let store = settings.store.clone();
    match store {
        Store::Memory => {
            let topics = Arc::new(MemoryTopics::new());
            let commit = Commit::Memory { version: Mutex::new(0), topics: topics.clone() };
            Ok((shared(settings, pool, topics, None, commit, State::default(), None), Vec::new()))
        }
        Store::Folder { disk, path } => open_folder(settings, pool, disk, &path),
    }
}

fn shared(
    settings: Settings,
    pool: Option<rayon::ThreadPool>,
    topics: Arc<dyn Topics>,
    log: Option<Arc<Log>>,
    commit: Commit,
    state: State,
    lock: Option<Box<dyn crate::disk::Lock>>,
) -> Shared {
    Shared {
        settings,
        topics,
        log,
        commit,
        state: RwLock::new(state),
        queries: RwLock::new(BTreeMap::new()),
        pool,
        decisions: Mutex::new(0),
        decided: Condvar::new(),
        fatal: OnceLock::new(),
        closing: AtomicBool::new(false),
        checkpointing: AtomicBool::new(false),
        syncs: None,
        checkpointed: Mutex::new(Manifest::default()),
        memory: Memory::default(),
        changing: Mutex::new(()),
        next_file: AtomicU64::new(1),
        next_partition: AtomicU32::new(0),
        files: Mutex::default(),
        _lock: lock,
    }
}

fn open_folder(
    mut settings: Settings,
    pool: Option<rayon::ThreadPool>,
    disk: Arc<dyn Disk>,
    path: &Path,
) -> Result<(Shared, Vec<Restart>)> {
    let once = Arc::new(SyncOnce::new(disk));
    let disk: Arc<dyn Disk> = once.clone();
    settings.store = Store::Folder { disk: disk.clone(), path: path.to_owned() };
    let lock = folder::open(disk.as_ref(), path)?;
    let file_bytes = settings.properties.size(config::JOURNAL_BYTES);
    let journal_settings = journal::Settings {
        file_bytes: file_bytes as u64,
        kept_files: settings.properties.size(config::CHECKPOINT_BYTES) / file_bytes,
        inline_bytes: settings.properties.size(config::INLINE_BYTES),
        seed: settings.clock.random(),
    };
    let segment_bytes = settings.properties.size(config::SEGMENT_BYTES) as u64;
    let recovered = journal::recover(&disk, path, journal_settings)?;
    let mut rebuilt = rebuild(&settings, &recovered)?;
    let log = Arc::new(Log::new(disk.clone(), log::folder(path), segment_bytes));
    log.remove_unknown(&|id| rebuilt.catalog.topics().any(|t| t.id == id))?;
    for topic in rebuilt.catalog.topics() {
        log.create(topic)?;
    }
    let lives: HashSet<u64> = rebuilt.catalog.queries().iter().map(|q| q.number).collect();
    let checkpoint = recovered.checkpoint().clone();
    let files: HashSet<u64> = checkpoint.queries.iter().flat_map(QueryState::files).collect();
    let finished = recovered.finish(disk.clone(), path, journal_settings, log.clone(), &|q| lives.contains(&q))?;
    let (journal, mut states) = finished;
    rebuilt.catalog.version = journal.version();
    let next_file = remove_unused(disk.as_ref(), path, &files)?;
    let queries: Vec<Query> = rebuilt.catalog.queries().into_iter().map(|q| Query::clone(q)).collect();
    let restarts = queries.into_iter().filter_map(|query| {
        let (change, record) = rebuilt.changes.remove(&query.number)?;
        let state = states.remove(&query.number).unwrap_or_default();
        Some(Restart { query, change, record, state })
    });
    let restarts = restarts.collect();
    let state = State { catalog: Arc::new(rebuilt.catalog), history: rebuilt.history };
    let commit = Commit::Journal { journal: Box::new(Mutex::new(journal)), queue: Queue::new() };
    let mut shared = shared(settings, pool, log.clone(), Some(log), commit, state, Some(lock));
    shared.syncs = Some(once);
    shared.checkpointed = Mutex::new(checkpoint);
    shared.next_file.store(next_file, Ordering::SeqCst);
    Ok((shared, restarts))
}

/// Removes the bucket files that no checkpoint refers to; the number of the next one.
fn remove_unused(disk: &dyn Disk, path: &Path, used: &HashSet<u64>) -> Result<u64> {
    let mut next = 1;
    for number in buckets::list(disk, path)? {
        next = next.max(number + 1);
        if !used.contains(&number) {
            buckets::remove(disk, path, number)?;
        }
    }
    Ok(next)
}

/// What the kept statements come to.
struct Rebuilt {
    catalog: Catalog,
    history: History,
    /// The statement of every query, by its number.
    changes: BTreeMap<u64, (Change, Record)>,
}

fn rebuild(settings: &Settings, recovered: &Recovered) -> Result<Rebuilt> {
    let mut rebuilt = Rebuilt { catalog: Catalog::default(), history: History::default(), changes: BTreeMap::new() };
    if let Some(image) = &recovered.image {
        let mut input = Input(image);
        let (next_topic, next_query, count) = (input.varint()?, input.varint()?, input.varint()?);
        for _ in 0..count {
            rebuilt.replay(settings, Record::decode(&mut input)?)?;
        }
        rebuilt.catalog.skip_ids(next_topic, next_query);
    }
    for (command, resolved) in &recovered.commands {
        let mut record = Record::decode(&mut Input(&command.bytes))?;
        record.starts = command.resolve.iter().copied().zip(resolved.iter().copied()).collect();
        rebuilt.replay(settings, record)?;
    }
    Ok(rebuilt)
}

impl Rebuilt {
    fn replay(&mut self, settings: &Settings, record: Record) -> Result<()> {
        self.catalog.version = record.version;
        let properties = record.properties(&settings.properties)?;
        let understood = (settings.compile)(&record.text, &self.catalog, &properties);
        let again = |error: Error| {
            let message =
                format!("the statement that is kept in the data folder cannot be executed again: {}\n", record.text);
            error.context(message)
        };
        let change = understood.map_err(again)?;
        let applied = change.apply(&mut self.catalog, Some(&record.ids)).map_err(again)?;
        if let Some(query) = applied.query {
            self.changes.insert(query.number, (change, record.clone()));
        }
        self.history.push(record);
        Ok(())
    }
}

impl Shared {
    /// Has the queries go on where they stood. One that cannot has failed; the others go on.
    pub fn restart_queries(self: &Arc<Self>, restarts: Vec<Restart>) {
        for restart in restarts {
            let query = restart.query.clone();
            if let Err(error) = self.restart(restart) {
                let nothing = QueryRun::nothing(query.number);
                let failed = Running::new(&query, None, nothing, &Properties::default(), self.memory.share());
                let failed = Arc::new(failed);
                self.queries.write().unwrap_or_else(PoisonError::into_inner).insert(query.id, failed.clone());
                self.fail_query(&failed, error.context("it cannot go on: "));
            }
        }
    }

    fn restart(self: &Arc<Self>, restart: Restart) -> Result<()> {
        let Restart { query, change, record, state } = restart;
        let Some(new) = &change.query else { return Err(Error::bug("a query without a plan")) };
        let properties = record.properties(&self.settings.properties)?;
        let catalog = self.catalog();
        let program = runtime::compile(&new.plan, &catalog, &properties)?;
        if program.fingerprint != record.fingerprint {
            let message = "its kept state does not fit the plan that this version makes of the statement";
            return Err(Error::conflict(message).hint("DROP and CREATE it again to rebuild the state from its sources"));
        }
        let mut run = self.new_run(&catalog, query.number, program, &new.sink.source, &properties, &record.starts)?;
        if let Store::Folder { disk, path } = &self.settings.store {
            for file in &state.buckets {
                buckets::read(disk.as_ref(), path, file.file, &mut |key, value| {
                    run.load(file.operator, file.bucket, key, Some(value))
                })?;
            }
            for file in &state.changes {
                buckets::read(disk.as_ref(), path, *file, &mut |_, delta| run.apply(delta))?;
            }
        }
        for delta in &state.deltas {
            run.apply(delta)?;
        }
        if let Some(head) = &state.head {
            run.resume(head)?;
        }
        self.start(Running::new(&query, None, run, &properties, self.memory.share()));
        Ok(())
    }
}
