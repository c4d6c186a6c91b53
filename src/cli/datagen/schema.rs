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
use crate::types::Value;

/// The properties that are met.
const KNOWN: [&str; 5] = ["options", "range", "regex", "iteration", "length"];

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

    /// The names of the fields of a row.
    ///
    /// # Errors
    /// The schema is no record.
    pub(super) fn fields(&self) -> Result<Vec<&str>> {
        match &self.kind {
            Kind::Record(fields) => Ok(fields.iter().map(|(name, _)| name.as_str()).collect()),
            _ => Err(Error::invalid("the schema of a row is a record")),
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
        let number = |of: &Json, name: &str| of[name].as_i64();
        if let Some(options) = arguments.get("options") {
            let options = options.as_array().filter(|all| !all.is_empty());
            let options = options.ok_or_else(|| Error::invalid("options are a list with something in it"))?;
            return Ok(Source::Options(options.iter().map(|json| kind.value(json)).collect::<Result<_>>()?));
        }
        if let Some(range) = arguments.get("range") {
            return match kind {
                Kind::Double => {
                    let bound = |name: &str, usual: f64| range[name].as_f64().unwrap_or(usual);
                    Ok(Source::Range { least: bound("min", 0.0), end: bound("max", 1.0) })
                }
                Kind::Int | Kind::Long => {
                    let (low, high) = if matches!(kind, Kind::Int) {
                        (i32::MIN.into(), i32::MAX.into())
                    } else {
                        (i64::MIN, i64::MAX)
                    };
                    let least = number(range, "min").unwrap_or(low);
                    Ok(Source::Whole { least, end: number(range, "max").unwrap_or(high) })
                }
                _ => Err(Error::unsupported("a range of what is no number")),
            };
        }
        if let Some(regex) = arguments.get("regex") {
            let text = regex.as_str().filter(|_| matches!(kind, Kind::Text));
            let text = text.ok_or_else(|| Error::invalid("a regex is a text, of a field that is a text"))?;
            return Ok(Source::Regex(Pattern::new(text)?));
        }
        if let Some(iteration) = arguments.get("iteration") {
            let is_number = matches!(kind, Kind::Int | Kind::Long | Kind::Double);
            let start = number(iteration, "start").filter(|_| is_number);
            let start = start.ok_or_else(|| Error::invalid("an iteration has a whole start, in a field of numbers"))?;
            let (step, restart) = (number(iteration, "step").unwrap_or(1), number(iteration, "restart"));
            return Ok(Source::Iteration { next: start, start, step, restart });
        }
        let length = |name: &str| arguments.get("length").and_then(|length| length[name].as_u64());
        let exact = arguments.get("length").and_then(Json::as_u64);
        let least = exact.or_else(|| length("min")).unwrap_or(4) as usize;
        let end = exact.map(|n| n + 1).or_else(|| length("max")).unwrap_or(least as u64 + 5) as usize;
        Ok(Source::Any { least, end })
    }
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
        ] {
            let error = Generator::new(&schema).expect_err("refused");
            assert!(error.message().contains(named), "{error}");
        }
    }
}
