//! Compressed record batches, in Kafka's framing of each codec.
//!
//! The head of a batch is never compressed; the records after it are, as a whole, and the attributes name the codec. A
//! batch is compressed by the thread that makes it, and decompressed where it is read from a file: everything above the
//! log sees plain batches.
//!
//! ```text
//! 1 gzip      RFC 1952
//! 2 snappy    "\x82SNAPPY\0", version and least version (4 bytes each), then blocks: length (4 bytes), raw snappy;
//!             bytes that do not start so are one raw block
//! 3 lz4       the LZ4 frame format
//! 4 zstd      RFC 8878
//! ```
//!
//! Numbers are big-endian. What a batch may become is bounded ([`MOST_BYTES`]): one that says otherwise is refused before
//! its memory is taken.

use std::io::{self, Read, Write};

use super::record::{BatchHead, HEADER, RecordBatch, seal};
use crate::error::{Error, Result};

/// The most bytes of a compressed batch when it is not compressed. Larger ones are written as they are, and refused where
/// they come from outside.
pub const MOST_BYTES: usize = 128 << 20;
/// The bits of the attributes that name a codec.
pub(super) const BITS: i16 = 0b111;
/// What starts snappy's blocks as Java clients write them: the magic, and twice the version 1.
const XERIAL: [u8; 16] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1];
/// The bytes of snappy's magic; the versions after it are not looked at, as in Java.
const XERIAL_MAGIC: usize = 8;
/// The bytes of a block of snappy before they are compressed.
const SNAPPY_BLOCK: usize = 32 << 10;

/// How batches are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// With its level, from 1 to 9.
    Gzip(u32),
    /// Has no level.
    Snappy,
    /// Is written with the lowest level.
    Lz4,
    /// With its level, from −131072 to 22.
    Zstd(i32),
}

impl Codec {
    /// The codec of a number in the attributes of a batch, with its usual level; `None` for none.
    pub(super) fn of(number: i16) -> Option<Codec> {
        let all = [Codec::Gzip(6), Codec::Snappy, Codec::Lz4, Codec::Zstd(3)];
        all.into_iter().find(|codec| codec.number() == number)
    }

    /// The number in the attributes of a batch.
    fn number(self) -> i16 {
        match self {
            Codec::Gzip(_) => 1,
            Codec::Snappy => 2,
            Codec::Lz4 => 3,
            Codec::Zstd(_) => 4,
        }
    }

    /// The compressed bytes.
    fn compress(self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Codec::Gzip(level) => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(level));
                encoder.write_all(bytes)?;
                encoder.finish()
            }
            Codec::Snappy => {
                let mut out = XERIAL.to_vec();
                let mut encoder = snap::raw::Encoder::new();
                for block in bytes.chunks(SNAPPY_BLOCK) {
                    let block = encoder.compress_vec(block).map_err(io::Error::other)?;
                    out.extend_from_slice(&(block.len() as u32).to_be_bytes());
                    out.extend_from_slice(&block);
                }
                Ok(out)
            }
            Codec::Lz4 => {
                let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
                encoder.write_all(bytes)?;
                encoder.finish().map_err(io::Error::other)
            }
            Codec::Zstd(level) => zstd::stream::encode_all(bytes, level),
        }
    }
}

/// The batch with its records compressed; itself if that saves nothing, or it is too large.
///
/// # Errors
/// A bug: memory cannot be compressed.
pub fn compress(batch: RecordBatch, codec: Codec) -> Result<RecordBatch> {
    if batch.is_compressed() {
        return Ok(batch);
    }
    let compressed = compressed(batch.bytes(), codec)?;
    Ok(compressed.map_or(batch.clone(), |bytes| batch.with_compressed(bytes)))
}

/// The bytes of a plain batch with the records compressed. `None` if that saves nothing, or it is too large.
///
/// # Errors
/// A bug: memory cannot be compressed.
pub(super) fn compressed(plain: &[u8], codec: Codec) -> Result<Option<Vec<u8>>> {
    if plain.len() > MOST_BYTES {
        return Ok(None);
    }
    let failed = |error: io::Error| Error::bug(format!("records cannot be compressed: {error}"));
    let records = codec.compress(&plain[HEADER..]).map_err(failed)?;
    if records.len() + HEADER >= plain.len() {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(HEADER + records.len());
    bytes.extend_from_slice(&plain[..HEADER]);
    bytes.extend_from_slice(&records);
    seal(&mut bytes, codec.number());
    Ok(Some(bytes))
}

/// A whole compressed batch as a plain one.
///
/// # Errors
/// Kind `Backend`: the codec is unknown, the records cannot be decompressed, or are more than [`MOST_BYTES`].
pub(super) fn plain(batch: &[u8], head: &BatchHead) -> Result<Vec<u8>> {
    let mut bytes = batch[..HEADER].to_vec();
    let done = decompress(head.codec, &batch[HEADER..], &mut bytes);
    done.map_err(|error| {
        Error::backend(format!("the batch at offset {} cannot be decompressed: {error}", head.base_offset))
    })?;
    seal(&mut bytes, 0);
    Ok(bytes)
}

/// Appends what compressed bytes stand for.
fn decompress(codec: i16, bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    match codec {
        1 => read_all(flate2::read::MultiGzDecoder::new(bytes), out),
        2 => unsnap(bytes, out),
        3 => read_all(lz4_flex::frame::FrameDecoder::new(bytes), out),
        4 => read_all(zstd::stream::read::Decoder::with_buffer(bytes)?, out),
        other => Err(io::Error::other(format!("{other} is no codec"))),
    }
}

fn too_large() -> io::Error {
    io::Error::other(format!("it has more than {MOST_BYTES} bytes"))
}

/// Appends all that can be read, if it is not too much.
fn read_all(reader: impl Read, out: &mut Vec<u8>) -> io::Result<()> {
    let left = MOST_BYTES.saturating_sub(out.len());
    // One byte more than there may be tells that there is more.
    let read = reader.take(left as u64 + 1).read_to_end(out)?;
    if read > left { Err(too_large()) } else { Ok(()) }
}

/// Appends blocks of snappy, or the only block if there is no head.
fn unsnap(mut bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    if !bytes.starts_with(&XERIAL[..XERIAL_MAGIC]) {
        return unsnap_block(bytes, out);
    }
    let torn = || io::Error::from(io::ErrorKind::UnexpectedEof);
    bytes = bytes.get(XERIAL.len()..).ok_or_else(torn)?;
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk().ok_or_else(torn)?;
        let (block, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize).ok_or_else(torn)?;
        unsnap_block(block, out)?;
        bytes = rest;
    }
    Ok(())
}

