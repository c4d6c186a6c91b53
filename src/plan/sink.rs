//! The sink of a persistent query: its topic, formats and schema, from WITH, the first source and the defaults.

use std::collections::BTreeMap;

use super::node::{Plan, Sink};
use crate::catalog::{Catalog, Source, TimestampColumn, WindowInfo};
use crate::config::{self, Properties};
use crate::error::{Error, Result, Span};
use crate::formats::{self, Asked, Encoding, Format, Part, Settings};
use crate::types::{Schema, quoted};

use super::group::check_key_type;

/// What a WITH clause says of a sink, or of a declared source.
pub struct SinkSettings {
    /// KAFKA_TOPIC: the name of the topic.
    pub topic: Option<String>,
    /// PARTITIONS: the number of partitions, at least 1.
    pub partitions: Option<u32>,
    /// KEY_FORMAT, or FORMAT.
    pub key_format: Option<FormatName>,
    /// VALUE_FORMAT, or FORMAT.
    pub value_format: Option<FormatName>,
    /// What the properties of formats say of keys, such as KEY_DELIMITER.
    pub key: Settings,
    /// What they say of values, and WRAP_SINGLE_VALUE.
    pub value: Settings,
    /// TIMESTAMP and TIMESTAMP_FORMAT: the column of the time.
    pub timestamp: Option<TimestampColumn>,
    /// WINDOW_TYPE and WINDOW_SIZE: the windows in the keys of a declared source.
    pub window: Option<WindowInfo>,
    /// Settings of the topic, by Kafka's names.
    pub config: BTreeMap<String, String>,
}

/// A format as a statement names it. It is looked up after the query is analysed, so that an unknown name in the query
/// is reported first.
#[derive(Clone, Debug)]
pub struct FormatName {
    /// The name as it was written.
    pub name: String,
    /// Where it stands.
    pub span: Span,
}

impl FormatName {
    /// The format of this name.
    ///
    /// # Errors
    /// The format is unknown, or this version lacks it.
    pub fn find(&self) -> Result<&'static dyn Format> {
        formats::find(&self.name).map_err(|e| e.at(self.span))
    }
}

/// The source that a statement makes as its sink.
pub struct Made<'a> {
    /// Its name.
    pub name: &'a str,
    /// The text of the statement.
    pub statement: &'a str,
}

/// The sink of a plan.
///
/// # Errors
/// A format cannot hold the columns, or the topic exists with another number of partitions.
pub fn plan(
    made: Made,
    plan: &Plan,
    settings: SinkSettings,
    catalog: &Catalog,
    properties: &Properties,
) -> Result<Sink> {
    let Made { name, statement } = made;
    let first = plan.root.sources()[0].clone();
    let schema = Schema::new(plan.output.iter().map(|c| c.column.clone()));
    schema.keys().iter().try_for_each(check_key_type)?;
    let unkeyed = plan.rekey.is_some() && schema.keys().is_empty();
    let key_format = settings.key_format.as_ref().map(FormatName::find).transpose()?;
    if unkeyed && key_format.is_some_and(|format| format.name() != NO_FORMAT) {
        return Err(Error::invalid("Key format specified for stream without key columns."));
    }
    let key = match unkeyed {
        true => Encoding::of_key(formats::find(NO_FORMAT)?, &[])?,
        false => key_encoding(&schema, key_format, settings.key, &first.key, properties)?,
    };
    let value_format = settings.value_format.as_ref().map_or(Ok(first.value.format), FormatName::find)?;
    let value =
        value_encoding(&schema, value_format, inherits(settings.value, &first.value, value_format), properties)?;
    let topic = settings.topic.unwrap_or_else(|| format!("{}{name}", properties.text(config::OUTPUT_TOPIC_PREFIX)));
    let existing = catalog.topic(&topic).map(|t| t.partitions);
    if let (Some(wanted), Some(existing)) = (settings.partitions, existing)
        && wanted != existing
    {
        return Err(partitions_differ(&topic, wanted, existing));
    }
    let inherited = catalog.topic(&first.topic).map(|t| t.partitions);
    let partitions = settings.partitions.or(existing).or(inherited).unwrap_or(1);
    let window = plan.window.map(|w| WindowInfo { kind: w.kind, size_ms: Some(w.window.size_ms) });
    if let Some(timestamp) = &settings.timestamp {
        check_timestamp(timestamp, &schema)?;
    }
    let source = Source {
        name: name.to_owned(),
        kind: plan.kind,
        schema,
        topic,
        key,
        value,
        timestamp: settings.timestamp.clone(),
        window,
        read_only: false,
        statement: statement.to_owned(),
        query: None,
        made_at: catalog.version,
    };
    Ok(Sink { source, partitions, timestamp: settings.timestamp })
}

