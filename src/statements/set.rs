//! `SET`: a property for the statements that follow.
//!
//! Names and values are checked at once, so that a misspelt name is no silent default. Queries that run already keep
//! the values that they were started with.

use std::fmt;

use super::{Action, Context, Kind, Right, Statement};
use crate::config;
use crate::error::{Result, Span};
use crate::sql::words::string_literal;

pub(super) const KIND: Kind = Kind {
    name: "SET",
    summary: "Sets a property for the statements that follow.",
    example: "SET 'auto.offset.reset'='earliest';",
    begins: &["SET"],
    needs: Right::Read,
    parse: |cursor| {
        cursor.expect("SET")?;
        let span = cursor.span();
        let name = cursor.string("the name of a property in single quotes")?;
        cursor.expect("=")?;
        let value = cursor.string("a value in single quotes")?;
        Ok(Some(Box::new(Set { name, value, span })))
    },
};

#[derive(Debug, PartialEq)]
struct Set {
    name: String,
    value: String,
    span: Span,
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SET {} = {}", string_literal(&self.name), string_literal(&self.value))
    }
}

impl Statement for Set {
    /// # Errors
    /// The name is not a property, or the value is not one of its type, with the place of the name.
    fn compile(&self, _: &Context) -> Result<Action> {
        config::find(&self.name).and_then(|property| property.check(&self.value)).map_err(|e| e.at(self.span))?;
        Ok(Action::Set(self.name.clone(), self.value.clone()))
    }
}
