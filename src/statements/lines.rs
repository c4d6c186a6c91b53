//! The lines that PRINT shows of records.
//!
//! A topic does not say what its bytes are. Each format that has fitted all keys (or values) so far stays possible, and
//! the first possible one writes them:
//!
//! ```text
//! JSON           starts with a JSON value
//! KAFKA_INT      4 bytes
//! KAFKA_BIGINT   8 bytes
//! KAFKA_DOUBLE   8 bytes
//! KAFKA_STRING   UTF-8, not empty
//! ```
//!
//! A key may also be one of these with a window behind it: SESSION(…) has two times of 8 bytes, HOPPING(…) and
//! TUMBLING(…) have one. Any text of nine bytes or more looks so. It is listed, as in ksqlDB, but a time after the year
//! 9999 is not believed, so that the text is written.

use crate::engine::TopicRecord;
use crate::types::text;

/// What is said of bytes that no format fits.
const UNKNOWN: &str =
    " does not match any supported format. It may be a STRING with encoding other than UTF8, or some other format.";
/// What is said if there was nothing but NULL.
const NOTHING: &str = "¯\\_(ツ)_/¯ - no data processed";
/// The first millisecond of the year 10000.
const TOO_LATE_MS: i64 = 253_402_300_800_000;

/// The lines of one PRINT, from its records.
pub struct RecordLines {
    keys: Guess,
    values: Guess,
    /// Every which record is shown; at least 1.
    interval: usize,
    /// How many more are shown; None without LIMIT.
    left: Option<usize>,
    seen: usize,
    announced: bool,
}

/// Lines without their line ends.
#[derive(Debug, Default, PartialEq)]
pub struct Portion {
    /// The formats of keys and values, before the first line.
    pub formats: Option<[String; 2]>,
    /// A line for each record that is shown.
    pub lines: Vec<String>,
}

impl RecordLines {
    /// Lines for every `interval`th record, at most `limit`.
    pub(super) fn new(interval: usize, limit: Option<usize>) -> RecordLines {
        let (keys, values) = (Guess::new(true), Guess::new(false));
        RecordLines { keys, values, interval: interval.max(1), left: limit, seen: 0, announced: false }
    }

    /// Whether as many lines as were asked for have been made.
    pub fn is_complete(&self) -> bool {
        self.left == Some(0)
    }

    /// The lines for the next records.
    ///
    /// All of them say which formats are possible, before the first one is written.
    pub fn add(&mut self, records: &[TopicRecord]) -> Portion {
        for record in records {
            self.keys.see(record.key.as_deref());
            self.values.see(record.value.as_deref());
        }
        let mut portion = Portion::default();
        for record in records {
            if self.is_complete() {
                break;
            }
            if self.seen.is_multiple_of(self.interval) {
                portion.lines.push(self.line(record));
                self.left = self.left.map(|left| left - 1);
            }
            self.seen += 1;
        }
        if !portion.lines.is_empty() && !self.announced {
            self.announced = true;
            portion.formats = Some([self.keys.names(), self.values.names()]);
        }
        portion
    }

    fn line(&self, record: &TopicRecord) -> String {
        let (key, value) = (self.keys.text(record.key.as_deref()), self.values.text(record.value.as_deref()));
        format!("rowtime: {}, key: {key}, value: {value}, partition: {}", time(record.time_ms), record.partition)
    }
}

/// A time as PRINT shows it.
fn time(ms: i64) -> String {
    if ms < 0 {
        return "N/A".to_owned();
    }
    format!("{} Z", text::timestamp(ms).replace('-', "/").replace('T', " "))
}

/// The formats that are still possible.
struct Guess {
    possible: Vec<Candidate>,
    has_seen: bool,
}

