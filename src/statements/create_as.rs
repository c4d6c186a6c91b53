//! `CREATE STREAM … AS SELECT` and `CREATE TABLE … AS SELECT`: a query that runs until it is terminated.
//!
//! Three things are made together or not at all: the topic of the results, the source over it, and the query. The
//! query's id is `CSAS_NAME_n` or `CTAS_NAME_n`, as in ksqlDB, with a number that no other query gets. Dropping the
//! source ends the query.

use std::fmt;

use super::create_source::{CreateHead, completed_properties, topic_settings};
use super::{Action, Context, Kind, Right, Statement, Touched};
use crate::catalog::{Catalog, SourceKind};
use crate::config;
use crate::engine::{Change, Effect, NewId, NewQuery, NewTopic};
use crate::error::Result;
use crate::plan::sink::Made;
use crate::plan::{self, Target, sink, with};
use crate::sql::ast::Literal;
use crate::sql::print::layout;
use crate::sql::properties::{Properties, parse_with};
use crate::sql::query::{Query, parse_query};
use crate::sql::spelled::{properties, spelled};

pub(super) const KIND: Kind = Kind {
    name: "CREATE TABLE AS SELECT",
    summary: "Starts a query whose results are a new stream or table.",
    example: "CREATE TABLE error_counts WITH (partitions=2) AS SELECT service_name, COUNT(*) AS error_count \
              FROM application_logs WINDOW TUMBLING (SIZE 5 MINUTES) WHERE log_level = 'ERROR' GROUP BY service_name;",
    begins: &["CREATE"],
    needs: Right::Admin,
    parse: |cursor| {
        let mark = cursor.mark();
        let Some(head) = CreateHead::parse(cursor)? else { return Ok(None) };
        let with = parse_with(cursor)?;
        if head.source || !cursor.take("AS") {
            // What CREATE STREAM declares without AS is another kind.
            cursor.reset(mark);
            return Ok(None);
        }
        Ok(Some(Box::new(CreateAs { head, with, query: parse_query(cursor)? })))
    },
};

#[derive(Debug, PartialEq)]
struct CreateAs {
    head: CreateHead,
    with: Properties,
    query: Query,
}

impl fmt::Display for CreateAs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&layout(f.alternate(), |p| {
            p.put(&self.head);
            self.with.print(p);
            p.put(" AS");
            p.line();
            self.query.print(p);
        }))
    }
}

impl Statement for CreateAs {
    /// The query is planned before the name is checked, so a bad query is refused even with IF NOT EXISTS.
    ///
    /// # Errors
    /// Those of planning and of the sink's properties; unsupported for OR REPLACE of what exists; a conflict if the
    /// name is taken.
    fn compile(&self, cx: &Context) -> Result<Action> {
        let head = &self.head;
        let name = &head.name.name;
        let settings = with::settings(&self.with, false)?;
        let timestamp = settings.timestamp.as_ref().map(|t| t.column.as_str());
        let target = Target::Persistent { name, kind: head.kind, timestamp };
        let mut plan = plan::plan(&self.query, cx.catalog, cx.properties, target)?;
        head.refuse_replacement(cx)?;
        let mut config = settings.config.clone();
        if let Some(ms) = inherited_retention(&self.query, cx.catalog).filter(|_| !config.contains_key(RETENTION)) {
            config.insert(RETENTION.to_owned(), ms.to_string());
        }
        let made = Made { name, statement: cx.text };
        let mut sink = sink::plan(made, &plan, settings, cx.catalog, cx.properties)?;
        if head.kind == SourceKind::Table && sink.source.window.is_none() {
            with::refuse_retention(&self.with)?;
        }
        if let Some(done) = head.existing(cx)? {
            return Ok(done);
        }
        let config = topic_settings(head.kind, sink.source.window.is_some(), config);
        let topic = NewTopic { name: sink.source.topic.clone(), partitions: sink.partitions, config };
        let prefix = self.id_prefix();
        let warnings = std::mem::take(&mut plan.warnings);
        let id = NewId::Numbered(prefix);
        let message = format!("Created query with ID {}", id.of(cx.catalog.next_query()));
        let made = TopicOfSink {
            name: &sink.source.topic,
            partitions: sink.partitions,
            is_windowed: sink.source.window.is_some(),
        };
        let statement = self.completed_with(&made, cx);
        let completed = Some(statement.clone());
        sink.source.statement.clone_from(&statement);
        let dead_letters = cx.properties.flag(config::DEAD_LETTERS);
        let text = cx.text.to_owned();
        let query = NewQuery { id, plan, sink, makes_sink: true, dead_letters, statement, text };
        let effects = vec![Effect::MakeTopic(topic), Effect::StartQuery(Box::new(query))];
        let command = head.command();
        Ok(Action::Change(Box::new(Change { warnings, completed, ..Change::new(command, effects, message) })))
    }

