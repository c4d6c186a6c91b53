//! `EXPLAIN`: what will run, or what runs.
//!
//! A statement is compiled as if it were to run, and its plan is printed instead. So what it shows is what would run,
//! with the same refusals. For a running query its kept statement is planned again, against a catalog in which
//! neither the query nor its sink exists.

use std::fmt;

use super::{Action, Context, Kind, Reply, Statement, statement};
use crate::engine::Change;
use crate::error::{Error, Result};
use crate::plan::explain::explain;
use crate::sql::words::Ident;

pub(super) const KIND: Kind = Kind {
    name: "EXPLAIN",
    summary: "Shows the plan of a statement or of a running query.",
    example: "EXPLAIN ctas_error_counts_0;",
    begins: &["EXPLAIN"],
    parse: |cursor| {
        cursor.expect("EXPLAIN")?;
        let alone = matches!(cursor.text_at(1).0, ";" | "");
        if cursor.is_ident() && alone {
            return Ok(Some(Box::new(Explain::Query(cursor.ident("the id of a query, or a statement")?))));
        }
        Ok(Some(Box::new(Explain::Statement(cursor.nested(|c| statement(c, false))?))))
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
        let text = match statement.compile(cx)? {
            Action::Change(change) => explain_change(&change),
            Action::Push(plan, _) => Some(explain(&plan)),
            Action::Pull(pull) => Some(format!(
                "look at the table {} {}\n",
                pull.source.name,
                pull.keys.as_ref().map_or("by a scan".to_owned(), |keys| format!("by {} keys", keys.len()))
            )),
            _ => None,
        };
        let text = text.ok_or_else(|| Error::invalid("The provided statement does not run a ksql query"))?;
        Ok(Action::Reply(Reply::Message(text)))
    }
}

/// The plan of the query that a change starts, with the warnings of its statement.
///
/// `None` if the statement starts no query.
fn explain_change(change: &Change) -> Option<String> {
    let plan = &change.query()?.plan;
    let warnings = change.warnings.iter().map(|warning| format!("warning: {warning}\n"));
    Some(explain(plan) + &warnings.collect::<String>())
}

/// # Errors
/// There is no query of this id, or its statement cannot be planned any more.
fn explain_query(id: &Ident, cx: &Context) -> Result<Action> {
    let query = cx.catalog.query(&id.name).ok_or_else(|| {
        let message =
            format!("Query with id:{} does not exist, use SHOW QUERIES to view the full set of queries.", id.name);
        Error::missing(message).at(id.span)
    })?;
    // The statement is planned as it was when its sink did not exist, if it has made it, nor the query itself.
    let mut before = cx.catalog.clone();
    before.remove_query(&query.id);
    if cx.catalog.source(&query.sink).is_some_and(|sink| sink.query.as_ref() == Some(&query.id)) {
        before.remove_source(&query.sink);
    }
    let change = super::compile_kept(&query.statement, &before, cx.properties)?;
    let plan = explain_change(&change).unwrap_or_default();
    Ok(Action::Reply(Reply::Message(format!("{}\n\n{plan}", query.statement))))
}
