//! Schemas of rows to be made: records of Avro whose `arg.properties` say which values a field takes.
//!
//! ```text
//! options      one of these values
//! range        a number from min to below max
//! regex        a text that fits it
//! iteration    start, start + step, …; from the start again at restart
//! length       of a text, an array or a map: a number, or min to below max
//! ```
//!
//! A field without any of them takes any value of its type, a text of letters. What else Avro and its generator know is
//! refused by name.

use serde_json::{Map, Value as Json};

use super::chance::Chance;
use super::pattern::Pattern;
use crate::error::{Error, Result};
use crate::types::{Column, SqlType, Value};

/// The properties that are met.
const KNOWN: [&str; 5] = ["options", "range", "regex", "iteration", "length"];

/// The largest length of a text, an array or a map.
const MOST_LENGTH: u64 = 1_000_000;

/// Makes values.
#[derive(Clone, Debug)]
pub(super) struct Generator {
    kind: Kind,
    source: Source,
}

#[derive(Clone, Debug)]
enum Kind {
    Boolean,
    Int,
    Long,
    Double,
    Text,
    Array(Box<Generator>),
    Map(Box<Generator>),
    Record(Vec<(String, Generator)>),
    /// NULL or a value of the other one.
    Optional(Box<Generator>),
}

/// Where the values come from.
#[derive(Clone, Debug)]
enum Source {
    Any { least: usize, end: usize },
    Options(Vec<Value>),
    Range { least: f64, end: f64 },
    Whole { least: i64, end: i64 },
    Regex(Pattern),
    Iteration { next: i64, start: i64, step: i64, restart: Option<i64> },
}

impl Generator {
    /// The generator of a schema.
    ///
    /// # Errors
    /// It is no schema, or asks for something that this version does not make.
    pub(super) fn new(schema: &Json) -> Result<Generator> {
        let empty = Map::new();
        let arguments = schema["arg.properties"].as_object().unwrap_or(&empty);
        if let Some(name) = arguments.keys().find(|name| !KNOWN.contains(&name.as_str())) {
            return Err(
                Error::unsupported(format!("the property {name} of schemas")).hint(format!("use {}", KNOWN.join(", ")))
            );
        }
        let kind = Kind::new(schema)?;
        let source = Source::new(&kind, arguments)?;
        Ok(Generator { kind, source })
    }

    /// The columns of a row.
    ///
    /// # Errors
    /// The schema is not a record with fields.
    pub(super) fn columns(&self) -> Result<Vec<Column>> {
        match self.kind.sql_type() {
            SqlType::Struct(fields) if !fields.is_empty() => {
                Ok(fields.iter().map(|field| Column::value(&field.name, field.sql_type.clone())).collect())
            }
            _ => Err(Error::invalid("the schema of a row is a record with fields")),
        }
    }

    /// The next value.
    pub(super) fn next(&mut self, chance: &mut Chance) -> Value {
        match &mut self.source {
            Source::Options(values) => values[chance.place(values.len())].clone(),
            Source::Range { least, end } => Value::Double(*least + chance.fraction() * (*end - *least)),
            Source::Whole { least, end } => whole(&self.kind, chance.between(*least, *end)),
            Source::Regex(pattern) => {
                let mut text = String::new();
                pattern.put(chance, &mut text);
                Value::String(text)
            }
            Source::Iteration { next, start, step, restart } => {
                let value = *next;
                let following = value.wrapping_add(*step);
                let is_over = restart.is_some_and(|end| if *step < 0 { following <= end } else { following >= end });
                *next = if is_over { *start } else { following };
                match self.kind {
                    Kind::Double => Value::Double(value as f64),
                    _ => whole(&self.kind, value),
                }
            }
            Source::Any { least, end } => {
                let length = chance.between(*least as i64, *end as i64) as usize;
                self.kind.any(length, chance)
            }
        }
    }
}

