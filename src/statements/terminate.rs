//! `TERMINATE`: a query ends; what it has written stays.

use std::fmt;

use super::{Action, Context, Kind, Statement};
use crate::engine::Change;
use crate::error::{Error, Result, nearest};
use crate::sql::words::Ident;

pub const KIND: Kind = Kind {
    name: "TERMINATE",
    summary: "Ends a query, or all of them; what it has written stays.",
    example: "TERMINATE ctas_error_counts_0;",
    begins: &["TERMINATE"],
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
    fn compile(&self, cx: &Context) -> Result<Action> {
        let all: Vec<String> = cx.catalog.queries().into_iter().map(|q| q.id.clone()).collect();
        let end_queries = match &self.query {
            None => all,
            Some(id) if all.contains(&id.name) => vec![id.name.clone()],
            Some(id) => {
                let error = Error::missing(format!("Unknown queryId: {}", id.name)).at(id.span);
                return Err(match nearest(&id.name, all.iter().map(String::as_str)) {
                    Some(near) => error.hint(format!("did you mean {near}?")),
                    None => error.hint("SHOW QUERIES lists them all"),
                });
            }
        };
        let message = "Query terminated.".to_owned();
        Ok(Action::Change(Box::new(Change { end_queries, message, ..Change::default() })))
    }
}
