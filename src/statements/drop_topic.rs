//! `DROP TOPIC`: a topic with all its records; an extension of ksqlDB's language.
//!
//! An extension of ksqlDB's language. The records go for good.

use std::fmt;

use super::{Action, Context, Kind, Right, Statement, Touched};
use crate::catalog::Catalog;
use crate::engine::{Change, Effect, dead_letter_topic};
use crate::error::{Error, Result, Span};
use crate::sql::words::string_literal;

pub(super) const KIND: Kind = Kind {
    name: "DROP TOPIC",
    summary: "Removes a topic with all its records, if no stream or table uses it.",
    example: "DROP TOPIC 'application_logs';",
    begins: &["DROP"],
    needs: Right::Admin,
    parse: |cursor| {
        if !cursor.take("DROP TOPIC") {
            return Ok(None);
        }
        let span = cursor.span();
        Ok(Some(Box::new(DropTopic { name: cursor.string("the name of a topic in single quotes")?, span })))
    },
};

#[derive(Debug, PartialEq)]
struct DropTopic {
    name: String,
    span: Span,
}

impl fmt::Display for DropTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DROP TOPIC {}", string_literal(&self.name))
    }
}

/// Refuses to remove the topic of a query's dead letters, unless the query is among those that end with it.
///
/// # Errors
/// A conflict that names the query.
pub(super) fn refuse_dead_letters(topic: &str, ended: &[String], catalog: &Catalog) -> Result<()> {
    let queries = catalog.queries();
    match queries.iter().find(|query| dead_letter_topic(&query.id) == topic && !ended.contains(&query.id)) {
        None => Ok(()),
        Some(query) => {
            let message = format!("Topic '{topic}' has the dead letters of query {}.", query.id);
            Err(Error::conflict(message).hint(format!("TERMINATE {} first", query.id)))
        }
    }
}

impl Statement for DropTopic {
    /// # Errors
    /// Missing if there is no such topic, a conflict if a stream or table is over it, or a query may write to it.
    fn compile(&self, cx: &Context) -> Result<Action> {
        if cx.catalog.topic(&self.name).is_none() {
            return Err(cx.catalog.no_topic(&self.name).at(self.span));
        }
        let users: Vec<&str> = cx.catalog.sources().filter(|s| s.topic == self.name).map(|s| s.name.as_str()).collect();
        if !users.is_empty() {
            let message = format!("Topic '{}' is used by {}.", self.name, users.join(", "));
            return Err(Error::conflict(message).at(self.span).hint("DROP these first"));
        }
        refuse_dead_letters(&self.name, &[], cx.catalog).map_err(|error| error.at(self.span))?;
        let message = format!("Topic '{}' was deleted.", self.name);
        let command = format!("topic/{}/drop", self.name);
        let change = Change::new(command, vec![Effect::DropTopic(self.name.clone())], message);
        Ok(Action::Change(Box::new(change)))
    }

    fn touches(&self) -> Touched {
        Touched::name(&self.name)
    }
}
