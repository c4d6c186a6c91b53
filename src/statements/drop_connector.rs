//! `DROP CONNECTOR`: a connector of Kafka Connect goes.
//!
//! Parsed and printed, not executed in this version. As the last kind that begins with DROP it refuses what no other
//! kind has taken.

use std::fmt;

use super::{Action, Context, Kind, Right, Statement, not_yet};
use crate::error::Result;
use crate::sql::words::Ident;

pub(super) const KIND: Kind = Kind {
    name: "DROP CONNECTOR",
    summary: "Removes a connector of Kafka Connect.",
    example: "DROP CONNECTOR IF EXISTS search;",
    begins: &["DROP"],
    needs: Right::Admin,
    parse: |cursor| {
        if !cursor.take("DROP CONNECTOR") {
            cursor.advance();
            return Err(cursor.expected());
        }
        let if_exists = cursor.take("IF EXISTS");
        Ok(Some(Box::new(DropConnector { if_exists, name: cursor.ident("the name of a connector")? })))
    },
};

#[derive(Debug, PartialEq)]
struct DropConnector {
    if_exists: bool,
    name: Ident,
}

impl fmt::Display for DropConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exists = if self.if_exists { "IF EXISTS " } else { "" };
        write!(f, "DROP CONNECTOR {exists}{}", self.name)
    }
}

impl Statement for DropConnector {
    fn compile(&self, _: &Context) -> Result<Action> {
        Err(not_yet(
            "DROP CONNECTOR",
            self.name.span,
            "topic produce and topic consume move records between topics and files",
        ))
    }
}