/// A number of a kind.
fn whole(kind: &Kind, value: i64) -> Value {
    if matches!(kind, Kind::Int) { Value::Integer(value as i32) } else { Value::Bigint(value) }
}

impl Kind {
    fn new(schema: &Json) -> Result<Kind> {
        // A type in an object of its own: {"type": {"type": "int"}}.
        if schema["type"].is_object() {
            return Kind::new(&schema["type"]);
        }
        if let Json::Array(union) = schema {
            let mut others = union.iter().filter(|one| one.as_str() != Some("null"));
            return match (others.next(), others.next()) {
                (Some(one), None) => Ok(Kind::Optional(Box::new(Generator::new(one)?))),
                _ => Err(Error::unsupported("unions of more than null and one type")),
            };
        }
        let name = schema.as_str().or_else(|| schema["type"].as_str());
        Ok(match name.unwrap_or_default() {
            "boolean" => Kind::Boolean,
            "int" => Kind::Int,
            "long" => Kind::Long,
            "float" | "double" => Kind::Double,
            "string" => Kind::Text,
            "array" => Kind::Array(Box::new(Generator::new(&schema["items"])?)),
            "map" => Kind::Map(Box::new(Generator::new(&schema["values"])?)),
            "record" => Kind::Record(fields_of(schema)?),
            "" => return Err(Error::invalid(format!("{schema} is no schema: it has no type"))),
            other => return Err(Error::unsupported(format!("the type {other} in schemas"))),
        })
    }

    /// The least and the largest whole number; None for what is not a number.
    fn limits(&self) -> Option<(i64, i64)> {
        match self {
            Kind::Int => Some((i32::MIN.into(), i32::MAX.into())),
            Kind::Long => Some((i64::MIN, i64::MAX)),
            Kind::Double => Some((-(1 << f64::MANTISSA_DIGITS), 1 << f64::MANTISSA_DIGITS)),
            _ => None,
        }
    }

    fn sql_type(&self) -> SqlType {
        match self {
            Kind::Boolean => SqlType::Boolean,
            Kind::Int => SqlType::Integer,
            Kind::Long => SqlType::Bigint,
            Kind::Double => SqlType::Double,
            Kind::Text => SqlType::String,
            Kind::Array(item) => SqlType::array(item.kind.sql_type()),
            Kind::Map(value) => SqlType::map(SqlType::String, value.kind.sql_type()),
            Kind::Record(fields) => {
                SqlType::structure(fields.iter().map(|(name, field)| (name.as_str(), field.kind.sql_type())))
            }
            Kind::Optional(value) => value.kind.sql_type(),
        }
    }

    /// A value of which nothing but its length is said.
    fn any(&mut self, length: usize, chance: &mut Chance) -> Value {
        match self {
            Kind::Boolean => Value::Boolean(chance.place(2) == 1),
            Kind::Int => Value::Integer(chance.next() as i32),
            Kind::Long => Value::Bigint(chance.next() as i64),
            Kind::Double => Value::Double(chance.fraction()),
            Kind::Text => Value::String(letters(length, chance)),
            Kind::Array(item) => Value::Array((0..length).map(|_| item.next(chance)).collect()),
            Kind::Map(value) => {
                // Numbered, so that no key comes twice.
                let entry = |n| (Value::String(format!("{}{n}", letters(4, chance))), value.next(chance));
                Value::Map((0..length).map(entry).collect())
            }
            Kind::Record(fields) => {
                Value::Struct(fields.iter_mut().map(|(name, field)| (name.clone(), field.next(chance))).collect())
            }
            Kind::Optional(value) => {
                if chance.place(2) == 0 {
                    Value::Null
                } else {
                    value.next(chance)
                }
            }
        }
    }

