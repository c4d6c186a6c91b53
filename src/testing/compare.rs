//! Whether a record is the expected one, by the rules of ksqlDB's own runner.
//!
//! The order of records in a topic counts. What is not said in the expected record (a time, say) is not compared.

use serde_json::value::RawValue;
use serde_json::{Number, Value};

use super::case::{CaseRecord, Post, PostSource};
use super::records::{Actual, Datum, header_text, window_of};
use crate::catalog::{Catalog, Source, SourceKind};
use crate::types::{Decimal, text};

/// Why the records of a topic are not those that are expected.
///
/// `exact` is whether numbers are compared as decimals. The message names the first record that differs, the parts in
/// which it does, and shows both.
pub(super) fn records(
    topic: &str,
    expected: &[&CaseRecord],
    actual: &[Actual],
    has_inputs: bool,
    exact: bool,
) -> Result<(), String> {
    let differs =
        |(expected, actual): (&&CaseRecord, &Actual)| difference(expected, actual, has_inputs, exact).is_some();
    let alike = expected.iter().zip(actual).take_while(|pair| !differs(*pair)).count();
    let (wanted, found) = (expected.get(alike), actual.get(alike));
    let what = match (wanted, found) {
        (None, None) => return Ok(()),
        (Some(wanted), Some(found)) => {
            let parts = difference(wanted, found, has_inputs, exact).unwrap_or_default();
            format!("record {} has another {parts}", alike + 1)
        }
        (Some(_), None) => format!("record {} is missing", alike + 1),
        (None, Some(_)) => format!("record {} is one too many", alike + 1),
    };
    let (wanted, found) = (wanted.map_or_else(none, |r| shown_expected(r)), found.map_or_else(none, shown_actual));
    let counts = format!("{} expected, {} found", expected.len(), actual.len());
    Err(format!("topic {topic} ({counts}): {what}\n  expected: {wanted}\n  found:    {found}"))
}

/// The text for a record that is not there.
fn none() -> String {
    "no record".to_owned()
}

