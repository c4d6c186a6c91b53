//! A line of JSON to the parts of a record.
//!
//! One maker serves all lines of a call, and its memory is used again. The three layouts:
//!
//! ```text
//! Value      the line is the value; --key and --timestamp name fields of it, which stay in it
//! Envelope   {"partition"?, "key"?, "value", "timestamp"?, "headers"?}; "offset" is read over
//! Raw        the bytes of the line are the value; no key
//! ```
//!
//! An envelope is what `topic consume` prints, so records can be copied from topic to topic.

use super::{declared_key, declared_value, iso_time};
use crate::catalog::{Source, WindowType};
use crate::formats::json::scan::{Scan, Start};
use crate::formats::transcode::FromJson;
use crate::topics::record::Header;
use crate::types::parse;

/// Where the parts of a record stand in a line.
pub(super) enum Layout {
    /// The line is the value; key and time are fields of it.
    Value { key: Option<String>, time: Option<String> },
    /// The line has a field for each part.
    Envelope,
    /// The line is the bytes of the value.
    Raw,
}

/// Makes records of lines.
pub(super) struct Maker {
    layout: Layout,
    key_format: FromJson,
    value_format: FromJson,
    /// The windows that stand in the topic's keys.
    window: Option<WindowType>,
    /// The bytes of the key, if there is one, without its window.
    key: Vec<u8>,
    value: Vec<u8>,
    /// The bytes of the window behind the key.
    bounds: Vec<u8>,
    /// False for a record without a key; an empty key is a key.
    keyed: bool,
    valued: bool,
    /// Milliseconds since the epoch; `None` if the line says none.
    pub time: Option<i64>,
    /// `None` if the key decides it. It may be one that the topic does not have.
    pub partition: Option<u32>,
    pub headers: Vec<Header>,
}

type Made<T> = Result<T, String>;

/// A field of an object: its name and its JSON text.
type Field<'a> = (std::borrow::Cow<'a, [u8]>, &'a [u8]);

impl Maker {
    /// A maker of records of a topic, which the catalog may know by a source.
    pub(super) fn new(layout: Layout, source: Option<&Source>) -> Maker {
        Maker {
            layout,
            key_format: FromJson::new(declared_key(source)),
            value_format: FromJson::new(declared_value(source)),
            window: source.and_then(|s| s.window).map(|w| w.kind),
            key: Vec::new(),
            value: Vec::new(),
            bounds: Vec::new(),
            keyed: false,
            valued: false,
            time: None,
            partition: None,
            headers: Vec::new(),
        }
    }

    /// The key that decides the partition.
    ///
    /// Without the window, as Kafka Streams' partitioner for windowed keys does it.
    pub(super) fn partition_key(&self) -> Option<&[u8]> {
        self.keyed.then_some(&self.key)
    }

    /// The whole key, with its window.
    ///
    /// Appends the window to the key, so [`Maker::partition_key`] has it too from then on.
    pub(super) fn key(&mut self) -> Option<&[u8]> {
        if self.keyed && !self.bounds.is_empty() {
            self.key.append(&mut self.bounds);
        }
        self.keyed.then_some(&self.key)
    }

    /// The value.
    pub(super) fn value(&self) -> Option<&[u8]> {
        self.valued.then_some(&self.value)
    }

