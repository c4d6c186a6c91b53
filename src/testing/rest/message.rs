//! Rows in Protobuf as text, as Java's library prints messages.
//!
//! The definition of the messages comes with the answer; it is of the kind that the service writes, so only what
//! occurs in it is read: messages, repeated fields, and a few messages of libraries.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};

use crate::types::parse::base64_bytes;
use crate::types::text;

/// A field of a message.
#[derive(Clone, Debug)]
struct Field {
    name: String,
    kind: String,
    is_repeated: bool,
}

/// The fields of messages by their numbers, by the names of the messages.
type Messages = BTreeMap<String, BTreeMap<u64, Field>>;

/// The messages of libraries that fields may have.
const KNOWN: &str = "
    message confluent.type.Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }
    message google.protobuf.Timestamp { int64 seconds = 1; int32 nanos = 2; }
    message google.type.Date { int32 year = 1; int32 month = 2; int32 day = 3; }
    message google.type.TimeOfDay { int32 hours = 1; int32 minutes = 2; int32 seconds = 3; int32 nanos = 4; }";

/// The elements of an answer with each row as the text of its message.
///
/// # Errors
/// The definition or a row cannot be read.
pub(super) fn texts(elements: Vec<Value>) -> Result<Vec<Value>, String> {
    let definition = elements.first().and_then(|head| head["header"]["protoSchema"].as_str().map(str::to_owned));
    let mut messages = read_messages(KNOWN).ok_or("the messages of libraries cannot be read")?;
    let own = read_messages(definition.as_deref().unwrap_or_default()).ok_or("the definition cannot be read")?;
    messages.extend(own);
    let text = |element: Value| match element["row"]["protobufBytes"].as_str() {
        None => Ok(element),
        Some(row) => {
            let bytes = base64_bytes(row).ok_or_else(|| format!("{row} is not base64"))?;
            let mut out = String::new();
            print(&messages, "ConnectDefault1", &bytes, (&mut out, 0)).ok_or_else(|| format!("{row} is no row"))?;
            Ok(json!({ "row": out }))
        }
    };
    elements.into_iter().map(text).collect()
}

/// The messages of a definition.
fn read_messages(definition: &str) -> Option<Messages> {
    let spaced = definition.replace('{', " { ").replace('}', " } ").replace(';', " ; ");
    let mut words = spaced.split_whitespace();
    let mut messages = Messages::new();
    // The messages around a place, from the outermost.
    let mut open: Vec<String> = Vec::new();
    while let Some(word) = words.next() {
        match word {
            "message" => {
                let name = words.next()?.to_owned();
                messages.insert(name.clone(), BTreeMap::new());
                open.push(name);
                words.next()?;
            }
            "}" => drop(open.pop()?),
            "syntax" | "import" => while words.next()? != ";" {},
            kind => {
                let is_repeated = kind == "repeated";
                let kind = if is_repeated { words.next()? } else { kind }.to_owned();
                let name = words.next()?.to_owned();
                words.next().filter(|word| *word == "=")?;
                let number = words.next()?.parse().ok()?;
                // What stands between the number and the end are options.
                while words.next()? != ";" {}
                messages.get_mut(open.last()?)?.insert(number, Field { name, kind, is_repeated });
            }
        }
    }
    Some(messages)
}

/// Prints a message; None if the bytes are none of it.
fn print(messages: &Messages, name: &str, bytes: &[u8], to: (&mut String, usize)) -> Option<()> {
    let (out, depth) = to;
    let fields = messages.get(name)?;
    let mut rest = bytes;
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        let field = fields.get(&(tag >> 3))?;
        match tag & 7 {
            0 => line(field, &whole(&field.kind, varint(&mut rest)?), (out, depth)),
            1 => line(field, &text::double(double(&mut rest)?), (out, depth)),
            2 => {
                let length = usize::try_from(varint(&mut rest)?).ok()?;
                let (content, behind) = rest.split_at_checked(length)?;
                rest = behind;
                delimited(messages, field, content, (out, depth))?;
            }
            _ => return None,
        }
    }
    Some(())
}

/// Prints a field that has a length: a text, bytes, a message, or numbers that stand together.
fn delimited(messages: &Messages, field: &Field, content: &[u8], to: (&mut String, usize)) -> Option<()> {
    let (out, depth) = to;
    match field.kind.as_str() {
        "string" | "bytes" => line(field, &quoted(content), (out, depth)),
        kind if messages.contains_key(kind) => {
            let indent = "  ".repeat(depth);
            let _ = writeln!(out, "{indent}{} {{", field.name);
            print(messages, kind, content, (out, depth + 1))?;
            let _ = writeln!(out, "{indent}}}");
        }
        kind if field.is_repeated => {
            let mut rest = content;
            while !rest.is_empty() {
                let value = match kind {
                    "double" => text::double(double(&mut rest)?),
                    _ => whole(kind, varint(&mut rest)?),
                };
                line(field, &value, (out, depth));
            }
        }
        _ => return None,
    }
    Some(())
}

fn line(field: &Field, value: &str, (out, depth): (&mut String, usize)) {
    let _ = writeln!(out, "{}{}: {value}", "  ".repeat(depth), field.name);
}

fn whole(kind: &str, value: u64) -> String {
    match kind {
        "bool" => (value != 0).to_string(),
        "int32" => (value as i32).to_string(),
        _ => (value as i64).to_string(),
    }
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn double(bytes: &mut &[u8]) -> Option<f64> {
    let (own, rest) = bytes.split_first_chunk::<8>()?;
    *bytes = rest;
    Some(f64::from_le_bytes(*own))
}

/// Bytes in quotes; those that cannot be printed in octal digits.
fn quoted(bytes: &[u8]) -> String {
    let escaped = |byte: &u8| match byte {
        b'\n' => "\\n".to_owned(),
        b'\r' => "\\r".to_owned(),
        b'\t' => "\\t".to_owned(),
        b'"' | b'\'' | b'\\' => format!("\\{}", char::from(*byte)),
        b' '..=b'~' => char::from(*byte).to_string(),
        other => format!("\\{other:03o}"),
    };
    format!("\"{}\"", bytes.iter().map(escaped).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_printed_by_its_definition() {
        let definition = "syntax = \"proto3\";\n\nimport \"confluent/type/decimal.proto\";\n\nmessage ConnectDefault1 {\n  \
                          int32 I = 1;\n  confluent.type.Decimal D = 2 [(confluent.field_meta) = {\n    params: [ { value: \
                          \"6\", key: \"precision\" } ]\n  }];\n  repeated int64 A = 3;\n  repeated ConnectDefault2Entry M = \
                          4;\n\n  message ConnectDefault2Entry {\n    string key = 1;\n    bytes value = 2;\n  }\n}\n";
        let bytes = [
            &[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01][..],
            &[0x12, 0x03, 0x0a, 0x01, 0x78],
            &[0x1a, 0x02, 0x01, 0x02],
            &[0x22, 0x07, 0x0a, 0x01, b'k', 0x12, 0x02, 0x00, b'"'],
        ]
        .concat();
        let row = json!({ "row": { "protobufBytes": crate::types::parse::base64_text(&bytes) } });
        let head = json!({ "header": { "protoSchema": definition } });
        let expected = "I: -1\nD {\n  value: \"x\"\n}\nA: 1\nA: 2\nM {\n  key: \"k\"\n  value: \"\\000\\\"\"\n}\n";
        assert_eq!(texts(vec![head.clone(), row]), Ok(vec![head, json!({ "row": expected })]));
    }
}
