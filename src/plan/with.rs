//! WITH clauses of streams and tables: which properties there are, and what their values mean.

use std::collections::BTreeMap;

use super::sink::{FormatName, SinkSettings};
use crate::catalog::{TimestampColumn, WindowInfo, WindowType};
use crate::error::{Error, Result, nearest};
use crate::formats::{self, Part, Settings};
use crate::sql::ast::Literal;
use crate::sql::properties::{Properties, Property};
use crate::types::TimeUnit;
use crate::types::pattern::Pattern;

/// Every property that a WITH clause can have besides those of formats, and whether it only belongs to a declaration.
const KNOWN: &[(&str, bool)] = &[
    ("KAFKA_TOPIC", false),
    ("FORMAT", false),
    ("KEY_FORMAT", false),
    ("VALUE_FORMAT", false),
    ("PARTITIONS", false),
    ("REPLICAS", false),
    ("RETENTION_MS", false),
    ("CLEANUP_POLICY", false),
    ("TIMESTAMP", false),
    ("TIMESTAMP_FORMAT", false),
    ("WRAP_SINGLE_VALUE", false),
    ("KEY_SCHEMA_ID", false),
    ("VALUE_SCHEMA_ID", false),
    ("KEY_SCHEMA_FULL_NAME", false),
    ("VALUE_SCHEMA_FULL_NAME", false),
    ("VALUE_AVRO_SCHEMA_FULL_NAME", false),
    ("KEY_PROTOBUF_NULLABLE_REPRESENTATION", false),
    ("VALUE_PROTOBUF_NULLABLE_REPRESENTATION", false),
    ("WINDOW_TYPE", true),
    ("WINDOW_SIZE", true),
    ("SOURCED_BY_CONNECTOR", true),
    ("SOURCE_CONNECTOR", true),
];

/// The names of the properties of a declaration.
pub fn names() -> impl Iterator<Item = String> {
    let of_formats = [Part::Key, Part::Value]
        .into_iter()
        .flat_map(|part| formats::properties().map(move |property| property_name(part, property.name)));
    KNOWN.iter().map(|(name, _)| (*name).to_owned()).chain(of_formats)
}

/// The name of a format's property for a part: `KEY_DELIMITER`.
fn property_name(part: Part, name: &str) -> String {
    format!("{}_{name}", part.to_string().to_uppercase())
}

/// Reads a WITH clause; `declares` for a declared source rather than for the sink of a query.
///
/// # Errors
/// A property is unknown or has an impossible value.
pub fn settings(with: &Properties, declares: bool) -> Result<SinkSettings> {
    let declared_only = |name: &str| KNOWN.iter().any(|(known, only)| *known == name && *only);
    check_names(with, |name| names().any(|known| known == name) && (declares || !declared_only(name)))?;
    for registry in ["KEY_SCHEMA_ID", "VALUE_SCHEMA_ID", "KEY_SCHEMA_FULL_NAME", "VALUE_SCHEMA_FULL_NAME"] {
        if let Some(property) = with.get(registry) {
            return Err(Error::unsupported(format!("{registry}, which needs a Schema Registry")).at(property.span));
        }
    }
    let (key_format, value_format) = format_names(with)?;
    refuse_settings_of_other_formats(with, value_format.as_ref())?;
    let key = format_settings(with, Part::Key)?;
    let value = format_settings(with, Part::Value)?;
    Ok(SinkSettings {
        topic: text(with, "KAFKA_TOPIC")?,
        partitions: partitions(with)?,
        key_format,
        value_format,
        key,
        value: Settings { wrap: flag(with, "WRAP_SINGLE_VALUE")?, ..value },
        timestamp: timestamp(with)?,
        window: window(with)?,
        config: config(with)?,
    })
}

