//! `DESCRIBE CONNECTOR`: what is known of a connector of Kafka Connect.
//!
//! Parsed and printed, not executed in this version.

use std::fmt;

use super::{Action, Context, Kind, Right, Statement, not_yet};
use crate::error::Result;
use crate::sql::words::Ident;

pub(super) const KIND: Kind = Kind {
    name: "DESCRIBE CONNECTOR",
    summary: "Shows what is known of a connector of Kafka Connect.",
    example: "DESCRIBE CONNECTOR search;",
    begins: &["DESCRIBE"],
    needs: Right::Read,
    parse: |cursor| {
        if !cursor.take("DESCRIBE CONNECTOR") {
            return Ok(None);
        }
        Ok(Some(Box::new(DescribeConnector { name: cursor.ident("the name of a connector")? })))
    },
};

#[derive(Debug, PartialEq)]
struct DescribeConnector {
    name: Ident,
}

impl fmt::Display for DescribeConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DESCRIBE CONNECTOR {}", self.name)
    }
}

impl Statement for DescribeConnector {
    fn compile(&self, _: &Context) -> Result<Action> {
        Err(not_yet(
            "DESCRIBE CONNECTOR",
            self.name.span,
            "topic produce and topic consume move records between topics and files",
        ))
    }
}
