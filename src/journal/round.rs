//! A round: it writes the output of its entries and the frame that commits them.
//!
//! All state of the journal is changed in one place, after the sync of the frame. Until then a round only collects what
//! would follow from it. So a round that found no room is undone by cutting the segments back to their decided ends,
//! and the same entries can be tried again.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::entry::{Append, Compact, Decision, Entry, Epoch, EpochHead};
use super::file::{self, Head, JournalFile};
use super::frame::{FrameWriter, Span};
use super::recover::Home;
use super::spare::{Haste, Order, Spare, Spares};
use super::{Settings, folder};
use crate::disk::{Disk, SyncSite, is_full};
use crate::error::{Error, Result};
use crate::ids::{EpochNumber, Generation, QueryNumber, RoundNumber, TopicId, Version};
use crate::topics::PartitionId;
use crate::topics::log::{Compaction, Front, Layout, Log, Partition, Place, WriteFailure};
use crate::topics::record::RecordBatch;

/// The journal of a data folder.
pub struct Journal {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    settings: Settings,
    log: Arc<Log>,
    file: JournalFile,
    spares: Spares,
    /// The last decided round.
    round: RoundNumber,
    /// Counts the commands; a command that was validated at another number is refused.
    version: Version,
    /// The last decided epoch of every query.
    ///
    /// Queries that have ended are not in it.
    heads: BTreeMap<QueryNumber, EpochHead>,
    /// Queries that have ended since the start of the process. Their later epochs are refused.
    ended: HashSet<QueryNumber>,
    dropped: HashSet<TopicId>,
    meter: Arc<Meter>,
    /// Memory for the next frame.
    scratch: Vec<u8>,
}

/// Figures of a journal that can be read without waiting for its rounds.
///
/// The figures may lag by one round.
#[derive(Debug, Default)]
pub struct Meter {
    bytes: AtomicU64,
    wants_spare: AtomicBool,
}

impl Meter {
    /// The bytes of journal since the last checkpoint.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether a spare file is to be made.
    pub fn wants_spare(&self) -> bool {
        self.wants_spare.load(Ordering::Relaxed)
    }
}

/// Why a round was not decided.
#[derive(Debug)]
pub enum RoundError {
    /// The disk is full; everything that the round wrote was undone.
    ///
    /// The disk's own message.
    Full(String),
    /// It is unknown what is durable: the process must end and recover.
    ///
    /// The journal must not be used any more.
    Fatal(Error),
}

/// The state of the journal at a decided round, for a checkpoint.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The last decided round.
    pub round: RoundNumber,
    /// The number of commands up to that round.
    pub version: Version,
    /// The last decided epoch of every query that has not ended.
    pub heads: BTreeMap<QueryNumber, EpochHead>,
    /// The decided end of every partition.
    pub ends: BTreeMap<PartitionId, Place>,
    /// What of partitions was deleted and compacted; those of which nothing was are left out.
    pub layouts: BTreeMap<PartitionId, Layout>,
    /// The bytes of journal up to here since the last checkpoint.
    pub bytes: u64,
    /// Journal files of earlier generations hold only rounds up to this one.
    pub generation: Generation,
}

/// Where a journal starts: what recovery found decided.
pub struct Start {
    /// The last decided round.
    pub round: RoundNumber,
    /// The number of commands up to that round.
    pub version: Version,
    /// The last decided epoch of every query that still exists.
    pub heads: BTreeMap<QueryNumber, EpochHead>,
    /// The bytes of journal since the last checkpoint.
    pub bytes: u64,
}

impl Journal {
    /// A journal that continues after recovery, in `file`.
    pub fn new(home: Home, log: Arc<Log>, (file, spares): (JournalFile, Spares), start: Start) -> Self {
        Journal {
            dir: folder(&home.data),
            disk: home.disk,
            settings: home.settings,
            log,
            file,
            spares,
            round: start.round,
            version: start.version,
            heads: start.heads,
            ended: HashSet::new(),
            dropped: HashSet::new(),
            meter: Arc::new(Meter { bytes: AtomicU64::new(start.bytes), wants_spare: AtomicBool::new(true) }),
            scratch: Vec::new(),
        }
    }

