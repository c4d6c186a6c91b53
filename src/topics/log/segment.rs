//! A segment: a file of record batches, with a sparse index to find an offset or a time in it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::disk::{self, Disk, DiskFile, Open, SyncSite};
use crate::error::{Error, Result};
use crate::topics::Offset;
use crate::topics::record::{BatchHead, HEADER};

/// From one entry of the index to the next there are at least this many bytes.
const INDEX_BYTES: u64 = 64 << 10;
/// How much is read at once where only the heads of batches are wanted.
const SCAN_BYTES: usize = 256 << 10;

/// A file of a partition.
pub struct Segment {
    /// The offset of its first record.
    pub base: Offset,
    file: Arc<dyn DiskFile>,
    index: Mutex<Index>,
}

/// Where batches start, at some distance from each other.
#[derive(Default)]
struct Index {
    entries: Vec<Entry>,
    /// Up to here the heads have been read.
    scanned: u64,
    /// The largest time up to here.
    max_time: i64,
}

/// A batch that the index knows.
#[derive(Clone, Copy)]
struct Entry {
    offset: Offset,
    byte: u64,
    /// The largest time of the records before this batch.
    time_before: i64,
}

/// The name of a segment's file.
pub fn file_name(base: Offset) -> String {
    format!("{base:020}.log")
}

/// The base offset that a file's name says.
pub fn base_of(name: &str) -> Option<Offset> {
    name.strip_suffix(".log").filter(|digits| digits.len() == 20)?.parse().ok()
}

impl Segment {
    /// Opens a segment's file, or makes it.
    pub fn open(disk: &dyn Disk, dir: &Path, base: Offset, how: Open) -> io::Result<Segment> {
        let path: PathBuf = dir.join(file_name(base));
        let file = disk.open(&path, how)?;
        Ok(Segment { base, file, index: Mutex::new(Index { max_time: i64::MIN, ..Index::default() }) })
    }

    /// The bytes from a place, fewer at the end of the file.
    pub fn read(&self, byte: u64, len: usize) -> io::Result<Vec<u8>> {
        disk::read(self.file.as_ref(), byte, len)
    }

    /// The same into memory that is used again.
    pub fn read_into(&self, byte: u64, len: usize, bytes: &mut Vec<u8>) -> io::Result<()> {
        disk::read_into(self.file.as_ref(), byte, len, bytes)
    }

    /// Writes bytes at a place.
    pub fn write(&self, bytes: &[u8], byte: u64) -> io::Result<()> {
        self.file.write_at(bytes, byte)
    }

    /// The length of the file.
    pub fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    /// Cuts the file.
    pub fn truncate(&self, len: u64) -> io::Result<()> {
        let mut index = self.lock();
        index.entries.retain(|e| e.byte < len);
        if index.scanned > len {
            *index = Index { max_time: i64::MIN, ..Index::default() };
        }
        self.file.set_len(len)
    }

    /// Makes what was written durable.
    pub fn sync(&self, site: SyncSite) -> io::Result<()> {
        self.file.sync(site)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Index> {
        // The index is only a help that is made anew where it lacks: whatever a panic left of it will do.
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The byte at which the batch starts that holds `offset`, among those before `end`.
    pub fn locate(&self, offset: Offset, end: u64) -> Result<u64> {
        let start = {
            let mut index = self.lock();
            self.extend(&mut index, end)?;
            let after = index.entries.partition_point(|e| e.offset <= offset);
            after.checked_sub(1).map_or(0, |i| index.entries[i].byte)
        };
        self.walk(start, end, |head, _| head.next_offset() > offset).map(|found| found.map_or(end, |(_, byte)| byte))
    }

    /// The first batch before `end` in which a record's time is at least `time_ms`.
    pub fn locate_time(&self, time_ms: i64, end: u64) -> Result<Option<u64>> {
        let start = {
            let mut index = self.lock();
            self.extend(&mut index, end)?;
            if index.max_time < time_ms {
                return Ok(None);
            }
            let after = index.entries.partition_point(|e| e.time_before < time_ms);
            after.checked_sub(1).map_or(0, |i| index.entries[i].byte)
        };
        Ok(self.walk(start, end, |head, _| head.max_time >= time_ms)?.map(|(_, byte)| byte))
    }

    /// Reads the heads that the index has not seen, up to `end`.
    fn extend(&self, index: &mut Index, end: u64) -> Result<()> {
        if index.scanned >= end {
            return Ok(());
        }
        let (from, mut last) = (index.scanned, index.entries.last().map(|e| e.byte));
        let mut scanned = from;
        self.walk(from, end, |head, byte| {
            if last.is_none_or(|last| byte - last >= INDEX_BYTES) {
                index.entries.push(Entry { offset: head.base_offset, byte, time_before: index.max_time });
                last = Some(byte);
            }
            index.max_time = index.max_time.max(head.max_time);
            scanned = byte + head.length as u64;
            false
        })?;
        index.scanned = scanned;
        Ok(())
    }

    /// Looks at the heads of the batches from `start`, until `found` or `end`.
    fn walk(
        &self,
        start: u64,
        end: u64,
        mut found: impl FnMut(&BatchHead, u64) -> bool,
    ) -> Result<Option<(BatchHead, u64)>> {
        let mut byte = start;
        let (mut chunk, mut chunk_at) = (Vec::new(), 0u64);
        while byte < end {
            let inside = (byte - chunk_at) as usize;
            if byte < chunk_at || chunk.len() < inside + HEADER {
                chunk = self.read(byte, SCAN_BYTES)?;
                chunk_at = byte;
            }
            let inside = (byte - chunk_at) as usize;
            let head = BatchHead::parse(chunk.get(inside..).unwrap_or_default())?;
            let head =
                head.ok_or_else(|| Error::backend(format!("segment {} breaks off at byte {byte}", self.base)))?;
            if found(&head, byte) {
                return Ok(Some((head, byte)));
            }
            byte += head.length as u64;
        }
        Ok(None)
    }
}
