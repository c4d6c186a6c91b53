//! Reading a partition: whole batches from an offset on, and the offset for a time.
//!
//! Compressed batches are decompressed here, so nobody above sees one. What is in memory is not compressed
//! ([`super::tail`]); plain batches of a file are handed out as they were read.

use std::sync::Arc;

use super::partition::Partition;
use super::segment::FileId;
use crate::error::{Error, Result};
use crate::topics::record::{BatchHead, HEADER, Records, is_intact};
use crate::topics::{Fetch, Offset, PartitionId, compression};

/// Where a read has ended: the file, the byte in it, and the next offset.
#[derive(Clone, Copy, Debug)]
pub struct Hint {
    file: FileId,
    byte: u64,
    offset: Offset,
}

impl Partition {
    /// Reads whole batches, starting with the one that holds `from`. `hint` is where the last read ended, and is
    /// updated.
    ///
    /// At least one batch, even if it is larger than `most_bytes`. `memory` is used for the bytes where they come from
    /// a file.
    ///
    /// # Errors
    /// A batch cannot be read or is damaged.
    pub fn read(&self, from: Offset, most_bytes: usize, hint: &mut Option<Hint>, memory: Vec<u8>) -> Result<Fetch> {
        let mut memory = Some(memory);
        loop {
            let layouts = self.layouts();
            let read = self.read_segment(from, most_bytes, hint, memory.take().unwrap_or_default());
            // The segment may have been deleted or compacted while it was read: then another one has the place.
            if read.is_ok() || self.layouts() == layouts {
                return read;
            }
        }
    }

    /// Counts the changes of the files that it consists of.
    fn layouts(&self) -> u64 {
        self.lock().layouts
    }

    fn read_segment(&self, from: Offset, most_bytes: usize, hint: &mut Option<Hint>, memory: Vec<u8>) -> Result<Fetch> {
        let (mut index, segments, decided) = {
            let state = self.lock();
            if from >= state.decided.offset {
                return Ok(Fetch::default());
            }
            if from < state.layout.front.start {
                return Ok(Fetch::from_start(state.layout.front.start));
            }
            if let Some(fetch) = state.tail.find(from, most_bytes) {
                return Ok(fetch);
            }
            let after = state.segments.partition_point(|s| s.base <= from);
            let index = after.checked_sub(1).ok_or_else(|| gone(self.id, from))?;
            // Where the last records of a segment were compacted away, the next one has the place.
            let next = if state.layout.compacted.is_empty() { index + 1 } else { state.segments.len() };
            (0, state.segments[index..next].to_vec(), state.decided)
        };
        let (segment, end, byte) = loop {
            let segment = segments.get(index).ok_or_else(|| gone(self.id, from))?;
            let end = if segment.base == decided.segment { decided.byte } else { segment.len()? };
            let byte = match hint {
                Some(hint) if hint.offset == from && hint.file == segment.id() => hint.byte,
                _ if from <= segment.base => 0,
                _ => segment.locate(from, end)?,
            };
            if byte < end || segments.len() == 1 {
                break (segment, end, byte);
            }
            index += 1;
        };
        let mut bytes = memory;
        segment.read_into(byte, most_bytes.min((end - byte) as usize), &mut bytes)?;
        let mut kept = whole(&bytes)?;
        if kept.length == 0 {
            let head = segment.read(byte, HEADER)?;
            let head = BatchHead::parse_any(&head)?.ok_or_else(|| gone(self.id, from))?;
            segment.read_into(byte, head.length, &mut bytes)?;
            kept = whole(&bytes)?;
        }
        bytes.truncate(kept.length);
        if kept.is_compressed {
            (bytes, kept) = decompressed(&bytes, most_bytes)?;
        }
        *hint = Some(Hint { file: segment.id(), byte: byte + kept.length as u64, offset: kept.next_offset });
        Ok(Fetch { bytes: Arc::new(bytes), start: None })
    }

    /// The offset of the first record whose time is at least this; the end if there is none.
    ///
    /// Times need not rise with offsets: the first record that is late enough counts. Costs an index look-up in each
    /// segment and the reading of one batch.
    ///
    /// # Errors
    /// A batch cannot be read or is damaged.
    pub fn offset_for_time(&self, time_ms: i64) -> Result<Offset> {
        loop {
            let (layouts, start) = (self.layouts(), self.front().start);
            let found = self.find_time(time_ms, start);
            // A segment may have been deleted or compacted while it was read.
            if found.is_ok() || self.layouts() == layouts {
                return found;
            }
        }
    }

    /// The offset of the first record from `start` on whose time is at least this; the end if there is none.
    fn find_time(&self, time_ms: i64, start: Offset) -> Result<Offset> {
        let (segments, decided) = self.decided_segments();
        for segment in segments {
            let end = if segment.base == decided.segment { decided.byte } else { segment.len()? };
            let mut from = 0;
            while let Some(byte) = segment.locate_time(time_ms, from, end)? {
                let head = BatchHead::parse_any(&segment.read(byte, HEADER)?)?;
                let head = head.ok_or_else(|| gone(self.id, segment.base))?;
                let batch = segment.read(byte, head.length)?;
                let batch = if head.codec == 0 { batch } else { compression::plain(&batch, &head)? };
                let mut records = Records::new(&batch, head);
                while let Some(record) = records.next_record()? {
                    if record.time >= time_ms && record.offset >= start {
                        return Ok(record.offset);
                    }
                }
                // All such records of the batch were deleted.
                from = byte + head.length as u64;
            }
        }
        Ok(decided.offset)
    }
}

/// The error for an offset that no segment has.
fn gone(partition: PartitionId, offset: Offset) -> Error {
    Error::backend(format!("offset {offset} of {partition} cannot be read"))
}

/// Whole batches at the front of some bytes.
struct Whole {
    /// How many bytes of the file they are.
    length: usize,
    next_offset: Offset,
    /// Whether any of them is compressed.
    is_compressed: bool,
}

/// How many of the first `bytes` are whole batches; an error if a checksum is wrong.
///
/// A batch that is cut at the end of the bytes does not count.
fn whole(bytes: &[u8]) -> Result<Whole> {
    let mut kept = Whole { length: 0, next_offset: 0, is_compressed: false };
    while let Some(head) = BatchHead::parse_any(&bytes[kept.length..])? {
        let Some(batch) = bytes.get(kept.length..kept.length + head.length) else { break };
        if !is_intact(batch) {
            return Err(Error::backend(format!("the batch at offset {} is corrupt", head.base_offset)));
        }
        let is_compressed = kept.is_compressed || head.codec != 0;
        kept = Whole { length: kept.length + head.length, next_offset: head.next_offset(), is_compressed };
    }
    Ok(kept)
}

/// The first of some whole batches without compression, until they have about `most_bytes`, but one at least; and which
/// these are.
fn decompressed(bytes: &[u8], most_bytes: usize) -> Result<(Vec<u8>, Whole)> {
    let (mut out, mut kept) = (Vec::new(), Whole { length: 0, next_offset: 0, is_compressed: true });
    while let Some(head) = BatchHead::parse_any(&bytes[kept.length..])? {
        if kept.length > 0 && out.len() >= most_bytes {
            break;
        }
        let batch = &bytes[kept.length..kept.length + head.length];
        match head.codec {
            0 => out.extend_from_slice(batch),
            _ => out.extend_from_slice(&compression::plain(batch, &head)?),
        }
        kept = Whole { length: kept.length + head.length, next_offset: head.next_offset(), is_compressed: true };
    }
    Ok((out, kept))
}
