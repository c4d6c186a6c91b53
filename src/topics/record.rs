//! Kafka's record batches, version 2: the bytes in which records are kept and in which a Kafka client reads them.
//!
//! The layout is that of KIP-98. Numbers of fixed length are big-endian; varints are zigzag-encoded, as in Protocol
//! Buffers.
//!
//! ```text
//! bytes 0–7     offset of the first record
//! bytes 8–11    bytes of the batch after this number
//! bytes 12–15   partition leader epoch (0 here)
//! bytes 16      magic, 2
//! bytes 17–20   CRC32C of the bytes from 21 on
//! bytes 21–22   attributes: bits 0–2 compression, bit 3 kind of timestamp, bit 4 transactional, bit 5 control,
//!               bit 6 tombstones with a horizon
//! bytes 23–26   last offset less the first
//! bytes 27–34   time of the first record; with bit 6 the horizon: until when tombstones stay
//! bytes 35–42   largest time
//! bytes 43–50   producer id, −1
//! bytes 51–52   producer epoch, −1
//! bytes 53–56   base sequence, −1
//! bytes 57–60   number of records
//! from 61 on    the records
//!
//! record        length (varint), attributes (1 byte, 0), time less the first (varint), offset less the first (varint),
//!               key, value (each: length as varint, −1 for null, and the bytes), number of headers (varint), headers
//! header        key, value (each: length as varint and the bytes; the value may be null)
//! ```
//!
//! The offset is not under the checksum, so a finished batch gets its place without being read again. Here records are
//! read that are not compressed; [`super::compression`] makes such batches of others.

use std::sync::Arc;

use super::compression;
use crate::error::{Error, Result};
use crate::types::row;

/// The bytes before the records of a batch.
pub const HEADER: usize = 61;
/// Where the bytes start that the checksum covers. Those before it change when a batch gets its offset.
pub(super) const CHECKED_FROM: usize = 21;
/// The version of the batch format.
const MAGIC: u8 = 2;
/// The bit of the attributes that says that the first time is the horizon of tombstones.
const HORIZON: i16 = 1 << 6;

/// A header of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The name; not unique.
    pub key: String,
    /// The value, if it has one.
    pub value: Option<Vec<u8>>,
}

/// A finished batch; its offset is given when it is appended.
///
/// Clones share the bytes.
#[derive(Clone, Debug)]
pub struct RecordBatch {
    pub(super) bytes: Arc<Vec<u8>>,
    /// The same batch without compression, if it is compressed.
    pub(super) plain: Option<Arc<Vec<u8>>>,
    pub(super) records: u32,
}

impl RecordBatch {
    /// The bytes, with whatever offset the batch has.
    pub fn bytes(&self) -> &Arc<Vec<u8>> {
        &self.bytes
    }

    /// The bytes without compression: what readers get.
    pub fn plain(&self) -> &Arc<Vec<u8>> {
        self.plain.as_ref().unwrap_or(&self.bytes)
    }

    /// Whether the records are compressed.
    pub fn is_compressed(&self) -> bool {
        self.plain.is_some()
    }

    /// The batch with these bytes, which are its own compressed.
    pub(super) fn with_compressed(self, bytes: Vec<u8>) -> RecordBatch {
        RecordBatch { bytes: Arc::new(bytes), plain: Some(self.bytes), records: self.records }
    }

    /// The number of records.
    pub fn records(&self) -> u32 {
        self.records
    }

    /// Gives the batch its first offset.
    ///
    /// Copies the bytes only if a clone shares them.
    pub fn set_base_offset(&mut self, offset: i64) {
        let all = std::iter::once(&mut self.bytes).chain(&mut self.plain);
        all.for_each(|bytes| Arc::make_mut(bytes)[..8].copy_from_slice(&offset.to_be_bytes()));
    }
}

/// A plain batch with some of the records of another one, whose head is given: it keeps the range of offsets.
///
/// At least one record. With a horizon, tombstones stay until then.
pub(super) fn rewritten(bytes: &[u8], head: &BatchHead, records: &[Record], horizon_ms: Option<i64>) -> Vec<u8> {
    let mut out = bytes.to_vec();
    let base_time = horizon_ms.unwrap_or(head.base_time);
    for record in records {
        let (time, offset) = (record.time.wrapping_sub(base_time), record.offset - head.base_offset);
        let body = 1 + size_of_varint(time) + size_of_varint(offset);
        let body = body + size_of_bytes(record.key) + size_of_bytes(record.value) + record.headers.len();
        put_varint(&mut out, body as i64);
        out.push(0);
        put_varint(&mut out, time);
        put_varint(&mut out, offset);
        put_bytes(&mut out, record.key);
        put_bytes(&mut out, record.value);
        out.extend_from_slice(record.headers);
    }
    let max_time = records.iter().map(|record| record.time).max().unwrap_or(head.max_time);
    let attributes = if horizon_ms.is_some() { HORIZON } else { 0 };
    out[21..23].copy_from_slice(&attributes.to_be_bytes());
    out[27..35].copy_from_slice(&base_time.to_be_bytes());
    out[35..43].copy_from_slice(&max_time.to_be_bytes());
    out[57..61].copy_from_slice(&(records.len() as i32).to_be_bytes());
    seal(&mut out, 0);
    out
}