    /// Makes the record of a line; the reason if it is none.
    pub(super) fn read(&mut self, line: &[u8]) -> Made<()> {
        if !matches!(self.layout, Layout::Raw) && simdutf8::basic::from_utf8(line).is_err() {
            return Err("the line is not UTF-8".to_owned());
        }
        for bytes in [&mut self.key, &mut self.value, &mut self.bounds] {
            bytes.clear();
        }
        self.headers.clear();
        (self.keyed, self.valued, self.time, self.partition) = (false, false, None, None);
        match &self.layout {
            Layout::Envelope => self.envelope(line),
            Layout::Raw => {
                self.value.extend_from_slice(line);
                self.valued = true;
                Ok(())
            }
            Layout::Value { key: None, time: None } => {
                let mut scan = Scan::of_bytes(line)?;
                let text = value_text(&mut scan)?;
                ended(&mut scan)?;
                self.put_value(text)
            }
            Layout::Value { key, time } => {
                let (mut key_text, mut time_text) = (None, None);
                let (key, time) = (key.as_ref().map(String::as_bytes), time.as_ref().map(String::as_bytes));
                each_field(line, |(name, text)| {
                    if key == Some(&name) {
                        key_text = Some(text);
                    }
                    if time == Some(&name) {
                        time_text = Some(text);
                    }
                    Ok(())
                })?;
                if let Some(name) = time {
                    self.time = Some(time_of(time_text.ok_or_else(|| missing(line, name, "time"))?)?);
                }
                if let Some(name) = key {
                    self.put_key(key_text.ok_or_else(|| missing(line, name, "key"))?)?;
                }
                self.put_value(trimmed(line))
            }
        }
    }

    fn put_key(&mut self, text: &[u8]) -> Made<()> {
        let encoded = self.key_format.encode(text, &mut self.key);
        self.keyed = encoded.map_err(|reason| format!("key: {reason}"))?;
        Ok(())
    }

    fn put_value(&mut self, text: &[u8]) -> Made<()> {
        let encoded = self.value_format.encode(text, &mut self.value);
        self.valued = encoded.map_err(|reason| format!("value: {reason}"))?;
        Ok(())
    }

    /// # Errors
    /// The line is no object, has a field that no envelope has, or lacks the value.
    fn envelope(&mut self, line: &[u8]) -> Made<()> {
        let mut valued = false;
        let (mut key_text, mut value_text) = (None, None);
        let (mut time, mut partition, mut headers) = (None, None, Vec::new());
        each_field(line, |(name, text)| {
            match name.as_ref() {
                b"key" => key_text = Some(text),
                b"value" => (value_text, valued) = (Some(text), true),
                b"timestamp" if text != b"null" => time = Some(time_of(text)?),
                b"partition" if text != b"null" => {
                    let number = std::str::from_utf8(text).ok().and_then(|t| t.parse().ok());
                    partition = Some(number.ok_or_else(|| format!("{} is no partition", shown(text)))?);
                }
                b"headers" if text != b"null" => headers = headers_of(text)?,
                b"timestamp" | b"partition" | b"headers" | b"offset" => {}
                other => {
                    let known = "partition, key, value, timestamp and headers";
                    return Err(format!("unknown field {} in the envelope: it has {known}", shown(other)));
                }
            }
            Ok(())
        })?;
        (self.time, self.partition, self.headers) = (time, partition, headers);
        let value =
            value_text.filter(|_| valued).ok_or("there is no field value in the envelope; null is a tombstone")?;
        match (key_text, self.window) {
            (Some(text), Some(kind)) if text != b"null" => self.windowed_key(text, kind)?,
            (Some(text), _) => self.put_key(text)?,
            (None, _) => {}
        }
        self.put_value(value)
    }

    /// A key of the form `{"key":…,"window":{"start","end"}}`.
    fn windowed_key(&mut self, text: &[u8], kind: WindowType) -> Made<()> {
        let (mut own, mut start, mut end) = (None, None, None);
        each_field(text, |(name, text)| {
            match name.as_ref() {
                b"key" => own = Some(text),
                b"window" => each_field(text, |(name, text)| {
                    match name.as_ref() {
                        b"start" => start = Some(time_of(text)?),
                        b"end" => end = Some(time_of(text)?),
                        other => return Err(format!("unknown field {} in the window", shown(other))),
                    }
                    Ok(())
                })?,
                other => return Err(format!("unknown field {} in the windowed key", shown(other))),
            }
            Ok(())
        })?;
        let (Some(own), Some(start)) = (own, start) else {
            return Err("a windowed key is {\"key\":…,\"window\":{\"start\":…,\"end\":…}}".to_owned());
        };
        self.put_key(own)?;
        if kind == WindowType::Session {
            let end = end.ok_or("a session's window has an end")?;
            self.bounds.extend_from_slice(&end.to_be_bytes());
        }
        self.bounds.extend_from_slice(&start.to_be_bytes());
        Ok(())
    }
}

