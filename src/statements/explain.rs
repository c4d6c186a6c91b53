//! `EXPLAIN`: what will run, or what runs.
//!
//! A statement is compiled as if it were to run, and its plan is printed instead. So what it shows is what would run,
//! with the same refusals. For a running query its kept statement is planned again, against a catalog in which
//! neither the query nor its sink exists.

use std::fmt;

use serde_json::{Map, Value, json};

use super::reply;
use super::{Action, Context, Kind, Reply, Right, Statement, statement};
use crate::catalog::Query;
use crate::engine::{Change, Engine, Life};
use crate::error::{Error, Result};
use crate::plan::explain::explain;
use crate::plan::pull::Pull;
use crate::plan::{self, Node, Plan};
use crate::sql::words::Ident;
use crate::types::{Column, Role};

pub(super) const KIND: Kind = Kind {
    name: "EXPLAIN",
    summary: "Shows the plan of a statement or of a running query.",
    example: "EXPLAIN ctas_error_counts_0;",
    begins: &["EXPLAIN"],
    needs: Right::Read,
    parse: |cursor| {
        cursor.expect("EXPLAIN")?;
        let alone = matches!(cursor.text_at(1).0, ";" | "");
        if cursor.is_ident() && alone {
            return Ok(Some(Box::new(Explain::Query(cursor.ident("the id of a query, or a statement")?))));
        }
        Ok(Some(Box::new(Explain::Statement(cursor.nested(|c| Ok(statement(c, false)?.0))?))))
    },
};

/// A lone word is an id: EXPLAIN never takes the name of a source.
#[derive(Debug, PartialEq)]
enum Explain {
    Query(Ident),
    Statement(Box<dyn Statement>),
}

impl fmt::Display for Explain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Explain::Query(id) => write!(f, "EXPLAIN {id}"),
            Explain::Statement(statement) if f.alternate() => write!(f, "EXPLAIN {statement:#}"),
            Explain::Statement(statement) => write!(f, "EXPLAIN {statement}"),
        }
    }
}

impl Statement for Explain {
    /// # Errors
    /// Those of the statement itself, and invalid for a statement that runs no query, such as SHOW or SET.
    fn compile(&self, cx: &Context) -> Result<Action> {
        let statement = match self {
            Explain::Statement(statement) => statement,
            Explain::Query(id) => return explain_query(id, cx),
        };
        let written = explained(cx.text).map_or_else(|| format!("{statement};"), str::to_owned);
        let (text, mut description) = match statement.compile(cx)? {
            Action::Change(change) => {
                let query = change.query().ok_or_else(no_query)?;
                let described = Described {
                    id: query.id.of(cx.catalog.next_query()),
                    text: &written,
                    plan: Some(&query.plan),
                    fields: reply::fields(query.sink.source.schema.columns()),
                    sinks: vec![&query.sink.source.name],
                    kind: "PERSISTENT",
                };
                (explain_change(&change), described.description())
            }
            Action::Push(plan, _) => {
                let described = Described {
                    id: format!("transient_{}_0", plan.root.sources()[0].name),
                    text: &written,
                    plan: Some(&plan),
                    fields: reply::fields(&keyed(keys(&plan), plan.output.iter().map(|output| &output.column))),
                    sinks: Vec::new(),
                    kind: "PUSH",
                };
                (explain(&plan), described.description())
            }
            Action::Pull(pull) => {
                let sources = pull.sources();
                let described = Described {
                    id: format!("transient_{}_0", sources.first().copied().unwrap_or_default()),
                    text: &written,
                    plan: None,
                    fields: reply::fields(&keyed(pull.keys(), pull.columns().iter())),
                    sinks: Vec::new(),
                    kind: "PUSH",
                };
                let mut description = described.description();
                description["sources"] = json!(sources);
                (explain_pull(&pull), description)
            }
            _ => return Err(no_query()),
        };
        description["overriddenProperties"] = overridden(cx);
        Ok(Action::Reply(shown(text, description)))
    }
}

/// A pull query as text.
fn explain_pull(pull: &Pull) -> String {
    match pull {
        Pull::Table(look) => {
            let by = look.keys.as_ref().map_or("by a scan".to_owned(), |keys| format!("by {} keys", keys.len()));
            format!("look at the table {} {by}\n", look.source.name)
        }
        Pull::Relations(relations) => plan::pull::explain(relations),
    }
}

fn shown(text: String, description: Value) -> Reply {
    Reply::text(text, "queryDescription", json!({ "queryDescription": description }))
}

/// The statement behind EXPLAIN, as it is written; None if comments stand before it.
fn explained(text: &str) -> Option<&str> {
    let (word, rest) = text.trim_start().split_at_checked("EXPLAIN".len())?;
    word.eq_ignore_ascii_case("EXPLAIN").then_some(rest.trim())
}

/// The properties of the session, without those of the process.
fn overridden(cx: &Context) -> Value {
    let process = cx.engine.map(Engine::properties);
    let is_own = |name: &'static str, value: &str| process.is_some_and(|process| process.text(name) != value);
    let own = cx.properties.overrides().filter(|(name, value)| is_own(name, value));
    own.map(|(name, value)| (name.to_owned(), Value::from(value))).collect::<Map<String, Value>>().into()
}

