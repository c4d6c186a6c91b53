//! `PRINT`: the records of a topic as they come.
//!
//! It starts at the end of the topic, unless it says FROM BEGINNING or `auto.offset.reset` is `earliest`.

use std::fmt;
use std::sync::Arc;

use super::{Action, Context, Kind, Right, Statement};
use crate::config;
use crate::error::{Error, Result, Span};
use crate::sql::words::string_literal;
use crate::topics::Topic;

pub(super) const KIND: Kind = Kind {
    name: "PRINT",
    summary: "Shows the records of a topic as they come.",
    example: "PRINT orders FROM BEGINNING INTERVAL 10 LIMIT 5;",
    begins: &["PRINT"],
    needs: Right::Read,
    parse: |cursor| {
        cursor.expect("PRINT")?;
        let span = cursor.span();
        let topic = cursor.resource("the name of a topic")?;
        let from_beginning = cursor.take("FROM BEGINNING");
        let every = cursor.take("INTERVAL") || cursor.take("SAMPLE");
        let interval = if every { Some(cursor.unsigned("a number of records")?) } else { None };
        let limit = if cursor.take("LIMIT") { Some(cursor.unsigned("a number of records")?) } else { None };
        Ok(Some(Box::new(Print { topic, from_beginning, interval, limit, span })))
    },
};

/// What PRINT shows.
pub struct Printed {
    /// The topic.
    pub topic: Arc<Topic>,
    /// Whether it starts at the first record.
    pub from_beginning: bool,
    /// Every which record is shown.
    pub interval: usize,
    /// After so many it is over.
    pub limit: Option<usize>,
}

#[derive(Debug, PartialEq)]
struct Print {
    topic: String,
    from_beginning: bool,
    /// Every which record is shown.
    interval: Option<i64>,
    limit: Option<i64>,
    /// Of the topic.
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
    fn compile(&self, cx: &Context) -> Result<Action> {
        let Some(topic) = cx.catalog.topic(&self.topic) else {
            let message = format!("Could not find topic '{}'. Topic names are case-sensitive.", self.topic);
            let error = Error::missing(message).at(self.span);
            let known: Vec<&str> = cx.catalog.topics().map(|topic| topic.name.as_str()).collect();
            return Err(error.suggest(&self.topic, known, string_literal));
        };
        let count = |number: i64| usize::try_from(number).unwrap_or(usize::MAX);
        let is_earliest = !cx.properties.text(config::OFFSET_RESET).eq_ignore_ascii_case("latest");
        Ok(Action::Print(Printed {
            topic: topic.clone(),
            from_beginning: self.from_beginning || is_earliest,
            interval: self.interval.map_or(1, count),
            limit: self.limit.map(count),
        }))
    }
}
