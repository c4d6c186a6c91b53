//! Rows in Protobuf: the message that describes them, and their bytes.
//!
//! | type | field |
//! |---|---|
//! | INTEGER, BIGINT, DOUBLE, BOOLEAN, STRING, BYTES | `int32`, `int64`, `double`, `bool`, `string`, `bytes` |
//! | DECIMAL | `confluent.type.Decimal`: the digits as a big-endian number, how many there are, the scale |
//! | DATE, TIME, TIMESTAMP | `google.type.Date`, `google.type.TimeOfDay`, `google.protobuf.Timestamp` |
//! | ARRAY | a repeated field |
//! | MAP | a repeated message with `key` and `value` |
//! | STRUCT | a message |
//!
//! As everywhere in proto3, a field that is NULL, 0, false or empty is left out. A NULL inside of an array, and an array
//! inside of an array, cannot be said.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::types::{Column, Decimal, SqlType, Value};

/// The definition of the message that holds a row.
pub(super) fn schema(columns: &[Column]) -> String {
    let mut writer = Schema { imports: BTreeSet::new(), last: 1 };
    let fields: Vec<(&str, &SqlType)> = columns.iter().map(|column| (column.name.as_str(), &column.sql_type)).collect();
    let message = writer.message("ConnectDefault1", &fields, 0);
    let mut imports: String = writer.imports.iter().map(|import| format!("import \"{import}\";\n")).collect();
    if !imports.is_empty() {
        imports.push('\n');
    }
    format!("syntax = \"proto3\";\n\n{imports}{message}")
}

/// Writes definitions of messages.
struct Schema {
    imports: BTreeSet<&'static str>,
    /// The number of the last message.
    last: usize,
}

impl Schema {
    fn message(&mut self, name: &str, fields: &[(&str, &SqlType)], depth: usize) -> String {
        let indent = "  ".repeat(depth);
        let mut out = format!("{indent}message {name} {{\n");
        let mut nested = String::new();
        for (place, (name, sql_type)) in fields.iter().enumerate() {
            let (kind, message) = self.kind(sql_type, depth + 1);
            let params = decimal_params(sql_type, depth + 1);
            let _ = writeln!(out, "{indent}  {kind} {name} = {}{params};", place + 1);
            nested.push_str(&message);
        }
        if !nested.is_empty() {
            out.push('\n');
            out.push_str(&nested);
        }
        out + &indent + "}\n"
    }

    /// What stands before a field's name, and the messages that it needs.
    fn kind(&mut self, sql_type: &SqlType, depth: usize) -> (String, String) {
        let import = match sql_type {
            SqlType::Decimal { .. } => Some("confluent/type/decimal.proto"),
            SqlType::Timestamp => Some("google/protobuf/timestamp.proto"),
            SqlType::Date => Some("google/type/date.proto"),
            SqlType::Time => Some("google/type/timeofday.proto"),
            _ => None,
        };
        self.imports.extend(import);
        let plain = |kind: &str| (kind.to_owned(), String::new());
        match sql_type {
            SqlType::Boolean => plain("bool"),
            SqlType::Integer => plain("int32"),
            SqlType::Bigint => plain("int64"),
            SqlType::Double => plain("double"),
            SqlType::String => plain("string"),
            SqlType::Bytes => plain("bytes"),
            SqlType::Decimal { .. } => plain("confluent.type.Decimal"),
            SqlType::Timestamp => plain("google.protobuf.Timestamp"),
            SqlType::Date => plain("google.type.Date"),
            SqlType::Time => plain("google.type.TimeOfDay"),
            SqlType::Array(item) => {
                let (kind, message) = self.kind(item, depth);
                (format!("repeated {kind}"), message)
            }
            SqlType::Map(key, item) => {
                self.last += 1;
                let name = format!("ConnectDefault{}Entry", self.last);
                let message = self.message(&name, &[("key", key), ("value", item)], depth);
                (format!("repeated {name}"), message)
            }
            SqlType::Struct(fields) => {
                self.last += 1;
                let name = format!("ConnectDefault{}", self.last);
                let fields: Vec<(&str, &SqlType)> = fields.iter().map(|f| (f.name.as_ref(), &f.sql_type)).collect();
                let message = self.message(&name, &fields, depth);
                (name, message)
            }
        }
    }
}

