//! Compaction: of records with the same key only the last one stays.
//!
//! Segments that are full, up to an offset, are read twice: once for the last offset of each key, of those that were not
//! compacted before; then all of them are written again without the records that a later one with their key has
//! replaced. A record without a value, a tombstone, stays for a while, so that readers hear of the deletion. Records keep
//! their offsets and batches their range, so that nobody's place changes. The newest segment is never compacted.
//!
//! ```text
//! step                                      what a crash after it leaves
//! new file written beside the old ones      a file that nothing names: removed by recovery
//! file and folder synced                    the same
//! frame with the new file synced            the new file, which has taken the place of the old ones; they are
//!                                           removed by recovery
//! place taken in memory, old files removed  the same
//! ```
//!
//! Small segments are put together. Earlier groups of segments come first: a key's older record is gone before its
//! tombstone goes.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use super::layout::Compacted;
use super::partition::Partition;
use super::segment::{self, FileId, Segment};
use crate::disk::{DiskFile, Open, SyncSite};
use crate::error::{Error, Result};
use crate::topics::compression::{self, Codec};
use crate::topics::record::{BatchHead, HEADER, Record, Records, is_intact, rewritten};
use crate::topics::{Offset, PartitionId};

/// About how many bytes of keys are compared at once; with more, a part is compacted and the rest the next time.
const KEY_BYTES: usize = 64 << 20;
/// What a key takes besides its bytes, about.
const ENTRY_BYTES: usize = 64;
/// How many bytes are read or written between two pauses.
const PIECE: usize = 1 << 20;

/// A file that is to take the place of segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compaction {
    /// The partition.
    pub partition: PartitionId,
    /// The base offset of the first of the segments.
    pub first: Offset,
    /// The file, and where the segments end.
    pub compacted: Compacted,
}

/// How a compaction is done.
pub struct Work<'a> {
    /// The time, in ms since the epoch.
    pub now_ms: i64,
    /// Up to here records may go: somebody may still read those after it again.
    pub until: Offset,
    /// Called between two pieces of work; an error gives up.
    pub pause: &'a dyn Fn() -> Result<()>,
    /// Has a compaction decided; whether it was.
    pub decide: &'a dyn Fn(Compaction) -> Result<bool>,
}

/// What is compacted together.
struct Plan {
    segments: Vec<(Arc<Segment>, Offset)>,
    /// How many of them were compacted before.
    clean: usize,
}

impl Partition {
    /// Whether its topic is compacted.
    pub fn is_compacted(&self) -> bool {
        self.settings().compacts
    }

    /// Compacts what has become worth it by the topic's settings; whether there was anything.
    ///
    /// # Errors
    /// A segment cannot be read or is damaged, the disk is full, or `pause` or `decide` returned an error.
    pub fn compact(&self, work: &Work) -> Result<bool> {
        let Some(mut plan) = self.plan(work)? else { return Ok(false) };
        let (latest, covered) = latest(&plan.segments[plan.clean..], work)?;
        plan.segments.truncate(plan.clean + covered);
        let most_bytes = self.segment_bytes();
        let mut rest = &plan.segments[..];
        while !rest.is_empty() {
            let (mut count, mut bytes) = (1, rest[0].0.len()?);
            while let Some((next, _)) = rest.get(count) {
                bytes += next.len()?;
                if bytes > most_bytes {
                    break;
                }
                count += 1;
            }
            let (group, others) = rest.split_at(count);
            let is_clean = plan.segments.len() - rest.len() + count <= plan.clean;
            if !self.compact_group(group, is_clean && count == 1, &latest, work)? {
                break;
            }
            rest = others;
        }
        Ok(true)
    }

    /// The full segments up to where records may go, if so much of them was not compacted before that it is worth it.
    fn plan(&self, work: &Work) -> Result<Option<Plan>> {
        let settings = self.settings();
        if !settings.compacts {
            return Ok(None);
        }
        let (segments, decided) = self.decided_segments();
        let clean_to = self.layout().compacted_to().unwrap_or_default();
        let nexts: Vec<Offset> = segments.iter().skip(1).map(|segment| segment.base).collect();
        let (mut plan, mut bytes) = (Plan { segments: Vec::new(), clean: 0 }, [0, 0]);
        for (segment, next) in segments.into_iter().zip(nexts) {
            let is_clean = next <= clean_to;
            let length = segment.len()?;
            let youngest = work.now_ms.saturating_sub(settings.compaction_lag_ms);
            if next > work.until || segment.base >= decided.segment {
                break;
            }
            if !is_clean && segment.max_time(length)? > youngest && settings.compaction_lag_ms > 0 {
                break;
            }
            plan.clean += usize::from(is_clean);
            bytes[usize::from(is_clean)] += length;
            plan.segments.push((segment, next));
        }
        let [dirty, clean] = bytes.map(|bytes| bytes as f64);
        Ok((dirty > 0.0 && dirty / (dirty + clean) >= settings.dirty_ratio).then_some(plan))
    }

