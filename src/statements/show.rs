//! `SHOW` (or `LIST`): what there is of a kind.
//!
//! EXTENDED adds what the engine counts; without an engine, where a kept statement is read again, these figures are 0
//! or left out.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::reply::{self, Listed};
use super::{Action, Context, Kind, Reply, Right, Statement, describe, explain, not_yet};
use crate::catalog::{CustomType, Query, Source, SourceKind};
use crate::config::{Origin, PROPERTIES, Property, Scope};
use crate::engine::Engine;
use crate::error::{Result, Span};
use crate::functions;
use crate::topics::Count;

pub(super) const KIND: Kind = Kind {
    name: "SHOW STREAMS",
    summary: "Lists streams, tables, topics, queries, functions or properties.",
    example: "LIST ALL TOPICS EXTENDED;",
    begins: &["SHOW", "LIST"],
    needs: Right::Read,
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
        let reply = match self.what {
            What::Sources(kind) if self.extended => extended_sources(cx, kind),
            What::Queries if self.extended => extended_queries(cx),
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
        Ok(Action::Reply(reply))
    }
}

/// What can be shown.
const SHOWN: &str =
    "SHOW STREAMS, TABLES, TOPICS, QUERIES, FUNCTIONS, TYPES, PROPERTIES and VARIABLES show what there is";

/// The kind of the entity that lists such sources.
fn plural(kind: SourceKind) -> &'static str {
    if kind == SourceKind::Stream { "streams" } else { "tables" }
}

fn sources(cx: &Context, kind: SourceKind) -> Reply {
    let name = if kind == SourceKind::Stream { "Stream Name" } else { "Table Name" };
    let row = |s: &Arc<Source>| {
        let windowed = s.window.is_some().to_string();
        vec![s.name.clone(), s.topic.clone(), s.key.format.name().into(), s.value.format.name().into(), windowed]
    };
    let all = || cx.catalog.sources().filter(|s| s.kind == kind);
    let listed: Value = all().map(|source| reply::listed_source(source)).collect();
    let columns = vec![name, "Kafka Topic", "Key Format", "Value Format", "Windowed"];
    Reply::table((columns, all().map(row).collect()), plural(kind), json!({ plural(kind): listed }))
}

/// Without any source, the empty list.
fn extended_sources(cx: &Context, kind: SourceKind) -> Reply {
    let all: Vec<&Arc<Source>> = cx.catalog.sources().filter(|s| s.kind == kind).collect();
    let described: Value = all.iter().map(|source| reply::source_description(source, cx, true)).collect();
    let entity = json!({ "sourceDescriptions": described });
    match all.is_empty() {
        true => {
            Reply { entity: Reply::table(Listed::default(), "source_descriptions", entity).entity, ..sources(cx, kind) }
        }
        false => {
            let texts = all.iter().map(|source| describe::extended(source, cx));
            Reply::text(one_by_one(texts), "source_descriptions", entity)
        }
    }
}

fn topics(cx: &Context) -> Reply {
    let rows = cx.catalog.topics().map(|t| vec![t.name.clone(), t.partitions.to_string()]).collect();
    let listed: Value =
        cx.catalog.topics().map(|t| json!({ "name": t.name, "replicaInfo": vec![1; t.partitions as usize] })).collect();
    Reply::table((vec!["Kafka Topic", "Partitions"], rows), "kafka_topics", json!({ "topics": listed }))
}

/// Texts, with an empty line between them.
fn one_by_one(texts: impl Iterator<Item = String>) -> String {
    texts.collect::<Vec<_>>().join("\n")
}

/// Topics with how many records there are, and which sources are over them.
fn extended_topics(cx: &Context) -> Result<Reply> {
    let mut rows = Vec::new();
    let mut listed = Vec::new();
    for topic in cx.catalog.topics() {
        let records = cx.engine.map_or(Ok(Count::NONE), |engine| engine.records(topic))?;
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
        let readers = cx.catalog.queries().into_iter();
        let reads = |name: &String| cx.catalog.source(name).is_some_and(|source| source.topic == topic.name);
        let readers = readers.filter(|query| query.reads.iter().any(reads)).count();
        listed.push(json!({
            "name": topic.name,
            "replicaInfo": vec![1; topic.partitions as usize],
            "consumerCount": readers * topic.partitions as usize,
            "consumerGroupCount": readers,
        }));
    }
    let columns = vec!["Kafka Topic", "Partitions", "Records", "Streams and Tables", "Settings"];
    Ok(Reply::table((columns, rows), "kafka_topics_extended", json!({ "topics": listed })))
}

