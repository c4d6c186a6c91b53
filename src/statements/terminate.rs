//! `TERMINATE`: a query ends; what it has written stays.
//!
//! Its sink and topic stay, and other queries may go on reading them. To stop a query for a while there is PAUSE.

use std::fmt;

use super::{Action, Context, Kind, Right, Statement};
use crate::engine::{Change, Effect, Engine};
use crate::error::Result;
use crate::sql::words::Ident;

pub(super) const KIND: Kind = Kind {
    name: "TERMINATE",
    summary: "Ends a query, or all of them; what it has written stays.",
    example: "TERMINATE ctas_error_counts_0;",
    begins: &["TERMINATE"],
    needs: Right::Admin,
    parse: |cursor| {
        cursor.expect("TERMINATE")?;
        let query = if cursor.take("ALL") { None } else { Some(cursor.ident("the id of a query, or ALL")?) };
        Ok(Some(Box::new(Terminate { query })))
    },
};

#[derive(Debug, PartialEq)]
struct Terminate {
    /// The id; all queries without one.
    query: Option<Ident>,
}

impl fmt::Display for Terminate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.query {
            Some(id) => write!(f, "TERMINATE {id}"),
            None => f.write_str("TERMINATE ALL"),
        }
    }
}

impl Statement for Terminate {
    /// ALL without any query is a change without effects.
    ///
    /// # Errors
    /// Missing if there is no query of this id.
    fn compile(&self, cx: &Context) -> Result<Action> {
        let shown = cx.engine.map(Engine::shown_queries).unwrap_or_default();
        if let Some(query) = shown.iter().find(|query| self.query.as_ref().is_some_and(|id| is_called(id, &query.id))) {
            return Ok(Action::EndShown(query.id.clone()));
        }
        let ids = cx.catalog.query_ids(self.query.as_ref().map(|id| (id.name.as_str(), id.span)))?;
        let effects = ids.into_iter().map(Effect::EndQuery).collect();
        let command = format!("terminate/{}/execute", self.query.as_ref().map_or("ALL", |id| &id.name));
        Ok(Action::Change(Box::new(Change::new(command, effects, "Query terminated."))))
    }
}

/// Whether an identifier means an id: these have letters of both cases, so the case does not matter.
fn is_called(name: &Ident, id: &str) -> bool {
    name.name.eq_ignore_ascii_case(id)
}