    /// The value that JSON stands for.
    fn value(&self, json: &Json) -> Result<Value> {
        let unfit = || Error::invalid(format!("the option {json} is not of the type of its field"));
        Ok(match (self, json) {
            (Kind::Optional(_), Json::Null) => Value::Null,
            (Kind::Optional(value), json) => value.kind.value(json)?,
            (Kind::Boolean, Json::Bool(value)) => Value::Boolean(*value),
            (Kind::Int, Json::Number(_)) => {
                Value::Integer(json.as_i64().and_then(|n| i32::try_from(n).ok()).ok_or_else(unfit)?)
            }
            (Kind::Long, Json::Number(_)) => Value::Bigint(json.as_i64().ok_or_else(unfit)?),
            (Kind::Double, Json::Number(_)) => Value::Double(json.as_f64().ok_or_else(unfit)?),
            (Kind::Text, Json::String(text)) => Value::String(text.clone()),
            (Kind::Array(item), Json::Array(items)) => {
                Value::Array(items.iter().map(|json| item.kind.value(json)).collect::<Result<_>>()?)
            }
            (Kind::Map(value), Json::Object(entries)) => {
                let entry = |(k, v): (&String, &Json)| Ok((Value::String(k.clone()), value.kind.value(v)?));
                Value::Map(entries.iter().map(entry).collect::<Result<_>>()?)
            }
            (Kind::Record(fields), Json::Object(_)) => {
                let field =
                    |(name, field): &(String, Generator)| Ok((name.clone(), field.kind.value(&json[name.as_str()])?));
                Value::Struct(fields.iter().map(field).collect::<Result<_>>()?)
            }
            _ => return Err(unfit()),
        })
    }
}

fn letters(length: usize, chance: &mut Chance) -> String {
    (0..length).map(|_| char::from(b'a' + chance.place(26) as u8)).collect()
}

fn fields_of(schema: &Json) -> Result<Vec<(String, Generator)>> {
    let fields = schema["fields"].as_array().ok_or_else(|| Error::invalid("a record of a schema has fields"))?;
    let field = |field: &Json| {
        let name = field["name"].as_str().ok_or_else(|| Error::invalid("a field of a schema has a name"))?;
        let generator = Generator::new(&field["type"]).map_err(|e| e.context(format!("the field {name}: ")))?;
        Ok((name.to_owned(), generator))
    };
    fields.iter().map(field).collect()
}

impl Source {
    fn new(kind: &Kind, arguments: &Map<String, Json>) -> Result<Source> {
        let named = |name: &str| arguments.get(name);
        if let Some(options) = named("options") {
            let options = options.as_array().filter(|all| !all.is_empty());
            let options = options.ok_or_else(|| Error::invalid("options are a list with something in it"))?;
            return Ok(Source::Options(options.iter().map(|json| kind.value(json)).collect::<Result<_>>()?));
        }
        if let Some(range) = named("range") {
            return Source::range(kind, range);
        }
        if let Some(regex) = named("regex") {
            let text = regex.as_str().filter(|_| matches!(kind, Kind::Text));
            let text = text.ok_or_else(|| Error::invalid("a regex is a text, of a field that is a text"))?;
            return Ok(Source::Regex(Pattern::new(text)?));
        }
        if let Some(iteration) = named("iteration") {
            return Source::iteration(kind, iteration);
        }
        let (least, end) = named("length").map_or(Ok((4, 9)), length)?;
        Ok(Source::Any { least, end })
    }

    fn range(kind: &Kind, range: &Json) -> Result<Source> {
        if let Kind::Double = kind {
            let bound = |name: &str, usual: f64| match &range[name] {
                Json::Null => Ok(usual),
                json => json.as_f64().ok_or_else(|| Error::invalid(format!("{name} of a range is a number"))),
            };
            return Ok(Source::Range { least: bound("min", 0.0)?, end: bound("max", 1.0)? });
        }
        let limits = kind.limits().ok_or_else(|| Error::unsupported("a range of what is not a number"))?;
        let bound = |name: &str| whole_of(limits, range, name);
        Ok(Source::Whole { least: bound("min")?.unwrap_or(limits.0), end: bound("max")?.unwrap_or(limits.1) })
    }