/// Writes the length, the codec and the checksum of a batch whose other bytes are right.
pub(super) fn seal(batch: &mut [u8], codec: i16) {
    let length = (batch.len() - 12) as i32;
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    let attributes = i16::from_be_bytes([batch[21], batch[22]]) & !compression::BITS | codec;
    batch[21..23].copy_from_slice(&attributes.to_be_bytes());
    let crc = crc32c::crc32c(&batch[CHECKED_FROM..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
}

/// A batch while records are added to it.
pub struct BatchWriter {
    bytes: Vec<u8>,
    records: u32,
    /// That of the first record; the others are stored as distances from it.
    base_time: i64,
    max_time: i64,
}

impl Default for BatchWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl BatchWriter {
    /// A batch without records.
    pub fn new() -> Self {
        BatchWriter { bytes: vec![0; HEADER], records: 0, base_time: 0, max_time: i64::MIN }
    }

    /// The number of records so far.
    pub fn records(&self) -> u32 {
        self.records
    }

    /// The number of bytes so far.
    ///
    /// The head of 61 bytes included.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Adds a record.
    ///
    /// `time` is in milliseconds since the epoch. `None` is Kafka's null, which differs from an empty key or value.
    pub fn push(&mut self, time: i64, key: Option<&[u8]>, value: Option<&[u8]>, headers: &[Header]) {
        if headers.is_empty() {
            return self.push_raw(time, key, value, NO_HEADERS);
        }
        let mut raw = Vec::new();
        put_varint(&mut raw, headers.len() as i64);
        for header in headers {
            put_bytes(&mut raw, Some(header.key.as_bytes()));
            put_bytes(&mut raw, header.value.as_deref());
        }
        self.push_raw(time, key, value, &raw);
    }

    /// Like [`BatchWriter::push`], with headers as [`Record::raw_headers`] gives them.
    ///
    /// `headers` is at least [`NO_HEADERS`], never empty.
    #[inline]
    pub fn push_raw(&mut self, time: i64, key: Option<&[u8]>, value: Option<&[u8]>, headers: &[u8]) {
        if self.records == 0 {
            self.base_time = time;
        }
        self.max_time = self.max_time.max(time);
        let time_delta = time - self.base_time;
        let offset_delta = i64::from(self.records);
        let body = 1 + size_of_varint(time_delta) + size_of_varint(offset_delta);
        let body = body + size_of_bytes(key) + size_of_bytes(value) + headers.len();
        let out = &mut self.bytes;
        put_varint(out, body as i64);
        out.push(0);
        put_varint(out, time_delta);
        put_varint(out, offset_delta);
        put_bytes(out, key);
        put_bytes(out, value);
        out.extend_from_slice(headers);
        self.records += 1;
    }

    /// The finished batch; `None` if nothing was added.
    ///
    /// The offset is 0 until it is set.
    pub fn finish(mut self) -> Option<RecordBatch> {
        if self.records == 0 {
            return None;
        }
        let last_delta = self.records as i32 - 1;
        let head = &mut self.bytes[..HEADER];
        head[16] = MAGIC;
        head[23..27].copy_from_slice(&last_delta.to_be_bytes());
        head[27..35].copy_from_slice(&self.base_time.to_be_bytes());
        head[35..43].copy_from_slice(&self.max_time.to_be_bytes());
        head[43..51].copy_from_slice(&(-1i64).to_be_bytes());
        head[51..53].copy_from_slice(&(-1i16).to_be_bytes());
        head[53..57].copy_from_slice(&(-1i32).to_be_bytes());
        head[57..61].copy_from_slice(&(self.records as i32).to_be_bytes());
        seal(&mut self.bytes, 0);
        Some(RecordBatch { bytes: Arc::new(self.bytes), plain: None, records: self.records })
    }
}

/// The head of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHead {
    /// The offset of the first record.
    pub base_offset: i64,
    /// The length of the whole batch in bytes.
    ///
    /// Head included.
    pub length: usize,
    /// The number of records.
    pub records: u32,
    /// The offset of the last record less that of the first. There are fewer records between them where some were
    /// compacted away.
    pub last_delta: u32,
    /// The number of the codec by which the records are compressed; 0 for none.
    pub codec: i16,
    /// The time that those of records are distances from, in milliseconds since the epoch.
    pub base_time: i64,
    /// Until when the tombstones of a batch that was compacted stay, in milliseconds since the epoch.
    pub horizon_ms: Option<i64>,
    /// The largest time of a record, in milliseconds since the epoch.
    pub max_time: i64,
}

impl BatchHead {
    /// Reads a head; `None` if there are too few bytes.
    ///
    /// May be called with the head alone: 61 bytes are enough.
    ///
    /// # Errors
    /// The bytes are not the head of a batch, or the batch is compressed: such a one must have been decompressed before.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<Option<BatchHead>> {
        let head = BatchHead::parse_any(bytes)?;
        if head.is_some_and(|head| head.codec != 0) {
            return Err(Error::bug("a compressed record batch where a plain one was expected"));
        }
        Ok(head)
    }

    /// Like [`BatchHead::parse`], of a batch that may be compressed.
    pub(super) fn parse_any(bytes: &[u8]) -> Result<Option<BatchHead>> {
        if bytes.len() < HEADER {
            return Ok(None);
        }
        let length = i32_at(bytes, 8);
        let attributes = i16::from_be_bytes([bytes[21], bytes[22]]);
        if bytes[16] != MAGIC || length < (HEADER - 12) as i32 {
            return Err(Error::backend("a record batch does not start where one should"));
        }
        let base_time = i64_at(bytes, 27);
        Ok(Some(BatchHead {
            base_offset: i64_at(bytes, 0),
            length: length as usize + 12,
            records: i32_at(bytes, 57).max(0) as u32,
            last_delta: i32_at(bytes, 23).max(0) as u32,
            codec: attributes & compression::BITS,
            base_time,
            horizon_ms: (attributes & HORIZON != 0).then_some(base_time),
            max_time: i64_at(bytes, 35),
        }))
    }

    /// The offset after the batch's last record.
    pub fn next_offset(&self) -> i64 {
        self.base_offset + i64::from(self.last_delta) + 1
    }
}

