//! `RUN SCRIPT`: the statements of a file.
//!
//! Parsed and printed, not executed in this version: a script is given to the command line.

use std::fmt;

use super::{Action, Context, Kind, Right, Statement, not_yet};
use crate::error::{Result, Span};
use crate::sql::words::string_literal;

pub(super) const KIND: Kind = Kind {
    name: "RUN SCRIPT",
    summary: "Executes the statements of a file, in a shell.",
    example: "RUN SCRIPT 'setup.sql';",
    begins: &["RUN"],
    needs: Right::Read,
    parse: |cursor| {
        let span = cursor.span();
        cursor.expect("RUN SCRIPT")?;
        Ok(Some(Box::new(RunScript { file: cursor.string("the name of a file in single quotes")?, span })))
    },
};

#[derive(Debug, PartialEq)]
struct RunScript {
    file: String,
    span: Span,
}

impl fmt::Display for RunScript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RUN SCRIPT {}", string_literal(&self.file))
    }
}

impl Statement for RunScript {
    fn compile(&self, _: &Context) -> Result<Action> {
        Err(not_yet("RUN SCRIPT", self.span, "give the file to tidemill run, or to tidemill shell with -f"))
    }
}
