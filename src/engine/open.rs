//! Opening an engine: the statements that made what exists are read again, and it is found out where the queries stand.
//!
//! In this order, since each step needs what the one before it found:
//!
//! * the folder is locked and its format is checked;
//! * the journal after the last checkpoint is read and its end made durable;
//! * the statements of the checkpoint's image and of the journal's commands are compiled again, one on top of the
//!   other;
//! * folders of topics that no statement made are removed, and missing ones are made;
//! * segments are brought to their decided ends;
//! * runs that the manifest does not name are removed, the others are opened.
//!
//! State is not read here; [`super::restore`] does that while the engine already answers.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize};
use std::sync::{Arc, Mutex};

use tracing::warn;

use super::checkpoint::Checkpoints;
use super::commit::Commit;
use super::history::History;
use super::memory::Memory;
use super::restore::Restoring;
use super::workers::Workers;
use super::world::World;
use super::{Change, Record, Settings, Shared, Store, folder};
use crate::catalog::{Catalog, Query};
use crate::config;
use crate::disk::{Disk, Lock, SyncOnce};
use crate::error::{Error, Result};
use crate::ids::{QueryNumber, TopicId};
use crate::journal::{self, Finished, Home, Recovered};
use crate::runtime::Feeds;
use crate::topics::log::Log;
use crate::topics::memory::MemoryTopics;
use crate::topics::{Topics, log};
use crate::types::row::Input;

/// What an engine keeps: in memory, or in a folder.
struct Kept {
    topics: Arc<dyn Topics>,
    commit: Commit,
    world: World,
    folder: Option<Folder>,
}

/// What there is only with a data folder.
struct Folder {
    log: Arc<Log>,
    checkpoints: Checkpoints,
    syncs: Arc<SyncOnce>,
    lock: Box<dyn Lock>,
}

/// Opens the store. Returns the parts of the engine, and the queries to restore.
///
/// # Errors
/// Those of [`super::Engine::open`].
pub(super) fn open(mut settings: Settings, workers: Workers) -> Result<(Shared, Vec<Restoring>)> {
    let store = settings.store.clone();
    let (kept, restoring) = match store {
        Store::Memory => {
            let topics = Arc::new(MemoryTopics::new());
            let commit = Commit::Memory { version: Mutex::default(), topics: topics.clone() };
            (Kept { topics, commit, world: World::default(), folder: None }, Vec::new())
        }
        Store::Folder { disk, path } => {
            let syncs = Arc::new(SyncOnce::new(disk));
            settings.store = Store::Folder { disk: syncs.clone(), path: path.clone() };
            open_folder(&settings, syncs, &path)?
        }
    };
    let Kept { topics, commit, world, folder } = kept;
    let (mut log, mut checkpoints, mut syncs, mut lock) = (None, None, None, None);
    if let Some(folder) = folder {
        log = Some(folder.log);
        checkpoints = Some(folder.checkpoints);
        syncs = Some(folder.syncs);
        lock = Some(folder.lock);
    }
    let shared = Shared {
        feeds: Feeds::new(topics.clone(), settings.placement.clone()),
        memory: Memory::new(settings.properties.size(config::MEMORY_BYTES)),
        settings,
        topics,
        commit,
        world,
        queries: Default::default(),
        progress: Default::default(),
        workers,
        timers: Default::default(),
        upkeep: Default::default(),
        log,
        checkpoints,
        syncs,
        folder_lock: Mutex::new(lock),
        restoring: AtomicUsize::new(0),
        next_partition: AtomicU32::new(0),
        shown: Mutex::default(),
        stops_showing: AtomicBool::new(false),
        followers: Default::default(),
    };
    Ok((shared, restoring))
}

fn open_folder(settings: &Settings, syncs: Arc<SyncOnce>, path: &Path) -> Result<(Kept, Vec<Restoring>)> {
    let disk: Arc<dyn Disk> = syncs.clone();
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
    let mut rebuilt = rebuild(settings, &recovered)?;
    let log = Arc::new(Log::new(disk.clone(), log::folder(path), segment_bytes));
    for path in log.remove_unknown(&|id| rebuilt.catalog.topics().any(|t| t.id == id))? {
        settings.tell(|| warn!(path = %path.display(), "{} is not of the log and stays as it is", path.display()));
    }
    for topic in rebuilt.catalog.topics() {
        log.create(topic)?;
    }
    let lives: HashSet<QueryNumber> = rebuilt.catalog.queries().iter().map(|q| q.number).collect();
    let home = Home { disk: disk.clone(), data: path.to_owned(), settings: journal_settings };
    let Finished { journal, checkpoint, mut queries } = recovered.finish(home, log.clone(), &|q| lives.contains(&q))?;
    rebuilt.catalog.version = journal.version();
    let checkpoints = Checkpoints::open(disk, path.to_owned(), checkpoint)?;
    let all: Vec<Query> = rebuilt.catalog.queries().into_iter().map(|q| Query::clone(q)).collect();
    let restoring = all.into_iter().filter_map(|query| {
        let made = rebuilt.changes.remove(&query.number)?;
        let state = queries.remove(&query.number).unwrap_or_default();
        Some(Restoring::new(query, made, state, &checkpoints))
    });
    let restoring = restoring.collect();
    let world = World::new(rebuilt.catalog, rebuilt.history);
    let folder = Some(Folder { log: log.clone(), checkpoints, syncs, lock });
    Ok((Kept { topics: log, commit: Commit::by(journal, settings.clock.clone()), world, folder }, restoring))
}

/// The result of executing the kept statements again.
struct Rebuilt {
    catalog: Catalog,
    history: History,
    /// The statement of every query, by its number.
    ///
    /// A query that was ended is still in it; only those in the catalog go on.
    changes: BTreeMap<QueryNumber, (Change, Record)>,
}

/// Executes the kept statements again, those of the image first. Ids that a dropped topic or query had are skipped, so
/// that no new one gets them.
fn rebuild(settings: &Settings, recovered: &Recovered) -> Result<Rebuilt> {
    let mut rebuilt = Rebuilt { catalog: Catalog::default(), history: History::default(), changes: BTreeMap::new() };
    if let Some(image) = &recovered.image {
        let mut input = Input(image);
        let next_topic = TopicId::new(input.varint()?);
        let next_query = QueryNumber::new(input.varint()?);
        let count = input.varint()?;
        for _ in 0..count {
            rebuilt.replay(settings, Record::decode(&mut input)?)?;
        }
        rebuilt.catalog.skip_ids(next_topic, next_query);
    }
    for (command, resolved) in &recovered.commands {
        let mut record = Record::decode(&mut Input(&command.bytes))?;
        record.starts.extend(command.resolve.iter().copied().zip(resolved.iter().copied()));
        rebuilt.replay(settings, record)?;
    }
    Ok(rebuilt)
}

impl Rebuilt {
    /// # Errors
    /// A kept statement cannot be compiled or applied any more. The message has its text.
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
