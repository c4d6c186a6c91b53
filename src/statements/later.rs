//! Statements of ksqlDB's language that are known and refused by name: this version does not execute them.

use std::fmt;

use super::{Action, Context, Kind, Statement, starts_with};
use crate::error::{Error, Result, Span};
use crate::sql::cursor::Cursor;
use sqlparser::tokenizer::Token;

pub const KIND: Kind = Kind {
    name: "INSERT INTO SELECT",
    summary: "What this version knows and does not execute yet.",
    example: "PAUSE ALL;",
    parse: |cursor| {
        let Some(words) = WORDS.iter().find(|words| starts_with(cursor, &[words])) else { return Ok(None) };
        let span = cursor.span();
        let text = rest(cursor);
        Ok(Some(Box::new(Later { words, text, span })))
    },
};

/// What the statements start with.
const WORDS: &[&str] = &[
    "INSERT INTO", "ALTER", "ASSERT", "PAUSE", "RESUME", "PRINT", "DEFINE", "UNDEFINE", "RUN SCRIPT", "CREATE TYPE",
    "DROP TYPE", "CREATE SOURCE CONNECTOR", "CREATE SINK CONNECTOR", "DROP CONNECTOR", "DESCRIBE CONNECTOR",
    "DESCRIBE FUNCTION", "LIST TYPES", "SHOW TYPES", "LIST VARIABLES", "SHOW VARIABLES", "LIST CONNECTORS",
    "SHOW CONNECTORS", "LIST CONNECTOR", "SHOW CONNECTOR", "LIST SOURCE", "SHOW SOURCE", "LIST SINK", "SHOW SINK",
];

#[derive(Debug)]
struct Later {
    words: &'static str,
    text: String,
    span: Span,
}

/// The tokens up to the semicolon, as they are printed.
fn rest(cursor: &mut Cursor) -> String {
    let mut words = Vec::new();
    while let Some(token) = cursor.peek().filter(|t| **t != Token::SemiColon) {
        words.push(token.to_string());
        cursor.advance();
    }
    words.join(" ")
}

impl fmt::Display for Later {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Statement for Later {
    fn compile(&self, _: &Context) -> Result<Action> {
        let shown = if self.words == "INSERT INTO" { "INSERT INTO … SELECT" } else { self.words };
        Err(Error::unsupported(format!("{shown} statements")).at(self.span))
    }
}
