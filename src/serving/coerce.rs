//! JSON values as values of columns: strictly, so that nothing is lost on the way.
//!
//! | type | takes |
//! |---|---|
//! | INTEGER, BIGINT | whole numbers in their range |
//! | DOUBLE | numbers |
//! | DECIMAL | numbers and texts, rounded half up to the scale |
//! | STRING | texts |
//! | BYTES | texts in base64 |
//! | DATE, TIME, TIMESTAMP | texts |
//! | ARRAY, MAP, STRUCT | arrays and objects; fields of a STRUCT in any case, unknown ones are left out |

use serde_json::{Map, Value as Json};

use super::refusal::Refusal;
use crate::catalog::Source;

use crate::types::{Decimal, Role, Rounding, SqlType, StructField, Value, parse};

/// The name that a client means: in upper case, unless it stands in back-ticks or double quotes.
pub(super) fn identifier(written: &str) -> String {
    for quote in ['`', '"'] {
        if let Some(inner) = written.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return inner.to_owned();
        }
    }
    written.to_uppercase()
}

/// One value for every column of a source, from a line; NULL for columns that it does not name.
///
/// # Errors
/// The line is no object, names a column twice, lacks a key, or has a value that does not fit its column.
pub(super) fn row(source: &Source, line: &[u8]) -> Result<Vec<Value>, Refusal> {
    let invalid = || Refusal::new(40000, "Invalid JSON in inserts stream");
    let fields: Map<String, Json> = serde_json::from_slice(line).map_err(|_| invalid())?;
    let mut given: Vec<(String, &Json)> = Vec::with_capacity(fields.len());
    for (written, value) in &fields {
        let name = identifier(written);
        if given.iter().any(|(other, _)| *other == name) {
            return Err(Refusal::new(40000, format!("Found duplicate column / struct field name: {name}")));
        }
        given.push((name, value));
    }
    let value = |name: &str| given.iter().find(|(other, _)| other == name).map(|(_, value)| *value);
    for key in source.schema.keys() {
        if value(&key.name).is_none_or(Json::is_null) {
            return Err(Refusal::new(40000, format!("Key field must be specified: {}", key.name)));
        }
    }
    let columns = source.schema.columns().iter();
    columns
        .map(|column| match (&column.role, value(&column.name)) {
            // Headers are never written.
            (Role::Headers(_), _) | (_, None) => Ok(Value::Null),
            (_, Some(value)) => coerced(value, &column.sql_type),
        })
        .collect()
}

/// A JSON value as one of a type.
fn coerced(value: &Json, to: &SqlType) -> Result<Value, Refusal> {
    let refused = || {
        let class = java_class(value);
        Refusal::new(40000, format!("Can't coerce a field of type class {class} into type {to}"))
    };
    // What does not fit in a collection is told of the collection.
    let whole = |refusal: Refusal| if refusal.code == 40000 { refused() } else { refusal };
    let unusable = || Refusal::new(50000, "Error in processing inserts. Check server logs for details.");
    Ok(match (value, to) {
        (Json::Null, _) => Value::Null,
        (Json::Bool(value), SqlType::Boolean) => Value::Boolean(*value),
        (Json::Number(number), SqlType::Integer | SqlType::Bigint) => {
            let whole = number.as_i64().ok_or_else(|| if is_whole(number) { unusable() } else { refused() })?;
            match to {
                SqlType::Bigint => Value::Bigint(whole),
                _ => Value::Integer(i32::try_from(whole).map_err(|_| refused())?),
            }
        }
        (Json::Number(number), SqlType::Double) => Value::Double(number.as_f64().ok_or_else(unusable)?),
        (Json::Number(number), SqlType::Decimal { precision, scale }) => {
            decimal(&number.to_string(), *precision, *scale).ok_or_else(unusable)?
        }
        (Json::String(text), SqlType::Decimal { precision, scale }) => {
            decimal(text, *precision, *scale).ok_or_else(refused)?
        }
        (Json::String(text), SqlType::String) => Value::String(text.clone()),
        (Json::String(text), SqlType::Bytes) => Value::Bytes(parse::base64_bytes(text).ok_or_else(unusable)?),
        (_, SqlType::Bytes) => return Err(unusable()),
        (Json::String(text), SqlType::Date) => Value::Date(parse::date(text).ok_or_else(refused)?),
        (Json::String(text), SqlType::Time) => Value::Time(parse::time(text).ok_or_else(refused)?),
        (Json::String(text), SqlType::Timestamp) => Value::Timestamp(parse::timestamp(text).ok_or_else(refused)?),
        (Json::Array(items), SqlType::Array(item)) => {
            let items = items.iter().map(|value| coerced(value, item)).collect::<Result<_, _>>();
            Value::Array(items.map_err(whole)?)
        }
        (Json::Object(entries), SqlType::Map(key, item)) if **key == SqlType::String => {
            let entry = |(name, value): (&String, &Json)| Ok((Value::String(name.clone()), coerced(value, item)?));
            let entries = entries.iter().map(entry).collect::<Result<_, _>>();
            Value::Map(entries.map_err(whole)?)
        }
        (Json::Object(given), SqlType::Struct(fields)) => {
            let field = |field: &StructField| {
                let value = given.iter().find(|(name, _)| identifier(name) == field.name).map(|(_, value)| value);
                Ok((field.name.clone(), value.map_or(Ok(Value::Null), |value| coerced(value, &field.sql_type))?))
            };
            let fields = fields.iter().map(field).collect::<Result<_, _>>();
            Value::Struct(fields.map_err(whole)?)
        }
        _ => return Err(refused()),
    })
}

