//! `tidemill topic create|list|describe|alter|delete|delete-records`: what topics there are.
//!
//! `create`, `alter` and `delete` are the statements CREATE TOPIC, ALTER TOPIC and DROP TOPIC, so that they are checked, kept and undone like
//! those.

use clap::Args;

use super::source_of;
use crate::cli::common::Common;
use crate::cli::failure::{Done, Failure};
use crate::cli::output::{Format, Output, tell};
use crate::config::{self, Properties};
use crate::engine::{Change, Engine};
use crate::error::Error;
use crate::sql::words::string_literal;
use crate::statements::{self, Outcome, Session};
use crate::topics::{Offset, PartitionId, Topic};

#[derive(Args)]
pub(crate) struct Create {
    name: String,
    /// How many partitions it has.
    #[arg(long, value_name = "N")]
    partitions: Option<u32>,
    /// A setting of the topic.
    #[arg(long = "config", value_name = "KEY=VALUE")]
    config: Vec<String>,
}

#[derive(Args)]
pub(crate) struct List {
    /// How the list is written.
    #[arg(long, value_enum, default_value = "table")]
    output: Format,
}

#[derive(Args)]
pub(crate) struct Describe {
    name: String,
    /// How it is written.
    #[arg(long, value_enum, default_value = "table")]
    output: Format,
}

#[derive(Args)]
pub(crate) struct Alter {
    name: String,
    /// A setting of the topic.
    #[arg(long = "config", value_name = "KEY=VALUE", required = true)]
    config: Vec<String>,
}

#[derive(Args)]
pub(crate) struct Delete {
    name: String,
}

#[derive(Args)]
pub(crate) struct DeleteRecords {
    name: String,
    /// The first offset that stays, or `end` for none.
    #[arg(long, value_name = "OFFSET")]
    before: Before,
    /// The partition; all of them without it.
    #[arg(long, value_name = "N")]
    partition: Option<u32>,
}

/// Up to where records are deleted.
#[derive(Clone, Copy, Debug)]
enum Before {
    Offset(Offset),
    End,
}

impl std::str::FromStr for Before {
    type Err = String;

    fn from_str(given: &str) -> Result<Self, String> {
        match given.parse() {
            Ok(offset) if offset >= 0 => Ok(Before::Offset(offset)),
            _ if given == "end" => Ok(Before::End),
            _ => Err("expected an offset from 0 or the word end".to_owned()),
        }
    }
}

/// Makes a topic.
pub(super) fn create(common: &Common, arguments: &Create) -> Done {
    let mut settings = Vec::new();
    settings.extend(arguments.partitions.map(|n| format!("PARTITIONS={n}")));
    settings.extend(checked(&arguments.config)?);
    let with = if settings.is_empty() { String::new() } else { format!(" WITH ({})", settings.join(", ")) };
    let text = format!("CREATE TOPIC {}{with};", string_literal(&arguments.name));
    if !common.has_folder() {
        // What is refused makes no folder either.
        let engine = common.open_empty("earliest")?;
        let mut checks = Session::new(&engine, Properties::default());
        let parsed = statements::parse(&text).map_err(|mut errors| plain(errors.remove(0)))?;
        parsed.iter().try_for_each(|statement| checks.run(statement).map(|_| ())).map_err(plain)?;
    }
    execute(&common.open_topics()?, &text)
}

/// Settings as they stand in a WITH clause.
///
/// # Errors
/// Status 2: one is not `KEY=VALUE`, names no setting, or has a value that the setting does not take.
fn checked(config: &[String]) -> Result<Vec<String>, Failure> {
    let setting = |text: &String| {
        let Some((name, value)) = text.split_once('=') else {
            return Err(Failure::usage(Error::invalid(format!("--config: '{text}' is not KEY=VALUE"))));
        };
        let (name, value) = (name.trim(), value.trim());
        config::check_topic_setting(name, value).map_err(|e| Failure::usage(e.context("--config: ")))?;
        Ok(format!("{}={}", string_literal(name), string_literal(value)))
    };
    config.iter().map(setting).collect()
}

/// Changes settings of a topic.
pub(super) fn alter(common: &Common, arguments: &Alter) -> Done {
    let settings = checked(&arguments.config)?.join(", ");
    let text = format!("ALTER TOPIC {} WITH ({settings});", string_literal(&arguments.name));
    execute(&common.open_existing()?, &text)
}

