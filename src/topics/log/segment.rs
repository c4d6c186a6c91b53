//! A segment: a file of record batches, with a sparse index to find an offset or a time in it.
//!
//! The index has an entry for about every 64 KiB: the first offset of a batch, its byte, and the largest time of all
//! records before it. Both offset and that time never fall, so both are searched by halving; from the entry on, the
//! heads of batches are read until the right one is found. A segment that was written by this process is indexed
//! already; one of an earlier process is indexed as far as a question needs.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::disk::{self, DiskFile, Handles, Open, SyncSite};
use crate::error::{Error, Result};
use crate::locks::lock;
use crate::topics::Offset;
use crate::topics::record::{BatchHead, HEADER};

/// From one entry of the index to the next there are at least this many bytes.
const INDEX_BYTES: u64 = 64 << 10;
/// Bytes that are read at once where only the heads of batches are needed; few, since batches are mostly larger.
const SCAN_BYTES: usize = 8 << 10;

/// A file of a partition.
pub(super) struct Segment {
    /// The offset of its first record; if it was compacted, that of the first one that was there.
    pub base: Offset,
    /// 0 as it was written; more if it took the place of others.
    pub generation: u64,
    /// Opened when it is used and perhaps closed in between.
    file: Arc<dyn DiskFile>,
    /// The length of the file, or [`UNKNOWN`].
    length: AtomicU64,
    index: Mutex<Index>,
}

/// A length that was not asked for yet.
const UNKNOWN: u64 = u64::MAX;

/// Where batches start, at some distance from each other.
#[derive(Clone, Default)]
struct Index {
    entries: Vec<Entry>,
    /// Up to here the heads have been read.
    ///
    /// In bytes; always the border of two batches.
    scanned: u64,
    /// The largest time up to here. It may be too large after a cut, which costs a scan, and keeps records a little
    /// longer than they must be.
    max_time: i64,
    /// The largest time of the first batch, once it is known.
    first_time: Option<i64>,
}

impl Index {
    /// Adds the batch that starts where the index ends.
    ///
    /// Heads must come in their order.
    fn add(&mut self, head: &BatchHead) {
        let byte = self.scanned;
        if byte == 0 {
            self.first_time = Some(head.max_time);
        }
        if self.entries.last().is_none_or(|last| byte - last.byte >= INDEX_BYTES) {
            self.entries.push(Entry { offset: head.base_offset, byte, time_before: self.max_time });
        }
        self.max_time = self.max_time.max(head.max_time);
        self.scanned = byte + head.length as u64;
    }

    /// The byte of the last entry for which `before` holds; `before` must hold for the first entries and no others.
    ///
    /// 0 if it holds for none.
    fn last_where(&self, before: impl Fn(&Entry) -> bool) -> u64 {
        let after = self.entries.partition_point(before);
        after.checked_sub(1).map_or(0, |i| self.entries[i].byte)
    }
}

/// A batch that the index knows.
#[derive(Clone, Copy)]
struct Entry {
    offset: Offset,
    byte: u64,
    /// The largest time of the records before this batch.
    time_before: i64,
}

/// Which file of a partition it is: the base offset, and the generation.
pub(super) type FileId = (Offset, u64);

/// The name of a segment's file.
pub(super) fn file_name((base, generation): FileId) -> String {
    match generation {
        0 => format!("{base:020}.log"),
        _ => format!("{base:020}.{generation}.log"),
    }
}

/// The file that a name stands for.
///
/// `None` for a name that the log does not make.
pub(super) fn parse_name(name: &str) -> Option<FileId> {
    let stem = name.strip_suffix(".log")?;
    let (digits, generation) = stem.split_once('.').unwrap_or((stem, "0"));
    let id = (digits.parse().ok()?, generation.parse().ok()?);
    (file_name(id) == name).then_some(id)
}

impl Segment {
    /// A segment whose file exists and is opened when it is used, or is made.
    ///
    /// # Errors
    /// The file cannot be made, or it exists although it must not.
    pub(super) fn open(handles: &Handles, dir: &Path, id: FileId, how: Open) -> io::Result<Segment> {
        let (base, generation) = id;
        let file = handles.file(dir.join(file_name(id)), how)?;
        let length = AtomicU64::new(UNKNOWN);
        Ok(Segment {
            base,
            generation,
            file,
            length,
            index: Mutex::new(Index { max_time: i64::MIN, ..Index::default() }),
        })
    }

