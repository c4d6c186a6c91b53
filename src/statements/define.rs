//! `DEFINE` and `UNDEFINE`: variables, which stand for names and constants in later statements.

use std::fmt;

use super::{Action, Context, Kind, Statement, not_yet};
use crate::error::{Result, Span};
use crate::sql::words::string_literal;

pub const KIND: Kind = Kind {
    name: "DEFINE",
    summary: "Gives a variable a value, or takes it back (UNDEFINE); ${name} stands for it in later statements.",
    example: "DEFINE format = 'JSON';",
    begins: &["DEFINE", "UNDEFINE"],
    parse: |cursor| {
        let span = cursor.span();
        let defines = cursor.take_one(&[("DEFINE", true), ("UNDEFINE", false)]).ok_or_else(|| cursor.expected())?;
        let name = cursor.plain_word("the name of a variable")?;
        let value = match defines {
            true => {
                cursor.expect("=")?;
                Some(cursor.string("a value in single quotes")?)
            }
            false => None,
        };
        Ok(Some(Box::new(Define { name, value, span })))
    },
};

#[derive(Debug, PartialEq)]
struct Define {
    /// As it was written.
    name: String,
    /// None takes the variable back.
    value: Option<String>,
    span: Span,
}

impl fmt::Display for Define {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "DEFINE {} = {}", self.name, string_literal(value)),
            None => write!(f, "UNDEFINE {}", self.name),
        }
    }
}

impl Statement for Define {
    fn compile(&self, _: &Context) -> Result<Action> {
        Err(not_yet(if self.value.is_some() { "DEFINE" } else { "UNDEFINE" }, self.span))
    }
}
