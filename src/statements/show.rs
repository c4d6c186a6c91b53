//! `SHOW` (or `LIST`): what there is of a kind.
//!
//! EXTENDED adds what the engine counts; without an engine, where a kept statement is read again, these figures are 0
//! or left out.

use std::fmt;

use super::{Action, Context, Kind, Reply, Statement, describe, not_yet};
use crate::catalog::SourceKind;
use crate::config::{Origin, PROPERTIES};
use crate::engine::Engine;
use crate::error::{Result, Span};
use crate::functions;
use crate::topics::{PartitionId, Topic};

pub(super) const KIND: Kind = Kind {
    name: "SHOW STREAMS",
    summary: "Lists streams, tables, topics, queries, functions or properties.",
    example: "LIST ALL TOPICS EXTENDED;",
    begins: &["SHOW", "LIST"],
    parse: |cursor| {
        let span = cursor.span();
        if !cursor.take("SHOW") {
            cursor.expect("LIST")?;
        }
        let known = WHAT.iter().find(|(words, ..)| cursor.take(words));
        let (words, what) = *known.ok_or_else(|| cursor.expected())?;
        let extended = matches!(what, What::Sources(_) | What::Topics | What::Queries) && cursor.take("EXTENDED");
        Ok(Some(Box::new(Show { what, words, extended, span })))
    },
};

#[derive(Clone, Copy, Debug, PartialEq)]
enum What {
    Sources(SourceKind),
    Topics,
    Queries,
    Functions,
    Properties,
    Types,
    Variables,
    /// What there is nothing of in this version.
    NotYet,
}

/// What can be listed, by its words.
///
/// Tried from front to back, and printed by these words.
const WHAT: &[(&str, What)] = &[
    ("STREAMS", What::Sources(SourceKind::Stream)),
    ("TABLES", What::Sources(SourceKind::Table)),
    ("TOPICS", What::Topics),
    ("ALL TOPICS", What::Topics),
    ("QUERIES", What::Queries),
    ("FUNCTIONS", What::Functions),
    ("PROPERTIES", What::Properties),
    ("TYPES", What::Types),
    ("VARIABLES", What::Variables),
    ("CONNECTORS", What::NotYet),
    ("SOURCE CONNECTORS", What::NotYet),
    ("SINK CONNECTORS", What::NotYet),
    ("CONNECTOR PLUGINS", What::NotYet),
];

#[derive(Debug, PartialEq)]
struct Show {
    what: What,
    words: &'static str,
    extended: bool,
    span: Span,
}

impl fmt::Display for Show {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let extended = if self.extended { " EXTENDED" } else { "" };
        write!(f, "SHOW {}{extended}", self.words)
    }
}

impl Statement for Show {
    /// An empty list is a table without rows, also with EXTENDED.
    ///
    /// # Errors
    /// Unsupported for what this version has none of, such as connectors. Counting records can fail with the topics'
    /// own errors.
    fn compile(&self, cx: &Context) -> Result<Action> {
        let (columns, rows) = match self.what {
            What::Sources(kind) if self.extended && cx.catalog.sources().any(|s| s.kind == kind) => {
                let all = cx.catalog.sources().filter(|s| s.kind == kind);
                return Ok(one_by_one(all.map(|source| describe::extended(source, cx))));
            }
            What::Queries if self.extended && !cx.catalog.queries().is_empty() => {
                return Ok(one_by_one(cx.catalog.queries().into_iter().map(|query| extended_query(query, cx))));
            }
            What::Topics if self.extended => extended_topics(cx)?,
            What::Sources(kind) => sources(cx, kind),
            What::Topics => topics(cx),
            What::Queries => queries(cx),
            What::Functions => function_names(),
            What::Properties => properties(cx),
            What::Types => types(cx),
            What::Variables => variables(cx),
            What::NotYet => return Err(not_yet(format!("SHOW {}", self.words), self.span, SHOWN)),
        };
        Ok(Action::Reply(Reply::Table { columns, rows }))
    }
}

/// What can be shown.
const SHOWN: &str =
    "SHOW STREAMS, TABLES, TOPICS, QUERIES, FUNCTIONS, TYPES, PROPERTIES and VARIABLES show what there is";

