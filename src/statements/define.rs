//! `DEFINE` and `UNDEFINE`: variables, which stand for names and constants in later statements.
//!
//! Names ignore case. The value must be a name or a constant where `${name}` stands alone, and may be anything where
//! it stands inside of a text. Values are put in when a statement is executed, so a later DEFINE does not change an
//! earlier statement.

use std::fmt;

use super::{Action, Context, Kind, Right, Statement};
use crate::error::Result;
use crate::sql::words::string_literal;

pub(super) const KIND: Kind = Kind {
    name: "DEFINE",
    summary: "Gives a variable a value, or takes it back (UNDEFINE); ${name} stands for it in later statements.",
    example: "DEFINE format = 'JSON';",
    begins: &["DEFINE", "UNDEFINE"],
    needs: Right::Read,
    parse: |cursor| {
        let defines = cursor.take_one(&[("DEFINE", true), ("UNDEFINE", false)]).ok_or_else(|| cursor.expected())?;
        let name = cursor.plain_word("the name of a variable")?;
        let value = match defines {
            true => {
                cursor.expect("=")?;
                Some(cursor.string("a value in single quotes")?)
            }
            false => None,
        };
        Ok(Some(Box::new(Define { name, value })))
    },
};

#[derive(Debug, PartialEq)]
struct Define {
    /// As it was written.
    name: String,
    /// None takes the variable back.
    value: Option<String>,
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
    /// Never refused. UNDEFINE of an unknown variable is warned of when it is executed.
    fn compile(&self, _: &Context) -> Result<Action> {
        Ok(match &self.value {
            Some(value) => Action::Define(self.name.clone(), value.clone()),
            None => Action::Undefine(self.name.clone()),
        })
    }
}
