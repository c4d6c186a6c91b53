//! Recovery: from whatever a crash left of a data folder to exactly what was decided.
//!
//! First the rounds after the checkpoint are read, and the last of them is made durable: it may have been written and
//! not synced, and nothing of it may be shown before. Then the engine says which topics still exist, and their
//! partitions are brought to the decided ends: missing bytes are written again, bytes after the end are cut. Recovery
//! can be interrupted at any point and then starts again. It needs no room on the disk, except for records that are
//! missing.
//!
//! What is left of a crash, and what becomes of it:
//!
//! ```text
//! frame written, not synced             readable: written again and synced, so it counts; else cut off
//! records after the last frame          cut off
//! inline records                        written again from the frame, missing or not
//! synced records missing                damage: refused
//! segments deleted or compacted         removed; frames that name them write nothing
//! compacted file that nothing names     removed
//! topic folder without a statement      removed by the engine
//! journal files before the checkpoint   become spares
//! ```
//!
//! The journal after the checkpoint is read twice: once for what exists and where queries stand, once, when the topics
//! are open, for their records. It is not kept in memory: deltas are places in files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::entry::{Command, EpochHead};
use super::file::{self, Head, JournalFile};
use super::frame::{EntryView, SpanView};
use super::manifest::{self, Manifest};
use super::round::{Journal, Start};
use super::spare::Spares;
use super::tail::{self, Newest, Tail};
use super::{Settings, folder};
use crate::disk::{self, Disk, Open};
use crate::error::{Error, Result};
use crate::ids::{Generation, QueryNumber};
use crate::topics::PartitionId;
use crate::topics::log::{self, Compaction, Layout, Log, Place};

/// What recovery read of a data folder before its topics are opened.
pub struct Recovered {
    /// What existed at the checkpoint, as the engine wrote it.
    ///
    /// `None` if there was no checkpoint.
    pub image: Option<Vec<u8>>,
    /// The commands after it, with the ends that were resolved for them.
    ///
    /// In the order of their decisions; one offset for each partition to resolve.
    pub commands: Vec<(Command, Vec<i64>)>,
    manifest: Manifest,
    tail: Tail,
    queries: BTreeMap<QueryNumber, RecoveredQuery>,
    /// What of partitions was deleted and compacted up to the last round.
    layouts: BTreeMap<PartitionId, Layout>,
    file: JournalFile,
    spares: Spares,
}

/// Where a query goes on.
#[derive(Clone, Debug, Default)]
pub struct RecoveredQuery {
    /// Its last decided epoch; `None` if it has none yet.
    ///
    /// May be that of a part of an epoch.
    pub head: Option<EpochHead>,
    /// The changes of its state since the checkpoint, in their order.
    pub deltas: Vec<Delta>,
}

/// Where the changes of an epoch are in the journal. They stay there until the next checkpoint.
#[derive(Clone, Copy, Debug)]
pub struct Delta {
    place: tail::Place,
    length: usize,
}

impl Delta {
    /// The changes.
    ///
    /// # Errors
    /// The file is gone or shorter than it was.
    pub fn read(&self, disk: &dyn Disk, data: &Path) -> Result<Vec<u8>> {
        let path = file::path(&folder(data), self.place.generation);
        let opened = disk.open(&path, Open::Existing)?;
        let bytes = disk::read(opened.as_ref(), self.place.at, self.length)?;
        if bytes.len() < self.length {
            return Err(Error::backend(format!("{} has become shorter", path.display())));
        }
        Ok(bytes)
    }
}

/// Reads the journal of a data folder, whose directories are there, and makes what it found durable.
///
/// No record of a topic is touched yet.
///
/// # Errors
/// A file cannot be read or written, is corrupt, or was written by another version; or a round is missing.
pub fn recover(disk: &Arc<dyn Disk>, data: &Path, settings: Settings) -> Result<Recovered> {
    let dir = folder(data);
    let manifest = manifest::read(disk.as_ref(), data)?;
    let image = manifest.as_ref().map(|m| m.image.clone());
    let manifest = manifest.unwrap_or_default();
    let mut queries: BTreeMap<QueryNumber, RecoveredQuery> = BTreeMap::new();
    for query in &manifest.queries {
        let found = RecoveredQuery { head: Some(query.head.clone()), deltas: Vec::new() };
        queries.insert(query.head.query, found);
    }
    let mut commands = Vec::new();
    let mut layouts = manifest.layouts.clone();
    let (tail, newest) =
        Tail::read(disk.as_ref(), data, &manifest, Generation::new(u64::MAX), &mut |_, place, entry| {
            match entry {
                EntryView::Append { .. } => {}
                EntryView::Command { command, resolved } => commands.push((command, resolved)),
                EntryView::Trim { fronts } => {
                    fronts.into_iter().for_each(|(id, front)| layouts.entry(id).or_default().trim(front));
                }
                EntryView::Compact(Compaction { partition, first, compacted }) => {
                    layouts.entry(partition).or_default().compact(first, compacted);
                }
                EntryView::Epoch(epoch) => {
                    let query = queries.entry(epoch.query).or_default();
                    query.head = Some(epoch.to_head());
                    if !epoch.delta.is_empty() {
                        let place = tail::Place { at: place.at + epoch.delta_at as u64, ..place };
                        query.deltas.push(Delta { place, length: epoch.delta.len() });
                    }
                }
            }
            Ok(())
        })?;
    let mut spares = Spares::open(disk.clone(), &dir, settings.file_bytes, settings.kept_files)?;
    let file = match newest {
        Some(Newest { generation, head, last, end }) => {
            let head = head.unwrap_or_else(|| Head::new(generation, tail.round, settings.seed));
            JournalFile::go_on(disk.as_ref(), &dir, head, last, end)?
        }
        None => {
            // A topic is made only after its statement is in the journal.
            let topics = disk.names(&log::folder(data))?;
            if topics.iter().any(|name| name.parse::<u64>().is_ok()) {
                return Err(tail::missing(tail.round.next(), "a topic"));
            }
            let head = Head::new(Generation::new(1), tail.round, settings.seed);
            JournalFile::create(disk.as_ref(), &dir, &mut spares, head, settings.file_bytes)?
        }
    };
    for old in file::list(disk.as_ref(), &dir)?.iter().filter(|old| old.generation < manifest.generation) {
        spares.recycle(&old.path)?;
    }
    Ok(Recovered { image, commands, manifest, tail, queries, layouts, file, spares })
}

