//! Comma-separated values to lines of JSON: the first record of a file names the fields of the others.
//!
//! RFC 4180 with these liberties: a line may end with a line feed alone, blanks around a field without quotes do not
//! count for numbers and times, and a byte order mark at the start is skipped. What a field becomes:
//!
//! ```text
//! declared type        field                            JSON
//! STRING, BYTES        any text                         text; null if empty and without quotes
//! BOOLEAN              true, false in any case          true, false
//! numbers, DECIMAL     a number                         a number
//! DATE, TIME,          a number, or ISO text            a number (days, milliseconds of the day, milliseconds)
//! TIMESTAMP
//! ARRAY, MAP, STRUCT   JSON                             as it is
//! not declared         a number, true, false in lower   as it is, else text; null if empty and without quotes
//!                      case
//! ```
//!
//! A name in the first line counts as declared if a column has it in any case of letters.

use super::lines::{Lines, Next};
use super::produce::{Source, bad_line};
use crate::catalog;
use crate::cli::failure::Failure;
use crate::formats::json::encode::put_string;
use crate::formats::json::scan::Scan;
use crate::types::{Decimal, SqlType, parse, text};

/// What a file may begin with to say that it is UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// The records of one file of comma-separated values, each as a line of JSON.
pub(super) struct Csv<'l> {
    lines: &'l mut Lines,
    /// The types of the columns that the catalog knows, by name.
    ///
    /// Empty if no source has the topic.
    types: Vec<(String, SqlType)>,
    /// The names of the fields, once they were read, with the types that are declared for them.
    ///
    /// Empty before the first line of the file was read. The names keep their case.
    header: Vec<(String, Option<SqlType>)>,
    splitter: Splitter,
    line: Vec<u8>,
    /// Where the last record begins.
    ///
    /// The file and the line, for messages; a record can go over several lines.
    place: String,
}

impl<'l> Csv<'l> {
    /// The records of a file for a topic that the catalog may know by a source.
    pub(super) fn new(lines: &'l mut Lines, source: Option<&catalog::Source>) -> Csv<'l> {
        let columns = source.map_or_else(Vec::new, |s| s.schema.columns().to_vec());
        let types = columns.into_iter().map(|c| (c.name, c.sql_type)).collect();
        let splitter = Splitter::default();
        Csv { lines, types, header: Vec::new(), splitter, line: Vec::new(), place: String::new() }
    }

    /// Reads the next record into the splitter; a field in quotes may go on in further lines.
    ///
    /// # Errors
    /// Status 1: the line is not UTF-8, or its quotes are not in order or not closed.
    fn record(&mut self) -> Result<Next, Failure> {
        self.splitter.clear();
        let mut next = self.lines.next_line(&mut self.line)?;
        self.place = self.lines.place();
        loop {
            match next {
                Next::Line => {}
                Next::End if self.splitter.open => return Err(self.refused("the quotes are not closed")),
                other => return Ok(other),
            }
            let line = self.line.strip_prefix(BYTE_ORDER_MARK).filter(|_| self.lines.number == 1);
            let done = self.splitter.add(line.unwrap_or(&self.line)).map_err(|reason| self.refused(&reason))?;
            if done {
                return Ok(Next::Line);
            }
            if self.splitter.bytes > self.lines.most_bytes {
                return Ok(Next::TooLong);
            }
            let end = if self.lines.has_carriage_return() { "\r\n" } else { "\n" };
            self.splitter.field.text.push_str(end);
            next = self.lines.any_line(&mut self.line)?;
        }
    }

    /// # Errors
    /// Status 1: a field has no name, or two have the same.
    fn read_header(&mut self) -> Result<Next, Failure> {
        let next = self.record()?;
        if next == Next::Line {
            for Field { text, .. } in std::mem::take(&mut self.splitter.fields) {
                let name = text.trim().to_owned();
                if name.is_empty() {
                    return Err(self.refused("a field has no name; the first line names the fields"));
                }
                if self.header.iter().any(|(other, _)| *other == name) {
                    return Err(self.refused(&format!("there are two fields {name}")));
                }
                let mut known = self.types.iter().filter(|(column, _)| column.eq_ignore_ascii_case(&name));
                let sql_type = known.next().map(|(_, sql_type)| sql_type.clone());
                self.header.push((name, sql_type));
            }
        }
        Ok(next)
    }

    fn refused(&self, reason: &str) -> Failure {
        bad_line(&self.place, reason)
    }

    /// # Errors
    /// The reason: the number of fields is not that of the first line, or a field is not of its type.
    fn to_json(&self, out: &mut Vec<u8>) -> Result<(), String> {
        let (found, named) = (self.splitter.fields.len(), self.header.len());
        if found != named {
            return Err(format!("{found} fields, but the first line of the file names {named}"));
        }
        for (place, (field, (name, sql_type))) in self.splitter.fields.iter().zip(&self.header).enumerate() {
            out.push(if place == 0 { b'{' } else { b',' });
            put_string(name.as_bytes(), out);
            out.push(b':');
            put_field(field, sql_type.as_ref(), out).map_err(|reason| format!("{name}: {reason}"))?;
        }
        out.push(b'}');
        Ok(())
    }
}

impl Source for Csv<'_> {
    fn next(&mut self, line: &mut Vec<u8>) -> Result<Next, Failure> {
        line.clear();
        if self.header.is_empty() {
            let next = self.read_header()?;
            if next != Next::Line {
                return Ok(next);
            }
        }
        let next = self.record()?;
        if next == Next::Line {
            self.to_json(line).map_err(|reason| self.refused(&reason))?;
        }
        Ok(next)
    }

