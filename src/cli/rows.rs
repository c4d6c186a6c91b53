//! Values as they are shown: JSON for programs, Java's text for people, as ksqlDB shows them.

use crate::formats::answer::put_value;
use crate::formats::json::encode::put_string;
use crate::types::parse::base64_text;
use crate::types::{Column, Value};

/// A row as one JSON object.
pub(super) fn json_row(columns: &[Column], row: &[Value]) -> String {
    let mut out = vec![b'{'];
    for (place, (column, value)) in columns.iter().zip(row).enumerate() {
        if place > 0 {
            out.push(b',');
        }
        put_string(column.name.as_bytes(), &mut out);
        out.push(b':');
        put_value(value, &mut out);
    }
    out.push(b'}');
    String::from_utf8_lossy(&out).into_owned()
}

/// An object of texts.
pub(super) fn json_texts<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut out = vec![b'{'];
    for (place, (name, value)) in fields.into_iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        put_string(name.as_bytes(), &mut out);
        out.push(b':');
        put_string(value.as_bytes(), &mut out);
    }
    out.push(b'}');
    String::from_utf8_lossy(&out).into_owned()
}

/// A value as the shell's tables have it: a STRUCT as `{A=1}`.
///
/// As Java prints collections: `[1, 2]`, `{a=1}`, `null`. Texts have no quotes, so the result cannot always be read
/// back.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Bytes(bytes) => base64_text(bytes),
        Value::Array(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", ")),
        Value::Map(entries) => {
            let entry = |(k, v): &(Value, Value)| format!("{}={}", shown(k), shown(v));
            format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        Value::Struct(fields) => {
            let field = |(name, v): &(String, Value)| format!("{name}={}", shown(v));
            format!("{{{}}}", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
        other => other.to_text(),
    }
}

/// Fields as a line of comma-separated values.
///
/// Quotes as RFC 4180 says: a field with a quote, a comma or a line end is quoted, and quotes in it are doubled.
pub(super) fn csv_line<'a>(fields: impl IntoIterator<Item = &'a str>) -> String {
    let quoted = |field: &str| match field.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.to_owned(),
    };
    fields.into_iter().map(quoted).collect::<Vec<_>>().join(",")
}

/// A value as a field of comma-separated values: a NULL is nothing.
///
/// Nested values are JSON. A NULL and an empty text look alike.
pub(super) fn csv_field(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Array(_) | Value::Map(_) | Value::Struct(_) => {
            let mut out = Vec::new();
            put_value(value, &mut out);
            String::from_utf8_lossy(&out).into_owned()
        }
        other => shown(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::SqlType;

    #[test]
    fn values_are_written_as_ksqldb_answers() {
        let columns = ["A", "B", "C"].map(|name| Column::value(name, SqlType::String));
        let time = || Value::Timestamp(0);
        let row = [
            Value::Array(vec![time(), Value::Null]),
            Value::Struct(vec![("T".to_owned(), time()), ("d".to_owned(), Value::Double(1e10))]),
            Value::Double(f64::NAN),
        ];
        assert_eq!(
            json_row(&columns, &row),
            r#"{"A":["1970-01-01T00:00:00.000",null],"B":{"T":0,"d":1.0E10},"C":"NaN"}"#
        );
        assert_eq!(shown(&row[1]), "{T=1970-01-01T00:00:00.000, d=1.0E10}");
        assert_eq!(csv_line(["a,b", "", "say \"x\""]), r#""a,b",,"say ""x""""#);
    }
}