/// Refuses properties that only formats with a schema have. For a format that this version lacks, the message says so.
fn refuse_settings_of_other_formats(with: &Properties, value_format: Option<&FormatName>) -> Result<()> {
    let schemas = [
        "VALUE_AVRO_SCHEMA_FULL_NAME",
        "VALUE_PROTOBUF_NULLABLE_REPRESENTATION",
        "KEY_PROTOBUF_NULLABLE_REPRESENTATION",
    ];
    if let Some(format) = value_format.filter(|_| schemas.iter().any(|name| with.get(name).is_some())) {
        format.find()?;
    }
    if let Some(property) = with.get("VALUE_AVRO_SCHEMA_FULL_NAME") {
        let format = text(with, "VALUE_FORMAT")?.unwrap_or_default();
        return Err(Error::invalid(format!("{format} does not support the following configs: [fullSchemaName]"))
            .at(property.span));
    }
    for name in ["KEY_PROTOBUF_NULLABLE_REPRESENTATION", "VALUE_PROTOBUF_NULLABLE_REPRESENTATION"] {
        if let Some(property) = with.get(name) {
            let message = format!("Property {name} can only be enabled with protobuf format");
            return Err(Error::invalid(message).at(property.span));
        }
    }
    Ok(())
}

/// Prefixes that a given id must not have, since generated ids have them.
const RESERVED_IDS: [&str; 4] = ["INSERTQUERY_", "CTAS_", "CSAS_", "CST_"];

/// Reads the WITH clause of an `INSERT INTO … SELECT`: the id that the query is to have.
///
/// # Errors
/// A property is unknown, or the id is one that only generated ids may have.
pub fn query_id(with: &Properties) -> Result<Option<String>> {
    check_names(with, |name| name == "QUERY_ID")?;
    let Some(id) = text(with, "QUERY_ID")?.map(|id| id.to_uppercase()) else { return Ok(None) };
    let refused = |message: String| Err(Error::invalid(message).at(with.span));
    if !id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return refused(format!("Query IDs may contain only alphanumeric characters and '_'. Got: '{id}'"));
    }
    if RESERVED_IDS.iter().any(|prefix| id.starts_with(prefix)) {
        let reserved = RESERVED_IDS.join(", ");
        let message = format!("Query IDs must not start with a reserved query ID prefix ({reserved}). Got '{id}'.");
        return refused(message);
    }
    Ok(Some(id))
}

/// Refuses unknown properties.
fn check_names(with: &Properties, known: impl Fn(&str) -> bool) -> Result<()> {
    let mut unknown: Vec<&str> = with.items.iter().map(|p| p.name.as_str()).filter(|name| !known(name)).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    if let Some(start) = with.get("START") {
        return Err(Error::unsupported("WITH (START = …)").at(start.span));
    }
    unknown.sort_unstable();
    let span = with.get(unknown[0]).map_or(with.span, |p| p.span);
    let error =
        Error::invalid(format!("Invalid config variable(s) in the WITH clause: {}", unknown.join(","))).at(span);
    Err(match nearest(unknown[0], names().collect::<Vec<_>>().iter().map(String::as_str)) {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None => error,
    })
}

/// The refusal of a property's value.
fn invalid(property: &Property, why: &str) -> Error {
    Error::invalid(format!("Invalid value {} for property {}: {why}", shown(&property.value), property.name))
        .at(property.span)
}