/// The parts in which two records differ, by name.
///
/// `None` if they are alike. A time of 0 in a case without input means any time.
fn difference(expected: &CaseRecord, actual: &Actual, has_inputs: bool, exact: bool) -> Option<String> {
    let headers = expected.headers.iter().map(|h| (h.key.clone(), h.value.clone()));
    let parts = [
        ("key", !same_datum(&parsed(&expected.key), &actual.key, exact)),
        ("window", window_of(&expected.window) != actual.window),
        ("value", !same_datum(&parsed(&expected.value), &actual.value, exact)),
        (
            "timestamp",
            match expected.timestamp {
                Some(0) if !has_inputs => false,
                wanted => wanted.is_some_and(|wanted| wanted != actual.timestamp),
            },
        ),
        ("headers", headers.ne(actual.headers.iter().map(|h| (h.key.clone(), header_text(h))))),
    ];
    let names: Vec<&str> = parts.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

fn parsed(raw: &Option<Box<RawValue>>) -> Value {
    raw.as_ref().map_or(Value::Null, |r| serde_json::from_str(r.get()).unwrap_or(Value::Null))
}

/// An expected record as a message shows it.
fn shown_expected(record: &CaseRecord) -> String {
    let headers: Vec<_> = record.headers.iter().map(|h| (h.key.clone(), h.value.clone())).collect();
    let time = record.timestamp.map_or_else(|| "any".to_owned(), |time| time.to_string());
    shown(&[parsed(&record.key), parsed(&record.value)], window_of(&record.window), &time, &headers)
}

/// A record that was found as a message shows it.
fn shown_actual(record: &Actual) -> String {
    let json = |datum: &Datum| match datum {
        Datum::Json(value) | Datum::Kafka(value) => value.clone(),
    };
    let headers: Vec<_> = record.headers.iter().map(|h| (h.key.clone(), header_text(h))).collect();
    shown(&[json(&record.key), json(&record.value)], record.window, &record.timestamp.to_string(), &headers)
}

fn shown(
    [key, value]: &[Value; 2],
    window: Option<(i64, i64)>,
    time: &str,
    headers: &[(String, Option<String>)],
) -> String {
    let window = window.map_or_else(String::new, |(start, end)| format!(", window {start} to {end}"));
    let mut line = format!("key {key}{window}, value {value}, timestamp {time}");
    for (name, value) in headers {
        line.push_str(&format!(", header {name}={}", value.as_deref().unwrap_or("null")));
    }
    line
}

fn same_datum(expected: &Value, actual: &Datum, exact: bool) -> bool {
    match actual {
        Datum::Json(actual) => same(expected, actual, exact),
        // Kafka's serdes give numbers of Java, of which a double is compared as an exact decimal.
        Datum::Kafka(actual) => same(expected, actual, true),
    }
}

/// Whether two values are alike. Names of fields may be in upper case in what was found. A text equals a number that is
/// no integer if it says the same decimal.
fn same(expected: &Value, actual: &Value, exact: bool) -> bool {
    match (expected, actual) {
        (Value::Null, actual) => actual.is_null(),
        (Value::Object(expected), Value::Object(actual)) => {
            let field = |name: &str| match actual.get(name) {
                Some(found) if !found.is_null() => found,
                _ => actual.get(&name.to_uppercase()).unwrap_or(&Value::Null),
            };
            expected.len() == actual.len() && expected.iter().all(|(name, value)| same(value, field(name), exact))
        }
        (Value::Array(expected), Value::Array(actual)) => {
            expected.len() == actual.len() && expected.iter().zip(actual).all(|(e, a)| same(e, a, exact))
        }
        (Value::Number(expected), Value::Number(actual)) => same_number(expected, actual, exact),
        (Value::String(expected), Value::Number(actual)) => {
            !is_integer(actual) && Decimal::parse(expected) == Decimal::parse(&actual.to_string())
        }
        (expected, actual) => expected == actual,
    }
}

/// Whether two numbers of JSON are the same, decimals with all their digits.
pub(super) fn is_same_number(expected: &Number, actual: &Number) -> bool {
    same_number(expected, actual, true)
}

fn is_integer(number: &Number) -> bool {
    !number.to_string().contains(['.', 'e', 'E'])
}

/// ```text
/// found                      compared
/// an integer                 as 64-bit numbers, with wrapping
/// not exact                  within 0.000001
/// exact, expected integer    as 64-bit numbers
/// exact                      as decimals
/// ```
///
/// Two texts of one double are the same in any case.
fn same_number(expected: &Number, actual: &Number, exact: bool) -> bool {
    let (e, a) = (expected.to_string(), actual.to_string());
    let (Some(wanted), Some(found)) = (Decimal::parse(&e), Decimal::parse(&a)) else { return e == a };
    if same_double(&e, &a, wanted, found) {
        return true;
    }
    if is_integer(actual) {
        return wanted.to_i64_wrapping() == found.to_i64_wrapping();
    }
    if !exact {
        return (wanted.to_f64() - found.to_f64()).abs() < 1e-6;
    }
    if is_integer(expected) {
        return found.scale <= 0 && text::parse_i64(&found.plain()) == text::parse_i64(&wanted.plain());
    }
    wanted == found
}

/// Whether both texts are what two ways of printing or computing make of one double: Java prints some with a digit more
/// than they need, and functions like SIN may differ in the last place.
fn same_double(expected: &str, actual: &str, wanted: Decimal, found: Decimal) -> bool {
    let (Ok(e), Ok(a)) = (expected.parse::<f64>(), actual.parse::<f64>()) else { return false };
    if is_scientific(expected) && is_scientific(actual) {
        return e == a;
    }
    let digits = |d: Decimal| (15..=19).contains(&d.precision());
    digits(wanted) && digits(found) && (e - a).abs() <= 2.0 * f64::EPSILON * e.abs()
}

fn is_scientific(number: &str) -> bool {
    number.contains(['e', 'E'])
}

/// Why the sources are not those that are expected.
///
/// The first difference.
pub(super) fn post(post: &Post, catalog: &Catalog) -> Result<(), String> {
    post.sources.iter().try_for_each(|expected| source(expected, catalog))
}

fn source(expected: &PostSource, catalog: &Catalog) -> Result<(), String> {
    let name = &expected.name;
    let source = catalog.source(name).ok_or_else(|| format!("there is no source {name}"))?;
    let kind = if expected.kind.eq_ignore_ascii_case("stream") { SourceKind::Stream } else { SourceKind::Table };
    if source.kind != kind {
        return Err(format!("{name} is a {}", source.kind.name()));
    }
    if let Some(schema) = &expected.schema {
        let wanted = parse_schema(schema, catalog)?;
        let found = source.schema.to_string();
        if wanted != found {
            return Err(format!("the schema of {name} is {found}, expected {wanted}"));
        }
    }
    if let Some(format) = &expected.value_format
        && !format.eq_ignore_ascii_case(source.value.format.name())
    {
        return Err(format!("the value format of {name} is {}", source.value.format.name()));
    }
    expected.key_format.as_ref().map_or(Ok(()), |format| key_format(name, format, source))
}

fn key_format(name: &str, expected: &super::case::PostKeyFormat, source: &Source) -> Result<(), String> {
    if let Some(format) = &expected.format
        && !format.eq_ignore_ascii_case(source.key.format.name())
    {
        return Err(format!("the key format of {name} is {}", source.key.format.name()));
    }
    let window = source.window.map(|w| (w.kind.name().to_owned(), w.size_ms));
    let wanted = expected.window_type.as_ref().map(|t| (t.to_uppercase(), expected.window_size));
    if window != wanted { Err(format!("the windows of {name} are {window:?}")) } else { Ok(()) }
}

/// The schema as it is printed, from the columns as a statement would declare them.
fn parse_schema(text: &str, catalog: &Catalog) -> Result<String, String> {
    use crate::sql::{cursor::Cursor, lexer::lex, types};
    use crate::types::{Column, Role, Schema};
    let lexed = lex(text);
    let mut cursor = Cursor::new(&lexed);
    let columns = cursor.list(|c| {
        let name = c.ident("a column")?.name;
        let written = types::parse_type(c)?;
        let sql_type = types::resolve(&written, &|name| catalog.custom_type(name).cloned())?;
        let role = if c.take("PRIMARY KEY") || c.take("KEY") {
            Role::Key
        } else if c.take("HEADERS") {
            Role::Headers(None)
        } else if c.take("HEADER") {
            c.advance();
            let key = c.string("a header")?;
            c.advance();
            Role::Headers(Some(key))
        } else {
            Role::Value
        };
        Ok(Column { name, sql_type, role })
    });
    columns.map(|c| Schema::new(c).to_string()).map_err(|e| e.to_string())
}