    /// The last decided epoch of a query.
    pub fn head(&self, query: QueryNumber) -> Option<&EpochHead> {
        self.heads.get(&query)
    }

    /// The number of commands so far.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The last decided round.
    pub fn round(&self) -> RoundNumber {
        self.round
    }

    /// Figures that can be read without waiting for rounds.
    pub fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    /// Commits all entries except those that must be refused. Returns the outcome of each, in their order. After
    /// [`RoundError::Full`] nothing has changed, and the same entries may be tried again.
    ///
    /// The outcomes are final when this returns. `entries` are changed: batches get their offsets.
    pub fn commit(&mut self, entries: &mut [Entry]) -> Result<Vec<Decision>, RoundError> {
        let mut round = Round { version: self.version, ..Round::default() };
        let done = entries.iter_mut().try_for_each(|entry| self.write(entry, &mut round));
        let done = done.and_then(|()| self.trim(entries, &mut round));
        let done = done.and_then(|()| self.sync_segments(&round)).and_then(|()| self.write_frame(entries, &mut round));
        match done {
            Ok(()) => {
                self.decide(&mut round);
                Ok(round.fates.into_iter().map(Fate::into_decision).collect())
            }
            Err(WriteFailure::Undo(error)) if is_full(&error) => {
                for (partition, _) in round.touched.values() {
                    partition.undo().map_err(|e| RoundError::Fatal(e.into()))?;
                }
                Err(RoundError::Full(error.to_string()))
            }
            Err(WriteFailure::Undo(error) | WriteFailure::Fatal(error)) => Err(RoundError::Fatal(error.into())),
        }
    }

    /// Writes the output of an entry to the segments.
    ///
    /// Entries see what those before them in the round do: an epoch after its query's end is refused, a command after
    /// another one too.
    fn write(&self, entry: &mut Entry, round: &mut Round) -> Result<(), WriteFailure> {
        let fate = match entry {
            Entry::Epoch(epoch) if self.is_ended(epoch.head.query, round) => Fate::Ended,
            Entry::Epoch(Epoch { outputs: batches, .. }) | Entry::Append(Append { batches })
                if batches.iter().any(|(p, _)| self.is_dropped(p.topic, round)) =>
            {
                Fate::Ended
            }
            Entry::Epoch(epoch) if !self.follows(&epoch.head, round) => Fate::Gap,
            Entry::Epoch(epoch) => {
                round.heads.insert(epoch.head.query, epoch.head.clone());
                // The entry keeps the others: it is tried again if the round that drops their topic finds no room.
                let mut all: Vec<_> = epoch.outputs.iter_mut().chain(&mut epoch.asides).collect();
                all.retain(|(partition, _)| !self.is_dropped(partition.topic, round));
                Fate::Wrote(self.write_batches(all, round)?)
            }
            Entry::Append(append) => Fate::Wrote(self.write_batches(&mut append.batches, round)?),
            Entry::Command(command) if command.version != round.version => Fate::Changed,
            Entry::Command(command) => {
                round.version = round.version.next();
                round.ended.extend(&command.ends);
                round.dropped.extend(&command.drops);
                let end = |id: &PartitionId| Ok(self.partition(*id)?.written().offset);
                Fate::Resolved(command.resolve.iter().map(end).collect::<Result<_, WriteFailure>>()?)
            }
            Entry::Trim(trim) if trim.before.iter().any(|(p, _)| self.is_dropped(p.topic, round)) => Fate::Ended,
            Entry::Trim(_) => Fate::Trimmed(Vec::new()),
            Entry::Compact(compact) => self.compact(compact, round)?,
        };
        round.fates.push(fate);
        Ok(())
    }