/// The precision and scale of a DECIMAL, as an option of its field.
fn decimal_params(sql_type: &SqlType, depth: usize) -> String {
    let SqlType::Decimal { precision, scale } = sql_type else { return String::new() };
    let indent = "  ".repeat(depth);
    let param = |name: &str, value: &u8| {
        format!("{indent}    {{\n{indent}      value: \"{value}\",\n{indent}      key: \"{name}\"\n{indent}    }}")
    };
    let params = [param("precision", precision), param("scale", scale)].join(",\n");
    format!(" [(confluent.field_meta) = {{\n{indent}  params: [\n{params}\n{indent}  ]\n{indent}}}]")
}

/// The bytes of a row; None if it has what cannot be said.
pub(super) fn row(values: &[Value]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    for (place, value) in values.iter().enumerate() {
        field(place as u64 + 1, value, &mut out)?;
    }
    Some(out)
}

/// The kinds of fields, as their tags have them.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const LENGTH: u64 = 2;

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn tag(number: u64, kind: u64, out: &mut Vec<u8>) {
    varint(number << 3 | kind, out);
}

fn bytes(number: u64, bytes: &[u8], out: &mut Vec<u8>) {
    tag(number, LENGTH, out);
    varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// A whole number, unless it is 0.
fn whole(number: u64, value: i64, out: &mut Vec<u8>) {
    if value != 0 {
        tag(number, VARINT, out);
        varint(value as u64, out);
    }
}

/// Appends a field; nothing for a value that proto3 leaves out.
fn field(number: u64, value: &Value, out: &mut Vec<u8>) -> Option<()> {
    match value {
        Value::Null => {}
        Value::Boolean(value) => whole(number, i64::from(*value), out),
        Value::Integer(value) => whole(number, i64::from(*value), out),
        Value::Bigint(value) => whole(number, *value, out),
        Value::Double(value) if value.to_bits() == 0 => {}
        Value::Double(value) => {
            tag(number, FIXED64, out);
            out.extend_from_slice(&value.to_le_bytes());
        }
        Value::String(text) if text.is_empty() => {}
        Value::Bytes(all) if all.is_empty() => {}
        Value::Array(items) => array(number, items, out)?,
        Value::Map(entries) => {
            for (key, item) in entries {
                bytes(number, &row(&[key.clone(), item.clone()])?, out);
            }
        }
        other => bytes(number, &content(other)?, out),
    }
    Some(())
}

/// What stands behind the length of a field.
fn content(value: &Value) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match value {
        Value::String(text) => return Some(text.clone().into_bytes()),
        Value::Bytes(all) => return Some(all.clone()),
        Value::Struct(fields) => {
            for (place, (_, value)) in fields.iter().enumerate() {
                field(place as u64 + 1, value, &mut out)?;
            }
        }
        Value::Decimal(value) => decimal(value, &mut out),
        Value::Timestamp(ms) => {
            whole(1, ms.div_euclid(1_000), &mut out);
            whole(2, ms.rem_euclid(1_000) * 1_000_000, &mut out);
        }
        Value::Date(_) => {
            let text = value.to_text();
            // A year before the first has a sign.
            let mut parts = text.rsplitn(3, '-').map(|part| part.parse::<i64>().ok());
            let (day, month, year) = (parts.next()??, parts.next()??, parts.next()??);
            [year, month, day].into_iter().zip(1..).for_each(|(part, number)| whole(number, part, &mut out));
        }
        Value::Time(ms) => {
            let ms = i64::from(*ms);
            let parts = [ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60, ms % 1_000 * 1_000_000];
            parts.into_iter().zip(1..).for_each(|(part, number)| whole(number, part, &mut out));
        }
        _ => return None,
    }
    Some(out)
}

