//! `DESCRIBE FUNCTION`: what a function does.

use std::fmt;

use super::{Action, Context, Kind, Statement, not_yet};
use crate::error::Result;
use crate::sql::words::Ident;

pub(super) const KIND: Kind = Kind {
    name: "DESCRIBE FUNCTION",
    summary: "Shows what a function does and takes.",
    example: "DESCRIBE FUNCTION substring;",
    begins: &["DESCRIBE"],
    parse: |cursor| {
        // A stream may be called so.
        if !cursor.is("DESCRIBE FUNCTION") || !cursor.is_ident_at(2) {
            return Ok(None);
        }
        cursor.expect("DESCRIBE FUNCTION")?;
        Ok(Some(Box::new(DescribeFunction { name: cursor.ident("the name of a function")? })))
    },
};

#[derive(Debug, PartialEq)]
struct DescribeFunction {
    name: Ident,
}

impl fmt::Display for DescribeFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DESCRIBE FUNCTION {}", self.name)
    }
}

impl Statement for DescribeFunction {
    fn compile(&self, _: &Context) -> Result<Action> {
        Err(not_yet(
            "DESCRIBE FUNCTION",
            self.name.span,
            "SHOW FUNCTIONS lists the functions; a call with wrong arguments shows how it is called",
        ))
    }
}