/// The columns of a query that shows rows, as ksqlDB lists them: those of the key, and then all that are selected.
fn keyed<'a>(keys: Vec<Column>, selected: impl Iterator<Item = &'a Column>) -> Vec<Column> {
    keys.into_iter().chain(selected.map(|column| Column { role: Role::Value, ..column.clone() })).collect()
}

/// The key columns of a query's rows: those of its source as long as a row keeps its key, else those of its result.
fn keys(plan: &Plan) -> Vec<Column> {
    let mut node = &plan.root;
    loop {
        match node {
            Node::Source(source) => return source.source.schema.keys().to_vec(),
            Node::Filter(filter) => node = &filter.input,
            Node::Compute(compute) => node = &compute.input,
            Node::Unnest(unnest) => node = &unnest.input,
            _ => {
                let columns = plan.output.iter().map(|output| &output.column);
                return columns.filter(|column| column.role == Role::Key).cloned().collect();
            }
        }
    }
}

fn no_query() -> Error {
    Error::invalid("The provided statement does not run a ksql query")
}

/// What is said of a query.
struct Described<'a> {
    id: String,
    text: &'a str,
    /// None for a look at a table.
    plan: Option<&'a Plan>,
    fields: Value,
    sinks: Vec<&'a str>,
    kind: &'a str,
}

impl Described<'_> {
    /// The description of a query that does not run.
    fn description(&self) -> Value {
        let sources: Vec<&str> =
            self.plan.map_or_else(Vec::new, |plan| plan.root.sources().into_iter().map(|s| s.name.as_str()).collect());
        let window = self.plan.and_then(|plan| plan.window).map(|window| window.kind.name());
        let plan = self.plan.map_or_else(String::new, explain);
        json!({
            "id": self.id,
            "statementText": self.text,
            "windowType": window,
            "fields": self.fields,
            "sources": sources,
            "sinks": self.sinks,
            "topology": plan,
            "executionPlan": plan,
            "overriddenProperties": {},
            "ksqlHostQueryStatus": {},
            "queryType": self.kind,
            "queryErrors": [],
            "tasksMetadata": [],
            "consumerGroupId": self.id,
            "state": null,
        })
    }
}

/// A running query with all that is known of it.
pub(super) fn query_description(query: &Query, cx: &Context) -> Value {
    let change = planned_again(query, cx).ok();
    let plan = change.as_ref().and_then(Change::query).map(|query| &query.plan);
    let columns = cx.catalog.source(&query.sink).map_or(&[][..], |sink| sink.schema.columns());
    let described = Described {
        id: query.id.clone(),
        text: &query.statement,
        plan,
        fields: reply::fields(columns),
        sinks: vec![&query.sink],
        kind: "PERSISTENT",
    };
    let mut description = described.description();
    // The state of a paused query is RUNNING, too; only its status on a host tells.
    let status = if query.pauses.is_empty() { "RUNNING" } else { "PAUSED" };
    description["ksqlHostQueryStatus"] = json!({ HOST: status });
    description["state"] = "RUNNING".into();
    let kept = cx.engine.map(|engine| engine.properties_of(query.number)).unwrap_or_default();
    let kept = kept.into_iter().map(|(name, value)| (name, Value::from(value)));
    description["overriddenProperties"] = kept.collect::<Map<String, Value>>().into();
    if let Some(Life::Failed(error)) = cx.engine.and_then(|engine| engine.life(&query.id)) {
        description["ksqlHostQueryStatus"] = json!({ HOST: "ERROR" });
        description["state"] = "ERROR".into();
        let error = json!({ "timestamp": cx.now_ms, "errorMessage": error.to_string(), "type": "UNKNOWN" });
        description["queryErrors"] = json!([error]);
    }
    description
}

/// The one node that there is, as answers name it.
pub const HOST: &str = "localhost:8088";

/// The plan of the query that a change starts, with the warnings of its statement.
///
/// Empty if the statement starts no query.
fn explain_change(change: &Change) -> String {
    let Some(query) = change.query() else { return String::new() };
    let warnings = change.warnings.iter().map(|warning| format!("warning: {warning}\n"));
    explain(&query.plan) + &warnings.collect::<String>()
}

/// # Errors
/// There is no query of this id, or its statement cannot be planned any more.
fn explain_query(id: &Ident, cx: &Context) -> Result<Action> {
    let query = cx.catalog.query(&id.name).ok_or_else(|| {
        let message =
            format!("Query with id:{} does not exist, use SHOW QUERIES to view the full set of queries.", id.name);
        Error::missing(message).at(id.span)
    })?;
    let plan = explain_change(&planned_again(query, cx)?);
    let text = format!("{}\n\n{plan}", query.statement);
    Ok(Action::Reply(shown(text, query_description(query, cx))))
}

/// What the statement of a running query means: as it was when its sink did not exist, if it has made it, nor the
/// query itself.
///
/// # Errors
/// The statement cannot be planned any more.
fn planned_again(query: &Query, cx: &Context) -> Result<Change> {
    let mut before = cx.catalog.clone();
    before.remove_query(&query.id);
    if cx.catalog.source(&query.sink).is_some_and(|sink| sink.query.as_ref() == Some(&query.id)) {
        before.remove_source(&query.sink);
    }
    super::compile_kept(&query.text, &before, cx.properties)
}