/// Whether the checksum of a whole batch is right.
///
/// False for fewer bytes than a checksum needs.
pub fn is_intact(batch: &[u8]) -> bool {
    let expected = batch.get(17..21).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]));
    expected.is_some_and(|expected| crc32c::crc32c(&batch[CHECKED_FROM..]) == expected)
}

/// A record, borrowed from its batch.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The place in the partition.
    pub offset: i64,
    /// The time, in milliseconds since the epoch.
    pub time: i64,
    /// The key, if it has one.
    pub key: Option<&'a [u8]>,
    /// The value; a record without one deletes its key where the topic is a table's.
    pub value: Option<&'a [u8]>,
    headers: &'a [u8],
}

impl<'a> Record<'a> {
    /// The record's headers.
    ///
    /// In their order; a name may come more than once.
    ///
    /// # Errors
    /// The bytes end too early.
    pub fn headers(&self) -> Result<Vec<Header>> {
        parse_headers(self.headers)
    }

    /// The record's headers as its bytes hold them: their number, then each.
    pub fn raw_headers(&self) -> &'a [u8] {
        self.headers
    }
}

/// The bytes of no headers.
pub const NO_HEADERS: &[u8] = &[0];

/// Headers from their bytes, as [`Record::raw_headers`] gives them.
///
/// Names that are not UTF-8 get replacement characters.
///
/// # Errors
/// The bytes end too early.
pub fn parse_headers(bytes: &[u8]) -> Result<Vec<Header>> {
    let mut cursor = Cursor { bytes, at: 0 };
    let count = cursor.varint()?;
    let mut headers = Vec::new();
    for _ in 0..count {
        let key = String::from_utf8_lossy(cursor.bytes()?.unwrap_or_default()).into_owned();
        headers.push(Header { key, value: cursor.bytes()?.map(<[u8]>::to_vec) });
    }
    Ok(headers)
}

/// The records of one batch, from front to back.
pub struct Records<'a> {
    cursor: Cursor<'a>,
    head: BatchHead,
    left: u32,
}

impl<'a> Records<'a> {
    /// The records of a whole batch whose checksum was verified.
    ///
    /// The batch must begin at its head.
    pub fn new(batch: &'a [u8], head: BatchHead) -> Self {
        Records { cursor: Cursor { bytes: batch, at: HEADER }, head, left: head.records }
    }

    /// Where the next record begins in the batch, and how many come before it: for [`Records::go_to`].
    ///
    /// Costs nothing; a reader that stops in a batch goes on there without reading it from the front.
    pub fn place(&self) -> (usize, u32) {
        (self.cursor.at, self.head.records - self.left)
    }

    /// Goes on from a place in the batch.
    pub fn go_to(&mut self, (at, before): (usize, u32)) {
        self.cursor.at = at;
        self.left = self.head.records.saturating_sub(before);
    }

