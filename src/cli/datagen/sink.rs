//! Where rows go: to a topic of the data folder, to a stream or table of a server, or to the standard output.
//!
//! A topic that is not there is made, with one partition. A server is told by INSERT INTO … VALUES, many in one
//! request; the stream or table is the one that the server has over the topic. The standard output gets a line for each
//! record, in the form that `topic produce --envelope` takes.

use std::sync::Arc;

use super::Row;
use super::settings::Settings;
use crate::cli::common::Common;
use crate::cli::connect::Credentials;
use crate::cli::failure::{Done, Failure};
use crate::cli::output::{Format, Output, tell};
use crate::cli::remote::Remote;
use crate::config::Properties;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::formats::answer::put_value;
use crate::sql::words::{Ident, quote_if_needed, string_literal};
use crate::statements::{self, Session};
use crate::topics::record::BatchWriter;
use crate::topics::{PartitionId, Topic, partition_of};
use crate::types::{Value, View, array_of};

/// How many rows are written together.
const TOGETHER: usize = 500;

/// Where rows go.
pub(super) struct Sink {
    to: To,
    output: Output,
}

enum To {
    Topic { engine: Box<Engine>, topic: Arc<Topic>, open: Vec<BatchWriter>, rows: usize },
    Server { remote: Box<Remote>, engine: Box<Engine>, source: String, statements: Vec<String> },
    Output,
}

impl Sink {
    /// The standard output.
    pub(super) fn stdout() -> Sink {
        Sink { to: To::Output, output: Output::new(Format::Table) }
    }

    /// A topic of the data folder.
    ///
    /// # Errors
    /// The folder cannot be opened, or the topic cannot be made.
    pub(super) fn topic(common: &Common, settings: &Settings) -> Result<Sink, Failure> {
        let engine = common.open_topics()?;
        if engine.catalog().topic(&settings.topic).is_none() {
            let text = format!("CREATE TOPIC {} WITH (PARTITIONS=1);", string_literal(&settings.topic));
            statements::execute(&engine, &text)?;
        }
        let catalog = engine.catalog();
        let topic = catalog.topic(&settings.topic).ok_or_else(|| catalog.no_topic(&settings.topic))?;
        let open = (0..topic.partitions).map(|_| BatchWriter::new()).collect();
        let topic = topic.clone();
        Ok(Sink {
            to: To::Topic { engine: Box::new(engine), topic, open, rows: 0 },
            output: Output::new(Format::Table),
        })
    }

    /// The stream or table that a server has over the topic.
    ///
    /// # Errors
    /// The server does not answer, or has no such stream or table.
    pub(super) fn server(
        common: &Common,
        url: &str,
        credentials: &Credentials,
        settings: &Settings,
    ) -> Result<Sink, Failure> {
        let remote = Remote::connect(url, credentials, false)?;
        let engine = common.open_empty("latest")?;
        let entities = send(&remote, &engine, "LIST STREAMS; LIST TABLES;")?;
        let fields = ["streams", "tables"];
        let mut sources = entities.iter().flat_map(|e| fields.map(|field| e[field].as_array())).flatten().flatten();
        let found = sources.find(|source| source["topic"].as_str() == Some(settings.topic.as_str()));
        let name = found.and_then(|source| source["name"].as_str()).ok_or_else(|| {
            let error = Error::missing(format!("the server has no stream or table over the topic {}", settings.topic));
            error.hint("CREATE STREAM … WITH (KAFKA_TOPIC='…') makes one; topic=NAME names another topic")
        })?;
        let source = Ident::new(name).to_string();
        let to = To::Server { remote: Box::new(remote), engine: Box::new(engine), source, statements: Vec::new() };
        Ok(Sink { to, output: Output::new(Format::Table) })
    }

    /// Adds a row; it is written at the latest with the next flush.
    ///
    /// # Errors
    /// It cannot be written in the format, or what is full cannot be written.
    pub(super) fn put(&mut self, row: &Row, settings: &Settings) -> Result<(), Failure> {
        let is_full = match &mut self.to {
            To::Output => {
                self.output.line(envelope(row, settings))?;
                return Ok(());
            }
            To::Topic { engine, topic, open, rows } => {
                let [key, value] = encoded(row, settings);
                let partition = key.as_deref().map_or(0, |key| partition_of(key, topic.partitions));
                let time = row.time_ms.unwrap_or_else(|| engine.clock().wall_ms());
                open[partition as usize].push(time, key.as_deref(), value.as_deref(), &[]);
                *rows += 1;
                *rows >= TOGETHER
            }
            To::Server { source, statements, .. } => {
                statements.push(insert(source, row, settings));
                statements.len() >= TOGETHER
            }
        };
        if settings.prints {
            let [_, value] = encoded(row, settings);
            let value = String::from_utf8_lossy(value.as_deref().unwrap_or_default()).into_owned();
            self.output.line(format!("{} --> {value}", row.values[settings.key].to_text()))?;
        }
        if is_full { self.flush() } else { Ok(()) }
    }

