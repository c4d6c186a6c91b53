//! Recovery: from whatever a crash left of a data folder to exactly what was decided.
//!
//! First the rounds behind the checkpoint are read. The last of them may have been written and not synced, and nothing of it
//! may be shown before it is durable: so a new journal file takes the place of the newest one, with what is whole of it.
//! Then the engine says which topics are still there, and their partitions are brought to the decided ends: bytes that are
//! missing are written again, what is behind them is cut. All of it can be cut off at any point and starts again from the
//! same.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::entry::{Command, EpochHead};
use super::file::{self, Head, JournalFile, OldFile};
use super::frame::{Frame, FrameEntry, FrameWriter, Span};
use super::manifest::{self, BucketFile, Manifest, QueryState};
use super::round::{Journal, Start};
use super::spare::Spares;
use super::{Settings, folder};
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::topics::PartitionId;
use crate::topics::log::{Log, Place};

/// What was read of a data folder, before its topics are opened.
pub struct Recovered {
    /// What existed at the checkpoint, as the engine wrote it.
    pub image: Option<Vec<u8>>,
    /// The commands behind it, with the ends that were resolved for them.
    pub commands: Vec<(Command, Vec<i64>)>,
    manifest: Manifest,
    frames: Vec<Frame>,
    file: JournalFile,
    spares: Spares,
    bytes: u64,
}

/// Where a query goes on.
#[derive(Debug, Default)]
pub struct RecoveredQuery {
    /// Its last decided epoch; none if it has not come to one.
    pub head: Option<EpochHead>,
    /// The files of its state at the checkpoint.
    pub buckets: Vec<BucketFile>,
    /// The files with changes behind those.
    pub changes: Vec<u64>,
    /// The changes of its state since, in their order.
    pub deltas: Vec<Vec<u8>>,
}

/// Reads the journal of a data folder, whose directories are there, and makes what it found durable.
pub fn recover(disk: &Arc<dyn Disk>, data: &Path, settings: Settings) -> Result<Recovered> {
    let dir = folder(data);
    let manifest = manifest::read(disk.as_ref(), data)?;
    let image = manifest.as_ref().map(|m| m.image.clone());
    let manifest = manifest.unwrap_or_default();
    let all = file::list(disk.as_ref(), &dir)?;
    let tail = read_tail(disk.as_ref(), &all, &manifest, u64::MAX)?;
    let mut spares = Spares::open(disk.clone(), &dir, settings.file_bytes, settings.kept_files)?;
    let generation = all.last().map_or(0, |file| file.generation).max(manifest.generation) + 1;
    let replaces = tail.replaces.unwrap_or(generation);
    let (before, newest) = tail.frames.split_at(tail.newest);
    let behind = before.last().map_or(manifest.round, |frame| frame.round);
    let head = Head::new(generation, replaces, behind, settings.seed);
    let file = JournalFile::replace(disk.as_ref(), &dir, &mut spares, head, &encode(newest, head.mark))?;
    for old in all.iter().filter(|old| old.generation < manifest.generation || old.generation >= replaces) {
        spares.recycle(&old.path)?;
    }
    let commands = tail.frames.iter().flat_map(|f| &f.entries).filter_map(|entry| match entry {
        FrameEntry::Command { command, resolved } => Some((command.clone(), resolved.clone())),
        _ => None,
    });
    let commands = commands.collect();
    Ok(Recovered { image, commands, manifest, frames: tail.frames, file, spares, bytes: tail.bytes })
}

/// The rounds behind a checkpoint.
#[derive(Default)]
struct Tail {
    frames: Vec<Frame>,
    /// The first frame of the newest file: only there may be one that was written and not synced.
    newest: usize,
    /// The first generation that the newest file replaces, or its own, if there is a file.
    replaces: Option<u64>,
    /// The length of the frames.
    bytes: u64,
}

/// Reads the files from the checkpoint's on, as far as they are before the generation `end`.
fn read_tail(disk: &dyn Disk, all: &[OldFile], checkpoint: &Manifest, end: u64) -> Result<Tail> {
    let range = checkpoint.generation..end;
    let mut files: Vec<OldFile> = all.iter().filter(|file| range.contains(&file.generation)).cloned().collect();
    // A file in the place of others counts alone, even if these are still there.
    for file in files.clone() {
        if let Some(head) = file::head(disk, &file)? {
            files.retain(|other| !(head.replaces..file.generation).contains(&other.generation));
        }
    }
    let mut tail = Tail::default();
    for (index, file) in files.iter().enumerate() {
        let contents = file::read(disk, file, index + 1 == files.len())?;
        tail.newest = tail.frames.len();
        tail.replaces = Some(contents.head.map_or(file.generation, |head| head.replaces));
        let last = tail.frames.last().map_or(0, |frame| frame.round).max(checkpoint.round);
        if contents.head.is_some_and(|head| head.behind > last) {
            return Err(missing(last + 1, file.path.display()));
        }
        tail.bytes += contents.bytes;
        tail.frames.extend(contents.frames);
    }
    let known = tail.frames.iter().take_while(|frame| frame.round <= checkpoint.round).count();
    tail.frames.drain(..known);
    tail.newest = tail.newest.saturating_sub(known);
    check_order(&tail.frames, checkpoint.round)?;
    Ok(tail)
}

