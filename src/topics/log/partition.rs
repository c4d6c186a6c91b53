//! A partition of the embedded log: its segments, how far they are decided, and the batches that were decided last.
//!
//! Bytes of a partition, from the front: decided ones, which never change, and then those of the round in flight.
//! Readers get the first only. A round that is not decided is undone by cutting the second off.
//!
//! Only the newest segment has unsynced bytes in normal work: a segment is synced before its successor is made. So
//! recovery never finds a hole between two segments.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard};

use super::layout::Layout;
use super::segment::{self, FileId, Segment};
use super::tail::Tail;
use crate::disk::{Handles, Open, SyncSite};
use crate::locks::lock;
use crate::topics::record::{BatchHead, RecordBatch};
use crate::topics::settings::TopicSettings;
use crate::topics::{Offset, PartitionId};

/// The place after a batch: the segment, the byte in it, and the next offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The base offset of the segment.
    pub segment: Offset,
    /// The byte in the segment.
    pub byte: u64,
    /// The offset of the next record.
    pub offset: Offset,
}

impl Place {
    /// The place in a partition that has never had a record.
    ///
    /// Also that of a partition whose records were all removed by a cut.
    pub const START: Place = Place::empty_at(0);

    /// The place in a partition without segments whose next record has this offset.
    ///
    /// No other place has the byte 0: a segment that is named has a batch.
    pub const fn empty_at(offset: Offset) -> Place {
        Place { segment: offset, byte: 0, offset }
    }
}

/// Bytes that were written: where, and at which offsets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The partition that was written to.
    pub partition: PartitionId,
    /// The base offset of the segment.
    pub segment: Offset,
    /// The first byte in the segment.
    pub byte: u64,
    /// The offset of the first record.
    pub offset: Offset,
    /// The bytes: one record batch with its offset.
    ///
    /// Shared with the journal, which may repeat them in its frame, and with readers at the end.
    pub bytes: Arc<Vec<u8>>,
    /// The place after the bytes.
    pub end: Place,
}

/// Why a write did not happen.
#[derive(Debug)]
pub enum WriteFailure {
    /// A write failed; writes since the last decision can be undone.
    Undo(io::Error),
    /// A sync failed; it is unknown what is durable.
    ///
    /// The process must end and recover.
    Fatal(io::Error),
}

/// A partition.
pub struct Partition {
    /// Which partition it is.
    pub id: PartitionId,
    pub(super) dir: PathBuf,
    pub(super) handles: Arc<Handles>,
    /// The size of a segment where the topic's settings do not say.
    segment_bytes: u64,
    state: Mutex<State>,
}

/// What changes while the log is used.
pub(super) struct State {
    settings: Arc<TopicSettings>,
    pub(super) layout: Layout,
    /// Counts the changes of the layout.
    pub(super) layouts: u64,
    /// By their base offsets; empty until something is written, and when everything was deleted.
    pub(super) segments: Vec<Arc<Segment>>,
    /// Files that are not part of the log any more and are still to be removed.
    pub(super) dead: Vec<FileId>,
    /// The generation of the next file that takes the place of others.
    pub(super) next_generation: u64,
    /// The decided end: readers see records up to here.
    ///
    /// Never goes back, except when recovery sets it.
    pub(super) decided: Place,
    /// The written end; after `decided` while a round is in flight.
    pub(super) written: Place,
    /// Batches written since the last decision, with their offsets, not compressed.
    undecided: Vec<(Offset, Arc<Vec<u8>>)>,
    pub(super) tail: Tail,
    /// Segments with unsynced bytes, each with the value of `writes` at its last write.
    ///
    /// A sync removes an entry only if nothing was written since it began.
    pub(super) dirty: BTreeMap<Offset, u64>,
    writes: u64,
}

impl State {
    /// Notes a write to a segment.
    fn wrote(&mut self, segment: Offset) {
        self.writes += 1;
        self.dirty.insert(segment, self.writes);
    }
}

