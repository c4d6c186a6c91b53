//! `DROP TOPIC`: a topic with all its records; an extension of ksqlDB's language.
//!
//! An extension of ksqlDB's language. The records go for good.

use std::fmt;

use super::{Action, Context, Kind, Right, Statement, Touched};
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
        let mut queries = cx.catalog.queries().into_iter();
        if let Some(query) = queries.find(|query| dead_letter_topic(&query.id) == self.name) {
            let message = format!("Topic '{}' has the dead letters of query {}.", self.name, query.id);
            return Err(Error::conflict(message).at(self.span).hint(format!("TERMINATE {} first", query.id)));
        }
        let message = format!("Topic '{}' was deleted.", self.name);
        let command = format!("topic/{}/drop", self.name);
        let change = Change::new(command, vec![Effect::DropTopic(self.name.clone())], message);
        Ok(Action::Change(Box::new(change)))
    }

    fn touches(&self) -> Touched {
        Touched::name(&self.name)
    }
}
