//! JSON: objects whose fields are the columns, or one bare value.

mod decode;
mod digits;
mod distinct;
pub mod encode;
mod fields;
mod map;
mod marks;
mod names;
mod places;
mod plain;
mod read;
pub mod scan;
mod short;
mod text;

use super::{Asked, Codec, Decoder, Encoder, Format};
use crate::error::{Error, Result};
use crate::types::{Column, SqlType, View};

/// The format JSON.
pub struct Json;

impl Format for Json {
    fn name(&self) -> &'static str {
        "JSON"
    }

    fn chooses_wrapping(&self) -> bool {
        true
    }

    fn bind(&self, asked: &Asked) -> Result<Box<dyn Codec>> {
        asked.columns.iter().try_for_each(|column| check_maps(&column.sql_type))?;
        Ok(Box::new(JsonCodec { columns: asked.columns.to_vec(), wrapped: asked.is_wrapped(true) }))
    }
}

/// JSON with these columns.
pub(super) struct JsonCodec {
    pub columns: Vec<Column>,
    /// Whether they are fields of an object.
    pub wrapped: bool,
}

impl Codec for JsonCodec {
    fn decoder(&self, needed: &[bool]) -> Box<dyn Decoder> {
        if self.wrapped {
            return Box::new(decode::ObjectDecoder::new(&self.columns, needed));
        }
        Box::new(decode::BareDecoder::new(&self.columns, needed))
    }

    fn encoder(&self) -> Box<dyn Encoder> {
        let labels = self.columns.iter().enumerate().map(|(i, column)| {
            let mut label = vec![if i == 0 { b'{' } else { b',' }];
            encode::put_string(column.name.as_bytes(), &mut label);
            label.push(b':');
            label
        });
        let types = self.columns.iter().map(|c| c.sql_type.clone()).collect();
        Box::new(JsonEncoder { labels: labels.collect(), types, wrapped: self.wrapped })
    }
}

/// A JSON text without the blanks between its tokens, so that it stands on one line; `None` if it is no JSON text.
pub fn compact(text: &[u8]) -> Option<Vec<u8>> {
    let mut scan = scan::Scan::of_bytes(text).ok()?;
    scan.skip().ok()?;
    if !scan.is_at_end() {
        return None;
    }
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    let mut out = Vec::with_capacity(text.len());
    let (mut quoted, mut escaped) = (false, false);
    for byte in text {
        if quoted || !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
            out.push(*byte);
        }
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
    }
    Some(out)
}

/// JSON's objects have names for keys.
fn check_maps(sql_type: &SqlType) -> Result<()> {
    match sql_type {
        SqlType::Map(key, value) if **key == SqlType::String => check_maps(value),
        SqlType::Map(..) => Err(Error::invalid("JSON only supports MAP types with STRING keys")),
        SqlType::Array(item) => check_maps(item),
        SqlType::Struct(fields) => fields.iter().try_for_each(|f| check_maps(&f.sql_type)),
        _ => Ok(()),
    }
}

struct JsonEncoder {
    /// What stands before each value: `{"A":`, `,"B":` …
    labels: Vec<Vec<u8>>,
    types: Vec<SqlType>,
    wrapped: bool,
}

impl Encoder for JsonEncoder {
    fn encode(&mut self, columns: &[View], row: usize, out: &mut Vec<u8>) -> bool {
        if !self.wrapped {
            let [column] = columns else { return false };
            if column.is_null(row) {
                return false;
            }
            encode::put_value(column, &self.types[0], row, out);
            return true;
        }
        if columns.is_empty() {
            out.push(b'{');
        }
        for ((column, label), sql_type) in columns.iter().zip(&self.labels).zip(&self.types) {
            out.extend_from_slice(label);
            encode::put_value(column, sql_type, row, out);
        }
        out.push(b'}');
        true
    }
}
