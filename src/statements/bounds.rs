//! How many tokens a statement and a text may have, and the refusal of those that have more.

use crate::config::{Properties, STATEMENT_TOKENS as TOKENS};
use crate::error::Error;
use crate::sql::bounds::Bounds;
use crate::sql::lexer::{Lexeme, Token};

/// A text that others send may have as many tokens as this number of longest statements.
const LONGEST_STATEMENTS: usize = 10;

/// What the properties allow in texts of whoever runs the process.
pub fn own_bounds(properties: &Properties) -> Bounds {
    Bounds { statement: properties.size(TOKENS), text: usize::MAX }
}

/// What the properties allow in texts that others send.
pub fn foreign_bounds(properties: &Properties) -> Bounds {
    let own = own_bounds(properties);
    Bounds { text: own.statement.saturating_mul(LONGEST_STATEMENTS), ..own }
}

/// # Errors
/// The token stands for more than may be.
pub fn check_bounds(lexeme: Option<&Lexeme>, bounds: Bounds) -> Result<(), Error> {
    let Some(lexeme) = lexeme else { return Ok(()) };
    let (message, hint) = match lexeme.token {
        Token::LongStatement => (
            format!("The statement has more than {} tokens; {TOKENS} allows more", bounds.statement),
            "make several statements of it, or put its values into a topic; each token takes up to 1 KB of memory",
        ),
        Token::LongText => (
            format!("The text has more than {} tokens with this statement; {TOKENS} allows more", bounds.text),
            "send it in several parts",
        ),
        _ => return Ok(()),
    };
    Err(Error::syntax(message).at(lexeme.span).hint(hint))
}