    /// Whether a file may take the place of segments: they are still what it was made of, and nobody else needs them.
    fn compact(&self, compact: &Compact, round: &mut Round) -> Result<Fate, WriteFailure> {
        let Compact { version, compaction } = compact;
        if self.is_dropped(compaction.partition.topic, round) {
            return Ok(Fate::Ended);
        }
        let partition = self.partition(compaction.partition)?;
        let is_first = round.compacted.iter().all(|(_, other)| other.partition != compaction.partition);
        if *version != round.version || !is_first || !partition.can_replace(compaction) {
            return Ok(Fate::Changed);
        }
        round.compacted.push((partition, *compaction));
        Ok(Fate::Compacted)
    }

    /// Finds out where partitions begin after the round. All records of the round are written: nothing comes after a
    /// segment that goes here.
    fn trim(&self, entries: &[Entry], round: &mut Round) -> Result<(), WriteFailure> {
        for (entry, fate) in entries.iter().zip(&mut round.fates) {
            let (Entry::Trim(trim), Fate::Trimmed(fronts)) = (entry, fate) else { continue };
            for (id, before) in &trim.before {
                let partition = self.partition(*id)?;
                let mut front = partition.front_at(*before);
                // The segment may lose its place in this round.
                let taken = round.compacted.iter().filter(|(_, compaction)| compaction.partition == *id);
                let taken = taken.filter(|(_, own)| (own.first..own.compacted.end).contains(&front.segment));
                front.segment = taken.map(|(_, own)| own.first).next().unwrap_or(front.segment);
                fronts.push((*id, front));
                round.trimmed.push((partition, front));
            }
        }
        Ok(())
    }

    /// Whether this epoch directly follows the query's last one. The one before it may have been refused on a full
    /// disk.
    ///
    /// A query without an epoch begins with number 1.
    fn follows(&self, head: &EpochHead, round: &Round) -> bool {
        let last = round.heads.get(&head.query).or_else(|| self.heads.get(&head.query));
        head.number == last.map_or(EpochNumber::default(), |last| last.number).next()
    }

    /// Whether a query has ended, in an earlier round or earlier in this one.
    fn is_ended(&self, query: QueryNumber, round: &Round) -> bool {
        self.ended.contains(&query) || round.ended.contains(&query)
    }

    /// Whether a topic was dropped, in an earlier round or earlier in this one.
    fn is_dropped(&self, topic: TopicId, round: &Round) -> bool {
        self.dropped.contains(&topic) || round.dropped.contains(&topic)
    }

    /// The partition of the log; a missing one is fatal, since its topic exists.
    fn partition(&self, id: PartitionId) -> Result<Arc<Partition>, WriteFailure> {
        self.log.partition(id).map_err(|e| WriteFailure::Fatal(std::io::Error::other(e)))
    }

