//! `UNSET`: a property back to its default.
//!
//! Unsetting what was not set is no error; the value is then that of the process.

use std::fmt;

use super::{Action, Context, Kind, Right, Statement};
use crate::config;
use crate::error::{Result, Span};
use crate::sql::words::string_literal;

pub(super) const KIND: Kind = Kind {
    name: "UNSET",
    summary: "Returns a property to its default.",
    example: "UNSET 'auto.offset.reset';",
    begins: &["UNSET"],
    needs: Right::Read,
    parse: |cursor| {
        cursor.expect("UNSET")?;
        let span = cursor.span();
        Ok(Some(Box::new(Unset { name: cursor.string("the name of a property in single quotes")?, span })))
    },
};

#[derive(Debug, PartialEq)]
struct Unset {
    name: String,
    span: Span,
}

impl fmt::Display for Unset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UNSET {}", string_literal(&self.name))
    }
}

impl Statement for Unset {
    /// # Errors
    /// The name is not a property.
    fn compile(&self, _: &Context) -> Result<Action> {
        config::find(&self.name).map_err(|e| e.at(self.span))?;
        Ok(Action::Unset(self.name.clone()))
    }
}