/// A query with its statement and what it counts.
fn extended_query(query: &Query, cx: &Context) -> String {
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

/// Without any query, the empty list.
fn extended_queries(cx: &Context) -> Reply {
    let all = cx.catalog.queries();
    let described: Value = all.iter().map(|query| explain::query_description(query, cx)).collect();
    let entity = json!({ "queryDescriptions": described });
    match all.is_empty() {
        true => Reply { entity: Reply::table(Listed::default(), "query_descriptions", entity).entity, ..queries(cx) },
        false => {
            let texts = all.into_iter().map(|query| extended_query(query, cx));
            Reply::text(one_by_one(texts), "query_descriptions", entity)
        }
    }
}

/// A person is not shown push queries: they belong to their clients.
fn queries(cx: &Context) -> Reply {
    let state = |id: &str| cx.engine.and_then(|engine| engine.life(id)).map_or("NOT STARTED", |life| life.name());
    let row = |q: &&Arc<Query>| {
        let topic = cx.catalog.source(&q.sink).map_or(String::new(), |s| s.topic.clone());
        let text = q.statement.lines().next().unwrap_or_default().to_owned();
        vec![q.id.clone(), "PERSISTENT".into(), state(&q.id).into(), q.sink.clone(), topic, text]
    };
    let all = cx.catalog.queries();
    let shown = cx.engine.map(Engine::shown_queries).unwrap_or_default();
    let persistent = all.iter().map(|query| reply::query_state(query, cx));
    let listed: Value = persistent.chain(shown.iter().map(reply::shown_query)).collect();
    let columns = vec!["Query ID", "Query Type", "Status", "Sink Name", "Sink Kafka Topic", "Query String"];
    Reply::table((columns, all.iter().map(row).collect()), "queries", json!({ "queries": listed }))
}

fn function_names() -> Reply {
    let scalar = functions::scalar::ALL.iter().map(|f| (f.name, "SCALAR", f.category));
    let aggregate = functions::aggregate::ALL.iter().map(|f| (f.name, "AGGREGATE", "AGGREGATE"));
    let table = functions::table::ALL.iter().map(|f| (f.name, "TABLE", f.category));
    let mut all: Vec<_> = scalar.chain(aggregate).chain(table).collect();
    all.sort_unstable();
    let listed: Value =
        all.iter().map(|(name, kind, category)| json!({ "name": name, "type": kind, "category": category })).collect();
    let rows = all.into_iter().map(|(n, t, c)| vec![n.to_owned(), t.to_owned(), c.to_owned()]).collect();
    let columns = vec!["Function Name", "Type", "Category"];
    Reply::table((columns, rows), "function_names", json!({ "functions": listed }))
}

fn types(cx: &Context) -> Reply {
    let rows = cx.catalog.custom_types().map(|(name, custom)| vec![name.to_owned(), custom.sql_type.to_string()]);
    let named = |(name, custom): (&str, &CustomType)| (name.to_owned(), reply::schema_info(&custom.sql_type));
    let listed: Map<String, Value> = cx.catalog.custom_types().map(named).collect();
    Reply::table((vec!["Type Name", "Schema"], rows.collect()), "type_list", json!({ "types": listed }))
}

fn variables(cx: &Context) -> Reply {
    let rows = cx.variables.iter().map(|(name, value)| vec![name.to_owned(), value.to_owned()]).collect();
    let listed: Value = cx.variables.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    Reply::table((vec!["Variable Name", "Value"], rows), "variables", json!({ "variables": listed }))
}

/// The third column says where the value comes from: the default, the default of this command, or a setting.
fn properties(cx: &Context) -> Reply {
    let row = |p: &Property| {
        let from = match cx.properties.origin(p) {
            Origin::Default => "default",
            Origin::Command => "default of this command",
            Origin::Set => "set",
        };
        vec![p.name.to_owned(), cx.properties.shown(p).to_owned(), from.to_owned(), p.summary.to_owned()]
    };
    let listed = |p: &Property| {
        let level = if p.scope == Scope::Statement { "QUERY" } else { "SERVER" };
        let value = cx.properties.shown(p);
        json!({ "name": public_name(p), "scope": "KSQL", "value": value, "editable": p.scope == Scope::Statement, "level": level })
    };
    let names = |is_set: bool| -> Value {
        let wanted = |p: &&Property| (cx.properties.origin(p) == Origin::Set) == is_set;
        PROPERTIES.iter().filter(wanted).map(public_name).collect()
    };
    let entity = json!({
        "properties": PROPERTIES.iter().map(listed).collect::<Vec<_>>(),
        "overwrittenProperties": names(true),
        "defaultProperties": names(false),
    });
    let columns = vec!["Property", "Value", "From", "Meaning"];
    Reply::table((columns, PROPERTIES.iter().map(row).collect()), "properties", entity)
}

/// A property's name as ksqlDB lists it: those of Kafka Streams have a prefix.
fn public_name(property: &Property) -> String {
    let own = ["ksql.", "tidemill."].iter().any(|prefix| property.name.starts_with(prefix));
    if own { property.name.to_owned() } else { format!("ksql.streams.{}", property.name) }
}