fn unsnap_block(block: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    let (length, at) = (snap::raw::decompress_len(block).map_err(io::Error::other)?, out.len());
    if at + length > MOST_BYTES {
        return Err(too_large());
    }
    out.resize(at + length, 0);
    let written = snap::raw::Decoder::new().decompress(block, &mut out[at..]).map_err(io::Error::other)?;
    out.truncate(at + written);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topics::record::{BatchWriter, Records};

    const CODECS: [Codec; 4] = [Codec::Gzip(6), Codec::Snappy, Codec::Lz4, Codec::Zstd(3)];

    fn batch(records: i64) -> RecordBatch {
        let mut writer = BatchWriter::new();
        (0..records).for_each(|n| writer.push(n, Some(&n.to_be_bytes()), Some(&[b'x'; 200]), &[]));
        writer.finish().expect("some records")
    }

    /// A batch with these bytes after its head, as somebody else may have made it.
    fn foreign(codec: i16, records: &[u8]) -> Vec<u8> {
        let mut bytes = [&batch(1).bytes()[..HEADER], records].concat();
        seal(&mut bytes, codec);
        bytes
    }

    #[test]
    fn compressed_batches_have_the_same_records() {
        for codec in CODECS {
            let plain = batch(1000);
            let mut compressed = compress(plain.clone(), codec).expect("compressed");
            assert!(compressed.bytes().len() < plain.bytes().len() / 3, "{codec:?}");
            compressed.set_base_offset(7);
            assert!(BatchHead::parse(compressed.bytes()).is_err(), "{codec:?}: nobody takes it for a plain one");
            let again = RecordBatch::parse(compressed.bytes().to_vec()).expect("readable");
            assert_eq!((again.bytes(), again.plain()), (compressed.bytes(), compressed.plain()), "{codec:?}");
            let head = BatchHead::parse(again.plain()).expect("a head").expect("whole");
            let mut records = Records::new(again.plain(), head);
            for number in 0..1000i64 {
                let record = records.next_record().expect("intact").expect("a record");
                assert_eq!(
                    (record.offset, record.time, record.key),
                    (7 + number, number, Some(&number.to_be_bytes()[..]))
                );
            }
        }
    }

    #[test]
    fn what_saves_nothing_stays_as_it_is() {
        for codec in CODECS {
            let mut writer = BatchWriter::new();
            writer.push(0, None, Some(b"?"), &[]);
            let batch = compress(writer.finish().expect("a record"), codec).expect("not compressed");
            assert!(!batch.is_compressed());
        }
    }

    #[test]
    fn snappy_without_a_head_is_one_block() {
        let plain = batch(1);
        let raw = snap::raw::Encoder::new().compress_vec(&plain.bytes()[HEADER..]).expect("compressed");
        let found = RecordBatch::parse(foreign(2, &raw)).expect("readable");
        assert_eq!(found.plain(), plain.bytes());
    }

    #[test]
    fn what_cannot_be_decompressed_is_refused() {
        let whole = |codec: Codec| compress(batch(100), codec).expect("compressed").bytes()[HEADER..].to_vec();
        for codec in CODECS {
            let mut bytes = whole(codec);
            bytes.truncate(bytes.len() / 2);
            RecordBatch::parse(foreign(codec.number(), &bytes)).expect_err("it breaks off");
            let wrong = RecordBatch::parse(foreign(codec.number(), &whole(codec))).expect_err("more records than one");
            assert!(wrong.to_string().contains("record batch"), "{wrong}");
        }
        let error = RecordBatch::parse(foreign(5, b"?")).expect_err("an unknown codec");
        assert!(error.to_string().contains("5 is no codec"), "{error}");
    }

    #[test]
    fn a_bomb_is_refused_before_it_takes_memory() {
        let zeros = vec![0; MOST_BYTES + 1];
        for codec in [Codec::Gzip(9), Codec::Snappy, Codec::Lz4, Codec::Zstd(19)] {
            let bomb = codec.compress(&zeros).expect("compressed");
            let error = RecordBatch::parse(foreign(codec.number(), &bomb)).expect_err("too large");
            assert!(error.to_string().contains("more than 134217728 bytes"), "{codec:?}: {error}");
        }
    }
}
