//! Values as ksqlDB's answers have them: JSON, with times as text.

use serde_json::Value as Json;

use super::json::encode::put_string;
use crate::types::parse::{self, base64_text};
use crate::types::{Decimal, SqlType, StructField, Value, text};

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
        Value::Integer(v) => out.extend_from_slice(itoa::Buffer::new().format(*v).as_bytes()),
        Value::Bigint(v) => out.extend_from_slice(itoa::Buffer::new().format(*v).as_bytes()),
        Value::Boolean(_) | Value::Decimal(_) => out.extend_from_slice(value.to_text().as_bytes()),
        Value::String(v) => put_string(v.as_bytes(), out),
        Value::Double(v) if v.is_finite() => out.extend_from_slice(text::double(*v).as_bytes()),
        Value::Double(_) | Value::Date(_) | Value::Time(_) | Value::Timestamp(_) => {
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

/// The value of a type that an answer means; None if it is no such value.
pub fn value_of(json: &Json, to: &SqlType) -> Option<Value> {
    let number = || json.as_i64().and_then(|value| i32::try_from(value).ok());
    Some(match (json, to) {
        (Json::Null, _) => Value::Null,
        (_, SqlType::Boolean) => Value::Boolean(json.as_bool()?),
        (_, SqlType::Integer) => Value::Integer(number()?),
        (_, SqlType::Bigint) => Value::Bigint(json.as_i64()?),
        (Json::Number(number), SqlType::Double) => Value::Double(number.as_f64()?),
        (Json::String(text), SqlType::Double) => Value::Double(match text.as_str() {
            "Infinity" => f64::INFINITY,
            "-Infinity" => f64::NEG_INFINITY,
            _ => f64::NAN,
        }),
        (Json::Number(number), SqlType::Decimal { .. }) => Value::Decimal(Decimal::parse(&number.to_string())?),
        (Json::String(text), SqlType::String) => Value::String(text.clone()),
        (Json::String(text), SqlType::Bytes) => Value::Bytes(parse::base64_bytes(text)?),
        (Json::String(text), SqlType::Date) => Value::Date(parse::date(text)?),
        (Json::String(text), SqlType::Time) => Value::Time(parse::time(text)?),
        (Json::String(text), SqlType::Timestamp) => Value::Timestamp(parse::timestamp(text)?),
        // Inside of a STRUCT they are numbers.
        (Json::Number(_), SqlType::Date) => Value::Date(number()?),
        (Json::Number(_), SqlType::Time) => Value::Time(number()?),
        (Json::Number(_), SqlType::Timestamp) => Value::Timestamp(json.as_i64()?),
        (Json::Array(items), SqlType::Array(item)) => {
            Value::Array(items.iter().map(|value| value_of(value, item)).collect::<Option<_>>()?)
        }
        (Json::Object(entries), SqlType::Map(key, item)) => {
            let entry = |(name, value): (&String, &Json)| {
                let name = match key.as_ref() {
                    SqlType::String => Json::from(name.as_str()),
                    _ => serde_json::from_str(name).ok()?,
                };
                Some((value_of(&name, key)?, value_of(value, item)?))
            };
            Value::Map(entries.iter().map(entry).collect::<Option<_>>()?)
        }
        (Json::Object(given), SqlType::Struct(fields)) => {
            let field = |field: &StructField| {
                let value = given.get(field.name.as_str()).unwrap_or(&Json::Null);
                Some((field.name.clone(), value_of(value, &field.sql_type)?))
            };
            Value::Struct(fields.iter().map(field).collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let text = || SqlType::String;
        let point = SqlType::Struct(
            [("X", SqlType::Double), ("AT", SqlType::Timestamp)]
                .map(|(name, sql_type)| StructField { name: name.into(), sql_type })
                .into(),
        );
        let cases = [
            (Value::Timestamp(1_580_466_030_123), SqlType::Timestamp),
            (Value::Decimal(Decimal::parse("12.30").expect("a number")), SqlType::Decimal { precision: 6, scale: 2 }),
            (Value::Double(f64::INFINITY), SqlType::Double),
            (Value::Bytes(vec![0, 255]), SqlType::Bytes),
            (Value::Map(vec![(Value::String("a".into()), Value::Null)]), SqlType::Map(text().into(), text().into())),
            (Value::Struct(vec![("X".into(), Value::Double(0.1)), ("AT".into(), Value::Timestamp(5))]), point),
        ];
        for (value, sql_type) in cases {
            let mut out = Vec::new();
            put_value(&value, &mut out);
            let json: Json = serde_json::from_slice(&out).expect("JSON");
            assert_eq!(value_of(&json, &sql_type), Some(value));
        }
    }
}
