//! Constants: numbers, texts, words and variables that stand for them.

use super::ast::Literal;
use super::cursor::Cursor;
use super::lexer::Token;
use crate::error::{Error, Result};

/// A constant.
///
/// # Errors
/// Something else comes next, or a number is too large.
pub(super) fn parse_literal(cursor: &mut Cursor) -> Result<Literal> {
    match cursor.token() {
        Some(Token::Number) => number(cursor, false),
        Some(Token::Text) => cursor.string("a text").map(Literal::String),
        Some(Token::Variable) => {
            let text = cursor.text().to_owned();
            cursor.advance();
            Ok(Literal::Variable(text))
        }
        _ if cursor.is("-") => {
            cursor.advance();
            number(cursor, true)
        }
        _ => constant(cursor).ok_or_else(|| cursor.unexpected("a constant")),
    }
}

/// A constant that is a word.
pub(super) fn constant(cursor: &mut Cursor) -> Option<Literal> {
    let literal = match cursor.text() {
        text if text.eq_ignore_ascii_case("NULL") => Literal::Null,
        text if text.eq_ignore_ascii_case("TRUE") => Literal::Boolean(true),
        text if text.eq_ignore_ascii_case("FALSE") => Literal::Boolean(false),
        _ => return None,
    };
    cursor.advance();
    Some(literal)
}

/// A number as its text decides: INTEGER, BIGINT, DECIMAL, or DOUBLE if it has an exponent.
pub(super) fn number(cursor: &mut Cursor, negative: bool) -> Result<Literal> {
    let span = cursor.span();
    let digits = cursor.take_number().ok_or_else(|| cursor.unexpected("a number"))?;
    let text = if negative { format!("-{digits}") } else { digits.to_owned() };
    let invalid = || Error::syntax(format!("Invalid numeric literal: {text}")).at(span);
    if text.contains(['e', 'E']) {
        let value: f64 = text.parse().map_err(|_| invalid())?;
        if value.is_infinite() {
            return Err(Error::syntax(format!("Number overflows DOUBLE: {text}")).at(span));
        }
        return Ok(Literal::Double(value));
    }
    if text.contains('.') {
        return Ok(Literal::Decimal(text));
    }
    if let Ok(value) = text.parse() {
        return Ok(Literal::Integer(value));
    }
    text.parse().map(Literal::Bigint).map_err(|_| invalid())
}