/// Rounded to the scale; None if the text is no number or has more digits than the type.
fn decimal(text: &str, precision: u8, scale: u8) -> Option<Value> {
    let rounded = Decimal::parse(text)?.rescale(i32::from(scale), Rounding::HalfUp)?;
    rounded.fit_exactly(precision, scale).map(Value::Decimal)
}

fn is_whole(number: &serde_json::Number) -> bool {
    !number.to_string().contains(['.', 'e', 'E'])
}

/// What ksqlDB's messages call a JSON value.
fn java_class(value: &Json) -> &'static str {
    match value {
        Json::Null => "java.lang.Void",
        Json::Bool(_) => "java.lang.Boolean",
        Json::Number(number) if !is_whole(number) => "java.lang.Double",
        Json::Number(number) if number.as_i64().is_some_and(|whole| i32::try_from(whole).is_ok()) => {
            "java.lang.Integer"
        }
        Json::Number(_) => "java.lang.Long",
        Json::String(_) => "java.lang.String",
        Json::Array(_) => "io.vertx.core.json.JsonArray",
        Json::Object(_) => "io.vertx.core.json.JsonObject",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_on_the_way() {
        let coerce = |json: &str, to: SqlType| {
            let value: Json = serde_json::from_str(json).expect("JSON");
            coerced(&value, &to).map_err(|refusal| refusal.message)
        };
        assert_eq!(coerce("5", SqlType::Bigint), Ok(Value::Bigint(5)));
        assert_eq!(coerce("5", SqlType::Double), Ok(Value::Double(5.0)));
        let refused = coerce("1.0", SqlType::Integer).expect_err("no whole number");
        assert_eq!(refused, "Can't coerce a field of type class java.lang.Double into type INTEGER");
        assert!(coerce("5", SqlType::String).is_err());
        assert!(coerce("\"5\"", SqlType::Integer).is_err());
        assert!(coerce("3000000000", SqlType::Integer).is_err());
        let money = SqlType::Decimal { precision: 6, scale: 2 };
        assert_eq!(coerce("\"5.255\"", money.clone()), Ok(Value::Decimal(Decimal::parse("5.26").expect("a number"))));
        assert!(coerce("123456.5", money).is_err());
        let point = SqlType::Struct([StructField { name: "X".into(), sql_type: SqlType::Integer }].into());
        let x = |value: Value| Ok(Value::Struct(vec![("X".to_owned(), value)]));
        assert_eq!(coerce(r#"{"x": 1, "z": 2}"#, point.clone()), x(Value::Integer(1)));
        assert_eq!(coerce("{}", point), x(Value::Null));
    }

    #[test]
    fn names_ignore_case_unless_they_are_quoted() {
        assert_eq!(identifier("my_stream"), "MY_STREAM");
        assert_eq!(identifier("`my_stream`"), "my_stream");
        assert_eq!(identifier("\"my_stream\""), "my_stream");
    }
}
