//! `PRINT`: the records of a topic as they come.
//!
//! Parsed and printed, not executed in this version: `topic consume` on the command line shows records.

use std::fmt;

use super::{Action, Context, Kind, Statement, not_yet};
use crate::error::{Result, Span};
use crate::sql::words::string_literal;

pub(super) const KIND: Kind = Kind {
    name: "PRINT",
    summary: "Shows the records of a topic as they come.",
    example: "PRINT orders FROM BEGINNING INTERVAL 10 LIMIT 5;",
    begins: &["PRINT"],
    parse: |cursor| {
        let span = cursor.span();
        cursor.expect("PRINT")?;
        let topic = cursor.resource("the name of a topic")?;
        let from_beginning = cursor.take("FROM BEGINNING");
        let every = cursor.take("INTERVAL") || cursor.take("SAMPLE");
        let interval = if every { Some(cursor.unsigned("a number of records")?) } else { None };
        let limit = if cursor.take("LIMIT") { Some(cursor.unsigned("a number of records")?) } else { None };
        Ok(Some(Box::new(Print { topic, from_beginning, interval, limit, span })))
    },
};

#[derive(Debug, PartialEq)]
struct Print {
    topic: String,
    from_beginning: bool,
    /// Every which record is shown.
    interval: Option<i64>,
    limit: Option<i64>,
    span: Span,
}

impl fmt::Display for Print {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let beginning = if self.from_beginning { " FROM BEGINNING" } else { "" };
        write!(f, "PRINT {}{beginning}", string_literal(&self.topic))?;
        if let Some(interval) = self.interval {
            write!(f, " INTERVAL {interval}")?;
        }
        self.limit.map_or(Ok(()), |limit| write!(f, " LIMIT {limit}"))
    }
}

impl Statement for Print {
    fn compile(&self, _: &Context) -> Result<Action> {
        Err(not_yet("PRINT", self.span, "topic consume shows the records of a topic"))
    }
}