    fn lines(&self) -> &Lines {
        self.lines
    }

    fn place(&self) -> String {
        self.place.clone()
    }
}

/// A field of a record.
#[derive(Debug, Default, PartialEq)]
struct Field {
    text: String,
    /// A field in quotes is never taken for a number or NULL unless its column says so.
    quoted: bool,
}

/// Cuts lines into fields; a field in quotes may hold commas, line ends and doubled quotes.
#[derive(Default)]
struct Splitter {
    fields: Vec<Field>,
    /// The field in quotes that the last line left open.
    field: Field,
    open: bool,
    /// The bytes of the record so far.
    bytes: usize,
}

impl Splitter {
    fn clear(&mut self) {
        self.fields.clear();
        self.field = Field::default();
        (self.open, self.bytes) = (false, 0);
    }

    /// Adds a line without its end; whether the record is whole now.
    ///
    /// # Errors
    /// The line is not UTF-8, or its quotes are not in order.
    fn add(&mut self, line: &[u8]) -> Result<bool, String> {
        self.bytes += line.len() + 1;
        let mut rest = simdutf8::basic::from_utf8(line).map_err(|_| "the line is not UTF-8".to_owned())?;
        loop {
            if !self.open && rest.starts_with('"') {
                (self.open, self.field.quoted) = (true, true);
                rest = &rest[1..];
            }
            if self.open {
                let Some(end) = self.quoted(rest) else { return Ok(false) };
                rest = &rest[end..];
                self.open = false;
                if !rest.is_empty() && !rest.starts_with(',') {
                    return Err("there is text after the closing quote of a field".to_owned());
                }
            } else {
                let end = rest.find(',').unwrap_or(rest.len());
                if rest[..end].contains('"') {
                    let remedy = "put the whole field in quotes and double those in it";
                    return Err(format!("there is a quote in a field without quotes: {remedy}"));
                }
                self.field.text.push_str(&rest[..end]);
                rest = &rest[end..];
            }
            self.fields.push(std::mem::take(&mut self.field));
            match rest.strip_prefix(',') {
                Some(more) => rest = more,
                None => return Ok(true),
            }
        }
    }

    /// Takes the text of a field up to its closing quote; where that ends, if it is there.
    fn quoted(&mut self, text: &str) -> Option<usize> {
        let mut at = 0;
        while let Some(found) = text[at..].find('"') {
            self.field.text.push_str(&text[at..at + found]);
            at += found + 1;
            if !text[at..].starts_with('"') {
                return Some(at);
            }
            self.field.text.push('"');
            at += 1;
        }
        self.field.text.push_str(&text[at..]);
        None
    }
}

/// Appends a field as JSON: as its column's type says, or else as what it looks like.
///
/// # Errors
/// The text is not one of the type.
fn put_field(field: &Field, sql_type: Option<&SqlType>, out: &mut Vec<u8>) -> Result<(), String> {
    let text = field.text.trim();
    let Some(sql_type) = sql_type else {
        match text {
            "" if !field.quoted => out.extend_from_slice(b"null"),
            "true" | "false" if !field.quoted => out.extend_from_slice(text.as_bytes()),
            _ if !field.quoted && is_number(text) => out.extend_from_slice(text.as_bytes()),
            _ => put_string(field.text.as_bytes(), out),
        }
        return Ok(());
    };
    let is_text = matches!(sql_type, SqlType::String | SqlType::Bytes);
    if text.is_empty() && !(is_text && field.quoted) {
        // Blanks are a text.
        match is_text && !field.text.is_empty() {
            true => put_string(field.text.as_bytes(), out),
            false => out.extend_from_slice(b"null"),
        }
        return Ok(());
    }
    let json = match sql_type {
        SqlType::String | SqlType::Bytes => {
            put_string(field.text.as_bytes(), out);
            return Ok(());
        }
        SqlType::Boolean => Some(text.to_ascii_lowercase()).filter(|t| matches!(t.as_str(), "true" | "false")),
        SqlType::Integer => text.parse::<i32>().ok().map(|n| n.to_string()),
        SqlType::Bigint => text.parse::<i64>().ok().map(|n| n.to_string()),
        SqlType::Double if is_number(text) => Some(text.to_owned()),
        SqlType::Double => text.parse::<f64>().ok().filter(|n| n.is_finite()).map(text::double),
        SqlType::Decimal { .. } if is_number(text) => Some(text.to_owned()),
        SqlType::Decimal { .. } => Decimal::parse(text).map(|d| d.plain()),
        SqlType::Date => whole(text).or_else(|| parse::date(text).map(i64::from)).map(|n| n.to_string()),
        SqlType::Time => whole(text).or_else(|| parse::time(text).map(i64::from)).map(|n| n.to_string()),
        SqlType::Timestamp => whole(text).or_else(|| super::iso_time(text)).map(|n| n.to_string()),
        SqlType::Array(_) | SqlType::Map(..) | SqlType::Struct(_) => {
            Some(text.to_owned()).filter(|t| t.starts_with(['[', '{']) && is_json(t))
        }
    };
    out.extend_from_slice(json.ok_or_else(|| format!("'{text}' is no {sql_type}"))?.as_bytes());
    Ok(())
}

