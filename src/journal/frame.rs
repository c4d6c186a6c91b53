//! The frame of a round as bytes: its entries, and every byte that they wrote to partitions.
//!
//! ```text
//! bytes 0–3     "TMFR"
//! bytes 4–11    mark of the file
//! bytes 12–19   round
//! bytes 20–27   length of the body
//! bytes 28–31   CRC32C of the 28 bytes before and of the body
//! body          number of entries (4 bytes), then the entries
//!
//! epoch         0, query, number, head (length, bytes), delta (length, bytes), spans
//! append        1, spans
//! command       2, version, bytes (length, bytes), resolved partitions (number; topic, partition, offset each),
//!               ended queries (number, numbers), dropped topics (number, numbers)
//! trim          3, partitions (number; topic, partition, first offset and first segment that are kept, each)
//! compaction    4, topic, partition, first segment, first segment after, generation, bytes
//! spans         number; for each topic, partition, segment, first byte, first offset, number of bytes, offset after
//!               the last record, then 1 byte: 1 if the bytes follow, else 0
//! ```
//!
//! Numbers of fixed length are little-endian, all others are varints. The length of a frame is known before the mark,
//! so one that does not fit goes to the next file with that file's mark.

use super::entry::{Command, EpochHead};
use crate::error::{Error, Result};
use crate::ids::{EpochNumber, QueryNumber, RoundNumber, TopicId, Version};
use crate::topics::PartitionId;
use crate::topics::log::{Compacted, Compaction, Front, Place, Written};
use crate::types::row::{Input, put_bytes, put_varint};

/// Starts a frame. Bytes in a body cannot be mistaken for a frame: nobody can foresee the mark, and the checksum covers
/// it.
pub(super) const MAGIC: [u8; 4] = *b"TMFR";
/// Magic, mark of the file, round, length of the body, checksum.
pub(super) const HEAD: usize = 4 + 8 + 8 + 8 + 4;

/// The places of mark, round, length and checksum in a frame.
///
/// In bytes from the start of the frame.
const MARK: usize = 4;
const ROUND: usize = 12;
const LENGTH: usize = 20;
const CRC: usize = 28;

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHead {
    /// The round that the frame commits.
    pub round: RoundNumber,
    /// The bytes of the body.
    pub length: u64,
    crc: u32,
    /// The checksum of the head's own bytes, which that of the body continues.
    own: u32,
}

impl FrameHead {
    /// Reads a head; `None` if the bytes are no head of a frame in the file with this mark.
    ///
    /// Says nothing about the body; [`FrameHead::fits`] does.
    pub(super) fn read(bytes: &[u8; HEAD], mark: u64) -> Option<FrameHead> {
        let number = |at: usize| bytes[at..at + 8].iter().rev().fold(0u64, |n, b| n << 8 | u64::from(*b));
        if bytes[..4] != MAGIC || number(MARK) != mark {
            return None;
        }
        let crc = u32::from_le_bytes([bytes[CRC], bytes[CRC + 1], bytes[CRC + 2], bytes[CRC + 3]]);
        Some(FrameHead {
            round: RoundNumber::new(number(ROUND)),
            length: number(LENGTH),
            crc,
            own: crc32c::crc32c(&bytes[..CRC]),
        })
    }

    /// The mark in bytes that may be a head.
    pub(super) fn mark_in(bytes: &[u8; HEAD]) -> u64 {
        bytes[MARK..ROUND].iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte))
    }

    /// Whether these bytes are the body.
    ///
    /// Costs one pass over the body.
    pub(super) fn fits(&self, body: &[u8]) -> bool {
        body.len() as u64 == self.length && crc32c::crc32c_append(self.own, body) == self.crc
    }
}

/// An entry of a round, as it lies in the body of a frame.
#[derive(Debug)]
pub enum EntryView<'a> {
    /// What a query did between two commits.
    Epoch(EpochView<'a>),
    /// Records from outside of any query.
    ///
    /// Has no number of its own: nothing needs to find it again.
    Append {
        /// What was written to partitions.
        spans: Vec<SpanView<'a>>,
    },
    /// A statement that changed what exists.
    Command {
        /// The command.
        command: Command,
        /// For each partition of [`Command::resolve`] its end offset at the command's place.
        ///
        /// Known only when the round is written, since entries before it in the round may append to these partitions.
        resolved: Vec<i64>,
    },
    /// Records that were deleted from the start of partitions.
    Trim {
        /// Where each of these partitions begins, unless it did so later already.
        fronts: Vec<(PartitionId, Front)>,
    },
    /// A file that took the place of segments.
    Compact(Compaction),
}

