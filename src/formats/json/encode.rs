//! Rows to JSON, byte for byte as ksqlDB writes it: every column by its stored name, NULLs too, no blanks.

use crate::types::parse::base64_text;
use crate::types::view::ViewValues;
use crate::types::{Decimal, SqlType, View, text};

/// Appends the value in a row of a column.
pub fn put_value(column: &View, sql_type: &SqlType, row: usize, out: &mut Vec<u8>) {
    if column.is_null(row) {
        return out.extend_from_slice(b"null");
    }
    match &column.values {
        ViewValues::Boolean(bits) => out.extend_from_slice(if bits.value(row) { b"true" } else { b"false" }),
        ViewValues::Integer(v) | ViewValues::Date(v) | ViewValues::Time(v) => put_integer(i64::from(v[row]), out),
        ViewValues::Bigint(v) | ViewValues::Timestamp(v) => put_integer(v[row], out),
        ViewValues::Double(v) => put_double(v[row], out),
        ViewValues::Decimal128(v, scale) => {
            let decimal = Decimal::new(arrow::datatypes::i256::from_i128(v[row]), i32::from(*scale));
            out.extend_from_slice(decimal.to_string().as_bytes());
        }
        ViewValues::Decimal256(v, scale) => {
            out.extend_from_slice(Decimal::new(v[row], i32::from(*scale)).to_string().as_bytes());
        }
        ViewValues::String(texts) => put_string(texts.get(row), out),
        ViewValues::Bytes(bytes) => put_string(base64_text(bytes.get(row)).as_bytes(), out),
        ViewValues::Array { offsets, items } => {
            let SqlType::Array(item) = sql_type else { return };
            out.push(b'[');
            for (i, at) in (offsets[row] as usize..offsets[row + 1] as usize).enumerate() {
                comma(i, out);
                put_value(items, item, at, out);
            }
            out.push(b']');
        }
        ViewValues::Map { offsets, keys, values } => {
            let SqlType::Map(key, item) = sql_type else { return };
            let start = offsets[row] as usize;
            let names: Vec<String> = (start..offsets[row + 1] as usize).map(|at| key_text(keys, key, at)).collect();
            out.push(b'{');
            for (i, at) in text::hash_map_order(names.iter().map(String::as_str)).into_iter().enumerate() {
                comma(i, out);
                put_string(names[at].as_bytes(), out);
                out.push(b':');
                put_value(values, item, start + at, out);
            }
            out.push(b'}');
        }
        ViewValues::Struct(columns) => {
            let SqlType::Struct(fields) = sql_type else { return };
            out.push(b'{');
            for (i, (column, field)) in columns.iter().zip(fields).enumerate() {
                comma(i, out);
                put_string(field.name.as_bytes(), out);
                out.push(b':');
                put_value(column, &field.sql_type, row, out);
            }
            out.push(b'}');
        }
    }
}

/// The key of a map's entry as text; a NULL is the text `null`.
fn key_text(keys: &View, sql_type: &SqlType, at: usize) -> String {
    match &keys.values {
        _ if keys.is_null(at) => "null".to_owned(),
        ViewValues::String(texts) => texts.text(at).to_owned(),
        _ => {
            let mut out = Vec::new();
            put_value(keys, sql_type, at, &mut out);
            String::from_utf8_lossy(&out).into_owned()
        }
    }
}

#[inline]
fn comma(index: usize, out: &mut Vec<u8>) {
    if index > 0 {
        out.push(b',');
    }
}

#[inline]
fn put_integer(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

fn put_double(value: f64, out: &mut Vec<u8>) {
    text::with_double(value, |shown| match value.is_finite() {
        true => out.extend_from_slice(shown.as_bytes()),
        false => put_string(shown.as_bytes(), out),
    });
}

/// Appends a string (valid UTF-8) in quotes, escaped as Jackson does: characters beyond U+FFFF as two escapes.
#[inline]
pub fn put_string(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut done = 0;
    for (at, byte) in bytes.iter().enumerate() {
        if *byte >= 0x20 && *byte != b'"' && *byte != b'\\' && *byte < 0xF0 {
            continue;
        }
        if at < done {
            continue;
        }
        out.extend_from_slice(&bytes[done..at]);
        done = at + escape(&bytes[at..], out);
    }
    out.extend_from_slice(&bytes[done..]);
    out.push(b'"');
}

/// Appends the escape of the character at the front; gives the number of bytes that it had.
#[cold]
fn escape(bytes: &[u8], out: &mut Vec<u8>) -> usize {
    if bytes[0] < 0xF0 {
        let mut text = String::new();
        put_escape(bytes[0], &mut text);
        out.extend_from_slice(text.as_bytes());
        return 1;
    }
    let length = 4.min(bytes.len());
    let text = String::from_utf8_lossy(&bytes[..length]);
    text.encode_utf16().for_each(|unit| out.extend_from_slice(format!("\\u{unit:04X}").as_bytes()));
    length
}

/// Appends the escape of a quote, a backslash or a control character.
#[cold]
pub fn put_escape(byte: u8, out: &mut String) {
    let short = match byte {
        b'"' | b'\\' => char::from(byte),
        0x08 => 'b',
        0x0C => 'f',
        b'\n' => 'n',
        b'\r' => 'r',
        b'\t' => 't',
        _ => return out.push_str(&format!("\\u{byte:04X}")),
    };
    out.extend(['\\', short]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_as_jackson_escapes_them() {
        let show = |text: &str| {
            let mut out = Vec::new();
            put_string(text.as_bytes(), &mut out);
            String::from_utf8(out).expect("UTF-8")
        };
        assert_eq!(show("plain é \u{2028}"), "\"plain é \u{2028}\"");
        assert_eq!(show("a\"b\\c\n\u{1f}😀d"), r#""a\"b\\c\n\u001F\uD83D\uDE00d""#);
    }
}
