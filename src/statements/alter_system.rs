//! `ALTER SYSTEM`: a property for everybody.
//!
//! Parsed and printed, not executed in this version.

use std::fmt;

use super::{Action, Context, Kind, Right, Statement, not_yet};
use crate::error::{Result, Span};
use crate::sql::words::string_literal;

pub(super) const KIND: Kind = Kind {
    name: "ALTER SYSTEM",
    summary: "Sets a property for all sessions.",
    example: "ALTER SYSTEM 'auto.offset.reset'='earliest';",
    begins: &["ALTER"],
    needs: Right::Admin,
    parse: |cursor| {
        let span = cursor.span();
        if !cursor.take("ALTER SYSTEM") {
            cursor.advance();
            return Err(cursor.expected());
        }
        let name = cursor.string("the name of a property in single quotes")?;
        cursor.expect("=")?;
        let value = cursor.string("a value in single quotes")?;
        Ok(Some(Box::new(AlterSystem { name, value, span })))
    },
};

#[derive(Debug, PartialEq)]
struct AlterSystem {
    name: String,
    value: String,
    span: Span,
}

impl fmt::Display for AlterSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ALTER SYSTEM {} = {}", string_literal(&self.name), string_literal(&self.value))
    }
}

impl Statement for AlterSystem {
    fn compile(&self, _: &Context) -> Result<Action> {
        Err(not_yet(
            "ALTER SYSTEM",
            self.span,
            "SET a property for the session, or give it with --set when the process starts",
        ))
    }
}
