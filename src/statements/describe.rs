//! `DESCRIBE`: the columns of a source, and with EXTENDED where it comes from and what has become of its rows.
//!
//! Plain DESCRIBE is a table of columns with their types and roles. EXTENDED is a text of lines `name: value`, with
//! the queries that read and write the source, their counts, and the place of each in its topics.

use std::fmt::{self, Write};

use serde_json::{Value, json};

use super::reply;
use super::{Action, Context, Kind, Reply, Right, Statement};
use crate::catalog::{Source, SourceKind};
use crate::engine::Life;
use crate::error::Result;
use crate::sql::words::Ident;
use crate::types::Role;

pub(super) const KIND: Kind = Kind {
    name: "DESCRIBE",
    summary: "Shows the columns of a stream or table; EXTENDED adds its queries and what they count.",
    example: "DESCRIBE error_counts EXTENDED;",
    begins: &["DESCRIBE"],
    needs: Right::Read,
    parse: |cursor| {
        cursor.expect("DESCRIBE")?;
        let all = cursor.take_one(&[("STREAMS", SourceKind::Stream), ("TABLES", SourceKind::Table)]);
        let what = match all {
            Some(kind) => What::All(kind),
            None => What::One(cursor.source_name()?),
        };
        Ok(Some(Box::new(Describe { what, extended: cursor.take("EXTENDED") })))
    },
};

#[derive(Debug, PartialEq)]
struct Describe {
    what: What,
    extended: bool,
}

#[derive(Debug, PartialEq)]
enum What {
    One(Ident),
    /// All streams, or all tables.
    All(SourceKind),
}

impl fmt::Display for Describe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let extended = if self.extended { " EXTENDED" } else { "" };
        match &self.what {
            // Without quotes it would be all tables.
            What::One(name) if name.name == "TABLES" => write!(f, "DESCRIBE `TABLES`{extended}"),
            What::One(name) => write!(f, "DESCRIBE {name}{extended}"),
            What::All(kind) => write!(f, "DESCRIBE {}S{extended}", kind.name()),
        }
    }
}

impl Statement for Describe {
    /// # Errors
    /// Missing if there is no such source, with the nearest name.
    fn compile(&self, cx: &Context) -> Result<Action> {
        let written = match &self.what {
            What::One(written) => written,
            What::All(kind) => return Ok(Action::Reply(all(*kind, self.extended, cx))),
        };
        let name = &written.name;
        let source = cx.catalog.source(name).ok_or_else(|| {
            let message = format!("Could not find STREAM/TABLE '{name}' in the Metastore");
            cx.catalog.no_source(name).saying(message).at(written.span)
        })?;
        let entity = |extended| json!({ "sourceDescription": reply::source_description(source, cx, extended) });
        if self.extended {
            return Ok(Action::Reply(Reply::text(extended(source, cx), "sourceDescription", entity(true))));
        }
        let rows = source.schema.columns().iter().map(|c| {
            let role = match &c.role {
                Role::Key => {
                    if source.kind == SourceKind::Table {
                        "PRIMARY KEY"
                    } else {
                        "KEY"
                    }
                }
                Role::Value => "",
                Role::Headers(_) => "HEADERS",
            };
            vec![c.name.clone(), c.sql_type.to_string(), role.to_owned()]
        });
        let listed = (vec!["Field", "Type", "Role"], rows.collect());
        Ok(Action::Reply(Reply::table(listed, "sourceDescription", entity(false))))
    }
}

/// All sources of a kind, one after the other.
fn all(kind: SourceKind, is_extended: bool, cx: &Context) -> Reply {
    let all: Vec<_> = cx.catalog.sources().filter(|source| source.kind == kind).collect();
    let described: Value = all.iter().map(|source| reply::source_description(source, cx, is_extended)).collect();
    let shown = |source: &&std::sync::Arc<Source>| match is_extended {
        true => extended(source, cx),
        false => format!("{:<16}: {}\n{}", "Name", source.name, columns(source)),
    };
    let text = all.iter().map(shown).collect::<Vec<_>>().join("\n");
    Reply::text(text, "source_descriptions", json!({ "sourceDescriptions": described }))
}

/// A line for each column.
fn columns(source: &Source) -> String {
    source.schema.columns().iter().map(|column| format!("{:<16}: {column}\n", "Column")).collect()
}

/// One line for each fact, names padded to 16 characters.
pub(super) fn extended(source: &Source, cx: &Context) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(out, "{name:<16}: {value}");
    };
    line("Name", &source.name);
    line("Type", source.kind.name());
    let window = source.window.map(|w| w.to_string());
    line("Window", window.as_deref().unwrap_or("none"));
    line("Timestamp field", source.timestamp.as_ref().map_or("the record's", |t| &t.column));
    line("Key format", source.key.format.name());
    line("Value format", source.value.format.name());
    let topic = cx.catalog.topic(&source.topic);
    line("Kafka topic", &format!("{} (partitions: {})", source.topic, topic.map_or(0, |t| t.partitions)));
    line("Statement", source.statement.trim());
    for column in source.schema.columns() {
        line("Column", &column.to_string());
    }
    let (readers, writers) = cx.catalog.queries_of(&source.name);
    for (role, ids) in [("Read by", readers), ("Written by", writers)] {
        for id in ids {
            line(role, id);
            query(id, cx, &mut line);
        }
    }
    out
}

/// Lines for status, rows in, records out, bytes of state, rows left out by reason, and positions. Nothing if the
/// query is not known to the engine.
pub(super) fn query(id: &str, cx: &Context, line: &mut dyn FnMut(&str, &str)) {
    let Some(engine) = cx.engine else { return };
    let (Some(life), Some(stats)) = (engine.life(id), engine.stats(id)) else { return };
    let status = match &life {
        Life::Failed(error) => format!("{}: {error}", life.name()),
        _ => life.name().to_owned(),
    };
    line("  status", &status);
    line("  rows in", &stats.rows.to_string());
    line("  records out", &stats.records.to_string());
    line("  state bytes", &stats.memory.to_string());
    for (reason, count) in stats.totals.iter().filter(|(_, count)| **count > 0) {
        line("  left out", &format!("{} {count}", reason.name()));
    }
    for (partition, offset) in stats.positions {
        let name = cx.catalog.topics().find(|t| t.id == partition.topic).map_or("?", |t| &t.name);
        line("  position", &format!("{name} partition {} offset {offset}", partition.partition));
    }
}
