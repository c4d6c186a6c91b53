//! `DESCRIBE`: the columns of a source, and with EXTENDED where it comes from and what has become of its rows.

use std::fmt::{self, Write};

use super::{Action, Context, Kind, Reply, Statement, starts_with};
use crate::catalog::Source;
use crate::error::Result;
use crate::sql::words::Ident;
use crate::types::Role;

pub const KIND: Kind = Kind {
    name: "DESCRIBE",
    summary: "Shows the columns of a stream or table; EXTENDED adds its queries and what they count.",
    example: "DESCRIBE error_counts EXTENDED;",
    parse: |cursor| {
        if !cursor.is_keywords("DESCRIBE") || starts_with(cursor, &["DESCRIBE FUNCTION", "DESCRIBE CONNECTOR"]) {
            return Ok(None);
        }
        cursor.advance();
        let source = cursor.source_name()?;
        Ok(Some(Box::new(Describe { source, extended: cursor.take_keywords("EXTENDED") })))
    },
};

#[derive(Debug)]
struct Describe {
    source: Ident,
    extended: bool,
}

impl fmt::Display for Describe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let extended = if self.extended { " EXTENDED" } else { "" };
        write!(f, "DESCRIBE {}{extended}", self.source)
    }
}

impl Statement for Describe {
    fn compile(&self, cx: &Context) -> Result<Action> {
        let name = &self.source.name;
        let source = cx.catalog.source(name).ok_or_else(|| {
            let message = format!("Could not find STREAM/TABLE '{name}' in the Metastore. ");
            cx.catalog.no_source(name).context(message).at(self.source.span)
        })?;
        if self.extended {
            return Ok(Action::Reply(Reply::Message(extended(source, cx))));
        }
        let rows = source.schema.columns().iter().map(|c| {
            let role = match &c.role {
                Role::Key => if source.kind == crate::catalog::SourceKind::Table { "PRIMARY KEY" } else { "KEY" },
                Role::Value => "",
                Role::Headers(_) => "HEADERS",
            };
            vec![c.name.clone(), c.sql_type.to_string(), role.to_owned()]
        });
        Ok(Action::Reply(Reply::Table { columns: vec!["Field", "Type", "Role"], rows: rows.collect() }))
    }
}

fn extended(source: &Source, cx: &Context) -> String {
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

fn query(id: &str, cx: &Context, line: &mut dyn FnMut(&str, &str)) {
    let Some((status, stats)) = cx.engine.and_then(|e| e.stats(id)) else { return };
    let status = match status {
        crate::engine::Status::Running => "RUNNING".to_owned(),
        crate::engine::Status::Ended => "TERMINATED".to_owned(),
        crate::engine::Status::Failed(error) => format!("ERROR: {error}"),
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