    /// The next record.
    ///
    /// `None` after the last record.
    ///
    /// # Errors
    /// The bytes end too early.
    #[inline]
    pub fn next_record(&mut self) -> Result<Option<Record<'a>>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let cursor = &mut self.cursor;
        let length = cursor.varint()?;
        let end = cursor.at + usize::try_from(length).map_err(|_| torn())?;
        cursor.at += 1;
        let time = self.head.base_time.wrapping_add(cursor.varint()?);
        let offset = self.head.base_offset.wrapping_add(cursor.varint()?);
        let key = cursor.bytes()?;
        let value = cursor.bytes()?;
        let headers = cursor.bytes.get(cursor.at..end).ok_or_else(torn)?;
        cursor.at = end;
        Ok(Some(Record { offset, time, key, value, headers }))
    }
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// The error for a batch that ends too early.
#[cold]
pub(super) fn torn() -> Error {
    Error::backend("a record batch breaks off")
}

impl<'a> Cursor<'a> {
    /// A signed varint.
    #[inline]
    fn varint(&mut self) -> Result<i64> {
        let mut value = 0u64;
        let mut shift = 0;
        loop {
            let byte = *self.bytes.get(self.at).ok_or_else(torn)?;
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(row::unzigzag(value));
            }
            shift += 7;
            if shift > 63 {
                return Err(torn());
            }
        }
    }

    /// Bytes with their length before them; −1 for none.
    #[inline]
    fn bytes(&mut self) -> Result<Option<&'a [u8]>> {
        let length = self.varint()?;
        if length < 0 {
            return Ok(None);
        }
        let bytes = self.bytes.get(self.at..self.at + length as usize).ok_or_else(torn)?;
        self.at += length as usize;
        Ok(Some(bytes))
    }
}

/// The big-endian number at a place.
fn i64_at(bytes: &[u8], at: usize) -> i64 {
    bytes[at..at + 8].iter().fold(0, |value, byte| value << 8 | i64::from(*byte))
}

/// The big-endian number at a place.
fn i32_at(bytes: &[u8], at: usize) -> i32 {
    bytes[at..at + 4].iter().fold(0, |value, byte| value << 8 | i32::from(*byte))
}

/// Appends a signed varint (zigzag).
#[inline]
fn put_varint(out: &mut Vec<u8>, value: i64) {
    row::put_varint(out, row::zigzag(value));
}

/// Appends bytes with their length before them; −1 for none.
#[inline]
fn put_bytes(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => {
            put_varint(out, bytes.len() as i64);
            out.extend_from_slice(bytes);
        }
        None => put_varint(out, -1),
    }
}

/// The number of bytes that [`put_varint`] appends.
#[inline]
fn size_of_varint(value: i64) -> usize {
    (70 - (row::zigzag(value) | 1).leading_zeros() as usize) / 7
}

/// The number of bytes that [`put_bytes`] appends.
#[inline]
fn size_of_bytes(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(1, |b| size_of_varint(b.len() as i64) + b.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_survive_the_way_through_a_batch() {
        let mut writer = BatchWriter::new();
        let header = Header { key: "h".into(), value: None };
        writer.push(1_000_000, Some(b"k"), Some(&[7; 300]), &[]);
        writer.push(999_000, None, None, std::slice::from_ref(&header));
        let mut batch = writer.finish().expect("two records");
        batch.set_base_offset(40);
        let bytes = batch.bytes();
        assert!(is_intact(bytes));
        let head = BatchHead::parse(bytes).expect("a head").expect("enough bytes");
        assert_eq!((head.length, head.next_offset(), head.max_time), (bytes.len(), 42, 1_000_000));
        let mut records = Records::new(bytes, head);
        let first = records.next_record().expect("intact").expect("a record");
        assert_eq!(
            (first.offset, first.time, first.key, first.value),
            (40, 1_000_000, Some(&b"k"[..]), Some(&[7; 300][..]))
        );
        let second = records.next_record().expect("intact").expect("a record");
        assert_eq!((second.offset, second.time, second.key, second.value), (41, 999_000, None, None));
        assert_eq!(second.headers().expect("intact"), [header]);
        assert!(records.next_record().expect("intact").is_none());
    }

    #[test]
    fn a_flipped_bit_is_seen() {
        let mut writer = BatchWriter::new();
        writer.push(0, None, Some(b"value"), &[]);
        let mut bytes = writer.finish().expect("a record").bytes().to_vec();
        let last = bytes.len() - 2;
        bytes[last] ^= 1;
        assert!(!is_intact(&bytes));
    }

    #[test]
    fn varints_have_the_size_that_is_counted() {
        for value in [0, -1, 63, 64, -64, -65, 8191, 8192, i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert_eq!(out.len(), size_of_varint(value), "{value}");
        }
    }
}
