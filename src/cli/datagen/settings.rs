//! The arguments `NAME=VALUE`, those of `ksql-datagen`, and what they default to.

use serde_json::{Value as Json, json};

use super::schema::Generator;
use crate::cli::failure::Failure;
use crate::cli::output::tell;
use crate::cli::remote::columns_of;
use crate::error::{Error, Result};
use crate::formats::{self, Asked, Encoding, Part};
use crate::types::{Column, SqlType};

/// Schemas that are there already, by their names, with the root of the topic's name and the key.
const QUICKSTARTS: &str = include_str!("quickstarts.json");

/// The names that are known.
const NAMES: [&str; 13] = [
    "quickstart",
    "schema",
    "topic",
    "key",
    "format",
    "value-format",
    "key-format",
    "valueDelimiter",
    "timestamp",
    "iterations",
    "msgRate",
    "nThreads",
    "printRows",
];

/// The names that `ksql-datagen` has and that are not met, with what to do instead.
const REFUSED: [(&str, &str); 3] = [
    ("bootstrap-server", "rows go to the data folder, or with --server to a server"),
    ("schemaRegistryUrl", "there is no schema registry; formats are json and delimited"),
    ("propertiesFile", "--config names a file of properties"),
];

/// The most threads of which the iterations are made.
const MOST_THREADS: u64 = 1_000;

/// What is to be made.
pub(super) struct Settings {
    pub generator: Generator,
    pub topic: String,
    pub columns: Vec<Column>,
    /// The place of the column that is the key.
    pub key: usize,
    /// How the key and the value are written.
    pub encodings: [Encoding; 2],
    /// The place of the column with the time of the record.
    pub timestamp: Option<usize>,
    /// How many rows each thread makes; no end without it.
    pub iterations: Option<u64>,
    /// Rows a second; as many as can be without it.
    pub rate: Option<u64>,
    pub threads: usize,
    /// Whether each row is shown.
    pub prints: bool,
}

impl Settings {
    /// Reads the arguments.
    ///
    /// # Errors
    /// Status 2: one of them cannot be used, or what is needed is missing.
    pub(super) fn read(arguments: &[String], columns: Option<&str>) -> Result<Settings, Failure> {
        let pairs = arguments.iter().map(|text| pair(text)).collect::<Result<Vec<_>>>().map_err(Failure::usage)?;
        if pairs.iter().any(|(name, _)| *name == "maxInterval") {
            tell("warning: maxInterval is deprecated and has no effect; use msgRate");
        }
        let value = |name: &str| pairs.iter().rev().find(|(known, _)| *known == name).map(|(_, value)| *value);
        let schema = match value("schema") {
            Some(file) => {
                let text = std::fs::read_to_string(file).map_err(|error| Failure::unreadable(file, &error))?;
                let unusable = |e| Failure::usage(Error::invalid(format!("the schema {file} is no JSON: {e}")));
                Some(serde_json::from_str(&text).map_err(unusable)?)
            }
            None => columns.map(of_columns).transpose().map_err(Failure::usage)?,
        };
        Settings::of(&value, schema).map_err(Failure::usage)
    }

    fn of<'a>(value: &dyn Fn(&str) -> Option<&'a str>, schema: Option<Json>) -> Result<Settings> {
        let quickstart = value("quickstart").map(quickstart).transpose()?;
        let of_quickstart = |name: &str| quickstart.as_ref().map(|q| q[name].clone());
        let missing = |what: &str| Error::invalid(format!("{what} not provided")).hint("or say quickstart=NAME");
        let schema = schema.or_else(|| of_quickstart("schema")).ok_or_else(|| missing("Schema file"))?;
        let format = value("value-format").or_else(|| value("format"));
        let format = format.or(quickstart.as_ref().map(|_| "json")).ok_or_else(|| missing("Message value format"))?;
        let text = |json: Option<Json>| json.as_ref().and_then(Json::as_str).map(str::to_owned);
        let topic = text(of_quickstart("topic")).map(|root| format!("{root}_kafka_topic_{}", format.to_lowercase()));
        let topic = value("topic").map(str::to_owned).or(topic).ok_or_else(|| missing("Kafka topic name"))?;
        let key = value("key").map(str::to_owned).or_else(|| text(of_quickstart("key")));
        let key = key.ok_or_else(|| missing("Name of key column"))?;
        let generator = Generator::new(&schema)?;
        let columns = generator.columns()?;
        let key = place(&columns, &key)?;
        let timestamp = value("timestamp").map(|name| time_place(&columns, name)).transpose()?;
        let encodings = [
            Encoding::of_key(formats::find(value("key-format").unwrap_or("KAFKA"))?, &columns[key..=key])?,
            encoding(format, value("valueDelimiter"), &columns)?,
        ];
        let prints = value("printRows").map_or(Ok(true), |text| text.to_lowercase().parse());
        Ok(Settings {
            generator,
            topic,
            columns,
            key,
            encodings,
            timestamp,
            iterations: value("iterations").map(|text| count("iterations", text)).transpose()?,
            rate: value("msgRate").map(|text| count("msgRate", text)).transpose()?,
            threads: value("nThreads").map_or(Ok(1), |text| count("nThreads", text))?.min(MOST_THREADS) as usize,
            prints: prints.map_err(|_| Error::invalid("printRows is true or false"))?,
        })
    }
}