fn whole(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// Whether a text is a number as JSON writes it.
///
/// As RFC 8259 writes one: no plus sign, no leading zeros, no NaN.
fn is_number(text: &str) -> bool {
    text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) && is_json(text)
}

/// Whether a text is one value of JSON.
fn is_json(text: &str) -> bool {
    let Ok(mut scan) = Scan::of_bytes(text.as_bytes()) else { return false };
    scan.start().is_ok() && scan.skip().is_ok() && scan.is_at_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(lines: &[&str]) -> Result<Vec<String>, String> {
        let mut splitter = Splitter::default();
        let mut done = false;
        for line in lines {
            if splitter.open {
                splitter.field.text.push('\n');
            }
            done = splitter.add(line.as_bytes())?;
        }
        assert!(done, "the record goes on");
        let shown = |f: Field| if f.quoted { format!("<{}>", f.text) } else { f.text };
        Ok(splitter.fields.into_iter().map(shown).collect())
    }

    #[test]
    fn fields_in_quotes_hold_commas_quotes_and_line_ends() {
        assert_eq!(split(&["a,b c,"]).expect("fields"), ["a", "b c", ""]);
        assert_eq!(split(&[r#""a,b","say ""x""","",d"#]).expect("fields"), ["<a,b>", "<say \"x\">", "<>", "d"]);
        assert_eq!(split(&["1,\"two", "", "lines\",\"\"\"\""]).expect("fields"), ["1", "<two\n\nlines>", "<\">"]);
        assert!(split(&["5\" disk,1"]).expect_err("a quote").contains("without quotes"));
        assert!(split(&["\"a\" b,1"]).expect_err("text").contains("after the closing quote"));
    }

    fn put(text: &str, quoted: bool, sql_type: Option<SqlType>) -> String {
        let mut out = Vec::new();
        match put_field(&Field { text: text.to_owned(), quoted }, sql_type.as_ref(), &mut out) {
            Ok(()) => String::from_utf8(out).expect("UTF-8"),
            Err(reason) => reason,
        }
    }

    #[test]
    fn fields_without_a_declaration_are_what_they_look_like() {
        let plain = |text: &str| put(text, false, None);
        assert_eq!([plain("1.50"), plain("-2e3"), plain(""), plain("true")], ["1.50", "-2e3", "null", "true"]);
        assert_eq!(
            [plain("007"), plain("1,5"), plain("a \"b\""), plain("1 2")],
            ["\"007\"", "\"1,5\"", r#""a \"b\"""#, "\"1 2\""]
        );
        assert_eq!([put("1", true, None), put("", true, None)], ["\"1\"", "\"\""]);
    }

    #[test]
    fn fields_with_a_declaration_are_what_it_says() {
        assert_eq!(put("007", false, Some(SqlType::String)), "\"007\"");
        assert_eq!(put("007", false, Some(SqlType::Integer)), "7");
        assert_eq!(put("1.5", false, Some(SqlType::Integer)), "'1.5' is no INTEGER");
        assert_eq!(put("3000000000", false, Some(SqlType::Integer)), "'3000000000' is no INTEGER");
        assert_eq!(put("TRUE", true, Some(SqlType::Boolean)), "true");
        assert_eq!(put(".5", false, Some(SqlType::Double)), "0.5");
        assert_eq!(put("", false, Some(SqlType::String)), "null");
        assert_eq!(put("", true, Some(SqlType::String)), "\"\"");
        assert_eq!(put("", true, Some(SqlType::Bigint)), "null");
        assert_eq!(put("1970-01-01 00:00:01.5", false, Some(SqlType::Timestamp)), "1500");
        assert_eq!(put("1970-01-02", false, Some(SqlType::Date)), "1");
        assert_eq!(put("[1, 2]", true, Some(SqlType::Array(Box::new(SqlType::Integer)))), "[1, 2]");
        assert!(put("[1, 2", true, Some(SqlType::Array(Box::new(SqlType::Integer)))).contains("is no ARRAY"));
    }
}
