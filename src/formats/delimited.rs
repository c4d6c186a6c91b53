//! DELIMITED: one line of text with a character between the columns, as Commons CSV reads and writes it.

use std::borrow::Cow;

use super::{Asked, Codec, Decoded, Decoder, Encoder, Format, Property, Rows};
use crate::error::{Error, Result};
use crate::types::build::Values;
use crate::types::parse::{DAY_MS, base64_bytes, base64_text};
use crate::types::view::ViewValues;
use crate::types::{Builder, Decimal, SqlType, View, text};

/// What stands around a field in which there are other characters than its own.
const QUOTE: char = '"';

/// The format DELIMITED.
pub(super) struct Delimited;

impl Format for Delimited {
    fn name(&self) -> &'static str {
        "DELIMITED"
    }

    fn properties(&self) -> &'static [Property] {
        &[Property { name: "DELIMITER", shown: DELIMITER, usual: ",", read: read_delimiter }]
    }

    fn bind(&self, asked: &Asked) -> Result<Box<dyn Codec>> {
        if let Some(column) = asked.columns.iter().find(|c| c.sql_type.is_nested()) {
            return Err(Error::invalid(format!(
                "The 'DELIMITED' format does not support type '{}', column: `{}`",
                column.sql_type.base_name(),
                column.name
            )));
        }
        let delimiter = asked.settings.own.get(DELIMITER).and_then(|text| text.chars().next()).unwrap_or(',');
        if delimiter == QUOTE {
            let message = format!("The quoteChar character and the delimiter cannot be the same ('{delimiter}')");
            return Err(Error::invalid(message));
        }
        Ok(Box::new(DelimitedCodec { types: asked.columns.iter().map(|c| c.sql_type.clone()).collect(), delimiter }))
    }
}

/// The name of the property of the character between columns.
const DELIMITER: &str = "delimiter";

/// The character between columns; invisible ones are written by name.
fn read_delimiter(written: &str) -> Result<String, String> {
    let mut units = written.chars();
    let read = match (written, units.next(), units.next()) {
        ("TAB", ..) => Ok("\t".to_owned()),
        ("SPACE", ..) => Ok(" ".to_owned()),
        (text, ..) if text.trim().is_empty() => {
            let hint =
                "if you meant to have a tab or space for delimiter, please use the special values 'TAB' or 'SPACE'";
            Err(format!("Delimiter cannot be empty, {hint}"))
        }
        // What Java holds in two units is two characters there.
        (_, Some(c), None) if c.len_utf16() == 1 => Ok(c.to_string()),
        _ => {
            let why = "Delimiter must be a single character or TAB,SPACE";
            Err(format!("Invalid delimiter value: '{written}'. {why}"))
        }
    };
    read.map_err(|why| format!("{why}\nExample valid value: ';'"))
}

/// DELIMITED with these columns.
struct DelimitedCodec {
    types: Vec<SqlType>,
    delimiter: char,
}

impl Codec for DelimitedCodec {
    fn decoder(&self, needed: &[bool]) -> Box<dyn Decoder> {
        let columns = self.types.iter().cloned().zip(needed.iter().copied()).collect();
        Box::new(DelimitedDecoder { columns, delimiter: self.delimiter })
    }

    fn encoder(&self) -> Box<dyn Encoder> {
        Box::new(DelimitedEncoder { columns: self.types.len(), delimiter: self.delimiter, field: String::new() })
    }
}

struct DelimitedDecoder {
    /// The types, and which columns are built.
    columns: Vec<(SqlType, bool)>,
    delimiter: char,
}

impl Decoder for DelimitedDecoder {
    fn decode(&mut self, payloads: &[Option<&[u8]>]) -> Decoded {
        let mut builders: Vec<Builder> = self.columns.iter().map(|(t, _)| Builder::new(t, payloads.len())).collect();
        let mut rows = Rows::default();
        for payload in payloads {
            rows.next(*payload, &mut builders, |payload, _, builders| self.row(payload, builders));
        }
        let built = builders.into_iter().zip(&self.columns).filter(|(_, (_, needed))| *needed);
        Decoded { columns: built.map(|(b, _)| b.finish()).collect(), failed: rows.failed }
    }
}

