//! The frame of a round as bytes: its entries, and every byte that they wrote to partitions.

use std::sync::Arc;

use super::entry::{Command, EpochHead};
use crate::error::{Error, Result};
use crate::topics::PartitionId;
use crate::topics::log::{Place, Written};
use crate::types::row::{Input, put_bytes, put_varint};

/// Starts a frame; no frame's body can be mistaken for one, since the checksum covers the head too.
const MAGIC: [u8; 4] = *b"TMFR";
/// Magic, mark of the file, round, length of the body, checksum.
pub const HEAD: usize = 4 + 8 + 8 + 4 + 4;

/// A round as it was read from the journal.
#[derive(Debug, Default, PartialEq)]
pub struct Frame {
    pub round: u64,
    pub entries: Vec<FrameEntry>,
}

/// An entry of a round.
#[derive(Debug, PartialEq)]
pub enum FrameEntry {
    Epoch { head: EpochHead, delta: Vec<u8>, written: Vec<Span> },
    Append { written: Vec<Span> },
    Command { command: Command, resolved: Vec<i64> },
}

/// Bytes that an entry wrote.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    pub written: Written,
    /// Whether the bytes are repeated in the frame; else their segment was synced before.
    pub inline: bool,
    pub crc: u32,
}

impl Span {
    /// What was written, to be repeated in the frame or not.
    pub fn new(written: Written, inline: bool) -> Self {
        let crc = crc32c::crc32c(&written.bytes);
        Span { written, inline, crc }
    }
}

/// A frame while it is written.
pub struct FrameWriter {
    bytes: Vec<u8>,
    entries: u32,
}

/// Where the number of entries stands in a frame.
const COUNT: usize = HEAD;

impl FrameWriter {
    /// The frame of a round, in memory that is used again.
    pub fn new(round: u64, mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(&round.to_le_bytes());
        // Length, checksum and the number of entries follow when the frame is sealed.
        bytes.extend_from_slice(&[0; 12]);
        FrameWriter { bytes, entries: 0 }
    }

    /// Adds an epoch.
    pub fn epoch(&mut self, head: &EpochHead, delta: &[u8], written: &[Span]) {
        let out = self.entry(0);
        put_varint(out, head.query);
        put_varint(out, head.number);
        put_bytes(out, &head.bytes);
        put_bytes(out, delta);
        encode_spans(written, out);
    }

    /// Adds an append.
    pub fn append(&mut self, written: &[Span]) {
        encode_spans(written, self.entry(1));
    }

    /// Adds a command with the ends that were resolved for it.
    pub fn command(&mut self, command: &Command, resolved: &[i64]) {
        let out = self.entry(2);
        put_varint(out, command.version);
        put_bytes(out, &command.bytes);
        put_varint(out, command.resolve.len() as u64);
        for (partition, offset) in command.resolve.iter().zip(resolved) {
            put_partition(out, *partition);
            put_varint(out, *offset as u64);
        }
        put_numbers(out, &command.ends);
        put_numbers(out, &command.drops);
    }