/// The changes of a query's state behind a checkpoint, epoch by epoch, from the journal files before the generation `end`.
pub fn changes(disk: &dyn Disk, data: &Path, checkpoint: &Manifest, end: u64, query: u64) -> Result<Vec<Vec<u8>>> {
    let tail = read_tail(disk, &file::list(disk, &folder(data))?, checkpoint, end)?;
    let own = |entry| match entry {
        FrameEntry::Epoch { head, delta, .. } if head.query == query => Some(delta),
        _ => None,
    };
    Ok(tail.frames.into_iter().flat_map(|frame| frame.entries).filter_map(own).collect())
}

/// Rounds follow each other without a gap: each was durable before the next was begun.
fn check_order(frames: &[Frame], checkpoint: u64) -> Result<()> {
    for (index, frame) in frames.iter().enumerate() {
        let expected = checkpoint + 1 + index as u64;
        if frame.round != expected {
            return Err(missing(expected, format_args!("round {}", frame.round)));
        }
    }
    Ok(())
}

fn missing(round: u64, there: impl fmt::Display) -> Error {
    let message = format!("the journal is corrupt: round {round} is missing, {there} is there");
    Error::backend(message).hint("restore the folder from a backup")
}

/// The frames as bytes of a file with this mark.
fn encode(frames: &[Frame], mark: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    for frame in frames {
        let mut writer = FrameWriter::new(frame.round, Vec::new());
        for entry in &frame.entries {
            match entry {
                FrameEntry::Epoch { head, delta, written } => writer.epoch(head, delta, written),
                FrameEntry::Append { written } => writer.append(written),
                FrameEntry::Command { command, resolved } => writer.command(command, resolved),
            }
        }
        bytes.extend_from_slice(writer.seal(mark));
    }
    bytes
}

impl Recovered {
    /// The checkpoint that was found, of nothing if there was none.
    pub fn checkpoint(&self) -> &Manifest {
        &self.manifest
    }

    /// Brings the partitions of the log, which has all topics that are still there, to their decided ends, and goes on: the
    /// journal, and where each query stands. Entries of topics and queries that are gone are skipped.
    pub fn finish(
        self,
        disk: Arc<dyn Disk>,
        data: &Path,
        settings: Settings,
        log: Arc<Log>,
        lives: &dyn Fn(u64) -> bool,
    ) -> Result<(Journal, BTreeMap<u64, RecoveredQuery>)> {
        let Recovered { manifest, frames, file, spares, bytes, .. } = self;
        let known = manifest.ends;
        let mut ends: BTreeMap<PartitionId, Place> = known.clone();
        let mut queries: BTreeMap<u64, RecoveredQuery> = BTreeMap::new();
        for query in manifest.queries.into_iter().filter(|q| lives(q.head.query)) {
            let number = query.head.query;
            let QueryState { head, buckets, changes } = query;
            let found = RecoveredQuery { head: Some(head), buckets, changes, deltas: Vec::new() };
            queries.insert(number, found);
        }
        let mut start = Start { round: manifest.round, version: manifest.version, heads: BTreeMap::new(), bytes };
        for frame in frames {
            start.round = frame.round;
            for entry in frame.entries {
                match entry {
                    FrameEntry::Command { command, .. } => start.version = command.version + 1,
                    FrameEntry::Append { written } => restore(&log, &written, &mut ends)?,
                    FrameEntry::Epoch { head, delta, written } => {
                        restore(&log, &written, &mut ends)?;
                        if lives(head.query) {
                            let query = queries.entry(head.query).or_default();
                            query.head = Some(head);
                            query.deltas.push(delta);
                        }
                    }
                }
            }
        }
        for partition in log.partitions() {
            partition.cut(ends.get(&partition.id).copied().unwrap_or(Place::START))?;
            let known = known.get(&partition.id).filter(|place| place.byte > 0);
            partition.sync_names(known.map(|place| place.segment))?;
        }
        let heads = queries.iter().filter_map(|(number, q)| q.head.clone().map(|head| (*number, head)));
        start.heads = heads.collect();
        Ok((Journal::new(disk, data, settings, log, (file, spares), start), queries))
    }
}

/// Writes what is missing of an entry's records, if their topic is still there.
fn restore(log: &Log, spans: &[Span], ends: &mut BTreeMap<PartitionId, Place>) -> Result<()> {
    for Span { written, inline, .. } in spans {
        let Ok(partition) = log.partition(written.partition) else { continue };
        if *inline {
            partition.restore(written.segment, written.byte, &written.bytes)?;
        } else if partition.segment_len(written.segment)? < written.end.byte {
            let message = format!(
                "segment {} of partition {} of topic {} is shorter than what was decided",
                written.segment, written.partition.partition, written.partition.topic
            );
            return Err(Error::backend(message).hint("restore the folder from a backup"));
        }
        ends.insert(written.partition, written.end);
    }
    Ok(())
}
