//! What the JSON functions share: reading the first JSON value of a text, and writing values as Jackson does.
//!
//! Numbers keep all their digits: the parser holds them as they were written, so `1.10` is not rounded through a
//! double. Objects keep the order of their fields.

use serde_json::Value;

use super::call::Fault;
use crate::types::Decimal;

/// The first JSON value of a text; what comes after it is not read.
///
/// `1 x` gives 1, as Jackson's `readTree` gives the first value of a text. Takes time in proportion to that value.
///
/// # Errors
/// The text is empty, or begins with something that is no JSON value (RFC 8259).
pub(super) fn first(text: &str) -> Result<Value, Fault> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    match values.next() {
        Some(Ok(value)) => Ok(value),
        Some(Err(error)) => Err(format!("Invalid JSON format: {error}").into()),
        None => Err("Invalid JSON format: the text is empty".into()),
    }
}

/// Whether one of the items of an array is the wanted one. Items are read one after the other, and nothing is read after the
/// one that is found.
///
/// False for a text that is no array. A syntax error ends the search: `[1, 2, x` has the items 1 and 2.
pub(super) fn any_item(array: &str, mut wanted: impl FnMut(&Value) -> bool) -> bool {
    let Some(mut rest) = array.trim_start().strip_prefix('[') else { return false };
    loop {
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
        match values.next() {
            Some(Ok(item)) if wanted(&item) => return true,
            Some(Ok(_)) => {}
            _ => return false,
        }
        match rest[values.byte_offset()..].trim_start().strip_prefix(',') {
            Some(behind) => rest = behind,
            None => return false,
        }
    }
}

/// How numbers are printed: exact decimals, with exponents as Java prints them, or without.
///
/// `Java` prints as `BigDecimal.toString`: 1E+3 stays `1E+3`. `Plain` prints all digits: 1E+3 becomes `1000`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Numbers {
    Java,
    Plain,
}

/// The value as compact JSON.
pub(super) fn text(value: &Value, numbers: Numbers) -> String {
    let mut out = String::new();
    write(value, numbers, &mut out);
    out
}

/// A part of a JSON text as a SQL text: a string as its characters, everything else as JSON; `None` for null, which is NULL.
pub(super) fn bare(value: &Value, numbers: Numbers) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(text(other, numbers)),
    }
}

fn write(value: &Value, numbers: Numbers, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(v) => out.push_str(if *v { "true" } else { "false" }),
        Value::Number(number) => {
            let number = number.to_string();
            match Decimal::parse(&number) {
                Some(decimal) if numbers == Numbers::Plain => out.push_str(&decimal.plain()),
                Some(decimal) => out.push_str(&decimal.to_string()),
                None => out.push_str(&number),
            }
        }
        Value::String(text) => quote(text, out),
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                write(item, numbers, out);
            }
            out.push(']');
        }
        Value::Object(fields) => {
            out.push('{');
            for (at, (name, field)) in fields.iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                quote(name, out);
                out.push(':');
                write(field, numbers, out);
            }
            out.push('}');
        }
    }
}

/// Appends a string in quotes, escaped as Jackson escapes it.
///
/// | character | written as |
/// |---|---|
/// | `"` and `\` | with a backslash before it |
/// | backspace, form feed, line feed, return, tab | `\b`, `\f`, `\n`, `\r`, `\t` |
/// | other control characters below U+0020 | `\u` and four upper-case hexadecimal digits |
/// | everything else, `/` and characters beyond ASCII too | itself |
pub(super) fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\u{8}' => out.push_str("\\b"),
            '\u{C}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control < ' ' => out.push_str(&format!("\\u{:04X}", control as u32)),
            other => out.push(other),
        }
    }
    out.push('"');
}
