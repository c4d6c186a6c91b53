//! `tidemill topic`: topics and their records, without any query.
//!
//! These commands work on the same data folder as `run` and `shell`, with the same engine, but no query takes a turn.
//! Key and value are read and written as the first source over the topic declares; a topic that no source knows is
//! guessed, as PRINT does.

mod admin;
mod consume;
mod csv;
mod cursor;
mod lines;
mod maker;
mod produce;

use clap::Subcommand;

use super::common::{Common, Configured};
use super::failure::Done;
use crate::catalog::{Catalog, Source};
use crate::formats::Encoding;
use crate::formats::transcode::Declared;
use crate::types::Column;
use crate::types::parse;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Makes a topic.
    Create(admin::Create),
    /// Lists the topics.
    List(Configured<admin::List>),
    /// Shows a topic's partitions and what is known of it.
    Describe(Configured<admin::Describe>),
    /// Changes settings of a topic.
    Alter(admin::Alter),
    /// Removes a topic with all its records.
    Delete(Configured<admin::Delete>),
    /// Deletes the records of a topic before an offset.
    DeleteRecords(Configured<admin::DeleteRecords>),
    /// Writes the lines of JSON files to a topic.
    Produce(Configured<produce::Arguments>),
    /// Prints the records of a topic, one JSON object each.
    Consume(Configured<consume::Arguments>),
}

/// Runs a command; the exit status.
pub(super) fn run(common: Common, command: &Command) -> Done {
    match command {
        Command::Create(create) => admin::create(&common, create),
        Command::List(list) => admin::list(&list.common(common), &list.own),
        Command::Describe(describe) => admin::describe(&describe.common(common), &describe.own),
        Command::Alter(alter) => admin::alter(&common, alter),
        Command::DeleteRecords(delete) => admin::delete_records(&delete.common(common), &delete.own),
        Command::Delete(delete) => admin::delete(&delete.common(common), &delete.own),
        Command::Produce(produce) => produce::run(&produce.common(common), &produce.own),
        Command::Consume(consume) => consume::run(&consume.common(common), &consume.own),
    }
}

/// The source by which the catalog knows a topic: the first, if there are several.
///
/// In the order of the catalog. `None` if no source has the topic.
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

/// A time as people and other programs write it, in milliseconds since 1970: ISO with a T or a space before the time of
/// day, a point or a comma before the fraction, and a zone that may stand after a space. Digits after the third of the
/// fraction are cut off. Without a zone it is UTC.
///
/// Examples: `2020-01-31T10:20:30Z`, `2020-01-31 10:20:30,5 +02:00`. `None` if it is no such time.
fn iso_time(text: &str) -> Option<i64> {
    let text = text.trim();
    let Some((date, rest)) = text.split_once(['T', 't', ' ']) else { return parse::timestamp(text) };
    let rest = rest.trim_start().replace(',', ".");
    let zone_at = rest.find(|c: char| matches!(c, '+' | '-' | ' ') || c.is_ascii_alphabetic()).unwrap_or(rest.len());
    let (time, zone) = rest.split_at(zone_at);
    let zone = zone.trim_start();
    let zone = if ["Z", "UTC", "GMT"].iter().any(|utc| zone.eq_ignore_ascii_case(utc)) { "Z" } else { zone };
    parse::timestamp(&format!("{date}T{time}{zone}"))
}

fn declared<'a>(encoding: &'a Encoding, columns: &'a [Column]) -> Declared<'a> {
    Declared { encoding, columns }
}

#[cfg(test)]
mod tests {
    use super::iso_time;

    #[test]
    fn times_have_a_t_or_a_space_and_any_fraction() {
        let noon = 1_577_880_000_000;
        for text in [
            "2020-01-01T12:00:00Z",
            "2020-01-01 12:00:00",
            " 2020-01-01 12:00 ",
            "2020-01-01t12:00:00z",
            "2020-01-01 14:00:00+02:00",
            "2020-01-01 14:00:00 +0200",
            "2020-01-01 12:00:00 UTC",
        ] {
            assert_eq!(iso_time(text), Some(noon), "{text}");
        }
        for (text, ms) in [("123456", 123), ("1", 100), ("123456789", 123), ("999999", 999)] {
            assert_eq!(iso_time(&format!("2020-01-01 12:00:00.{text}")), Some(noon + ms), "{text}");
            assert_eq!(iso_time(&format!("2020-01-01T12:00:00,{text}Z")), Some(noon + ms), "{text}");
        }
        for text in ["2020-01-01 noon", "2020-01-01 12:00:00 MARS", "2020-13-01 12:00:00", "1 2", ""] {
            assert_eq!(iso_time(text), None, "{text:?}");
        }
    }
}