    /// Compacts segments into one file; `false` if they are others by now. `may_stay` is whether they need no new file if
    /// nothing of them goes.
    fn compact_group(
        &self,
        group: &[(Arc<Segment>, Offset)],
        may_stay: bool,
        latest: &Latest,
        work: &Work,
    ) -> Result<bool> {
        let (Some((first, _)), Some((_, end))) = (group.first(), group.last()) else { return Ok(true) };
        let id = (first.base, self.take_generation());
        let written = self.write_group(group, id, latest, work).inspect_err(|_| {
            // One that cannot be removed either is removed by the next start.
            let _ = self.remove_new(id);
        });
        let (length, has_changed) = written?;
        if may_stay && !has_changed {
            return self.remove_new(id).map(|()| true);
        }
        let compacted = Compacted { end: *end, generation: id.1, length };
        // After an error nobody knows whether it was decided: the engine ends, and the next start finds out.
        let is_decided = (work.decide)(Compaction { partition: self.id, first: first.base, compacted })?;
        if !is_decided {
            self.remove_new(id)?;
        }
        Ok(is_decided)
    }

    /// Writes what stays of segments to a new file and makes it durable: its length, and whether anything goes.
    fn write_group(
        &self,
        group: &[(Arc<Segment>, Offset)],
        id: FileId,
        latest: &Latest,
        work: &Work,
    ) -> Result<(u64, bool)> {
        let file = self.handles.file(self.dir.join(segment::file_name(id)), Open::New)?;
        let mut out = Out { file: file.as_ref(), waiting: Vec::new(), length: 0 };
        let filter = Filter {
            latest,
            start: self.front().start,
            now_ms: work.now_ms,
            horizon_ms: work.now_ms.saturating_add(self.settings().delete_retention_ms),
        };
        let mut has_changed = false;
        for (segment, _) in group {
            each_batch(segment, work, &mut |head, batch, plain| {
                match filter.apply(head, plain)? {
                    Filtered::Same => out.push(batch)?,
                    Filtered::Other(None) => has_changed = true,
                    Filtered::Other(Some(fewer)) => {
                        has_changed = true;
                        let codec = Codec::of(head.codec);
                        let small = codec.map(|codec| compression::compressed(&fewer, codec)).transpose()?.flatten();
                        out.push(small.as_deref().unwrap_or(&fewer))?;
                    }
                }
                Ok(())
            })?;
        }
        out.flush()?;
        let length = out.length;
        file.sync(SyncSite::CompactedSegment)?;
        self.handles.disk().sync_dir(&self.dir, SyncSite::CompactedDirectory)?;
        Ok((length, has_changed))
    }

    /// Removes a file that took nobody's place.
    fn remove_new(&self, id: FileId) -> Result<()> {
        Ok(self.handles.disk().remove_file(&self.dir.join(segment::file_name(id)))?)
    }

    fn take_generation(&self) -> u64 {
        let mut state = self.lock();
        state.next_generation += 1;
        state.next_generation - 1
    }

    /// Whether the segments are still those that the file was made of.
    pub fn can_replace(&self, compaction: &Compaction) -> bool {
        let Compaction { first, compacted, .. } = compaction;
        let state = self.lock();
        let has = |base: Offset| state.segments.iter().any(|segment| segment.base == base);
        has(*first) && has(compacted.end) && compacted.end <= state.decided.segment
    }

    /// A file has taken the place of segments.
    ///
    /// Their files stay until [`Partition::remove_dead`].
    pub fn replace(&self, compaction: &Compaction) {
        let Compaction { first, compacted, .. } = compaction;
        let segment = Segment::open(&self.handles, &self.dir, (*first, compacted.generation), Open::Existing)
            .expect("a file that exists is opened with its first use");
        let mut state = self.lock();
        let place = |state: &super::partition::State, base: Offset| state.segments.partition_point(|s| s.base < base);
        let range = place(&state, *first)..place(&state, compacted.end);
        let gone: Vec<_> = state.segments.splice(range, [Arc::new(segment)]).map(|segment| segment.id()).collect();
        state.dirty.retain(|segment, _| !(*first..compacted.end).contains(segment));
        state.dead.extend(gone);
        state.layout.compact(*first, *compacted);
        state.layouts += 1;
        // What a query reads first from memory it must read again from the file after a restart.
        state.tail.clear();
    }
}