    fn entry(&mut self, kind: u8) -> &mut Vec<u8> {
        self.entries += 1;
        self.bytes.push(kind);
        &mut self.bytes
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// The number of bytes so far, which sealing does not change.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The bytes of the frame, for the file with this mark.
    pub fn seal(&mut self, mark: u64) -> &[u8] {
        let out = &mut self.bytes;
        out[COUNT..COUNT + 4].copy_from_slice(&self.entries.to_le_bytes());
        out[4..12].copy_from_slice(&mark.to_le_bytes());
        let length = (out.len() - HEAD) as u32;
        out[20..24].copy_from_slice(&length.to_le_bytes());
        let crc = crc32c::crc32c_append(crc32c::crc32c(&out[..24]), &out[HEAD..]);
        out[24..HEAD].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// The memory, to be used again.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

fn put_numbers(out: &mut Vec<u8>, numbers: &[u64]) {
    put_varint(out, numbers.len() as u64);
    numbers.iter().for_each(|number| put_varint(out, *number));
}

fn put_partition(out: &mut Vec<u8>, partition: PartitionId) {
    put_varint(out, partition.topic);
    put_varint(out, u64::from(partition.partition));
}

fn encode_spans(spans: &[Span], out: &mut Vec<u8>) {
    put_varint(out, spans.len() as u64);
    for span in spans {
        let written = &span.written;
        put_partition(out, written.partition);
        put_varint(out, written.segment as u64);
        put_varint(out, written.byte);
        put_varint(out, written.offset as u64);
        // Not the length of the bytes: those of a span that is not repeated are not in a frame that was read.
        put_varint(out, written.end.byte - written.byte);
        put_varint(out, written.end.offset as u64);
        out.extend_from_slice(&span.crc.to_le_bytes());
        out.push(u8::from(span.inline));
        if span.inline {
            out.extend_from_slice(&written.bytes);
        }
    }
}

/// What stands at a place of a journal file.
pub enum Found {
    /// A whole frame, and the number of its bytes.
    Frame(Frame, usize),
    /// No whole frame of this file.
    Nothing,
}

/// Reads the frame at the front of `bytes`, if there is a whole one with the file's mark.
pub fn decode(bytes: &[u8], mark: u64) -> Result<Found> {
    let Some((head, rest)) = bytes.split_at_checked(HEAD) else { return Ok(Found::Nothing) };
    let number = |at: usize| head[at..at + 8].iter().rev().fold(0u64, |n, b| n << 8 | u64::from(*b));
    let short = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    if head[..4] != MAGIC || number(4) != mark {
        return Ok(Found::Nothing);
    }
    let Some(body) = rest.get(..short(20) as usize) else { return Ok(Found::Nothing) };
    if crc32c::crc32c_append(crc32c::crc32c(&head[..24]), body) != short(24) {
        return Ok(Found::Nothing);
    }
    let mut input = Input(body);
    let count = u32::from_le_bytes(input.array()?);
    let entries = (0..count).map(|_| decode_entry(&mut input)).collect::<Result<_>>()?;
    Ok(Found::Frame(Frame { round: number(12), entries }, HEAD + body.len()))
}

/// Whether a whole frame with the file's mark stands anywhere behind the first byte: what must not be, if the first byte
/// does not start one.
pub fn any_later(bytes: &[u8], mark: u64) -> bool {
    memchr::memmem::find_iter(bytes, &MAGIC)
        .filter(|at| *at > 0)
        .any(|at| matches!(decode(&bytes[at..], mark), Ok(Found::Frame(..))))
}

fn decode_entry(input: &mut Input) -> Result<FrameEntry> {
    Ok(match input.byte()? {
        0 => {
            let (query, number) = (input.varint()?, input.varint()?);
            let head = EpochHead { query, number, bytes: input.bytes()?.to_vec() };
            let delta = input.bytes()?.to_vec();
            FrameEntry::Epoch { head, delta, written: decode_spans(input)? }
        }
        1 => FrameEntry::Append { written: decode_spans(input)? },
        2 => {
            let version = input.varint()?;
            let bytes = input.bytes()?.to_vec();
            let mut command = Command { version, bytes, ..Command::default() };
            let mut resolved = Vec::new();
            for _ in 0..input.varint()? {
                command.resolve.push(take_partition(input)?);
                resolved.push(input.varint()? as i64);
            }
            command.ends = take_numbers(input)?;
            command.drops = take_numbers(input)?;
            FrameEntry::Command { command, resolved }
        }
        other => return Err(Error::backend(format!("the journal has an entry of the unknown kind {other}"))),
    })
}

fn take_numbers(input: &mut Input) -> Result<Vec<u64>> {
    (0..input.varint()?).map(|_| input.varint()).collect()
}

fn take_partition(input: &mut Input) -> Result<PartitionId> {
    Ok(PartitionId { topic: input.varint()?, partition: input.varint()? as u32 })
}

fn decode_spans(input: &mut Input) -> Result<Vec<Span>> {
    (0..input.varint()?)
        .map(|_| {
            let partition = take_partition(input)?;
            let (segment, byte, offset) = (input.varint()? as i64, input.varint()?, input.varint()? as i64);
            let (length, next) = (input.varint()?, input.varint()? as i64);
            let crc = u32::from_le_bytes(input.array()?);
            let inline = input.byte()? != 0;
            let bytes = if inline { input.take(length as usize)?.to_vec() } else { Vec::new() };
            let end = Place { segment, byte: byte + length, offset: next };
            let written = Written { partition, segment, byte, offset, bytes: Arc::new(bytes), end };
            Ok(Span { written, inline, crc })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> Frame {
        let written = Written {
            partition: PartitionId { topic: 3, partition: 1 },
            segment: 100,
            byte: 7,
            offset: 100,
            bytes: Arc::new(b"records".to_vec()),
            end: Place { segment: 100, byte: 14, offset: 102 },
        };
        let head = EpochHead { query: 1, number: 9, bytes: b"head".to_vec() };
        let command = Command {
            version: 4,
            bytes: b"DROP".to_vec(),
            resolve: vec![PartitionId { topic: 1, partition: 0 }],
            ends: vec![1],
            drops: vec![3],
        };
        Frame {
            round: 77,
            entries: vec![
                FrameEntry::Epoch { head, delta: b"delta".to_vec(), written: vec![Span::new(written, true)] },
                FrameEntry::Command { command, resolved: vec![55] },
            ],
        }
    }

    #[test]
    fn a_span_that_is_not_repeated_keeps_its_end_when_its_frame_is_written_again() {
        let mut frame = frame();
        let FrameEntry::Epoch { written, .. } = &mut frame.entries[0] else { panic!("an epoch") };
        written[0].inline = false;
        let (end, mut spans) = (written[0].written.end, written.clone());
        for _ in 0..2 {
            let mut bytes = Vec::new();
            encode_spans(&spans, &mut bytes);
            spans = decode_spans(&mut Input(&bytes)).expect("spans");
            assert_eq!(spans[0].written.end, end);
        }
    }

    #[test]
    fn frames_survive_the_way_through_bytes() {
        let mut bytes = Vec::new();
        let mut writer = FrameWriter::new(77, Vec::new());
        for entry in frame().entries {
            match entry {
                FrameEntry::Epoch { head, delta, written } => writer.epoch(&head, &delta, &written),
                FrameEntry::Append { written } => writer.append(&written),
                FrameEntry::Command { command, resolved } => writer.command(&command, &resolved),
            }
        }
        bytes.extend_from_slice(writer.seal(5));
        let length = bytes.len();
        bytes.extend_from_slice(b"more");
        let Found::Frame(read, used) = decode(&bytes, 5).expect("intact") else { panic!("a frame") };
        assert_eq!((read, used), (frame(), length));
        assert!(matches!(decode(&bytes, 6), Ok(Found::Nothing)));
        for cut in 0..length {
            assert!(matches!(decode(&bytes[..cut], 5), Ok(Found::Nothing)), "cut at {cut}");
            let mut flipped = bytes.clone();
            flipped[cut] ^= 0x10;
            assert!(matches!(decode(&flipped, 5), Ok(Found::Nothing)), "flipped at {cut}");
        }
        let mut later = vec![0; 40];
        later.extend_from_slice(&bytes);
        assert!(any_later(&later, 5) && !any_later(&bytes, 5));
    }
}