impl DelimitedDecoder {
    fn row(&self, payload: &[u8], builders: &mut [Builder]) -> Result<(), String> {
        let line = String::from_utf8_lossy(payload);
        let mut fields = Vec::with_capacity(self.columns.len());
        cut(&line, self.delimiter, &mut fields)?;
        if self.columns.is_empty() {
            return Ok(());
        }
        if fields.len() != self.columns.len() {
            let (expected, got) = (self.columns.len(), fields.len());
            return Err(format!("Column count mismatch on deserialization. expected: {expected}, got: {got}"));
        }
        for ((field, builder), (sql_type, _)) in fields.iter().zip(builders).zip(&self.columns) {
            if field.is_null(sql_type) {
                builder.null();
            } else {
                append(&field.text, sql_type, builder)?;
                builder.valid();
            }
        }
        Ok(())
    }
}

/// A field of a record.
#[derive(Debug, PartialEq)]
struct Field<'a> {
    text: Cow<'a, str>,
    is_quoted: bool,
}

impl Field<'_> {
    /// Nothing at all is NULL. Nothing in quotes is the empty value of a type that has one.
    fn is_null(&self, sql_type: &SqlType) -> bool {
        let has_empty = matches!(sql_type, SqlType::String | SqlType::Bytes);
        self.text.is_empty() && !(self.is_quoted && has_empty)
    }
}

/// Cuts the first record of a text into its fields.
fn cut<'a>(text: &'a str, delimiter: char, fields: &mut Vec<Field<'a>>) -> Result<(), String> {
    let mut rest = text.trim_start_matches(['\r', '\n']);
    if rest.is_empty() {
        return Err("No fields in record".to_owned());
    }
    loop {
        let (field, after) = if let Some(quoted) = rest.strip_prefix(QUOTE) {
            quoted_field(quoted)?
        } else {
            let end = rest.find([delimiter, '\r', '\n']).unwrap_or(rest.len());
            (Field { text: rest[..end].into(), is_quoted: false }, &rest[end..])
        };
        fields.push(field);
        match after.strip_prefix(delimiter) {
            Some(next) => rest = next,
            // A blank delimiter cannot stand between the quote and the end of a line.
            None if after.is_empty() || after.starts_with(['\r', '\n']) => return Ok(()),
            None => {
                let after = after.trim_start_matches([' ', '\t']);
                match after.strip_prefix(delimiter) {
                    Some(next) => rest = next,
                    None if after.is_empty() || after.starts_with(['\r', '\n']) => return Ok(()),
                    None => return Err("characters stand between a closing quote and the next delimiter".to_owned()),
                }
            }
        }
    }
}

/// The field whose opening quote was taken, without its doubled quotes, and the rest of the text.
fn quoted_field(text: &str) -> Result<(Field<'_>, &str), String> {
    let mut field = Cow::Borrowed("");
    let mut rest = text;
    loop {
        let at = rest.find(QUOTE).ok_or("the text ends within quotes")?;
        field += &rest[..at];
        rest = &rest[at + 1..];
        match rest.strip_prefix(QUOTE) {
            Some(next) => {
                field.to_mut().push(QUOTE);
                rest = next;
            }
            None => return Ok((Field { text: field, is_quoted: true }, rest)),
        }
    }
}

/// Appends a field as a value of the column's type.
fn append(field: &str, sql_type: &SqlType, builder: &mut Builder) -> Result<(), String> {
    let wrong = || format!("'{}' is no {sql_type}", text::shortened(field));
    let long = || text::parse_i64(field).ok_or_else(wrong);
    match builder.values() {
        Values::Boolean(bits) => bits.append(field.eq_ignore_ascii_case("true")),
        Values::Integer(to) | Values::Date(to) => to.push(text::parse_i32(field).ok_or_else(wrong)?),
        Values::Bigint(to) | Values::Timestamp(to) => to.push(long()?),
        Values::Time(to) => match long()? {
            ms @ 0..=DAY_MS => to.push(ms as i32),
            _ => return Err(wrong()),
        },
        Values::Double(to) => to.push(text::parse_f64(field).ok_or_else(wrong)?),
        Values::Decimal128(to, precision, scale) => {
            let value = Decimal::parse(field).and_then(|d| d.fit_exactly(*precision, *scale));
            to.push(value.and_then(|d| d.unscaled.to_i128()).ok_or_else(wrong)?);
        }
        Values::Decimal256(to, precision, scale) => {
            let value = Decimal::parse(field).and_then(|d| d.fit_exactly(*precision, *scale));
            to.push(value.ok_or_else(wrong)?.unscaled);
        }
        Values::String(texts) => texts.push(field),
        Values::Bytes(blobs) => blobs.push(&base64_bytes(field).ok_or_else(wrong)?),
        Values::Array { .. } | Values::Map { .. } | Values::Struct { .. } => return Err(wrong()),
    }
    Ok(())
}

struct DelimitedEncoder {
    columns: usize,
    delimiter: char,
    field: String,
}