/// The last offset of each key.
type Latest = HashMap<Box<[u8]>, Offset>;

/// The last offset of each key in segments, and how many of them were read before there were too many keys.
fn latest(segments: &[(Arc<Segment>, Offset)], work: &Work) -> Result<(Latest, usize)> {
    let (mut latest, mut bytes) = (Latest::new(), 0);
    for (covered, (segment, _)) in segments.iter().enumerate() {
        if bytes > KEY_BYTES {
            return Ok((latest, covered));
        }
        each_batch(segment, work, &mut |head, _, plain| {
            let mut records = Records::new(plain, *head);
            while let Some(record) = records.next_record()? {
                let Some(key) = record.key else { continue };
                match latest.get_mut(key) {
                    Some(offset) => *offset = record.offset,
                    None => {
                        bytes += key.len() + ENTRY_BYTES;
                        latest.insert(key.into(), record.offset);
                    }
                }
            }
            Ok(())
        })?;
    }
    Ok((latest, segments.len()))
}

/// Calls `each` for all batches of a segment: with the head of the plain batch (but its codec), the batch as it lies in
/// the file, and the plain one.
fn each_batch(
    segment: &Segment,
    work: &Work,
    each: &mut dyn FnMut(&BatchHead, &[u8], &[u8]) -> Result<()>,
) -> Result<()> {
    let (end, mut byte, mut since) = (segment.len()?, 0, 0);
    while byte < end {
        let torn = || Error::backend(format!("segment {} breaks off at byte {byte}", segment.base));
        let head = BatchHead::parse_any(&segment.read(byte, HEADER)?)?.ok_or_else(torn)?;
        let batch = segment.read(byte, head.length)?;
        if batch.len() < head.length || !is_intact(&batch) {
            return Err(Error::backend(format!("the batch at offset {} is corrupt", head.base_offset)));
        }
        match head.codec {
            0 => each(&head, &batch, &batch)?,
            _ => each(&head, &batch, &compression::plain(&batch, &head)?)?,
        }
        byte += head.length as u64;
        since += head.length;
        if since >= PIECE {
            (work.pause)()?;
            since = 0;
        }
    }
    Ok(())
}

/// Which records stay.
struct Filter<'a> {
    latest: &'a Latest,
    /// Records before it were deleted.
    start: Offset,
    now_ms: i64,
    /// Until when tombstones stay that are seen for the first time.
    horizon_ms: i64,
}

/// What becomes of a batch.
enum Filtered {
    /// All of it stays.
    Same,
    /// It is another plain batch, or nothing.
    Other(Option<Vec<u8>>),
}

impl Filter<'_> {
    fn apply(&self, head: &BatchHead, plain: &[u8]) -> Result<Filtered> {
        let mut records = Records::new(plain, *head);
        let (mut kept, mut has_tombstones) = (Vec::new(), false);
        while let Some(record) = records.next_record()? {
            if self.stays(head, &record) {
                has_tombstones |= is_tombstone(&record);
                kept.push(record);
            }
        }
        let horizon_ms = head.horizon_ms.or_else(|| has_tombstones.then_some(self.horizon_ms));
        if kept.len() == head.records as usize && horizon_ms == head.horizon_ms {
            return Ok(Filtered::Same);
        }
        Ok(Filtered::Other((!kept.is_empty()).then(|| rewritten(&plain[..HEADER], head, &kept, horizon_ms))))
    }

    /// A record without a key has no later one.
    fn stays(&self, head: &BatchHead, record: &Record) -> bool {
        let is_over = is_tombstone(record) && head.horizon_ms.is_some_and(|horizon_ms| self.now_ms >= horizon_ms);
        let is_latest = |key| self.latest.get(key).is_none_or(|latest| record.offset >= *latest);
        record.offset >= self.start && !is_over && record.key.is_none_or(is_latest)
    }
}

/// Whether a record says that its key is gone.
fn is_tombstone(record: &Record) -> bool {
    record.key.is_some() && record.value.is_none()
}

/// A file that is written from front to back.
struct Out<'a> {
    file: &'a dyn DiskFile,
    waiting: Vec<u8>,
    /// What was written, and waits.
    length: u64,
}

impl Out<'_> {
    fn push(&mut self, batch: &[u8]) -> io::Result<()> {
        self.waiting.extend_from_slice(batch);
        self.length += batch.len() as u64;
        if self.waiting.len() >= PIECE { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_at(&self.waiting, self.length - self.waiting.len() as u64)?;
        self.waiting.clear();
        Ok(())
    }
}