    /// Also of a query that cannot be planned, so that its refusal can name it; nothing if its source is not there.
    fn completed(&self, cx: &Context) -> Option<String> {
        let source = cx.catalog.source(&self.query.from.first.name.name)?;
        let written = with::settings(&self.with, false).ok().and_then(|settings| settings.partitions);
        let default = || format!("{}{}", cx.properties.text(config::OUTPUT_TOPIC_PREFIX), self.head.name.name);
        let name = self.with.get("KAFKA_TOPIC").map_or_else(default, |topic| topic.text());
        let made = TopicOfSink {
            name: &name,
            partitions: written.or_else(|| Some(cx.catalog.topic(&source.topic)?.partitions))?,
            is_windowed: self.query.window.is_some() || source.window.is_some(),
        };
        Some(self.completed_with(&made, cx))
    }

    fn touches(&self) -> Touched {
        let name = &self.head.name.name;
        let topic = self.with.get("KAFKA_TOPIC").map_or_else(|| name.clone(), |topic| topic.text());
        Touched::name(name).and(Some(topic)).with_query(format!("{}_", self.id_prefix()))
    }
}

/// The topic that a query writes to.
struct TopicOfSink<'a> {
    name: &'a str,
    partitions: u32,
    is_windowed: bool,
}

impl CreateAs {
    /// How the query's id begins; ids are in upper case, whatever the name is.
    fn id_prefix(&self) -> String {
        let kind = if self.head.kind == SourceKind::Stream { "CSAS" } else { "CTAS" };
        format!("{kind}_{}", self.head.name.name.to_uppercase())
    }

    /// The statement as it is shown: with the topic's settings, and the query with all names.
    fn completed_with(&self, made: &TopicOfSink, cx: &Context) -> String {
        let text = |text: &str| Literal::String(text.to_owned());
        let policy = match (self.head.kind, made.is_windowed) {
            (SourceKind::Stream, _) => "delete",
            (SourceKind::Table, false) => "compact",
            (SourceKind::Table, true) => "compact,delete",
        };
        let added = [
            ("CLEANUP_POLICY", text(policy)),
            ("KAFKA_TOPIC", text(made.name)),
            ("PARTITIONS", Literal::Integer(made.partitions as i32)),
            ("REPLICAS", Literal::Integer(1)),
            ("RETENTION_MS", retention(&self.query, cx.catalog)),
        ];
        let with = completed_properties(&self.with, &added);
        let owns = |source: &str, column: &str| {
            cx.catalog.source(source).is_some_and(|source| source.schema.find(column).is_some())
        };
        format!("{} {} AS {};", self.head, properties(&with), spelled(&self.query, &owns))
    }
}

/// How long the topic of a query's results keeps its records: as long as that of its first source.
fn retention(query: &Query, catalog: &Catalog) -> Literal {
    let Some(first) = catalog.source(&query.from.first.name.name) else { return Literal::Integer(WEEK_MS) };
    match (inherited_retention(query, catalog), first.kind) {
        (Some(ms), _) => i32::try_from(ms).map_or(Literal::Bigint(ms), Literal::Integer),
        // A compacted topic keeps the latest record of a key for ever.
        (None, SourceKind::Table) => Literal::Integer(-1),
        (None, SourceKind::Stream) => Literal::Integer(WEEK_MS),
    }
}

/// The setting of a topic that says how long its records are kept.
const RETENTION: &str = "retention.ms";

/// How long the topic of a query's first source keeps its records, if that was set: that of the results then does so too.
fn inherited_retention(query: &Query, catalog: &Catalog) -> Option<i64> {
    let first = catalog.source(&query.from.first.name.name)?;
    catalog.topic(&first.topic)?.config.get(RETENTION)?.parse().ok()
}

/// Kafka's default, which is shown where nothing was set. Such a topic is kept for ever here.
const WEEK_MS: i32 = 604_800_000;