/// The result of recovery.
pub struct Finished {
    /// The journal, ready for the next round.
    pub journal: Journal,
    /// The checkpoint that was found; an empty one if there was none.
    pub checkpoint: Manifest,
    /// Where each query stands that still exists.
    pub queries: BTreeMap<QueryNumber, RecoveredQuery>,
}

impl Recovered {
    /// The checkpoint that was found; an empty one if there was none.
    ///
    /// To be read before [`Recovered::finish`].
    pub fn checkpoint(&self) -> &Manifest {
        &self.manifest
    }

    /// Brings the partitions of the log to their decided fronts and ends and opens the journal. The log has all topics
    /// that still exist. Entries of topics and queries that are gone are skipped, and records of segments that were
    /// deleted.
    ///
    /// `lives` says whether the query of a number still exists.
    ///
    /// # Errors
    /// A segment is shorter than what was decided, or cannot be written.
    pub fn finish(self, place: Home, log: Arc<Log>, lives: &dyn Fn(QueryNumber) -> bool) -> Result<Finished> {
        let Recovered { manifest, tail, mut queries, mut layouts, file, spares, commands, .. } = self;
        let fronts: Vec<_> = layouts.iter().map(|(id, layout)| (*id, layout.front)).collect();
        for partition in log.partitions() {
            partition.recover(layouts.remove(&partition.id).unwrap_or_default())?;
        }
        let mut ends: BTreeMap<PartitionId, Place> = manifest.ends.clone();
        tail.each(place.disk.as_ref(), &mut |_, _, entry| match entry {
            EntryView::Epoch(epoch) => restore(&log, &epoch.spans, &mut ends),
            EntryView::Append { spans } => restore(&log, &spans, &mut ends),
            EntryView::Command { .. } | EntryView::Trim { .. } | EntryView::Compact(_) => Ok(()),
        })?;
        for (id, front) in &fronts {
            ends.entry(*id).and_modify(|end| *end = front.cut(*end));
        }
        for partition in log.partitions() {
            partition.cut(ends.get(&partition.id).copied().unwrap_or(Place::START))?;
            let known = manifest.ends.get(&partition.id).filter(|place| place.byte > 0);
            partition.sync_names(known.map(|place| place.segment))?;
        }
        queries.retain(|number, _| lives(*number));
        let heads = queries.iter().filter_map(|(number, q)| q.head.clone().map(|head| (*number, head)));
        let version = commands.last().map_or(manifest.version, |(command, _)| command.version.next());
        let start = Start { round: tail.round, version, heads: heads.collect(), bytes: tail.bytes };
        Ok(Finished { journal: Journal::new(place, log, (file, spares), start), checkpoint: manifest, queries })
    }
}

/// Where a journal is, and its settings.
#[derive(Clone)]
pub struct Home {
    /// The disk that the folder is on.
    pub disk: Arc<dyn Disk>,
    /// The data folder.
    pub data: PathBuf,
    /// The settings of the journal.
    pub settings: Settings,
}

/// Writes what is missing of an entry's records, if their topic is still there.
///
/// Inline bytes are written even where they can be read already (see [`log::Partition::restore`]).
fn restore(log: &Log, spans: &[SpanView], ends: &mut BTreeMap<PartitionId, Place>) -> Result<()> {
    for span in spans {
        let Ok(partition) = log.partition(span.partition) else { continue };
        ends.insert(span.partition, span.end);
        if !partition.keeps(span.segment) {
            continue;
        }
        match span.bytes {
            Some(bytes) => partition.restore(span.segment, span.byte, bytes)?,
            None if partition.segment_len(span.segment)? < span.end.byte => {
                let message =
                    format!("segment {} of {} is shorter than what was decided", span.segment, span.partition);
                return Err(Error::backend(message).hint("restore the folder from a backup"));
            }
            None => {}
        }
    }
    Ok(())
}