/// An epoch in the body of a frame.
#[derive(Debug)]
pub struct EpochView<'a> {
    /// The number of the query.
    pub query: QueryNumber,
    /// Counts the epochs of the query.
    pub number: EpochNumber,
    /// The bytes of [`EpochHead::bytes`].
    pub head: &'a [u8],
    /// The changes of the query's state; empty for a part of an epoch.
    pub delta: &'a [u8],
    /// Where the delta begins in the body.
    ///
    /// In bytes; recovery reads the delta from there later instead of keeping it.
    pub delta_at: usize,
    /// What the epoch wrote to partitions.
    pub spans: Vec<SpanView<'a>>,
}

impl EpochView<'_> {
    /// The head of the epoch.
    pub fn to_head(&self) -> EpochHead {
        EpochHead { query: self.query, number: self.number, bytes: self.head.to_vec() }
    }
}

/// Bytes that an entry wrote to a partition, in the body of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanView<'a> {
    /// The partition that was written to.
    pub partition: PartitionId,
    /// The base offset of the segment.
    ///
    /// It names the segment's file.
    pub segment: i64,
    /// The first byte in the segment.
    ///
    /// Recovery writes inline bytes again at this place.
    pub byte: u64,
    /// The offset of the first record.
    pub offset: i64,
    /// The place after the bytes.
    pub end: Place,
    /// The bytes, if the frame repeats them; else their segment was synced before the frame.
    pub bytes: Option<&'a [u8]>,
}

/// A span while a round is made.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Span {
    /// The bytes, and where they were written.
    pub written: Written,
    /// Whether the frame repeats the bytes.
    ///
    /// The same for all spans of a partition in a round.
    pub inline: bool,
}

/// A frame while it is written.
pub(super) struct FrameWriter {
    bytes: Vec<u8>,
    entries: u32,
}

impl FrameWriter {
    /// Starts the frame of a round in memory that is used again.
    pub(super) fn new(round: RoundNumber, mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(&round.get().to_le_bytes());
        // Length, checksum and the number of entries follow when the frame is sealed.
        bytes.extend_from_slice(&[0; 16]);
        FrameWriter { bytes, entries: 0 }
    }

    /// Adds an epoch.
    pub(super) fn epoch(&mut self, head: &EpochHead, delta: &[Vec<u8>], written: &[Span]) {
        let out = self.entry(EPOCH);
        put_varint(out, head.query.get());
        put_varint(out, head.number.get());
        put_bytes(out, &head.bytes);
        put_varint(out, delta.iter().map(Vec::len).sum::<usize>() as u64);
        delta.iter().for_each(|piece| out.extend_from_slice(piece));
        encode_spans(written, out);
    }

    /// Adds an append.
    pub(super) fn append(&mut self, written: &[Span]) {
        encode_spans(written, self.entry(APPEND));
    }

    /// Adds a command with the ends that were resolved for it.
    pub(super) fn command(&mut self, command: &Command, resolved: &[i64]) {
        let out = self.entry(COMMAND);
        put_varint(out, command.version.get());
        put_bytes(out, &command.bytes);
        put_varint(out, command.resolve.len() as u64);
        for (partition, offset) in command.resolve.iter().zip(resolved) {
            put_partition(out, *partition);
            put_varint(out, *offset as u64);
        }
        put_numbers(out, command.ends.iter().map(|query| query.get()));
        put_numbers(out, command.drops.iter().map(|topic| topic.get()));
    }

    /// Adds where partitions begin from now on.
    pub(super) fn trim(&mut self, fronts: &[(PartitionId, Front)]) {
        let out = self.entry(TRIM);
        put_varint(out, fronts.len() as u64);
        fronts.iter().for_each(|(partition, front)| put_front(out, *partition, *front));
    }

    /// Adds a file that takes the place of segments.
    pub(super) fn compact(&mut self, compaction: &Compaction) {
        put_compaction(self.entry(COMPACT), compaction);
    }

    /// Starts an entry of a kind; the rest of it is appended to what is returned.
    fn entry(&mut self, kind: u8) -> &mut Vec<u8> {
        self.entries += 1;
        self.bytes.push(kind);
        &mut self.bytes
    }