    /// Which file it is.
    pub(super) fn id(&self) -> FileId {
        (self.base, self.generation)
    }

    /// The bytes from a place, fewer at the end of the file.
    pub(super) fn read(&self, byte: u64, len: usize) -> io::Result<Vec<u8>> {
        disk::read(self.file.as_ref(), byte, len)
    }

    /// Like [`Segment::read`], into memory that is used again.
    pub(super) fn read_into(&self, byte: u64, len: usize, bytes: &mut Vec<u8>) -> io::Result<()> {
        disk::read_into(self.file.as_ref(), byte, len, bytes)
    }

    /// Writes a batch at a place.
    ///
    /// A write that is not at the end of what is indexed leaves the index as it is.
    pub(super) fn write(&self, batch: &[u8], byte: u64) -> io::Result<()> {
        self.file.write_at(batch, byte)?;
        self.length.store(UNKNOWN, Ordering::SeqCst);
        let mut index = self.lock();
        if index.scanned == byte
            && let Ok(Some(head)) = BatchHead::parse_any(batch)
        {
            index.add(&head);
        }
        Ok(())
    }

    /// The length of the file.
    pub(super) fn len(&self) -> io::Result<u64> {
        match self.length.load(Ordering::SeqCst) {
            UNKNOWN => {
                let length = self.file.len()?;
                self.length.store(length, Ordering::SeqCst);
                Ok(length)
            }
            length => Ok(length),
        }
    }

    /// The largest time of a record in the first batch; `None` if there is no batch.
    ///
    /// # Errors
    /// The head of the batch cannot be read or is damaged.
    pub(super) fn first_time(&self) -> Result<Option<i64>> {
        let mut index = self.lock();
        if index.first_time.is_none() {
            index.first_time = BatchHead::parse_any(&self.read(0, HEADER)?)?.map(|head| head.max_time);
        }
        Ok(index.first_time)
    }

    /// The largest time of the records before `end`, the end of a batch.
    ///
    /// # Errors
    /// A batch is damaged.
    pub(super) fn max_time(&self, end: u64) -> Result<i64> {
        // On a copy, so that nobody waits for the reading: writers and readers need the index.
        let mut copy = self.lock().clone();
        self.extend(&mut copy, end, |_| false)?;
        let max_time = copy.max_time;
        let mut index = self.lock();
        if index.scanned < copy.scanned {
            *index = copy;
        }
        Ok(max_time)
    }

    /// Cuts the file after a batch.
    ///
    /// `len` must be the end of a batch.
    pub(super) fn truncate(&self, len: u64) -> io::Result<()> {
        let mut index = self.lock();
        index.entries.retain(|e| e.byte < len);
        index.scanned = index.scanned.min(len);
        if len == 0 {
            index.first_time = None;
        }
        let cut = self.file.set_len(len);
        self.length.store(UNKNOWN, Ordering::SeqCst);
        cut
    }