/// An argument's name and value.
fn pair(text: &str) -> Result<(&str, &str)> {
    let error = || Error::invalid(format!("Invalid argument format in '{text}'; expected <name>=<value>"));
    let (name, value) = text.split_once('=').filter(|(_, value)| !value.trim().is_empty()).ok_or_else(error)?;
    let (name, value) = (name.trim(), value.trim());
    if let Some((_, instead)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
        return Err(Error::unsupported(format!("the argument {name}")).hint(*instead));
    }
    if name != "maxInterval" && !NAMES.contains(&name) {
        return Err(Error::missing(format!("Unknown argument name in '{text}'")).suggest(name, NAMES, str::to_owned));
    }
    Ok((name, value))
}

fn quickstart(name: &str) -> Result<Json> {
    let bug = |e| Error::bug(format!("the quickstarts are no JSON: {e}"));
    let all: Json = serde_json::from_str(QUICKSTARTS).map_err(bug)?;
    let found = all.get(name.to_lowercase());
    found.cloned().ok_or_else(|| {
        let known = all.as_object().into_iter().flat_map(|all| all.keys().map(String::as_str)).collect::<Vec<_>>();
        Error::missing(format!("there is no quickstart {name}")).hint(format!("there are {}", known.join(", ")))
    })
}

/// The place of a column.
fn place(columns: &[Column], name: &str) -> Result<usize> {
    let names = || columns.iter().map(|column| column.name.as_str());
    let missing = || Error::missing(format!("there is no field {name}")).suggest(name, names(), str::to_owned);
    names().position(|known| known == name).ok_or_else(missing)
}

/// The place of a column with milliseconds.
fn time_place(columns: &[Column], name: &str) -> Result<usize> {
    let place = place(columns, name)?;
    match columns[place].sql_type {
        SqlType::Bigint => Ok(place),
        ref other => Err(Error::invalid(format!("timestamp names a field of milliseconds; {name} is a {other}"))),
    }
}

/// How values are written.
fn encoding(format: &str, delimiter: Option<&str>, columns: &[Column]) -> Result<Encoding> {
    let format = formats::find(format)?;
    let mut settings = formats::Settings::default();
    if let Some(text) = delimiter {
        let property = format.properties().iter().find(|property| property.name == "DELIMITER");
        let missing = || Error::invalid(format!("values in the format {} have no delimiter", format.name()));
        let property = property.ok_or_else(missing)?;
        settings.own.insert(property.shown, (property.read)(text).map_err(Error::invalid)?);
    }
    Encoding::bind(format, Asked { part: Part::Value, columns, settings: &settings })
}

/// A count of at least 1.
fn count(name: &str, text: &str) -> Result<u64> {
    let found = text.parse().ok().filter(|count| *count > 0);
    found.ok_or_else(|| Error::invalid(format!("{name} is a number from 1, not '{text}'")))
}

/// The schema of columns with SQL types: small numbers, and texts of letters.
fn of_columns(text: &str) -> Result<Json> {
    let field = |name: &str, sql_type: &SqlType| {
        let range = json!({ "range": { "min": 0, "max": 1000 } });
        let schema = match sql_type {
            SqlType::Boolean => json!("boolean"),
            SqlType::Integer => json!({ "type": "int", "arg.properties": range }),
            SqlType::Bigint => json!({ "type": "long", "arg.properties": range }),
            SqlType::Double => json!({ "type": "double", "arg.properties": range }),
            SqlType::String => json!("string"),
            other => return Err(Error::unsupported(format!("columns of the type {other} for rows that are made"))),
        };
        Ok(json!({ "name": name, "type": schema }))
    };
    let columns = columns_of(text)?;
    let fields = columns.iter().map(|column| field(&column.name, &column.sql_type)).collect::<Result<Vec<_>>>()?;
    Ok(json!({ "type": "record", "fields": fields }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::datagen::chance::Chance;

    #[test]
    fn every_quickstart_makes_rows() {
        let all: Json = serde_json::from_str(QUICKSTARTS).expect("JSON");
        for name in all.as_object().expect("an object").keys() {
            let settings = Settings::read(&[format!("quickstart={}", name.to_uppercase())], None).expect(name);
            settings.generator.clone().next(&mut Chance::new(1));
            assert!(settings.topic.ends_with("_kafka_topic_json"), "{name}");
        }
    }

    #[test]
    fn arguments_that_cannot_be_met_are_refused() {
        let read = |arguments: &[&str]| {
            let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
            Settings::read(&arguments, None).err().map(|failure| failure.text).unwrap_or_default()
        };
        for (arguments, named) in [
            (&["quickstart"][..], "expected <name>=<value>"),
            (&["quickstat=users"], "did you mean quickstart?"),
            (&["quickstart=nope"], "there are orders"),
            (&["quickstart=users", "format=avro"], "AVRO"),
            (&["quickstart=users", "bootstrap-server=x:1"], "--server"),
            (&["quickstart=users", "key=nope"], "no field nope"),
            (&["quickstart=users", "iterations=0"], "iterations"),
            (&["topic=a"], "Schema file not provided"),
        ] {
            assert!(read(arguments).contains(named), "{arguments:?}: {}", read(arguments));
        }
    }
}
