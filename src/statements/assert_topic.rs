//! `ASSERT TOPIC`: waits until a topic is there, or gone.
//!
//! Parsed and printed, not executed in this version: the refusal says what to do instead.

use std::fmt;

use super::{Action, Context, Kind, Statement, not_yet};
use crate::error::{Result, Span};
use crate::sql::print::layout;
use crate::sql::properties::{Properties, parse_with};
use crate::sql::words::{Duration, string_literal};

pub(super) const KIND: Kind = Kind {
    name: "ASSERT TOPIC",
    summary: "Fails unless a topic is there, or is not, after a while.",
    example: "ASSERT NOT EXISTS TOPIC orders WITH (partitions=4) TIMEOUT 10 SECONDS;",
    begins: &["ASSERT"],
    parse: |cursor| {
        let span = cursor.span();
        let forms = [("ASSERT TOPIC", true), ("ASSERT NOT EXISTS TOPIC", false)];
        let Some(exists) = cursor.take_one(&forms) else { return Ok(None) };
        let topic = cursor.resource("the name of a topic")?;
        let with = parse_with(cursor)?;
        let timeout = if cursor.take("TIMEOUT") { Some(cursor.duration()?) } else { None };
        Ok(Some(Box::new(AssertTopic { exists, topic, with, timeout, span })))
    },
};

#[derive(Debug, PartialEq)]
struct AssertTopic {
    exists: bool,
    topic: String,
    with: Properties,
    timeout: Option<Duration>,
    span: Span,
}

impl fmt::Display for AssertTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exists = if self.exists { "" } else { "NOT EXISTS " };
        f.write_str(&layout(f.alternate(), |p| {
            p.put(format_args!("ASSERT {exists}TOPIC {}", string_literal(&self.topic)));
            self.with.print(p);
            if let Some(timeout) = self.timeout {
                p.put(format_args!(" TIMEOUT {timeout}"));
            }
        }))
    }
}

impl Statement for AssertTopic {
    fn compile(&self, _: &Context) -> Result<Action> {
        Err(not_yet("ASSERT TOPIC", self.span, "SHOW TOPICS lists the topics"))
    }
}