/// Deletes records from the start of a topic, and says where its partitions start now.
pub(super) fn delete_records(common: &Common, arguments: &DeleteRecords) -> Done {
    let engine = common.open_existing()?;
    let catalog = engine.catalog();
    let topic = catalog.topic(&arguments.name).ok_or_else(|| catalog.no_topic(&arguments.name))?;
    let before = match arguments.before {
        Before::Offset(offset) => offset,
        Before::End => Offset::MAX,
    };
    let starts = match (arguments.before, arguments.partition) {
        (Before::End, Some(partition)) if partition < topic.partitions => {
            let end = engine.topics().end(PartitionId { topic: topic.id, partition })?;
            engine.delete_records(topic, Some(partition), end)?
        }
        (_, partition) => engine.delete_records(topic, partition, before)?,
    };
    let mut output = Output::new(Format::Table);
    let rows = starts.into_iter().map(|(id, start)| vec![id.partition.to_string(), start.to_string()]);
    output.listing(&["Partition", "Start Offset"], &rows.collect::<Vec<_>>())?;
    output.flush()?;
    Ok(0)
}

/// Removes a topic.
pub(super) fn delete(common: &Common, arguments: &Delete) -> Done {
    execute(&common.open_existing()?, &format!("DROP TOPIC {};", string_literal(&arguments.name)))
}

/// An error without its place in a text that the user does not know.
fn plain(error: Error) -> Error {
    let bare = Error::new(error.kind(), error.message());
    error.advice().map_or(bare.clone(), |advice| bare.hint(advice))
}

/// Executes a statement that stands for a command: its errors have no place in a text that the user knows.
fn execute(engine: &Engine, text: &str) -> Done {
    let parsed = statements::parse(text).map_err(|mut errors| plain(errors.remove(0)))?;
    let mut session = Session::new(engine, Properties::default());
    for statement in &parsed {
        if let Outcome::Changed { committed, .. } = session.run(statement).map_err(plain)? {
            let Change { message, warnings, .. } = committed.change;
            warnings.iter().for_each(|warning| tell(&format!("warning: {warning}")));
            let mut output = Output::new(Format::Table);
            output.line(message)?;
            output.flush()?;
        }
    }
    Ok(0)
}

/// Lists the topics.
pub(super) fn list(common: &Common, arguments: &List) -> Done {
    let engine = common.open_existing()?;
    let catalog = engine.catalog();
    let mut rows = Vec::new();
    for topic in catalog.topics() {
        let records = engine.records(topic)?;
        rows.push(vec![topic.name.clone(), topic.partitions.to_string(), records.to_string()]);
    }
    let mut output = Output::new(arguments.output);
    output.listing(&["Kafka Topic", "Partitions", "Records"], &rows)?;
    output.flush()?;
    Ok(0)
}

/// Shows a topic.
pub(super) fn describe(common: &Common, arguments: &Describe) -> Done {
    let engine = common.open_existing()?;
    let catalog = engine.catalog();
    let topic = catalog.topic(&arguments.name).ok_or_else(|| catalog.no_topic(&arguments.name))?;
    let mut output = Output::new(arguments.output);
    let mut about =
        vec![("Kafka Topic".to_owned(), topic.name.clone()), ("Partitions".to_owned(), topic.partitions.to_string())];
    about.extend(topic.config.iter().map(|(name, value)| (name.clone(), value.clone())));
    if let Some(source) = source_of(&catalog, &topic.name) {
        about.push((source.kind.name().to_owned(), source.name.clone()));
        about.push(("Key format".to_owned(), source.key.format.name().to_owned()));
        about.push(("Value format".to_owned(), source.value.format.name().to_owned()));
    }
    about.extend(engine.topic_bytes(topic)?.map(|bytes| ("Bytes".to_owned(), bytes.to_string())));
    if arguments.output == Format::Table {
        for (name, value) in about {
            output.line(format!("{name:<20} : {value}"))?;
        }
        output.line("")?;
    }
    let ends = ends(&engine, topic)?.into_iter().enumerate();
    let rows = ends.map(|(p, (start, end))| vec![p.to_string(), start.to_string(), end.to_string()]);
    output.listing(&["Partition", "Start Offset", "End Offset"], &rows.collect::<Vec<_>>())?;
    output.flush()?;
    Ok(0)
}

/// The first offset and the one behind the last, of every partition.
fn ends(engine: &Engine, topic: &Topic) -> crate::error::Result<Vec<(i64, i64)>> {
    let topics = engine.topics();
    let range = |partition| {
        let id = PartitionId { topic: topic.id, partition };
        Ok((topics.start(id)?, topics.end(id)?))
    };
    (0..topic.partitions).map(range).collect()
}