    /// Appends batches to their partitions and notes how many bytes each got. All spans are inline until
    /// [`Journal::write_frame`] decides.
    fn write_batches<'b>(
        &self,
        batches: impl IntoIterator<Item = &'b mut (PartitionId, RecordBatch)>,
        round: &mut Round,
    ) -> Result<Vec<Span>, WriteFailure> {
        let mut spans = Vec::new();
        for (id, batch) in batches {
            let partition = self.partition(*id)?;
            let touched = round.touched.entry(*id).or_insert_with(|| (partition.clone(), 0));
            let written = partition.write(batch)?;
            touched.1 += written.bytes.len();
            spans.push(Span { written, inline: true });
        }
        Ok(spans)
    }

    /// Syncs the segments with much new data, whose records the frame does not repeat.
    ///
    /// Before the frame, which relies on them.
    fn sync_segments(&self, round: &Round) -> Result<(), WriteFailure> {
        for (partition, bytes) in round.touched.values() {
            if *bytes > self.settings.inline_bytes {
                partition.sync(SyncSite::RoundSegment).map_err(WriteFailure::Fatal)?;
            }
        }
        Ok(())
    }

    /// Writes the frame and syncs it: that is the commit.
    ///
    /// If all entries were refused, nothing is written and no round is counted.
    fn write_frame(&mut self, entries: &[Entry], round: &mut Round) -> Result<(), WriteFailure> {
        let most = self.settings.inline_bytes;
        let mut frame = FrameWriter::new(self.round.next(), std::mem::take(&mut self.scratch));
        for (entry, fate) in entries.iter().zip(&mut round.fates) {
            if let Fate::Wrote(spans) = fate {
                for span in spans.iter_mut() {
                    span.inline = round.touched.get(&span.written.partition).is_none_or(|(_, bytes)| *bytes <= most);
                }
            }
            match (entry, fate) {
                (Entry::Epoch(epoch), Fate::Wrote(spans)) => frame.epoch(&epoch.head, &epoch.delta, spans),
                (Entry::Append(_), Fate::Wrote(spans)) => frame.append(spans),
                (Entry::Command(command), Fate::Resolved(ends)) => frame.command(command, ends),
                (Entry::Compact(compact), Fate::Compacted) => frame.compact(&compact.compaction),
                (Entry::Trim(_), Fate::Trimmed(fronts)) => frame.trim(fronts),
                _ => {}
            }
        }
        if !frame.is_empty() {
            let length = frame.len();
            let may_use_all = entries.iter().all(Entry::frees_room);
            let has_room = self.file.has_room(length, may_use_all);
            if !may_use_all {
                // One spare stays: a checkpoint needs it, even if the disk is full.
                self.spares.have(if has_room { 1 } else { 2 }).map_err(WriteFailure::Undo)?;
            }
            if !has_room {
                self.next_file(file::size_for(length)).map_err(WriteFailure::Undo)?;
            }
            self.file.append(frame.seal(self.file.head.mark)).map_err(WriteFailure::Undo)?;
            self.file.sync(SyncSite::JournalFrame).map_err(WriteFailure::Fatal)?;
            self.meter.bytes.fetch_add(length as u64, Ordering::Relaxed);
            round.wrote_frame = true;
        }
        self.scratch = frame.into_bytes();
        Ok(())
    }

    /// Makes everything in the frame take effect.
    ///
    /// Cannot fail. Readers see the records from here on.
    fn decide(&mut self, round: &mut Round) {
        if round.wrote_frame {
            self.round = self.round.next();
        }
        self.version = round.version;
        self.ended.extend(&round.ended);
        self.dropped.extend(&round.dropped);
        self.heads.append(&mut round.heads);
        for query in &round.ended {
            self.heads.remove(query);
        }
        round.touched.values().for_each(|(partition, _)| partition.decide());
        round.compacted.iter().for_each(|(partition, compaction)| partition.replace(compaction));
        round.trimmed.iter().for_each(|(partition, front)| partition.advance(*front));
    }

    /// Starts the next file, with room for a frame of `size` bytes.
    fn next_file(&mut self, size: u64) -> std::io::Result<()> {
        if self.file.is_empty() {
            // Its name is durable but its head may not be, and only the newest file may lack a head.
            self.file.sync(SyncSite::EmptyJournalFile)?;
        }
        let head = Head::new(self.file.head.generation.next(), self.round, self.settings.seed);
        let size = self.settings.file_bytes.max(size);
        self.file = JournalFile::create(self.disk.as_ref(), &self.dir, &mut self.spares, head, size)?;
        self.meter.wants_spare.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Whether a spare is needed now.
    ///
    /// `Now` when more than half of the file is used.
    pub fn needs_spare(&self) -> Haste {
        if self.file.is_half_full() { Haste::Now } else { Haste::No }
    }

    /// A spare file that is to be made, if one is wanted.
    pub fn spare_order(&mut self) -> Option<Order> {
        let order = self.spares.order();
        self.meter.wants_spare.store(order.is_some(), Ordering::Relaxed);
        order
    }

    /// Takes a spare that was made.
    pub fn add_spare(&mut self, spare: Spare) -> Result<()> {
        Ok(self.spares.add(spare)?)
    }

    /// The state at the last decided round, for a checkpoint. The next round goes to a new file, so that the checkpoint
    /// can drop all files before it.
    ///
    /// If the file has no frame yet, it serves, and no new one is begun.
    ///
    /// # Errors
    /// There is no room for the next file, or it cannot be made.
    pub fn snapshot(&mut self) -> Result<Snapshot> {
        if !self.file.is_empty() {
            // As in a round, one spare stays for the next file. On a full disk none need stay, since the checkpoint may
            // free room.
            match self.spares.have(2) {
                Err(error) if is_full(&error) => self.spares.have(1)?,
                other => other?,
            }
            self.next_file(0)?;
        }
        let generation = self.file.head.generation;
        // Frees the memory of a large round.
        self.scratch = Vec::new();
        let partitions = self.log.partitions();
        let layouts = partitions.iter().map(|p| (p.id, p.layout()));
        Ok(Snapshot {
            bytes: self.meter.bytes(),
            round: self.round,
            version: self.version,
            heads: self.heads.clone(),
            ends: partitions.iter().map(|p| (p.id, p.decided())).collect(),
            layouts: layouts.filter(|(_, layout)| *layout != Layout::default()).collect(),
            generation,
        })
    }

    /// Drops the files before a generation, which have `bytes` in total and which a checkpoint covers.
    ///
    /// They become spares, up to the number that is kept.
    ///
    /// # Errors
    /// A file cannot be renamed or removed.
    pub fn drop_before(&mut self, generation: Generation, bytes: u64) -> Result<()> {
        self.meter.bytes.fetch_sub(bytes.min(self.meter.bytes()), Ordering::Relaxed);
        drop_files(self.disk.as_ref(), &self.dir, &mut self.spares, generation)
    }
}