/// A constant as messages show it.
fn shown(value: &Literal) -> String {
    match value {
        Literal::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The Java class of a constant, which ksqlDB's messages name.
fn class(value: &Literal) -> &'static str {
    match value {
        Literal::Boolean(_) => "java.lang.Boolean",
        Literal::Integer(_) => "java.lang.Integer",
        Literal::Bigint(_) => "java.lang.Long",
        Literal::Decimal(_) => "java.math.BigDecimal",
        Literal::Double(_) => "java.lang.Double",
        Literal::Null | Literal::String(_) | Literal::Variable(_) => "java.lang.String",
    }
}

/// The value of a property that is a text; empty texts are refused.
fn text(with: &Properties, name: &str) -> Result<Option<String>> {
    let Some(property) = with.get(name) else { return Ok(None) };
    match &property.value {
        Literal::String(text) if text.is_empty() => Err(invalid(property, "String must be non-empty")),
        Literal::String(text) => Ok(Some(text.clone())),
        other => Err(invalid(property, &format!("Expected value to be a string, but it was a {}", class(other)))),
    }
}

/// The value of a property that is a whole number, or a text of one.
fn integer(with: &Properties, name: &str) -> Result<Option<i64>> {
    let Some(property) = with.get(name) else { return Ok(None) };
    match &property.value {
        Literal::Integer(value) => Ok(Some(i64::from(*value))),
        Literal::Bigint(value) => Ok(Some(*value)),
        Literal::String(text) => {
            text.trim().parse().map(Some).map_err(|_| invalid(property, "Not a number of type INT"))
        }
        other => {
            let why = format!("Expected value to be a 32-bit integer, but it was a {}", class(other));
            Err(invalid(property, &why))
        }
    }
}

/// What the properties of formats say of a part.
fn format_settings(with: &Properties, part: Part) -> Result<Settings> {
    let mut settings = Settings::default();
    for known in formats::properties() {
        let name = property_name(part, known.name);
        let Some(property) = with.get(&name) else { continue };
        let Literal::String(written) = &property.value else {
            let class = class(&property.value);
            return Err(invalid(property, &format!("Expected value to be a string, but it was a {class}")));
        };
        let read = (known.read)(written)
            .map_err(|why| Error::invalid(format!("Configuration {name} is invalid: {why}")).at(property.span))?;
        settings.own.insert(known.shown, read);
    }
    Ok(settings)
}

/// The value of a property that is true or false, or a text of that.
fn flag(with: &Properties, name: &str) -> Result<Option<bool>> {
    let Some(property) = with.get(name) else { return Ok(None) };
    match &property.value {
        Literal::Boolean(value) => Ok(Some(*value)),
        Literal::String(text) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
        Literal::String(text) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
        _ => Err(invalid(property, "Expected value to be either true or false")),
    }
}

/// PARTITIONS, from 1 to [`MOST_PARTITIONS`]; REPLICAS is checked as well.
fn partitions(with: &Properties) -> Result<Option<u32>> {
    if let Some(replicas) = integer(with, "REPLICAS")?
        && i16::try_from(replicas).is_err()
    {
        let property = with.get("REPLICAS").ok_or_else(|| Error::bug("REPLICAS was read and is not there"))?;
        return Err(invalid(property, "a replication factor is a 16-bit number"));
    }
    let Some(count) = integer(with, "PARTITIONS")? else { return Ok(None) };
    match u32::try_from(count) {
        Ok(count) if (1..=MOST_PARTITIONS).contains(&count) => Ok(Some(count)),
        _ => {
            let property = with.get("PARTITIONS").ok_or_else(|| Error::bug("PARTITIONS was read and is not there"))?;
            Err(invalid(property, &format!("a topic has from 1 to {MOST_PARTITIONS} partitions")))
        }
    }
}

/// The most partitions that a topic may have.
pub const MOST_PARTITIONS: u32 = 10_000;

/// The formats of keys and values: KEY_FORMAT and VALUE_FORMAT, or FORMAT for both.
fn format_names(with: &Properties) -> Result<(Option<FormatName>, Option<FormatName>)> {
    let both = with.get("FORMAT");
    for part in ["KEY_FORMAT", "VALUE_FORMAT"] {
        if let (Some(both), Some(_)) = (both, with.get(part)) {
            let message = format!(
                "Cannot supply both '{part}' and 'FORMAT' properties, as 'FORMAT' sets both key and value formats. \
                 Either use just 'FORMAT', or use 'KEY_FORMAT' and 'VALUE_FORMAT'."
            );
            return Err(Error::invalid(message).at(both.span));
        }
    }
    let named = |property: &str| -> Result<Option<FormatName>> {
        let property = if both.is_some() { "FORMAT" } else { property };
        let span = with.get(property).map_or(with.span, |p| p.span);
        Ok(text(with, property)?.map(|name| FormatName { name, span }))
    };
    Ok((named("KEY_FORMAT")?, named("VALUE_FORMAT")?))
}

/// The column that holds a record's time: a name, in upper case unless it is quoted.
fn timestamp(with: &Properties) -> Result<Option<TimestampColumn>> {
    let format = text(with, "TIMESTAMP_FORMAT")?.map(|format| {
        let span = with.get("TIMESTAMP_FORMAT").map_or(with.span, |p| p.span);
        Pattern::parse(&format).map_err(|why| {
            Error::invalid(format!("Invalid datetime format for config:TIMESTAMP_FORMAT, reason:{why}")).at(span)
        })
    });
    let format = format.transpose()?;
    let Some(written) = text(with, "TIMESTAMP")? else { return Ok(None) };
    let span = with.get("TIMESTAMP").map_or(with.span, |p| p.span);
    let lexed = crate::sql::bounds::lex_few(&written);
    let mut cursor = crate::sql::cursor::Cursor::new(&lexed);
    let mut column = cursor.ident("the name of a column").ok();
    if column.is_some() && cursor.take(".") {
        // The source's name before the column's says nothing new.
        column = cursor.ident("the name of a column").ok();
    }
    let column = column.filter(|_| cursor.at_end());
    let column = column
        .ok_or_else(|| Error::invalid(format!("Cannot parse text that is not column reference: {written}")).at(span))?;
    Ok(Some(TimestampColumn { column: column.name, format }))
}

/// WINDOW_TYPE and WINDOW_SIZE; tumbling and hopping windows need a size, sessions have none.
fn window(with: &Properties) -> Result<Option<WindowInfo>> {
    let size = text(with, "WINDOW_SIZE")?;
    let kind = match with.get("WINDOW_TYPE") {
        None => None,
        Some(property) => {
            let name = shown(&property.value).to_uppercase();
            let kinds = [WindowType::Session, WindowType::Hopping, WindowType::Tumbling];
            let kind = kinds.into_iter().find(|k| k.name() == name);
            Some(kind.ok_or_else(|| invalid(property, "String must be one of: SESSION, HOPPING, TUMBLING, null"))?)
        }
    };
    match (kind, size) {
        (None | Some(WindowType::Session), Some(_)) => {
            Err(Error::invalid("'WINDOW_SIZE' should not be set for SESSION windows."))
        }
        (None, None) => Ok(None),
        (Some(WindowType::Session), None) => Ok(Some(WindowInfo { kind: WindowType::Session, size_ms: None })),
        (Some(kind), None) => Err(Error::invalid(format!(
            "{} windows require 'WINDOW_SIZE' to be provided in the WITH clause. \
             For example: 'WINDOW_SIZE'='10 SECONDS'",
            kind.name()
        ))),
        (Some(kind), Some(size)) => Ok(Some(WindowInfo { kind, size_ms: Some(duration(&size)?) })),
    }
}

/// A length of time such as `10 SECONDS`, in milliseconds.
fn duration(text: &str) -> Result<i64> {
    let wrong = |why: String| {
        Error::invalid(format!("Configuration WINDOW_SIZE is invalid: Invalid duration: '{text}'. {why}"))
    };
    let tokens: Vec<&str> = text.split(' ').collect();
    let [count, unit] = tokens.as_slice() else {
        return Err(wrong(format!("Expected 2 tokens, got: {}", tokens.len())));
    };
    let count: i64 = count.parse().map_err(|_| wrong(format!("Not numeric: '{count}'")))?;
    let unit = TimeUnit::parse(unit).ok_or_else(|| wrong(format!("Unknown time unit: '{}'", unit.to_uppercase())))?;
    Ok(count.saturating_mul(unit.ms()))
}

/// Refuses a retention of a table without windows, whose rows do not age.
///
/// # Errors
/// There is one.
pub fn refuse_retention(with: &Properties) -> Result<()> {
    let Some(property) = with.get("RETENTION_MS") else { return Ok(()) };
    let message =
        "Invalid config variable in the WITH clause: RETENTION_MS. Non-windowed tables do not support retention.";
    Err(Error::invalid(message).at(property.span))
}

/// Settings of the topic, by Kafka's names.
fn config(with: &Properties) -> Result<BTreeMap<String, String>> {
    if let Some(property) = with.get("CLEANUP_POLICY") {
        let message = "Invalid config variable in the WITH clause: CLEANUP_POLICY. The CLEANUP_POLICY config is automatically \
                       inferred based on the type of source (STREAM or TABLE).";
        return Err(Error::invalid(message).at(property.span));
    }
    let retention = integer(with, "RETENTION_MS")?;
    Ok(retention.map(|ms| ("retention.ms".to_owned(), ms.to_string())).into_iter().collect())
}