/// A format, maybe with a window behind it.
#[derive(Clone, Copy)]
struct Candidate {
    format: Format,
    window: Window,
    /// Whether its windows are at times that can be.
    is_plausible: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Format {
    Json,
    Int,
    Bigint,
    Double,
    Text,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Window {
    None,
    Session,
    Hopping,
    Tumbling,
}

/// All formats, with the names that ksqlDB gives them.
const FORMATS: [(Format, &str); 5] = [
    (Format::Json, "JSON"),
    (Format::Int, "KAFKA_INT"),
    (Format::Bigint, "KAFKA_BIGINT"),
    (Format::Double, "KAFKA_DOUBLE"),
    (Format::Text, "KAFKA_STRING"),
];

/// What may stand behind a key.
const WINDOWS: [(Window, &str); 3] =
    [(Window::Session, "SESSION"), (Window::Hopping, "HOPPING"), (Window::Tumbling, "TUMBLING")];

impl Guess {
    fn new(is_key: bool) -> Guess {
        let windows = if is_key { &WINDOWS[..] } else { &[] };
        let all = |(format, _): &(Format, &str)| {
            let windows = windows.iter().map(|(window, _)| *window).chain([Window::None]);
            let format = *format;
            windows.map(move |window| Candidate { format, window, is_plausible: true })
        };
        Guess { possible: FORMATS.iter().flat_map(all).collect(), has_seen: false }
    }

    /// Drops the formats that these bytes do not fit.
    fn see(&mut self, bytes: Option<&[u8]>) {
        let Some(bytes) = bytes else { return };
        self.has_seen = true;
        self.possible.retain_mut(|candidate| candidate.fits(bytes));
    }

    fn names(&self) -> String {
        match (self.has_seen, self.possible.as_slice()) {
            (false, _) => NOTHING.to_owned(),
            (true, []) => UNKNOWN.to_owned(),
            (true, possible) => possible.iter().map(Candidate::name).collect::<Vec<_>>().join(" or "),
        }
    }

    fn text(&self, bytes: Option<&[u8]>) -> String {
        let Some(bytes) = bytes else { return "<null>".to_owned() };
        let plausible = self.possible.iter().find(|candidate| candidate.is_plausible);
        let writer = plausible.or(self.possible.first());
        writer.and_then(|candidate| candidate.text(bytes)).unwrap_or_else(|| escaped(bytes))
    }
}

impl Candidate {
    fn name(&self) -> String {
        let name = FORMATS.iter().find(|(format, _)| *format == self.format).map_or("", |(_, name)| *name);
        match WINDOWS.iter().find(|(window, _)| *window == self.window) {
            Some((_, window)) => format!("{window}({name})"),
            None => name.to_owned(),
        }
    }

    /// Whether bytes are of this format; notes a window that cannot be.
    fn fits(&mut self, bytes: &[u8]) -> bool {
        let Some((own, times)) = self.split(bytes) else { return false };
        self.is_plausible &= times.iter().all(|time| *time < TOO_LATE_MS);
        self.format.text(own).is_some()
    }

    /// The bytes without their window, and its times: start, then end if it has one.
    fn split<'a>(&self, bytes: &'a [u8]) -> Option<(&'a [u8], Vec<i64>)> {
        let (own, times) = match self.window {
            Window::None => (bytes, Vec::new()),
            Window::Hopping | Window::Tumbling => {
                let (own, start) = bytes.split_last_chunk::<8>()?;
                (own, vec![i64::from_be_bytes(*start)])
            }
            Window::Session => {
                let (rest, start) = bytes.split_last_chunk::<8>()?;
                let (own, end) = rest.split_last_chunk::<8>()?;
                (own, vec![i64::from_be_bytes(*start), i64::from_be_bytes(*end)])
            }
        };
        (times.is_sorted() && times.iter().all(|time| *time >= 0)).then_some((own, times))
    }

    fn text(&self, bytes: &[u8]) -> Option<String> {
        let (own, times) = self.split(bytes)?;
        let own = self.format.text(own)?;
        Some(match times.as_slice() {
            [] => own,
            [start] => format!("[{own}@{start}/-]"),
            [start, end, ..] => format!("[{own}@{start}/{end}]"),
        })
    }
}

impl Format {
    /// The text of bytes of this format; None if they are not of it.
    fn text(self, bytes: &[u8]) -> Option<String> {
        match self {
            Format::Int => bytes.try_into().ok().map(|bytes| i32::from_be_bytes(bytes).to_string()),
            Format::Bigint => bytes.try_into().ok().map(|bytes| i64::from_be_bytes(bytes).to_string()),
            Format::Double => bytes.try_into().ok().map(|bytes| text::double(f64::from_be_bytes(bytes))),
            Format::Json | Format::Text => {
                let text = std::str::from_utf8(bytes).ok().filter(|text| !text.is_empty())?;
                (self == Format::Text || starts_with_json(text)).then(|| text.to_owned())
            }
        }
    }
}

/// Whether a text starts with a JSON value. As in ksqlDB, anything may follow an object, an array or a string: a line of
/// DELIMITED that starts with a quoted text counts, too.
fn starts_with_json(text: &str) -> bool {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<serde_json::Value>();
    let Some(Ok(value)) = values.next() else { return false };
    let ends_itself = value.is_object() || value.is_array() || value.is_string();
    let rest = &text[values.byte_offset()..];
    ends_itself || rest.is_empty() || rest.starts_with(|c: char| c.is_ascii_whitespace())
}

/// Bytes as text: what is not printable ASCII as `\xFF`.
fn escaped(bytes: &[u8]) -> String {
    let shown = |byte: &u8| match byte {
        b'\\' | 0..b' ' | 0x7f.. => format!("\\x{byte:02X}"),
        _ => char::from(*byte).to_string(),
    };
    bytes.iter().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 22 November 2026, 11:46:40.
    const NOW: i64 = 1_795_348_000_000;

    fn record(key: Option<&[u8]>, value: Option<&[u8]>) -> TopicRecord {
        let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
        TopicRecord { partition: 0, time_ms: NOW, key: owned(key), value: owned(value) }
    }

    /// What is said of keys, and how each is written.
    fn keys(keys: &[&[u8]]) -> (String, Vec<String>) {
        let mut guess = Guess::new(true);
        keys.iter().for_each(|key| guess.see(Some(key)));
        (guess.names(), keys.iter().map(|key| guess.text(Some(key))).collect())
    }

    fn values(values: &[&[u8]]) -> (String, Vec<String>) {
        let mut guess = Guess::new(false);
        values.iter().for_each(|value| guess.see(Some(value)));
        (guess.names(), values.iter().map(|value| guess.text(Some(value))).collect())
    }

    fn guessed(names: &str, texts: &[&str]) -> (String, Vec<String>) {
        (names.to_owned(), texts.iter().map(|text| (*text).to_owned()).collect())
    }

    #[test]
    fn a_record_is_a_line_after_the_formats() {
        let mut lines = RecordLines::new(1, None);
        let portion = lines.add(&[record(Some(&[0, 0, 0, 1]), Some(b"{\"V\":10}")), record(None, Some(b"{}"))]);
        let formats = ["KAFKA_INT or KAFKA_STRING".to_owned(), "JSON or KAFKA_STRING".to_owned()];
        assert_eq!(portion.formats, Some(formats));
        assert_eq!(
            portion.lines,
            [
                "rowtime: 2026/11/22 11:46:40.000 Z, key: 1, value: {\"V\":10}, partition: 0",
                "rowtime: 2026/11/22 11:46:40.000 Z, key: <null>, value: {}, partition: 0"
            ]
        );
        let next = lines.add(&[record(None, None)]);
        assert_eq!((next.formats, next.lines.len()), (None, 1));
        assert_eq!(time(-1), "N/A");
    }

    #[test]
    fn interval_and_limit_count_records() {
        let mut lines = RecordLines::new(2, Some(2));
        let records: Vec<TopicRecord> = (b'a'..=b'z').map(|key| record(Some(&[key]), None)).collect();
        let (first, second) = (lines.add(&records[..1]), lines.add(&records[1..]));
        assert!(first.lines[0].contains("key: a,") && second.lines[0].contains("key: c,"), "{second:?}");
        assert!(lines.is_complete() && second.lines.len() == 1);
        assert!(RecordLines::new(1, Some(0)).is_complete());
    }

    #[test]
    fn numbers_and_texts_are_told_by_their_lengths_and_bytes() {
        let bigints = [1i64.to_be_bytes(), 99_999_999_999i64.to_be_bytes()];
        let expected = guessed("KAFKA_BIGINT or KAFKA_DOUBLE", &["1", "99999999999"]);
        assert_eq!(keys(&[&bigints[0], &bigints[1]]), expected);
        let expected = guessed("KAFKA_BIGINT or KAFKA_DOUBLE", &["4609434218613702656"]);
        assert_eq!(values(&[&1.5f64.to_be_bytes()]), expected);
        let expected = guessed("KAFKA_BIGINT or KAFKA_DOUBLE or KAFKA_STRING", &["7"]);
        assert_eq!(values(&[&7i64.to_be_bytes()]), expected);
        assert_eq!(keys(&[b"a"]), guessed("KAFKA_STRING", &["a"]));
        assert_eq!(keys(&[b"\"a\""]), guessed("JSON or KAFKA_STRING", &["\"a\""]));
    }

    #[test]
    fn what_starts_with_json_is_json() {
        assert_eq!(values(&[b"\"x,y\",2"]), guessed("JSON or KAFKA_STRING", &["\"x,y\",2"]));
        assert_eq!(values(&[b"5"]), guessed("JSON or KAFKA_STRING", &["5"]));
        assert_eq!(values(&[b"5,x"]), guessed("KAFKA_STRING", &["5,x"]));
        assert_eq!(values(&[b"{\"a\":"]), guessed("KAFKA_STRING", &["{\"a\":"]));
    }

    #[test]
    fn windows_stand_behind_keys() {
        let start = NOW.to_be_bytes();
        let windowed = [&[0, 0, 0, 1][..], &start].concat();
        let names = "HOPPING(KAFKA_INT) or TUMBLING(KAFKA_INT) or HOPPING(KAFKA_STRING) or TUMBLING(KAFKA_STRING)";
        assert_eq!(keys(&[&windowed]), guessed(names, &["[1@1795348000000/-]"]));
        let session = [&[0, 0, 0, 1][..], &(NOW + 5).to_be_bytes(), &start].concat();
        let names = "SESSION(KAFKA_INT) or SESSION(KAFKA_STRING)";
        assert_eq!(keys(&[&session]), guessed(names, &["[1@1795348000000/1795348000005]"]));
        assert_eq!(values(&[&windowed]).0, UNKNOWN);
    }

    #[test]
    fn a_text_is_not_written_as_a_window_in_the_far_future() {
        let names = "JSON or HOPPING(KAFKA_STRING) or TUMBLING(KAFKA_STRING) or KAFKA_STRING";
        assert_eq!(keys(&[b"{\"A\":1,\"B\":\"b\"}"]), guessed(names, &["{\"A\":1,\"B\":\"b\"}"]));
        let (names, texts) = keys(&[b"order_000001"]);
        assert!(names.starts_with("HOPPING(KAFKA_INT)"), "{names}");
        assert_eq!(texts, ["order_000001"]);
    }

    #[test]
    fn what_no_format_fits_is_escaped() {
        assert_eq!(values(&[b"\xff\0\x01\\a"]), guessed(UNKNOWN, &["\\xFF\\x00\\x01\\x5Ca"]));
        assert_eq!(values(&[b"abcd", b"{\"a\":1}", b""]), guessed(UNKNOWN, &["abcd", "{\"a\":1}", ""]));
        assert_eq!(Guess::new(true).names(), NOTHING);
    }
}