/// Recycles the journal files before a generation.
pub(super) fn drop_files(
    disk: &dyn Disk,
    dir: &std::path::Path,
    spares: &mut Spares,
    generation: Generation,
) -> Result<()> {
    for file in file::list(disk, dir)?.into_iter().filter(|file| file.generation < generation) {
        spares.recycle(&file.path)?;
    }
    Ok(())
}

/// A round in progress.
#[derive(Default)]
struct Round {
    fates: Vec<Fate>,
    /// The last epoch of every query that has one in the round.
    heads: BTreeMap<QueryNumber, EpochHead>,
    version: Version,
    ended: HashSet<QueryNumber>,
    dropped: HashSet<TopicId>,
    /// The partitions that were written to, and how many bytes each got.
    touched: BTreeMap<PartitionId, (Arc<Partition>, usize)>,
    /// Where partitions begin after the round; one may come several times.
    trimmed: Vec<(Arc<Partition>, Front)>,
    /// The files that take the place of segments.
    compacted: Vec<(Arc<Partition>, Compaction)>,
    wrote_frame: bool,
}

/// The outcome of an entry if the round is decided.
enum Fate {
    Wrote(Vec<Span>),
    Resolved(Vec<i64>),
    Trimmed(Vec<(PartitionId, Front)>),
    Compacted,
    Ended,
    Gap,
    Changed,
}

impl Fate {
    /// The decision, once the round is decided.
    fn into_decision(self) -> Decision {
        match self {
            Fate::Wrote(spans) => {
                Decision::Committed { offsets: spans.iter().map(|span| span.written.offset).collect() }
            }
            Fate::Resolved(offsets) => Decision::Committed { offsets },
            Fate::Trimmed(fronts) => {
                Decision::Committed { offsets: fronts.iter().map(|(_, front)| front.start).collect() }
            }
            Fate::Compacted => Decision::Committed { offsets: Vec::new() },
            Fate::Ended => Decision::Ended,
            Fate::Gap => Decision::Gap,
            Fate::Changed => Decision::Changed,
        }
    }
}