/// Numbers stand together in one field, all else in a field each.
fn array(number: u64, items: &[Value], out: &mut Vec<u8>) -> Option<()> {
    let mut packed = Vec::new();
    for item in items {
        match item {
            Value::Null | Value::Array(_) | Value::Map(_) => return None,
            Value::Boolean(value) => varint(u64::from(*value), &mut packed),
            Value::Integer(value) => varint(i64::from(*value) as u64, &mut packed),
            Value::Bigint(value) => varint(*value as u64, &mut packed),
            Value::Double(value) => packed.extend_from_slice(&value.to_le_bytes()),
            other => bytes(number, &content(other)?, out),
        }
    }
    if !packed.is_empty() {
        bytes(number, &packed, out);
    }
    Some(())
}

fn decimal(value: &Decimal, out: &mut Vec<u8>) {
    let all = value.unscaled.to_be_bytes();
    // The shortest two's complement: leading bytes that only repeat the sign are left out.
    let repeats = |at: usize| all[at] == if all[at + 1] & 0x80 == 0 { 0 } else { 0xff };
    let start = (0..all.len() - 1).find(|at| !repeats(*at)).unwrap_or(all.len() - 1);
    bytes(1, &all[start..], out);
    whole(2, i64::from(value.precision()), out);
    whole(3, i64::from(value.scale), out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::parse::base64_text;

    fn text(values: &[Value]) -> Option<String> {
        row(values).map(|bytes| base64_text(&bytes))
    }

    #[test]
    fn rows_have_the_bytes_of_ksqldb() {
        let string = |text: &str| Value::String(text.to_owned());
        let decimal = |text: &str| Value::Decimal(Decimal::parse(text).expect("a number"));
        let all = [
            string("a"),
            Value::Integer(1),
            Value::Double(1.5),
            string("x"),
            decimal("1.20"),
            Value::Timestamp(1_580_466_030_000),
            Value::Array(vec![Value::Integer(1)]),
            Value::Map(vec![(string("k"), Value::Integer(1))]),
            Value::Struct(vec![("X".to_owned(), Value::Integer(1)), ("Y".to_owned(), string("y"))]),
        ];
        let expected = "CgFhEAEZAAAAAAAA+D8iAXgqBwoBeBADGAIyBgju/s/xBToBAUIFCgFrEAFKBQgBEgF5";
        assert_eq!(text(&all).as_deref(), Some(expected));
        let others = [string("b"), Value::Integer(3), Value::Double(100.0), decimal("100.00")];
        assert_eq!(text(&others).as_deref(), Some("CgFiEAMZAAAAAAAAWUAiCAoCJxAQBRgC"));
        assert_eq!(text(&[string("c"), Value::Integer(4), Value::Null]).as_deref(), Some("CgFjEAQ="));
        assert_eq!(text(&[Value::Array(vec![Value::Null])]), None);
    }

    #[test]
    fn the_message_of_a_row_is_described() {
        let columns = [
            Column::value("K", SqlType::String),
            Column::value("DE", SqlType::Decimal { precision: 6, scale: 2 }),
            Column::value("M", SqlType::Map(SqlType::String.into(), SqlType::Integer.into())),
        ];
        assert_eq!(
            schema(&columns),
            "syntax = \"proto3\";\n\nimport \"confluent/type/decimal.proto\";\n\nmessage ConnectDefault1 {\n  string K = 1;\n  \
             confluent.type.Decimal DE = 2 [(confluent.field_meta) = {\n    params: [\n      {\n        value: \"6\",\n        \
             key: \"precision\"\n      },\n      {\n        value: \"2\",\n        key: \"scale\"\n      }\n    ]\n  }];\n  \
             repeated ConnectDefault2Entry M = 3;\n\n  message ConnectDefault2Entry {\n    string key = 1;\n    int32 value = \
             2;\n  }\n}\n"
        );
    }
}