    /// Makes what was written durable.
    pub(super) fn sync(&self, site: SyncSite) -> io::Result<()> {
        self.file.sync(site)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Index> {
        // The index only saves reading and is extended where it is incomplete, so any state that a panic left is
        // usable.
        lock(&self.index)
    }

    /// The byte at which the batch starts that holds `offset`, among those before `end`.
    ///
    /// `end` if no batch before it holds the offset.
    ///
    /// # Errors
    /// A batch is damaged.
    pub(super) fn locate(&self, offset: Offset, end: u64) -> Result<u64> {
        if offset == self.base {
            return Ok(0);
        }
        let start = {
            let mut index = self.lock();
            self.extend(&mut index, end, |head| head.next_offset() > offset)?;
            index.last_where(|e| e.offset <= offset)
        };
        Ok(self.walk(start, end, |head| head.next_offset() > offset)?.unwrap_or(end))
    }

    /// The first batch between two ends of batches in which a record's time is at least `time_ms`.
    ///
    /// Returns the byte at which it starts; `None` if there is none.
    ///
    /// # Errors
    /// A batch is damaged.
    pub(super) fn locate_time(&self, time_ms: i64, from: u64, end: u64) -> Result<Option<u64>> {
        let start = {
            let mut index = self.lock();
            if index.max_time < time_ms {
                self.extend(&mut index, end, |head| head.max_time >= time_ms)?;
            }
            if index.max_time < time_ms {
                return Ok(None);
            }
            index.last_where(|e| e.time_before < time_ms)
        };
        self.walk(start.max(from), end, |head| head.max_time >= time_ms)
    }

    /// Reads the heads that the index has not seen, up to the one that is `found`, or `end`.
    fn extend(&self, index: &mut Index, end: u64, found: impl Fn(&BatchHead) -> bool) -> Result<()> {
        self.walk(index.scanned, end, |head| {
            index.add(head);
            found(head)
        })?;
        Ok(())
    }

    /// Looks at the heads of the batches from `start` to `end`, until one is `found`: where it starts.
    ///
    /// `None` if none was found. `start` must be the start of a batch.
    fn walk(&self, start: u64, end: u64, mut found: impl FnMut(&BatchHead) -> bool) -> Result<Option<u64>> {
        let mut byte = start;
        let (mut chunk, mut chunk_at) = (Vec::new(), start);
        while byte < end {
            if chunk_at + (chunk.len() as u64) < byte + HEADER as u64 {
                self.read_into(byte, SCAN_BYTES, &mut chunk)?;
                chunk_at = byte;
            }
            let head = BatchHead::parse_any(&chunk[(byte - chunk_at) as usize..])?;
            let head =
                head.ok_or_else(|| Error::backend(format!("segment {} breaks off at byte {byte}", self.base)))?;
            if found(&head) {
                return Ok(Some(byte));
            }
            byte += head.length as u64;
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::double::{ForgetfulDisk, Random};
    use crate::topics::record::{BatchWriter, RecordBatch};

    fn batch(random: &mut Random, offset: Offset) -> RecordBatch {
        let mut writer = BatchWriter::new();
        for _ in 0..=random.below(5) {
            let value = vec![b'x'; random.below(20_000) as usize];
            writer.push(random.below(1_000) as i64, None, Some(&value), &[]);
        }
        let mut batch = writer.finish().expect("some records");
        batch.set_base_offset(offset);
        batch
    }

    /// Where each batch starts, and its head.
    type Batches = Vec<(u64, BatchHead)>;

    fn compare(segment: &Segment, batches: &Batches, end: u64, random: &mut Random) {
        for _ in 0..20 {
            let last = batches.last().map_or(0, |(_, head)| head.next_offset());
            let offset = random.below(last as u64 + 1) as Offset;
            let slow = batches.iter().find(|(_, head)| head.next_offset() > offset).map_or(end, |(byte, _)| *byte);
            if offset != 0 || !batches.is_empty() {
                assert_eq!(segment.locate(offset, end).expect("readable"), slow, "offset {offset}");
            }
            let time = random.below(1_100) as i64;
            let slow = batches.iter().find(|(_, head)| head.max_time >= time).map(|(byte, _)| *byte);
            assert_eq!(segment.locate_time(time, 0, end).expect("readable"), slow, "time {time}");
        }
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for id in [(0, 0), (7, 1), (i64::MAX, u64::MAX)] {
            assert_eq!(parse_name(&file_name(id)), Some(id));
        }
        for name in ["1.log", "00000000000000000001.0.log", "00000000000000000001.01.log", "00000000000000000001.txt"] {
            assert_eq!(parse_name(name), None, "{name}");
        }
    }

    #[test]
    fn the_index_finds_what_a_scan_finds_after_writes_and_cuts() {
        for seed in 0..20 {
            let mut random = Random::new(seed);
            let disk = ForgetfulDisk::new(seed).boot();
            let handles = Handles::new(disk, 1);
            let open = |how| Segment::open(&handles, Path::new(""), (0, 0), how).expect("a segment");
            let mut segment = open(Open::New);
            let (mut batches, mut end): (Batches, u64) = (Vec::new(), 0);
            for _ in 0..60 {
                match random.below(10) {
                    0 => segment = open(Open::Existing),
                    1 => {
                        batches.truncate(random.below(batches.len() as u64 + 1) as usize);
                        end = batches.last().map_or(0, |(byte, head)| byte + head.length as u64);
                        segment.truncate(end).expect("a cut");
                    }
                    2 => compare(&segment, &batches, end, &mut random),
                    _ => {
                        let batch = batch(&mut random, batches.last().map_or(0, |(_, head)| head.next_offset()));
                        segment.write(batch.bytes(), end).expect("a write");
                        let head = BatchHead::parse_any(batch.bytes()).expect("a head").expect("a whole head");
                        batches.push((end, head));
                        end += batch.bytes().len() as u64;
                    }
                }
            }
            compare(&segment, &batches, end, &mut random);
        }
    }
}
