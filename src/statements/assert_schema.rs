//! `ASSERT SCHEMA`: waits until a schema is registered, or gone.
//!
//! It always fails: this version has no schema registry to ask.

use std::fmt;

use super::{Action, Context, Kind, Right, Statement};
use crate::error::{Error, Result, Span};
use crate::sql::words::{Duration, string_literal};

pub(super) const KIND: Kind = Kind {
    name: "ASSERT SCHEMA",
    summary: "Fails unless a schema is registered, or is not, after a while.",
    example: "ASSERT SCHEMA SUBJECT 'orders-value' ID 3 TIMEOUT 10 SECONDS;",
    begins: &["ASSERT"],
    needs: Right::Read,
    parse: |cursor| {
        let span = cursor.span();
        let forms = [("ASSERT SCHEMA", true), ("ASSERT NOT EXISTS SCHEMA", false)];
        let Some(exists) = cursor.take_one(&forms) else { return Ok(None) };
        let subject = if cursor.take("SUBJECT") { Some(cursor.resource("the name of a subject")?) } else { None };
        let id = if cursor.take("ID") { Some(cursor.unsigned("the id of a schema")?) } else { None };
        if subject.is_none() && id.is_none() {
            let message = "ASSERT SCHEMA statements must include a subject name or an id";
            return Err(Error::syntax(message).at(cursor.span()).hint("ASSERT SCHEMA SUBJECT 'name' ID 1;"));
        }
        let timeout = if cursor.take("TIMEOUT") { Some(cursor.duration()?) } else { None };
        Ok(Some(Box::new(AssertSchema { exists, subject, id, timeout, span })))
    },
};

#[derive(Debug, PartialEq)]
struct AssertSchema {
    exists: bool,
    subject: Option<String>,
    id: Option<i64>,
    timeout: Option<Duration>,
    span: Span,
}

impl fmt::Display for AssertSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exists = if self.exists { "" } else { "NOT EXISTS " };
        write!(f, "ASSERT {exists}SCHEMA")?;
        if let Some(subject) = &self.subject {
            write!(f, " SUBJECT {}", string_literal(subject))?;
        }
        if let Some(id) = self.id {
            write!(f, " ID {id}")?;
        }
        self.timeout.map_or(Ok(()), |timeout| write!(f, " TIMEOUT {timeout}"))
    }
}

impl Statement for AssertSchema {
    fn compile(&self, _: &Context) -> Result<Action> {
        let message = "Cannot check schema existence: KSQL is not configured to use a schema registry.";
        let hint = "this version has none; DESCRIBE shows the columns of a stream or table";
        Err(Error::assertion(message).at(self.span).hint(hint))
    }
}