/// The refusal of a line that lacks the field with its key or time.
///
/// Names the field that differs only in case, or else all that there are.
fn missing(line: &[u8], name: &[u8], part: &str) -> String {
    let mut names: Vec<String> = Vec::new();
    // The line was read before, so it is an object.
    let _ = each_field(line, |(name, _)| {
        names.push(String::from_utf8_lossy(&name).into_owned());
        Ok(())
    });
    let name = String::from_utf8_lossy(name);
    let text = format!("there is no field {name} with the {part}");
    match names.iter().find(|other| other.eq_ignore_ascii_case(&name)) {
        Some(other) => format!("{text}; it is {other}: upper and lower case matter"),
        None if names.is_empty() => format!("{text}; the line has no field"),
        None => format!("{text}; the line has {}", shown(names.join(", ").as_bytes())),
    }
}

/// Calls `field` with each field of an object.
///
/// The text of a value has no blanks around it. A name that comes twice is handed over twice.
///
/// # Errors
/// The text is no object of JSON, or `field` says so.
fn each_field<'a>(text: &'a [u8], mut field: impl FnMut(Field<'a>) -> Made<()>) -> Made<()> {
    let mut scan = Scan::of_bytes(text)?;
    if scan.start()? != Start::Object {
        return Err(format!("an object is expected, found {}", shown(text)));
    }
    scan.expect(b'{')?;
    if !scan.take(b'}') {
        loop {
            let name = scan.string()?;
            let name =
                if name.escaped { name.text().into_owned().into_bytes().into() } else { name.raw.as_bytes().into() };
            scan.expect(b':')?;
            field((name, value_text(&mut scan)?))?;
            if !scan.take(b',') {
                break;
            }
        }
        scan.expect(b'}')?;
    }
    ended(&mut scan)
}

/// Steps over the value that comes next; its text.
fn value_text<'a>(scan: &mut Scan<'a>) -> Made<&'a [u8]> {
    scan.start()?;
    let start = scan.at();
    scan.skip()?;
    Ok(scan.since(start).as_bytes())
}

/// Refuses anything behind a value.
fn ended(scan: &mut Scan) -> Made<()> {
    if scan.is_at_end() { Ok(()) } else { Err(scan.unexpected("the end of the line").into()) }
}

fn trimmed(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text).trim_ascii()
}

/// A time: milliseconds since the epoch, or a text in ISO form.
///
/// # Errors
/// It is no time, or one before 1970.
fn time_of(text: &[u8]) -> Made<i64> {
    let mut scan = Scan::of_bytes(text)?;
    let time = match scan.start()? {
        Start::String => iso_time(&scan.string()?.text()),
        _ => std::str::from_utf8(text).ok().and_then(|t| t.parse().ok()),
    };
    let valid = time.filter(|t| *t >= 0);
    valid.ok_or_else(|| {
        format!(
            "{} is no time: milliseconds since 1970, or a text like 2020-01-31T10:20:30Z or 2020-01-31 10:20:30.123456",
            shown(text)
        )
    })
}

/// Headers: `[{"key":…,"value":…}]`, a value being text, `{"base64":…}` or null.
fn headers_of(text: &[u8]) -> Made<Vec<Header>> {
    let mut scan = Scan::of_bytes(text)?;
    let wrong = || format!("headers are [{{\"key\":…,\"value\":…}}], not {}", shown(text));
    scan.expect(b'[').map_err(|_| wrong())?;
    let mut headers = Vec::new();
    while !scan.take(b']') {
        let (mut key, mut value) = (None, None);
        each_field(value_text(&mut scan)?, |(name, text)| {
            match name.as_ref() {
                b"key" | b"KEY" => key = string_of(text),
                b"value" | b"VALUE" if text != b"null" => value = Some(header_value(text)?),
                b"value" | b"VALUE" => {}
                _ => return Err(wrong()),
            }
            Ok(())
        })?;
        headers.push(Header { key: key.ok_or_else(wrong)?, value });
        if !scan.take(b',') {
            scan.expect(b']')?;
            break;
        }
    }
    Ok(headers)
}