    /// Whether nothing was added.
    pub(super) fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// The number of bytes so far, which sealing does not change.
    ///
    /// Head included.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The bytes of the frame, for the file with this mark.
    ///
    /// May be called again with another mark.
    pub(super) fn seal(&mut self, mark: u64) -> &[u8] {
        let out = &mut self.bytes;
        out[HEAD..HEAD + 4].copy_from_slice(&self.entries.to_le_bytes());
        out[MARK..ROUND].copy_from_slice(&mark.to_le_bytes());
        let length = (out.len() - HEAD) as u64;
        out[LENGTH..CRC].copy_from_slice(&length.to_le_bytes());
        let crc = crc32c::crc32c_append(crc32c::crc32c(&out[..CRC]), &out[HEAD..]);
        out[CRC..HEAD].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// The memory, for the next frame.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// The kinds of entries.
const EPOCH: u8 = 0;
const APPEND: u8 = 1;
const COMMAND: u8 = 2;
const TRIM: u8 = 3;
const COMPACT: u8 = 4;

/// Appends a count and the numbers.
fn put_numbers(out: &mut Vec<u8>, numbers: impl ExactSizeIterator<Item = u64>) {
    put_varint(out, numbers.len() as u64);
    numbers.for_each(|number| put_varint(out, number));
}

/// Appends the numbers of topic and partition.
fn put_partition(out: &mut Vec<u8>, partition: PartitionId) {
    put_varint(out, partition.topic.get());
    put_varint(out, u64::from(partition.partition));
}

/// Appends a partition and where it begins.
pub(super) fn put_front(out: &mut Vec<u8>, partition: PartitionId, front: Front) {
    put_partition(out, partition);
    put_varint(out, front.start as u64);
    put_varint(out, front.segment as u64);
}

/// Reads what [`put_front`] wrote.
pub(super) fn take_front(input: &mut Input) -> Result<(PartitionId, Front)> {
    let partition = take_partition(input)?;
    Ok((partition, Front { start: input.varint()? as i64, segment: input.varint()? as i64 }))
}

/// Appends a file that takes the place of segments.
pub(super) fn put_compaction(out: &mut Vec<u8>, compaction: &Compaction) {
    let Compaction { partition, first, compacted } = compaction;
    put_partition(out, *partition);
    for number in [*first as u64, compacted.end as u64, compacted.generation, compacted.length] {
        put_varint(out, number);
    }
}

/// Reads what [`put_compaction`] wrote.
pub(super) fn take_compaction(input: &mut Input) -> Result<Compaction> {
    let (partition, first) = (take_partition(input)?, input.varint()? as i64);
    let (end, generation, length) = (input.varint()? as i64, input.varint()?, input.varint()?);
    Ok(Compaction { partition, first, compacted: Compacted { end, generation, length } })
}

/// Appends a count and the spans, each with its bytes if they are repeated.
fn encode_spans(spans: &[Span], out: &mut Vec<u8>) {
    put_varint(out, spans.len() as u64);
    for Span { written, inline } in spans {
        put_partition(out, written.partition);
        put_varint(out, written.segment as u64);
        put_varint(out, written.byte);
        put_varint(out, written.offset as u64);
        put_varint(out, written.end.byte - written.byte);
        put_varint(out, written.end.offset as u64);
        out.push(u8::from(*inline));
        if *inline {
            out.extend_from_slice(&written.bytes);
        }
    }
}

/// Calls `each` for every entry in the body of a frame.
///
/// In the order in which they were added. Bytes after the last entry are not looked at: the checksum covers them.
///
/// # Errors
/// An entry has an unknown kind or ends too early, or `each` returned an error.
pub(super) fn entries<'a>(body: &'a [u8], each: &mut dyn FnMut(EntryView<'a>) -> Result<()>) -> Result<()> {
    let mut input = Input(body);
    for _ in 0..u32::from_le_bytes(input.array()?) {
        each(read_entry(body, &mut input)?)?;
    }
    Ok(())
}

/// Reads the entry that comes next; `body` is the whole body, in which places are counted.
fn read_entry<'a>(body: &'a [u8], input: &mut Input<'a>) -> Result<EntryView<'a>> {
    Ok(match input.byte()? {
        EPOCH => {
            let (query, number) = (QueryNumber::new(input.varint()?), EpochNumber::new(input.varint()?));
            let head = input.bytes()?;
            let delta = input.bytes()?;
            let delta_at = body.len() - input.0.len() - delta.len();
            EntryView::Epoch(EpochView { query, number, head, delta, delta_at, spans: read_spans(input)? })
        }
        APPEND => EntryView::Append { spans: read_spans(input)? },
        COMMAND => {
            let version = Version::new(input.varint()?);
            let bytes = input.bytes()?.to_vec();
            let mut command = Command { version, bytes, ..Command::default() };
            let mut resolved = Vec::new();
            for _ in 0..input.varint()? {
                command.resolve.push(take_partition(input)?);
                resolved.push(input.varint()? as i64);
            }
            command.ends = take_numbers(input, QueryNumber::new)?;
            command.drops = take_numbers(input, TopicId::new)?;
            EntryView::Command { command, resolved }
        }
        TRIM => {
            let count = input.varint()?;
            EntryView::Trim { fronts: (0..count).map(|_| take_front(input)).collect::<Result<_>>()? }
        }
        COMPACT => EntryView::Compact(take_compaction(input)?),
        other => return Err(Error::backend(format!("the journal has an entry of the unknown kind {other}"))),
    })
}

/// Reads what [`put_numbers`] wrote.
fn take_numbers<T>(input: &mut Input, id: fn(u64) -> T) -> Result<Vec<T>> {
    (0..input.varint()?).map(|_| input.varint().map(id)).collect()
}

/// Reads what [`put_partition`] wrote.
fn take_partition(input: &mut Input) -> Result<PartitionId> {
    Ok(PartitionId { topic: TopicId::new(input.varint()?), partition: input.varint()? as u32 })
}

/// Reads what [`encode_spans`] wrote.
fn read_spans<'a>(input: &mut Input<'a>) -> Result<Vec<SpanView<'a>>> {
    let count = input.varint()?;
    let mut span = || {
        let partition = take_partition(input)?;
        let (segment, byte, offset) = (input.varint()? as i64, input.varint()?, input.varint()? as i64);
        let (length, next) = (input.varint()?, input.varint()? as i64);
        let bytes = if input.byte()? != 0 { Some(input.take(length as usize)?) } else { None };
        let end = Place { segment, byte: byte + length, offset: next };
        Ok(SpanView { partition, segment, byte, offset, end, bytes })
    };
    (0..count).map(|_| span()).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn span(inline: bool) -> Span {
        let written = Written {
            partition: PartitionId { topic: TopicId::new(3), partition: 1 },
            segment: 100,
            byte: 7,
            offset: 100,
            bytes: Arc::new(b"records".to_vec()),
            end: Place { segment: 100, byte: 14, offset: 102 },
        };
        Span { written, inline }
    }

