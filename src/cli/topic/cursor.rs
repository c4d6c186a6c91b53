//! The committed records of one partition as lines of JSON, a fetch at a time.
//!
//! ```text
//! {"partition":0,"offset":7,"timestamp":1700000000000,"key":…,"value":…,"headers":[{"key":…,"value":…}]}
//! ```
//!
//! The key of a windowed source is `{"key":…,"window":{"start":…,"end":…}}`, with milliseconds since the epoch. Bytes
//! that are not what was declared are shown all the same, as what they look like or in base64, so that no record is
//! left out.

use std::collections::VecDeque;

use super::{declared_key, declared_value, iso_time};
use crate::catalog::{Source, WindowType};
use crate::cli::output::tell;
use crate::error::Result;
use crate::formats::json::encode::put_string;
use crate::formats::transcode::{ToJson, raw};
use crate::topics::record::Header;
use crate::topics::{Offset, PartitionId, Reader, Topics};
use crate::types::text;

/// About how many bytes are read at once.
const READ_BYTES: usize = 256 << 10;

/// How the bytes of records become text.
pub(super) struct Decode {
    key: ToJson,
    value: ToJson,
    /// The kind, and the size in milliseconds where it is fixed. Windows of a size have 8 bytes at the end of the key
    /// (the start), sessions 16 (end, then start), as Kafka Streams writes them.
    window: Option<(WindowType, Option<i64>)>,
    /// Whether the bytes are shown as they are.
    raw: bool,
}

impl Decode {
    /// The way from the records of a topic, which the catalog may know by a source.
    pub(super) fn new(source: Option<&Source>, raw: bool) -> Decode {
        Decode {
            key: ToJson::new(declared_key(source)),
            value: ToJson::new(declared_value(source)),
            window: source.and_then(|s| s.window).map(|w| (w.kind, w.size_ms)),
            raw,
        }
    }

    fn keys(&mut self, keys: &[Option<&[u8]>]) -> Vec<Vec<u8>> {
        if self.raw {
            return raws(keys);
        }
        let Some((kind, size)) = self.window else { return self.key.decode(keys) };
        let width = if kind == WindowType::Session { 16 } else { 8 };
        let split = |key: &[u8]| key.len().checked_sub(width);
        let own: Vec<Option<&[u8]>> = keys.iter().map(|key| key.map(|k| &k[..split(k).unwrap_or(k.len())])).collect();
        let mut shown = self.key.decode(&own);
        for (key, shown) in keys.iter().zip(&mut shown) {
            let Some((key, at)) = key.and_then(|k| Some((k, split(k)?))) else { continue };
            let number = |from: usize| key[from..from + 8].iter().fold(0i64, |n, b| n << 8 | i64::from(*b));
            let start = number(key.len() - 8);
            let end = if kind == WindowType::Session { Some(number(at)) } else { size.map(|s| start + s) };
            let end = end.map_or("null".to_owned(), |e| e.to_string());
            let own = String::from_utf8_lossy(shown).into_owned();
            *shown = format!("{{\"key\":{own},\"window\":{{\"start\":{start},\"end\":{end}}}}}").into_bytes();
        }
        shown
    }

    fn values(&mut self, values: &[Option<&[u8]>]) -> Vec<Vec<u8>> {
        if self.raw { raws(values) } else { self.value.decode(values) }
    }
}

fn raws(payloads: &[Option<&[u8]>]) -> Vec<Vec<u8>> {
    payloads.iter().map(|p| p.map_or_else(|| b"null".to_vec(), raw)).collect()
}

/// A record as it is shown.
pub(super) struct Shown {
    /// Milliseconds since the epoch.
    pub time: i64,
    /// Without a line end.
    pub line: Vec<u8>,
}

/// A reader of one partition.
pub(super) struct Cursor {
    id: PartitionId,
    reader: Box<dyn Reader>,
    next: Offset,
    ready: VecDeque<Shown>,
    /// Whether it stood at the end when it was last looked at.
    at_end: bool,
}

impl Cursor {
    /// A reader that starts at an offset.
    pub(super) fn new(topics: &dyn Topics, id: PartitionId, start: Offset) -> Result<Cursor> {
        Ok(Cursor { id, reader: topics.reader(id)?, next: start, ready: VecDeque::new(), at_end: false })
    }

    /// The time of the next record, if there is one. A cursor that has found the end stays there until it is told to look
    /// again.
    pub(super) fn next_time(&mut self, decode: &mut Decode) -> Result<Option<i64>> {
        if self.ready.is_empty() && !self.at_end {
            self.fill(decode)?;
            self.at_end = self.ready.is_empty();
        }
        Ok(self.ready.front().map(|shown| shown.time))
    }

    /// There may be more behind the end that it found.
    pub(super) fn look_again(&mut self) {
        self.at_end = false;
    }

    /// Takes the next record.
    pub(super) fn take(&mut self) -> Option<Shown> {
        self.ready.pop_front()
    }