fn string_of(text: &[u8]) -> Option<String> {
    Scan::of_bytes(text).ok()?.string().ok().map(|s| s.text().into_owned())
}

fn header_value(text: &[u8]) -> Made<Vec<u8>> {
    if let Some(string) = string_of(text) {
        return Ok(string.into_bytes());
    }
    let mut bytes = None;
    each_field(text, |(name, text)| {
        if name.as_ref() == b"base64" {
            bytes = string_of(text).and_then(|t| parse::base64_bytes(&t));
        }
        Ok(())
    })?;
    bytes.ok_or_else(|| format!("{} is no value of a header: it is text or {{\"base64\":…}}", shown(text)))
}

/// The start of a text, for messages.
///
/// At most 40 characters.
fn shown(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let start: String = text.chars().take(40).collect();
    if start.len() < text.len() { format!("{start}…") } else { start }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(layout: Layout, line: &str) -> String {
        let mut maker = Maker::new(layout, None);
        let text = |b: Option<&[u8]>| b.map_or("-".to_owned(), |b| String::from_utf8_lossy(b).into_owned());
        match maker.read(line.as_bytes()) {
            Ok(()) => {
                let (key, value) = (text(maker.key()), text(maker.value()));
                format!("{key} {value} {:?} {:?} {}", maker.time, maker.partition, maker.headers.len())
            }
            Err(reason) => reason,
        }
    }

    #[test]
    fn key_and_time_are_fields_of_the_line() {
        let layout = || Layout::Value { key: Some("id".into()), time: Some("at".into()) };
        assert_eq!(made(layout(), r#" {"id":"a","at":5} "#), r#"a {"id":"a","at":5} Some(5) None 0"#);
        assert_eq!(
            made(layout(), r#"{"id":null,"at":"1970-01-01T00:00:01"}"#),
            r#"- {"id":null,"at":"1970-01-01T00:00:01"} Some(1000) None 0"#
        );
        assert_eq!(made(layout(), r#"{"id":7}"#), "there is no field at with the time; the line has id");
        assert_eq!(
            made(layout(), r#"{"ID":7,"at":1}"#),
            "there is no field id with the key; it is ID: upper and lower case matter"
        );
        assert!(made(layout(), r#"{"id":7,"at":"soon"}"#).starts_with("\"soon\" is no time"));
        assert!(made(layout(), "[1]").starts_with("an object is expected, found [1]"));
        assert!(made(layout(), r#"{"id":7,"at":1} x"#).starts_with("the end of the line expected, found 'x'"));
    }

    #[test]
    fn a_raw_line_is_the_value_whatever_it_is() {
        assert_eq!(made(Layout::Raw, r#" {"id" "#), r#"-  {"id"  None None 0"#);
        let mut maker = Maker::new(Layout::Raw, None);
        maker.read(b"\xff\0").expect("any bytes");
        assert_eq!(maker.value(), Some(&b"\xff\0"[..]));
    }

    #[test]
    fn an_envelope_has_a_field_for_each_part() {
        let line = r#"{"key":"k","value":{"a":1},"timestamp":9,"partition":2,"offset":7,
            "headers":[{"key":"h","value":"x"},{"key":"b","value":{"base64":"AQ=="}},{"key":"n","value":null}]}"#;
        assert_eq!(made(Layout::Envelope, line), r#"k {"a":1} Some(9) Some(2) 3"#);
        assert_eq!(made(Layout::Envelope, r#"{"key":null,"value":null}"#), "- - None None 0");
        assert!(made(Layout::Envelope, r#"{"key":null}"#).contains("no field value"));
        assert!(made(Layout::Envelope, r#"{"vaule":1}"#).contains("unknown field vaule"));
    }
}
