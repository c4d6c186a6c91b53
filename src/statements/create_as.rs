//! `CREATE STREAM … AS SELECT` and `CREATE TABLE … AS SELECT`: a query that runs until it is terminated.
//!
//! Three things are made together or not at all: the topic of the results, the source over it, and the query. The
//! query's id is `CSAS_NAME_n` or `CTAS_NAME_n`, as in ksqlDB, with a number that no other query gets. Dropping the
//! source ends the query.

use std::fmt;

use super::create_source::CreateHead;
use super::{Action, Context, Kind, Statement, Touched};
use crate::catalog::SourceKind;
use crate::engine::{Change, Effect, NewId, NewQuery, NewTopic};
use crate::error::Result;
use crate::plan::{self, Target, sink, with};
use crate::sql::print::layout;
use crate::sql::properties::{Properties, parse_with};
use crate::sql::query::{Query, parse_query};

pub(super) const KIND: Kind = Kind {
    name: "CREATE TABLE AS SELECT",
    summary: "Starts a query whose results are a new stream or table.",
    example: "CREATE TABLE error_counts WITH (partitions=2) AS SELECT service_name, COUNT(*) AS error_count \
              FROM application_logs WINDOW TUMBLING (SIZE 5 MINUTES) WHERE log_level = 'ERROR' GROUP BY service_name;",
    begins: &["CREATE"],
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
        let config = settings.config.clone();
        let sink = sink::plan(name, &plan, settings, cx.catalog, cx.properties, cx.text)?;
        if let Some(done) = head.existing(cx)? {
            return Ok(done);
        }
        let topic = NewTopic { name: sink.source.topic.clone(), partitions: sink.partitions, config };
        let prefix = match head.kind {
            SourceKind::Stream => format!("CSAS_{name}"),
            SourceKind::Table => format!("CTAS_{name}"),
        };
        let warnings = std::mem::take(&mut plan.warnings);
        let id = NewId::Numbered(prefix);
        let message = format!("Created query with ID {}", id.of(cx.catalog.next_query()));
        let query = NewQuery { id, plan, sink, makes_sink: true, statement: cx.text.to_owned() };
        let effects = vec![Effect::MakeTopic(topic), Effect::StartQuery(Box::new(query))];
        Ok(Action::Change(Box::new(Change { effects, message, warnings })))
    }

    fn touches(&self) -> Touched {
        let name = &self.head.name.name;
        let topic = self.with.get("KAFKA_TOPIC").map_or_else(|| name.clone(), |topic| topic.text());
        let kind = if self.head.kind == SourceKind::Stream { "CSAS" } else { "CTAS" };
        Touched::name(name).and(Some(topic)).with_query(format!("{kind}_{name}_"))
    }
}