impl Encoder for DelimitedEncoder {
    fn encode(&mut self, columns: &[View], row: usize, out: &mut Vec<u8>) -> bool {
        for (place, column) in columns.iter().take(self.columns).enumerate() {
            if place > 0 {
                out.extend_from_slice(self.delimiter.encode_utf8(&mut [0; 4]).as_bytes());
            }
            if column.is_null(row) {
                continue;
            }
            self.field.clear();
            print(column, row, &mut self.field);
            put(&self.field, place == 0, self.delimiter, out);
        }
        self.columns > 0
    }
}

/// Appends the text of a value that is not NULL.
fn print(column: &View, row: usize, out: &mut String) {
    match &column.values {
        ViewValues::Boolean(bits) => out.push_str(if bits.value(row) { "true" } else { "false" }),
        ViewValues::Integer(v) | ViewValues::Date(v) | ViewValues::Time(v) => {
            out.push_str(itoa::Buffer::new().format(v[row]));
        }
        ViewValues::Bigint(v) | ViewValues::Timestamp(v) => out.push_str(itoa::Buffer::new().format(v[row])),
        ViewValues::Double(v) => text::write_double(out, v[row]),
        ViewValues::Decimal128(v, scale) => {
            let unscaled = arrow::datatypes::i256::from_i128(v[row]);
            out.push_str(&Decimal::new(unscaled, i32::from(*scale)).plain());
        }
        ViewValues::Decimal256(v, scale) => out.push_str(&Decimal::new(v[row], i32::from(*scale)).plain()),
        ViewValues::String(texts) => out.push_str(texts.text(row)),
        ViewValues::Bytes(bytes) => out.push_str(&base64_text(bytes.get(row))),
        ViewValues::Array { .. } | ViewValues::Map { .. } | ViewValues::Struct(_) => {
            debug_assert!(false, "the format refuses columns of these types");
        }
    }
}

/// Appends a field, in quotes where Commons CSV puts them.
fn put(field: &str, is_first: bool, delimiter: char, out: &mut Vec<u8>) {
    let starts = match field.chars().next() {
        // Without quotes it would be NULL.
        None => true,
        Some(c) if is_first => !c.is_ascii_alphanumeric(),
        Some(c) => c <= '#',
    };
    let ends = field.ends_with(|c| c <= ' ');
    if !starts && !ends && !field.contains([delimiter, '"', '\r', '\n']) {
        return out.extend_from_slice(field.as_bytes());
    }
    out.push(b'"');
    out.extend_from_slice(field.replace('"', "\"\"").as_bytes());
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Value, array_of};

    fn fields(text: &str) -> Result<Vec<String>, String> {
        let mut fields = Vec::new();
        cut(text, ',', &mut fields)?;
        Ok(fields.into_iter().map(|field| field.text.into_owned()).collect())
    }

    #[test]
    fn lines_are_cut_as_commons_csv_cuts_them() {
        for (line, cells) in [
            ("1,a", vec!["1", "a"]),
            ("\n\"a\"\"b\" ,,x \r\nnext", vec!["a\"b", "", "x "]),
            ("\"1,2\n3\"", vec!["1,2\n3"]),
            ("a\"b,", vec!["a\"b", ""]),
        ] {
            assert_eq!(fields(line).expect("a record"), cells, "{line}");
        }
        assert!(fields("").is_err());
        assert!(fields("\"a\"b").is_err());
        assert!(fields("\"a").is_err());
    }

    #[test]
    fn fields_are_quoted_as_commons_csv_quotes_them() {
        let print = |cells: &[Option<&str>]| {
            let value = |c: &Option<&str>| c.map_or(Value::Null, |c| Value::String(c.to_owned()));
            let arrays: Vec<_> = cells.iter().map(|c| array_of([&value(c)], &SqlType::String)).collect();
            let views: Vec<View> = arrays.iter().map(|a| View::new(a.as_ref(), &SqlType::String)).collect();
            let mut out = Vec::new();
            let codec = DelimitedCodec { types: vec![SqlType::String; cells.len()], delimiter: ',' };
            assert!(codec.encoder().encode(&views, 0, &mut out));
            String::from_utf8(out).expect("text")
        };
        assert_eq!(print(&[Some("-1"), Some("-1"), None, Some("")]), "\"-1\",-1,,\"\"");
        assert_eq!(
            print(&[Some(""), Some("a,b"), Some("say \"x\""), Some("y ")]),
            "\"\",\"a,b\",\"say \"\"x\"\"\",\"y \""
        );
        assert_eq!(print(&[None]), "");
    }
}
