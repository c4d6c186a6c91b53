//! `SHOW` (or `LIST`): what there is of a kind.

use std::fmt;

use super::{Action, Context, Kind, Reply, Statement, not_yet};
use crate::catalog::SourceKind;
use crate::config::PROPERTIES;
use crate::error::{Result, Span};
use crate::functions;

pub const KIND: Kind = Kind {
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
    fn compile(&self, cx: &Context) -> Result<Action> {
        let (columns, rows) = match self.what {
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

fn properties(cx: &Context) -> Listed {
    let row = |p: &crate::config::Property| {
        let value = cx.properties.text(p.name);
        let default = if value == p.default { "default" } else { "set" };
        vec![p.name.to_owned(), value.to_owned(), default.to_owned(), p.summary.to_owned()]
    };
    (vec!["Property", "Value", "From", "Meaning"], PROPERTIES.iter().map(row).collect())
}