    fn command() -> Command {
        Command {
            version: Version::new(4),
            bytes: b"DROP".to_vec(),
            resolve: vec![PartitionId { topic: TopicId::new(1), partition: 0 }],
            ends: vec![QueryNumber::new(1)],
            drops: vec![TopicId::new(3)],
        }
    }

    fn fronts() -> Vec<(PartitionId, Front)> {
        vec![(PartitionId { topic: TopicId::new(3), partition: 0 }, Front { start: 300, segment: 200 })]
    }

    fn compaction() -> Compaction {
        let partition = PartitionId { topic: TopicId::new(3), partition: 1 };
        Compaction { partition, first: 100, compacted: Compacted { end: 200, generation: 7, length: 1000 } }
    }

    fn frame() -> Vec<u8> {
        let mut writer = FrameWriter::new(RoundNumber::new(77), Vec::new());
        let head = EpochHead { query: QueryNumber::new(1), number: EpochNumber::new(9), bytes: b"head".to_vec() };
        writer.epoch(&head, &[b"del".to_vec(), b"ta".to_vec()], &[span(true), span(false)]);
        writer.command(&command(), &[55]);
        writer.trim(&fronts());
        writer.compact(&compaction());
        writer.seal(5).to_vec()
    }

    fn read(bytes: &[u8], mark: u64) -> Option<(RoundNumber, &[u8])> {
        let (head, body) = bytes.split_first_chunk::<HEAD>()?;
        let head = FrameHead::read(head, mark)?;
        head.fits(body).then_some((head.round, body))
    }

    #[test]
    fn a_frame_is_read_as_it_was_written() {
        let bytes = frame();
        let (round, body) = read(&bytes, 5).expect("a whole frame");
        assert_eq!(round.get(), 77);
        let mut seen = 0;
        let mut each = |entry: EntryView| {
            seen += 1;
            match entry {
                EntryView::Epoch(epoch) => {
                    assert_eq!(
                        (epoch.query.get(), epoch.number.get(), epoch.head, epoch.delta),
                        (1, 9, &b"head"[..], &b"delta"[..])
                    );
                    assert_eq!(&body[epoch.delta_at..][..5], b"delta");
                    assert_eq!(epoch.spans[0].bytes, Some(&b"records"[..]));
                    assert_eq!((epoch.spans[1].bytes, epoch.spans[1].end), (None, span(false).written.end));
                }
                EntryView::Command { command: found, resolved } => assert_eq!((found, resolved), (command(), vec![55])),
                EntryView::Trim { fronts: found } => assert_eq!(found, fronts()),
                EntryView::Compact(found) => assert_eq!(found, compaction()),
                EntryView::Append { .. } => panic!("there is no append"),
            }
            Ok(())
        };
        entries(body, &mut each).expect("intact");
        assert_eq!(seen, 4);
    }

    #[test]
    fn a_frame_with_another_mark_or_a_wrong_bit_is_none() {
        let bytes = frame();
        assert!(read(&bytes, 6).is_none());
        for at in 0..bytes.len() {
            assert!(read(&bytes[..at], 5).is_none(), "cut at {at}");
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x10;
            assert!(read(&flipped, 5).is_none(), "flipped at {at}");
        }
    }
}
