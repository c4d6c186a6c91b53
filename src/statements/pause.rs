//! `PAUSE` and `RESUME`: a query rests, keeping its state and its place, and goes on.

use std::fmt;

use super::{Action, Context, Kind, Statement, not_yet};
use crate::error::{Result, Span};
use crate::sql::words::Ident;

pub const KIND: Kind = Kind {
    name: "PAUSE",
    summary: "Lets a query rest, or all of them, until RESUME.",
    example: "RESUME ctas_error_counts_0;",
    begins: &["PAUSE", "RESUME"],
    parse: |cursor| {
        let span = cursor.span();
        let verb = cursor.take_one(&[("PAUSE", "PAUSE"), ("RESUME", "RESUME")]).ok_or_else(|| cursor.expected())?;
        let query = if cursor.take("ALL") { None } else { Some(cursor.ident("the id of a query, or ALL")?) };
        Ok(Some(Box::new(Pause { verb, query, span })))
    },
};

#[derive(Debug, PartialEq)]
struct Pause {
    verb: &'static str,
    /// The id; all queries without one.
    query: Option<Ident>,
    span: Span,
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
    fn compile(&self, _: &Context) -> Result<Action> {
        Err(not_yet(self.verb, self.span))
    }
}