    /// Reads and decodes the next fetch, all its records at once. Nothing is added at the decided end.
    fn fill(&mut self, decode: &mut Decode) -> Result<()> {
        let fetch = self.reader.read(self.next, READ_BYTES)?;
        if let Some(start) = fetch.start {
            let (partition, from) = (self.id.partition, self.next);
            tell(&format!("partition {partition}: offsets {from} to {} were deleted before they were read", start - 1));
            self.next = start;
            return self.fill(decode);
        }
        let (mut keys, mut values, mut heads) = (Vec::new(), Vec::new(), Vec::new());
        self.next = fetch.each_record(self.next, |record| {
            keys.push(record.key);
            values.push(record.value);
            heads.push((record.offset, record.time, record.headers()?));
            Ok(())
        })?;
        if heads.is_empty() && !fetch.bytes.is_empty() {
            // All of its records before the wanted one were compacted away, or lie before it.
            return self.fill(decode);
        }
        let (keys, values) = (decode.keys(&keys), decode.values(&values));
        for ((key, value), (offset, time, headers)) in keys.into_iter().zip(values).zip(heads) {
            let head =
                format!("{{\"partition\":{},\"offset\":{offset},\"timestamp\":{time},\"key\":", self.id.partition);
            let mut line = head.into_bytes();
            line.extend_from_slice(&key);
            line.extend_from_slice(b",\"value\":");
            line.extend_from_slice(&value);
            line.extend_from_slice(b",\"headers\":");
            put_headers(&headers, &mut line);
            line.push(b'}');
            self.ready.push_back(Shown { time, line });
        }
        Ok(())
    }
}

fn put_headers(headers: &[Header], out: &mut Vec<u8>) {
    out.push(b'[');
    for (place, header) in headers.iter().enumerate() {
        out.extend_from_slice(if place > 0 { b",{\"key\":" } else { b"{\"key\":" });
        put_string(header.key.as_bytes(), out);
        out.extend_from_slice(b",\"value\":");
        out.extend_from_slice(&header.value.as_ref().map_or_else(|| b"null".to_vec(), |value| raw(value)));
        out.push(b'}');
    }
    out.push(b']');
}

/// Where reading starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StartAt {
    Beginning,
    End,
    Offset(Offset),
    Time(i64),
}

/// From this number on it is a time in milliseconds (in 2001) and no offset.
///
/// A partition with so many records is not expected.
const FIRST_TIME: i64 = 1_000_000_000_000;

impl std::str::FromStr for StartAt {
    type Err = String;

    fn from_str(given: &str) -> Result<Self, String> {
        match given {
            "beginning" | "earliest" => return Ok(StartAt::Beginning),
            "end" | "latest" => return Ok(StartAt::End),
            _ => {}
        }
        if let Ok(number) = given.parse::<i64>() {
            return match number {
                FIRST_TIME.. => Ok(StartAt::Time(number)),
                0.. => Ok(StartAt::Offset(number)),
                _ => Err("an offset is not negative".to_owned()),
            };
        }
        let time = text::parse_i64(given).or_else(|| iso_time(given));
        let expected = "beginning, end, an offset, a time like 2020-01-31T10:20:30Z or in milliseconds since 1970";
        time.map(StartAt::Time).ok_or_else(|| format!("expected {expected}"))
    }
}

impl StartAt {
    /// The offset in a partition.
    ///
    /// An offset outside of the partition becomes its start or end. For a time that is later than all records it is the
    /// end.
    pub(super) fn resolve(self, topics: &dyn Topics, id: PartitionId) -> Result<Offset> {
        match self {
            StartAt::Beginning => topics.start(id),
            StartAt::End => topics.end(id),
            StartAt::Offset(offset) => Ok(offset.clamp(topics.start(id)?, topics.end(id)?)),
            StartAt::Time(time) => topics.offset_for_time(id, time),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::ManualClock;
    use crate::disk::double::ForgetfulDisk;
    use crate::engine::{Engine, Settings, Store};
    use crate::statements;
    use crate::topics::record::BatchWriter;

    #[test]
    fn a_start_is_a_word_an_offset_or_a_time() {
        let parse = |text: &str| text.parse::<StartAt>().ok();
        assert_eq!(parse("beginning"), Some(StartAt::Beginning));
        assert_eq!(parse("17"), Some(StartAt::Offset(17)));
        assert_eq!(parse("1600000000000"), Some(StartAt::Time(1_600_000_000_000)));
        assert_eq!(parse("1970-01-01T00:00:01Z"), Some(StartAt::Time(1000)));
        assert_eq!(parse("1970-01-01 00:00:01.500999"), Some(StartAt::Time(1500)));
        assert_eq!((parse("-1"), parse("soon")), (None, None));
    }

    /// Of a batch only its first record is left, which is as much as is read at once.
    #[test]
    fn a_gap_that_compaction_left_is_not_the_end() {
        let store = Store::Folder { disk: ForgetfulDisk::new(0).boot(), path: "/data".into() };
        let engine = Engine::open(Settings::new(store, Arc::new(ManualClock::new()), statements::compile_kept))
            .expect("an engine");
        let made = "CREATE TOPIC 't' WITH (PARTITIONS=1, 'segment.bytes'='260', 'cleanup.policy'='compact',
            'min.cleanable.dirty.ratio'='0');";
        statements::execute(&engine, made).expect("made");
        let topic = engine.catalog().topic("t").expect("there").clone();
        let (large, value) = (vec![b'x'; READ_BYTES], [b'x'; 100]);
        let append = |records: &[(&[u8], &[u8])]| {
            let mut writer = BatchWriter::new();
            records.iter().for_each(|(key, value)| writer.push(0, Some(key), Some(value), &[]));
            engine.insert(&topic, None, writer.finish().expect("records")).expect("appended");
        };
        append(&[(b"a", &large), (b"b", &value)]);
        (0..4).for_each(|_| append(&[(b"b", &value)]));
        assert_eq!(engine.clean().expect("cleaned"), 1);
        let id = PartitionId { topic: topic.id, partition: 0 };
        let mut cursor = Cursor::new(engine.topics().as_ref(), id, 1).expect("a cursor");
        let mut decode = Decode::new(None, true);
        assert!(cursor.next_time(&mut decode).expect("readable").is_some(), "the last record is found");
        let line = String::from_utf8(cursor.take().expect("a record").line).expect("text");
        assert!(!line.contains("\"offset\":1,"), "what was compacted is gone: {line}");
    }
}
