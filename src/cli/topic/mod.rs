//! `tidemill topic`: topics and their records, without any query.

mod admin;
mod consume;
mod cursor;
mod lines;
mod maker;
mod produce;

use clap::Subcommand;

use super::common::{Common, Configured};
use super::failure::Done;
use crate::catalog::{Catalog, Encoding, Source};
use crate::formats::transcode::Declared;
use crate::types::Column;

#[derive(Subcommand)]
pub enum Command {
    /// Makes a topic.
    Create(admin::Create),
    /// Lists the topics.
    List(Configured<admin::List>),
    /// Shows a topic's partitions and what is known of it.
    Describe(Configured<admin::Describe>),
    /// Removes a topic with all its records.
    Delete(Configured<admin::Delete>),
    /// Writes the lines of JSON files to a topic.
    Produce(Configured<produce::Arguments>),
    /// Prints the records of a topic, one JSON object each.
    Consume(Configured<consume::Arguments>),
}

/// Runs a command; the exit status.
pub fn run(common: Common, command: &Command) -> Done {
    match command {
        Command::Create(create) => admin::create(&common, create),
        Command::List(list) => admin::list(&list.common(common), &list.own),
        Command::Describe(describe) => admin::describe(&describe.common(common), &describe.own),
        Command::Delete(delete) => admin::delete(&delete.common(common), &delete.own),
        Command::Produce(produce) => produce::run(&produce.common(common), &produce.own),
        Command::Consume(consume) => consume::run(&consume.common(common), &consume.own),
    }
}

/// The source by which the catalog knows a topic: the first, if there are several.
fn source_of<'a>(catalog: &'a Catalog, topic: &str) -> Option<&'a Source> {
    catalog.sources().map(AsRef::as_ref).find(|s| s.topic == topic)
}

/// How the catalog says that the keys of a topic are written.
fn declared_key(source: Option<&Source>) -> Option<Declared<'_>> {
    source.map(|s| declared(&s.key, s.schema.keys()))
}

/// How the catalog says that the values of a topic are written.
fn declared_value(source: Option<&Source>) -> Option<Declared<'_>> {
    source.map(|s| declared(&s.value, s.schema.values()))
}

fn declared<'a>(encoding: &Encoding, columns: &'a [Column]) -> Declared<'a> {
    Declared { format: encoding.format, layout: encoding.layout, columns }
}