/// Headings and rows; each row has a text for each heading.
type Listed = (Vec<&'static str>, Vec<Vec<String>>);

fn sources(cx: &Context, kind: SourceKind) -> Listed {
    let name = if kind == SourceKind::Stream { "Stream Name" } else { "Table Name" };
    let row = |s: &std::sync::Arc<crate::catalog::Source>| {
        let windowed = s.window.is_some().to_string();
        vec![s.name.clone(), s.topic.clone(), s.key.format.name().into(), s.value.format.name().into(), windowed]
    };
    let rows = cx.catalog.sources().filter(|s| s.kind == kind).map(row).collect();
    (vec![name, "Kafka Topic", "Key Format", "Value Format", "Windowed"], rows)
}

fn topics(cx: &Context) -> Listed {
    let rows = cx.catalog.topics().map(|t| vec![t.name.clone(), t.partitions.to_string()]).collect();
    (vec!["Kafka Topic", "Partitions"], rows)
}

/// Texts, with an empty line between them.
fn one_by_one(texts: impl Iterator<Item = String>) -> Action {
    Action::Reply(Reply::Message(texts.collect::<Vec<_>>().join("\n")))
}

/// Topics with how many records there are, and which sources are over them.
fn extended_topics(cx: &Context) -> Result<Listed> {
    let mut rows = Vec::new();
    for topic in cx.catalog.topics() {
        let records = cx.engine.map_or(Ok(0), |engine| records(engine, topic))?;
        let over = cx.catalog.sources().filter(|s| s.topic == topic.name).map(|s| s.name.as_str());
        let over = over.collect::<Vec<_>>().join(", ");
        let settings = topic.config.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>();
        rows.push(vec![
            topic.name.clone(),
            topic.partitions.to_string(),
            records.to_string(),
            over,
            settings.join(", "),
        ]);
    }
    Ok((vec!["Kafka Topic", "Partitions", "Records", "Streams and Tables", "Settings"], rows))
}

/// The difference of end and start offsets, summed over the partitions. In a compacted topic fewer records may be
/// there.
fn records(engine: &Engine, topic: &Topic) -> Result<i64> {
    let topics = engine.topics();
    (0..topic.partitions).try_fold(0, |sum, partition| {
        let id = PartitionId { topic: topic.id, partition };
        Ok(sum + topics.end(id)? - topics.start(id)?)
    })
}

/// A query with its statement and what it counts.
fn extended_query(query: &crate::catalog::Query, cx: &Context) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: &str| out.push_str(&format!("{name:<16}: {value}\n"));
    line("Query ID", &query.id);
    line("Query type", "PERSISTENT");
    line("Sink", &query.sink);
    if let Some(sink) = cx.catalog.source(&query.sink) {
        line("Sink topic", &sink.topic);
    }
    line("Statement", query.statement.trim());
    describe::query(&query.id, cx, &mut line);
    out
}

/// Push queries are not listed: they belong to their clients.
fn queries(cx: &Context) -> Listed {
    let state = |id: &str| cx.engine.and_then(|engine| engine.life(id)).map_or("NOT STARTED", |life| life.name());
    let row = |q: &std::sync::Arc<crate::catalog::Query>| {
        let topic = cx.catalog.source(&q.sink).map_or(String::new(), |s| s.topic.clone());
        let text = q.statement.lines().next().unwrap_or_default().to_owned();
        vec![q.id.clone(), "PERSISTENT".into(), state(&q.id).into(), q.sink.clone(), topic, text]
    };
    let rows = cx.catalog.queries().into_iter().map(row).collect();
    (vec!["Query ID", "Query Type", "Status", "Sink Name", "Sink Kafka Topic", "Query String"], rows)
}

fn function_names() -> Listed {
    let scalar = functions::scalar::ALL.iter().map(|f| (f.name, "SCALAR", f.category));
    let aggregate = functions::aggregate::ALL.iter().map(|f| (f.name, "AGGREGATE", "AGGREGATE"));
    let table = functions::table::ALL.iter().map(|f| (f.name, "TABLE", f.category));
    let mut all: Vec<_> = scalar.chain(aggregate).chain(table).collect();
    all.sort_unstable();
    let rows = all.into_iter().map(|(n, t, c)| vec![n.to_owned(), t.to_owned(), c.to_owned()]).collect();
    (vec!["Function Name", "Type", "Category"], rows)
}

fn types(cx: &Context) -> Listed {
    let rows = cx.catalog.custom_types().map(|(name, custom)| vec![name.to_owned(), custom.sql_type.to_string()]);
    (vec!["Type Name", "Schema"], rows.collect())
}

fn variables(cx: &Context) -> Listed {
    let rows = cx.variables.iter().map(|(name, value)| vec![name.to_owned(), value.to_owned()]).collect();
    (vec!["Variable Name", "Value"], rows)
}

/// The third column says where the value comes from: the default, the default of this command, or a setting.
fn properties(cx: &Context) -> Listed {
    let row = |p: &crate::config::Property| {
        let from = match cx.properties.origin(p) {
            Origin::Default => "default",
            Origin::Command => "default of this command",
            Origin::Set => "set",
        };
        vec![p.name.to_owned(), cx.properties.text(p.name).to_owned(), from.to_owned(), p.summary.to_owned()]
    };
    (vec!["Property", "Value", "From", "Meaning"], PROPERTIES.iter().map(row).collect())
}