    fn iteration(kind: &Kind, iteration: &Json) -> Result<Source> {
        let limits = kind.limits().ok_or_else(|| Error::unsupported("an iteration of what is not a number"))?;
        let number = |name: &str| whole_of(limits, iteration, name);
        let start = number("start")?.ok_or_else(|| Error::invalid("an iteration has a start"))?;
        Ok(Source::Iteration { next: start, start, step: number("step")?.unwrap_or(1), restart: number("restart")? })
    }
}

/// A whole number of a property, within the limits of its field; None if it is not there.
fn whole_of((low, high): (i64, i64), property: &Json, name: &str) -> Result<Option<i64>> {
    if property[name].is_null() {
        return Ok(None);
    }
    let number = property[name].as_i64().filter(|number| (low..=high).contains(number));
    let unfit = || Error::invalid(format!("{name} is a whole number that the field can hold, not {}", property[name]));
    number.map(Some).ok_or_else(unfit)
}

/// The least length and the end of lengths.
fn length(length: &Json) -> Result<(usize, usize)> {
    let number = |json: &Json| json.as_u64().filter(|number| *number <= MOST_LENGTH).map(|number| number as usize);
    let unfit = || {
        Error::invalid(format!("a length is a number up to {MOST_LENGTH}, or has min and a larger max, not {length}"))
    };
    if let Some(exact) = number(length) {
        return Ok((exact, exact + 1));
    }
    let least = if length["min"].is_null() { Some(0) } else { number(&length["min"]) };
    least.zip(number(&length["max"])).filter(|(least, end)| least < end).ok_or_else(unfit)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values(schema: &Json, count: usize) -> Vec<String> {
        let mut generator = Generator::new(schema).expect("a schema");
        let mut chance = Chance::new(3);
        (0..count).map(|_| generator.next(&mut chance).to_text()).collect()
    }

    #[test]
    fn fields_take_the_values_that_their_properties_say() {
        let int = |arguments: Json| json!({ "type": "int", "arg.properties": arguments });
        assert_eq!(
            values(&int(json!({ "iteration": { "start": 5, "step": 2, "restart": 9 } })), 4),
            ["5", "7", "5", "7"]
        );
        assert!(values(&int(json!({ "range": { "min": 1, "max": 3 } })), 50).iter().all(|v| v == "1" || v == "2"));
        assert!(values(&int(json!({ "options": [7] })), 3).iter().all(|v| v == "7"));
        let text = json!({ "type": "string", "arg.properties": { "length": 3 } });
        assert!(values(&text, 9).iter().all(|v| v.len() == 3));
        assert!(values(&json!(["null", "boolean"]), 40).contains(&"null".to_owned()));
        let list = json!({ "type": "array", "items": "long", "arg.properties": { "options": [[1, 2]] } });
        assert_eq!(values(&list, 1), ["[1, 2]"]);
    }

    #[test]
    fn what_is_not_made_is_refused_by_name() {
        for (schema, named) in [
            (json!("bytes"), "bytes"),
            (json!({ "type": "int", "arg.properties": { "distribution": 1 } }), "distribution"),
            (json!(["int", "string"]), "unions"),
            (json!({ "type": "int", "arg.properties": { "options": ["a"] } }), "option"),
            (json!({}), "no type"),
            (json!({ "type": "int", "arg.properties": { "range": { "max": 3_000_000_000u32 } } }), "can hold"),
            (json!({ "type": "string", "arg.properties": { "iteration": { "start": 1 } } }), "an iteration of"),
            (json!({ "type": "string", "arg.properties": { "range": { "min": 1 } } }), "not a number"),
            (json!({ "type": "string", "arg.properties": { "length": { "min": 5, "max": 5 } } }), "a larger max"),
        ] {
            let error = Generator::new(&schema).expect_err("refused");
            assert!(error.message().contains(named), "{error}");
        }
    }
}
