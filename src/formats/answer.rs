//! Values as ksqlDB's answers have them: JSON, with times as text.

use super::json::encode::put_string;
use crate::types::parse::base64_text;
use crate::types::{Value, text};

/// Appends a value as ksqlDB's answers have it: times as text, but numbers inside of a STRUCT.
///
/// ```text
/// type                        JSON
/// BOOLEAN, INTEGER, BIGINT    as such
/// DECIMAL                     a number with all its digits
/// DOUBLE                      Java's `Double.toString`; NaN and infinities as text
/// STRING                      text
/// BYTES                       text in base64
/// DATE, TIME, TIMESTAMP       text, but a number inside of a STRUCT
/// ARRAY, MAP, STRUCT          array, object, object; keys of a MAP as text
/// ```
pub fn put_value(value: &Value, out: &mut Vec<u8>) {
    put(value, false, out);
}

fn put(value: &Value, in_struct: bool, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Date(v) if in_struct => out.extend_from_slice(v.to_string().as_bytes()),
        Value::Time(v) if in_struct => out.extend_from_slice(v.to_string().as_bytes()),
        Value::Timestamp(v) if in_struct => out.extend_from_slice(v.to_string().as_bytes()),
        Value::Boolean(_) | Value::Integer(_) | Value::Bigint(_) | Value::Decimal(_) => {
            out.extend_from_slice(value.to_text().as_bytes());
        }
        Value::Double(v) if v.is_finite() => out.extend_from_slice(text::double(*v).as_bytes()),
        Value::Double(_) | Value::String(_) | Value::Date(_) | Value::Time(_) | Value::Timestamp(_) => {
            put_string(value.to_text().as_bytes(), out);
        }
        Value::Bytes(v) => put_string(base64_text(v).as_bytes(), out),
        Value::Array(items) => {
            out.push(b'[');
            for (place, item) in items.iter().enumerate() {
                comma(place, out);
                put(item, in_struct, out);
            }
            out.push(b']');
        }
        Value::Map(entries) => {
            out.push(b'{');
            for (place, (key, item)) in entries.iter().enumerate() {
                comma(place, out);
                put_string(key.to_text().as_bytes(), out);
                out.push(b':');
                put(item, in_struct, out);
            }
            out.push(b'}');
        }
        Value::Struct(fields) => {
            out.push(b'{');
            for (place, (name, item)) in fields.iter().enumerate() {
                comma(place, out);
                put_string(name.as_bytes(), out);
                out.push(b':');
                put(item, true, out);
            }
            out.push(b'}');
        }
    }
}

fn comma(place: usize, out: &mut Vec<u8>) {
    if place > 0 {
        out.push(b',');
    }
}