/// The refusal of a topic that exists with another number of partitions.
pub fn partitions_differ(topic: &str, wanted: u32, existing: u32) -> Error {
    Error::conflict(format!(
        "A Kafka topic with the name '{topic}' already exists, with different partition/replica configuration than \
         required. KSQL expects {wanted} partitions (topic has {existing})"
    ))
}

/// The format of keys: the one of the statement, else that of the first source, else the default.
fn key_encoding(
    schema: &Schema,
    format: Option<&'static dyn Format>,
    settings: Settings,
    first: &Encoding,
    properties: &Properties,
) -> Result<Encoding> {
    let format = match format {
        Some(format) => format,
        None if first.format.name() == NO_FORMAT && !schema.keys().is_empty() => {
            formats::find(properties.text(config::DEFAULT_KEY_FORMAT))?
        }
        None => first.format,
    };
    let settings = inherits(settings, first, format);
    Encoding::bind(format, Asked { part: Part::Key, columns: schema.keys(), settings: &settings })
}

/// The way values are written; a single one is a field of something as the statement or a property says.
///
/// # Errors
/// The format cannot hold the columns, or lacks a property of which the statement says something.
pub fn value_encoding(
    schema: &Schema,
    format: &'static dyn Format,
    mut settings: Settings,
    properties: &Properties,
) -> Result<Encoding> {
    settings.wrap = settings.wrap.or(default_wrap(properties, format, schema));
    Encoding::bind(format, Asked { part: Part::Value, columns: schema.values(), settings: &settings })
}

/// The format of missing keys.
const NO_FORMAT: &str = "NONE";

/// What was said of a source's format goes on to a sink of the same format.
fn inherits(settings: Settings, first: &Encoding, format: &'static dyn Format) -> Settings {
    if format == first.format { settings.or(&first.own) } else { settings }
}

/// The default for wrapping a single value, from the property; `None` for a format without a choice.
fn default_wrap(properties: &Properties, format: &'static dyn Format, schema: &Schema) -> Option<bool> {
    let single = schema.values().len() == 1 && format.chooses_wrapping();
    let text = properties.text(config::WRAP_SINGLE_VALUES);
    if single && !text.is_empty() { Some(text.eq_ignore_ascii_case("true")) } else { None }
}

/// The refusal of a column for a record's time that is not there.
pub fn no_timestamp_column(name: &str) -> Error {
    Error::missing(format!("The TIMESTAMP column set in the WITH clause does not exist in the schema: '{name}'"))
}

/// Refuses a column that cannot hold a record's time.
pub fn check_timestamp(timestamp: &TimestampColumn, schema: &Schema) -> Result<()> {
    use crate::types::SqlType;
    let name = &timestamp.column;
    let Some((_, column)) = schema.find(name) else {
        return Err(no_timestamp_column(name));
    };
    match (&column.sql_type, &timestamp.format) {
        (SqlType::Bigint | SqlType::Timestamp, None) | (SqlType::String, Some(_)) => Ok(()),
        (SqlType::String, None) => Err(Error::invalid(
            "A String timestamp field has been specified without also specifying the timestamp_format",
        )),
        (_, Some(_)) => Err(Error::invalid(
            "'TIMESTAMP_FORMAT' set in the WITH clause can only be used when the timestamp column is of type STRING.",
        )),
        _ => Err(Error::invalid(format!(
            "Timestamp column, {}, should be LONG(INT64), TIMESTAMP, or a String with a timestamp_format specified.",
            quoted(name)
        ))),
    }
}
