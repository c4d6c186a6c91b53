//! `PAUSE` and `RESUME`: a query rests, keeping its state and its place, and goes on.
//!
//! A paused query stays paused over a restart of the process. While it rests, records wait in its topics as long as
//! these keep them.

use std::fmt;

use super::{Action, Context, Kind, Right, Statement};
use crate::engine::{Change, Effect};
use crate::error::Result;
use crate::sql::words::Ident;

pub(super) const KIND: Kind = Kind {
    name: "PAUSE",
    summary: "Lets a query rest, or all of them, until RESUME.",
    example: "RESUME ctas_error_counts_0;",
    begins: &["PAUSE", "RESUME"],
    needs: Right::Admin,
    parse: |cursor| {
        let verb = cursor.take_one(&[("PAUSE", "PAUSE"), ("RESUME", "RESUME")]).ok_or_else(|| cursor.expected())?;
        let query = if cursor.take("ALL") { None } else { Some(cursor.ident("the id of a query, or ALL")?) };
        Ok(Some(Box::new(Pause { verb, query })))
    },
};

#[derive(Debug, PartialEq)]
struct Pause {
    verb: &'static str,
    /// The id; all queries without one.
    query: Option<Ident>,
}

impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.query {
            Some(id) => write!(f, "{} {id}", self.verb),
            None => write!(f, "{} ALL", self.verb),
        }
    }
}

impl Statement for Pause {
    /// One effect for each query.
    ///
    /// # Errors
    /// Missing if there is no query of this id.
    fn compile(&self, cx: &Context) -> Result<Action> {
        let paused = self.verb == "PAUSE";
        let ids = cx.catalog.query_ids(self.query.as_ref().map(|id| (id.name.as_str(), id.span)))?;
        let effects = ids.into_iter().map(|id| Effect::PauseQuery { id, paused }).collect();
        let message = if paused { "Query paused." } else { "Query resumed." };
        let entity = self.query.as_ref().map_or("ALL", |id| &id.name);
        let command = format!("{}/{entity}/execute", self.verb.to_lowercase());
        Ok(Action::Change(Box::new(Change::new(command, effects, message))))
    }
}
