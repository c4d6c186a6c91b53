//! The sink of a persistent query: its topic, formats and schema, from WITH, the first source and the defaults.

use std::collections::BTreeMap;

use super::node::{Plan, Sink};
use crate::catalog::{Catalog, Encoding, Source, TimestampColumn, WindowInfo};
use crate::config::{self, Properties};
use crate::error::{Error, Result, Span};
use crate::formats::{self, Format, Part};
use crate::types::{Schema, quoted};

use super::group::check_key_type;

/// What a WITH clause says of a sink, or of a declared source.
pub struct Settings {
    /// KAFKA_TOPIC: the name of the topic.
    pub topic: Option<String>,
    /// PARTITIONS: the number of partitions, at least 1.
    pub partitions: Option<u32>,
    /// KEY_FORMAT, or FORMAT.
    pub key_format: Option<FormatName>,
    /// VALUE_FORMAT, or FORMAT.
    pub value_format: Option<FormatName>,
    /// KEY_DELIMITER: the character between the columns of a DELIMITED key.
    pub key_delimiter: Option<char>,
    /// VALUE_DELIMITER: the character between the columns of a DELIMITED value.
    pub value_delimiter: Option<char>,
    /// WRAP_SINGLE_VALUE: whether a single value column is written as a field.
    pub wrap: Option<bool>,
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

/// The sink of a plan.
///
/// # Errors
/// A format cannot hold the columns, or the topic exists with another number of partitions.
pub fn plan(
    name: &str,
    plan: &Plan,
    settings: Settings,
    catalog: &Catalog,
    properties: &Properties,
    statement: &str,
) -> Result<Sink> {
    let first = plan.root.sources()[0].clone();
    let schema = Schema::new(plan.output.iter().map(|c| c.column.clone()));
    schema.keys().iter().try_for_each(check_key_type)?;
    let unkeyed = plan.rekey.is_some() && schema.keys().is_empty();
    let key_format = settings.key_format.as_ref().map(FormatName::find).transpose()?;
    if unkeyed && key_format.is_some_and(|format| format.name() != NO_FORMAT) {
        return Err(Error::invalid("Key format specified for stream without key columns."));
    }
    let key = match unkeyed {
        true => Encoding::new(Part::Key, formats::find(NO_FORMAT)?, &[], None)?,
        false => key_encoding(&schema, key_format, settings.key_delimiter, &first.key, properties)?,
    };
    let value_format = settings.value_format.as_ref().map_or(Ok(first.value.format), FormatName::find)?;
    let wrap = settings.wrap.or(default_wrap(properties, value_format, &schema));
    let value = Encoding::new(Part::Value, value_format, schema.values(), wrap)?.with_delimiter(
        Part::Value,
        schema.values(),
        settings.value_delimiter.or(inherited_delimiter(&first.value, value_format)),
    )?;
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
    delimiter: Option<char>,
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
    Encoding::new(Part::Key, format, schema.keys(), None)?.with_delimiter(
        Part::Key,
        schema.keys(),
        delimiter.or(inherited_delimiter(first, format)),
    )
}

/// The format of missing keys.
const NO_FORMAT: &str = "NONE";

/// A source's delimiter goes on to a sink of the same format.
fn inherited_delimiter(first: &Encoding, format: &'static dyn Format) -> Option<char> {
    let delimiter = first.layout.delimiter;
    (format == first.format && format.check_delimiter(delimiter).is_ok()).then_some(delimiter)
}

/// The default for wrapping a single value, from the property; `None` for a format without a choice.
pub fn default_wrap(properties: &Properties, format: &'static dyn Format, schema: &Schema) -> Option<bool> {
    let single = schema.values().len() == 1 && format.wrapping() == formats::Wrapping::Choice;
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