    /// Writes what was added.
    ///
    /// # Errors
    /// The disk or the server refuses it.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        match &mut self.to {
            To::Output => {}
            To::Topic { engine, topic, open, rows } => {
                let mut batches = Vec::new();
                for (partition, batch) in (0..).zip(open.iter_mut()) {
                    let id = PartitionId { topic: topic.id, partition };
                    batches.extend(std::mem::take(batch).finish().map(|batch| (id, batch)));
                }
                if !batches.is_empty() {
                    engine.topics().append(batches)?;
                }
                *rows = 0;
            }
            To::Server { remote, engine, statements, .. } => {
                if !statements.is_empty() {
                    send(remote, engine, &std::mem::take(statements).join("\n"))?;
                }
            }
        }
        self.output.flush()
    }

    /// Writes what is left, and says how much it was.
    pub(super) fn end(mut self, made: u64, settings: &Settings) -> Done {
        self.flush()?;
        match &self.to {
            To::Output => {}
            To::Topic { engine, .. } => {
                engine.close();
                tell(&format!("{made} records written to topic '{}'", settings.topic));
            }
            To::Server { source, .. } => tell(&format!("{made} rows inserted into {source}")),
        }
        Ok(0)
    }
}

/// Has a server execute statements.
fn send(remote: &Remote, engine: &Engine, text: &str) -> Result<Vec<serde_json::Value>, Failure> {
    remote.ask(&Session::new(engine, Properties::default()), text)
}

/// The bytes of the key and of the value; none for a key that is NULL.
fn encoded(row: &Row, settings: &Settings) -> [Option<Vec<u8>>; 2] {
    let types = || settings.columns.iter().map(|column| &column.sql_type);
    let arrays: Vec<_> = row.values.iter().zip(types()).map(|(value, sql_type)| array_of([value], sql_type)).collect();
    let views: Vec<View> = arrays.iter().zip(types()).map(|(a, sql_type)| View::new(a.as_ref(), sql_type)).collect();
    let [key, value] = &settings.encodings;
    [(key, &views[settings.key..=settings.key]), (value, &views[..])].map(|(encoding, views)| {
        let mut out = Vec::new();
        encoding.encoder().encode(views, 0, &mut out).then_some(out)
    })
}

/// The row as one line.
fn envelope(row: &Row, settings: &Settings) -> Vec<u8> {
    let mut out = b"{\"key\":".to_vec();
    put_value(&row.values[settings.key], &mut out);
    out.extend(b",\"value\":");
    let names = settings.columns.iter().map(|column| column.name.clone());
    put_value(&Value::Struct(names.zip(row.values.iter().cloned()).collect()), &mut out);
    if let Some(ms) = row.time_ms {
        out.extend(format!(",\"timestamp\":{ms}").bytes());
    }
    out.push(b'}');
    out
}

/// The statement that inserts a row.
fn insert(source: &str, row: &Row, settings: &Settings) -> String {
    let mut names: Vec<String> = settings.columns.iter().map(|column| sql_name(&column.name)).collect();
    let mut values: Vec<String> = row.values.iter().map(literal).collect();
    if let Some(ms) = row.time_ms {
        names.push("ROWTIME".to_owned());
        values.push(ms.to_string());
    }
    format!("INSERT INTO {source} ({}) VALUES ({});", names.join(", "), values.join(", "))
}

/// The name of a column that was declared without quotes.
fn sql_name(name: &str) -> String {
    quote_if_needed(&name.to_uppercase())
}

/// A value as a statement writes it.
fn literal(value: &Value) -> String {
    let all = |values: Vec<String>| values.join(", ");
    match value {
        Value::Null => "NULL".to_owned(),
        Value::String(text) => string_literal(text),
        Value::Array(items) => format!("ARRAY[{}]", all(items.iter().map(literal).collect())),
        Value::Map(entries) => {
            let entries = entries.iter().map(|(key, value)| format!("{} := {}", literal(key), literal(value)));
            format!("MAP({})", all(entries.collect()))
        }
        Value::Struct(fields) => {
            let fields = fields.iter().map(|(name, value)| format!("{} := {}", sql_name(name), literal(value)));
            format!("STRUCT({})", all(fields.collect()))
        }
        other => other.to_text(),
    }
}