impl Partition {
    /// Opens a partition with the files that its folder has. Where it has any, [`Partition::recover`] says which count,
    /// and [`Partition::cut`] sets the decided end. `tails` counts the bytes that all partitions keep in memory.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn open(
        handles: Arc<Handles>,
        tails: Arc<AtomicUsize>,
        (dir, id): (PathBuf, PartitionId),
        segment_bytes: u64,
    ) -> io::Result<Partition> {
        let mut segments = Vec::new();
        for id in handles.disk().names(&dir)?.iter().filter_map(|name| segment::parse_name(name)) {
            segments.push(Arc::new(Segment::open(&handles, &dir, id, Open::Existing)?));
        }
        let state = State {
            settings: Arc::default(),
            layout: Layout::default(),
            layouts: 0,
            segments,
            dead: Vec::new(),
            next_generation: 1,
            decided: Place::START,
            written: Place::START,
            undecided: Vec::new(),
            tail: Tail::new(tails),
            dirty: BTreeMap::new(),
            writes: 0,
        };
        Ok(Partition { id, dir, handles, segment_bytes, state: Mutex::new(state) })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // The state is changed only after everything that can fail, so a panic leaves it consistent.
        lock(&self.state)
    }

    /// The place after the last decided record.
    pub fn decided(&self) -> Place {
        self.lock().decided
    }

    /// The place after the last written record, decided or not.
    pub fn written(&self) -> Place {
        self.lock().written
    }

    /// Follows other settings of its topic from now on.
    pub fn configure(&self, settings: Arc<TopicSettings>) {
        self.lock().settings = settings;
    }

    /// The settings of its topic.
    pub(super) fn settings(&self) -> Arc<TopicSettings> {
        self.lock().settings.clone()
    }

    /// The size of a segment.
    pub(super) fn segment_bytes(&self) -> u64 {
        self.settings().segment_bytes.unwrap_or(self.segment_bytes)
    }

    /// The segments with decided records, and the decided end.
    pub(super) fn decided_segments(&self) -> (Vec<Arc<Segment>>, Place) {
        let state = self.lock();
        let mut segments = state.segments.clone();
        segments.retain(|segment| segment.base <= state.decided.segment);
        (segments, state.decided)
    }

    /// Gives a batch its offset and appends it. After [`WriteFailure::Undo`] the caller must call [`Partition::undo`].
    ///
    /// The bytes are in the file and not durable; readers do not see them.
    ///
    /// # Errors
    /// [`WriteFailure`] says whether the write can be undone.
    pub fn write(&self, batch: &mut RecordBatch) -> Result<Written, WriteFailure> {
        let mut state = self.lock();
        batch.set_base_offset(state.written.offset);
        let bytes = batch.bytes().clone();
        if state.segments.is_empty() || self.is_full(&state, &bytes).map_err(WriteFailure::Undo)? {
            self.roll(&mut state)?;
        }
        let start = state.written;
        let no_segment = || WriteFailure::Undo(io::Error::other("no segment to write to"));
        let segment = state.segments.last().ok_or_else(no_segment)?.clone();
        segment.write(&bytes, start.byte).map_err(WriteFailure::Undo)?;
        state.written.byte += bytes.len() as u64;
        state.written.offset += i64::from(batch.records());
        state.wrote(start.segment);
        state.undecided.push((start.offset, batch.plain().clone()));
        let (segment, byte, end) = (start.segment, start.byte, state.written);
        Ok(Written { partition: self.id, segment, byte, offset: start.offset, bytes, end })
    }

    /// Whether a batch needs another segment, for its size or its time.
    fn is_full(&self, state: &State, batch: &[u8]) -> io::Result<bool> {
        let Some(last) = state.segments.last().filter(|_| state.written.byte > 0) else { return Ok(false) };
        if state.written.byte + batch.len() as u64 > state.settings.segment_bytes.unwrap_or(self.segment_bytes) {
            return Ok(true);
        }
        let Some(most) = state.settings.segment_ms else { return Ok(false) };
        let head = BatchHead::parse_any(batch).map_err(io::Error::other)?;
        let first = last.first_time().map_err(io::Error::other)?;
        Ok(head.zip(first).is_some_and(|(head, first)| head.max_time.saturating_sub(first) > most))
    }

    /// Starts a new segment. The one before is synced first, so that only the last segment has unsynced bytes.
    ///
    /// The name of the new segment is durable before anything is written to it.
    fn roll(&self, state: &mut State) -> Result<(), WriteFailure> {
        if let Some(last) = state.segments.last().cloned() {
            last.sync(SyncSite::SealedSegment).map_err(WriteFailure::Fatal)?;
            state.dirty.remove(&last.base);
        }
        let base = state.written.offset;
        let segment = Segment::open(&self.handles, &self.dir, (base, 0), Open::New).map_err(WriteFailure::Undo)?;
        self.handles.disk().sync_dir(&self.dir, SyncSite::SegmentDirectory).map_err(WriteFailure::Fatal)?;
        state.segments.push(Arc::new(segment));
        state.written = Place { segment: base, byte: 0, offset: base };
        Ok(())
    }

    /// The files with the records before a decided place. Of the last one, which still grows, only so many bytes count.
    pub fn files_before(&self, end: Place) -> Vec<(PathBuf, Option<u64>)> {
        let state = self.lock();
        let ids = state.segments.iter().map(|s| s.id()).filter(|(base, _)| end.byte > 0 && *base <= end.segment);
        let bytes = |base| (base == end.segment).then_some(end.byte);
        ids.map(|id| (self.dir.join(segment::file_name(id)), bytes(id.0))).collect()
    }

    /// Makes what was written durable.
    ///
    /// Writers are not held up: the lock is not held while the disk works.
    ///
    /// # Errors
    /// A segment cannot be synced: it is unknown what is durable.
    pub fn sync(&self, site: SyncSite) -> io::Result<()> {
        let dirty: Vec<(Arc<Segment>, u64)> = {
            let state = self.lock();
            state.segments.iter().filter_map(|s| Some((s.clone(), *state.dirty.get(&s.base)?))).collect()
        };
        for (segment, writes) in dirty {
            match segment.sync(site) {
                // It was deleted meanwhile: there is nothing left to be made durable.
                Err(error) if error.kind() == io::ErrorKind::NotFound && !self.has(&segment) => {}
                synced => synced?,
            }
            // Bytes written meanwhile still need a sync.
            let mut state = self.lock();
            if state.dirty.get(&segment.base) == Some(&writes) {
                state.dirty.remove(&segment.base);
            }
        }
        Ok(())
    }

    /// Makes everything written so far visible to readers.
    ///
    /// Called after the sync of the frame. Costs no disk access.
    pub fn decide(&self) {
        let mut state = self.lock();
        state.decided = state.written;
        for (offset, bytes) in std::mem::take(&mut state.undecided) {
            state.tail.push(offset, bytes);
        }
    }

    /// Undoes writes since the last decision.
    ///
    /// Used on a full disk; readers at the end lose their memory and read from the file.
    ///
    /// # Errors
    /// A segment cannot be cut.
    pub fn undo(&self) -> io::Result<()> {
        let decided = self.decided();
        self.cut(decided)
    }

    /// Cuts everything after a place, which becomes the decided end. The place is the end of a batch, or one without a
    /// segment ([`Place::empty_at`]).
    ///
    /// Whole segments after the place are removed, the newest first.
    ///
    /// # Errors
    /// The segment of the place is missing or too short, or cannot be cut.
    pub fn cut(&self, place: Place) -> io::Result<()> {
        let mut state = self.lock();
        while let Some(last) = state.segments.last().filter(|s| s.base > place.segment || place.byte == 0) {
            self.handles.disk().remove_file(&self.dir.join(segment::file_name(last.id())))?;
            state.segments.pop();
        }
        match state.segments.last() {
            Some(last) if last.base == place.segment => {
                if last.len()? < place.byte {
                    let message = format!("{}: segment {} is shorter than what was decided", self.id, last.base);
                    return Err(io::Error::new(io::ErrorKind::InvalidData, message));
                }
                last.truncate(place.byte)?;
            }
            _ if place.byte > 0 => {
                let message = format!("{}: segment {} is missing", self.id, place.segment);
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
            _ => {}
        }
        state.decided = place;
        state.written = place;
        state.dirty.retain(|segment, _| *segment <= place.segment);
        state.undecided.clear();
        state.tail.clear();
        Ok(())
    }

    /// Writes bytes of a decided round at their place. Recovery does this in the order of the rounds and syncs the
    /// names afterwards. Bytes are written even if they can be read there: after a failed sync they may be in the page
    /// cache only, and no later sync would write them.
    ///
    /// Nothing is synced here; the next checkpoint or the closing of the file does it.
    ///
    /// # Errors
    /// The segment cannot be made or written.
    pub fn restore(&self, segment: Offset, byte: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.lock();
        if !state.segments.iter().any(|s| s.base == segment) {
            let made = Segment::open(&self.handles, &self.dir, (segment, 0), Open::New)?;
            state.segments.push(Arc::new(made));
            state.segments.sort_by_key(|s| s.base);
        }
        let found = state.segments.iter().find(|s| s.base == segment).cloned();
        let target = found.ok_or_else(|| io::Error::other("a segment was just made"))?;
        state.wrote(segment);
        target.write(bytes, byte)
    }

    /// Makes the names of the segments durable, unless none is newer than `known`, the last one that a checkpoint
    /// names. A newer one may have been made by recovery, or by a process that was killed before it synced the
    /// directory.
    ///
    /// # Errors
    /// The folder cannot be synced.
    pub fn sync_names(&self, known: Option<Offset>) -> io::Result<()> {
        let newer = self.lock().segments.iter().any(|s| known.is_none_or(|known| s.base > known));
        match newer {
            true => self.handles.disk().sync_dir(&self.dir, SyncSite::RecoveredSegmentDirectory),
            false => Ok(()),
        }
    }

    /// How many bytes a segment has; 0 if there is none.
    pub fn segment_len(&self, segment: Offset) -> io::Result<u64> {
        let found = self.lock().segments.iter().find(|s| s.base == segment).cloned();
        found.map_or(Ok(0), |s| s.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::double::{End, ForgetfulDisk};
    use crate::ids::TopicId;
    use crate::topics::record::BatchWriter;

    fn batch(times: &[i64]) -> RecordBatch {
        let mut writer = BatchWriter::new();
        times.iter().for_each(|time| writer.push(*time, None, Some(&[b'x'; 100]), &[]));
        writer.finish().expect("some records")
    }

    #[test]
    fn what_is_not_decided_has_no_time() {
        let disk = ForgetfulDisk::new(0).boot();
        let id = PartitionId { topic: TopicId::new(0), partition: 0 };
        let handles = Arc::new(Handles::new(disk, 1));
        let partition = Partition::open(handles, Arc::default(), (PathBuf::from("/"), id), 200).expect("a partition");
        partition.write(&mut batch(&[1])).expect("written");
        partition.decide();
        // Too much for the segment: it goes to the next one.
        partition.write(&mut batch(&[2, 100])).expect("written");
        assert_eq!(partition.offset_for_time(100).expect("readable"), 1, "the end of what is decided");
        partition.decide();
        assert_eq!(partition.offset_for_time(100).expect("readable"), 2);
    }

    #[test]
    fn all_segments_that_were_written_again_are_synced_and_not_only_the_last_one() {
        for seed in 0..20 {
            let machine = ForgetfulDisk::new(seed);
            let id = PartitionId { topic: TopicId::new(0), partition: 0 };
            let open = || {
                let handles = Arc::new(Handles::new(machine.boot(), 4));
                Partition::open(handles, Arc::default(), (PathBuf::from("/"), id), 200).expect("a partition")
            };
            let partition = open();
            // As a recovery does it with rounds whose segments are gone.
            let mut batches = [batch(&[1]), batch(&[2]), batch(&[3])];
            for (base, batch) in batches.iter_mut().enumerate() {
                batch.set_base_offset(base as Offset);
                partition.restore(base as Offset, 0, batch.bytes()).expect("written");
            }
            partition.sync_names(None).expect("synced");
            partition.sync(SyncSite::CheckpointSegment).expect("synced");
            machine.end(End::Cut);
            let length = batches[2].bytes().len() as u64;
            let partition = open();
            partition.cut(Place { segment: 2, byte: length, offset: 3 }).expect("all are there");
            for offset in 0..3 {
                let read = partition.read(offset, 1 << 20, &mut None, Vec::new());
                let bytes = read.unwrap_or_else(|error| panic!("seed {seed}, offset {offset}: {error}")).bytes;
                assert_eq!(bytes, *batches[offset as usize].bytes(), "seed {seed}, offset {offset}");
            }
        }
    }
}
