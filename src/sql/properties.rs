//! The properties of a WITH clause: names in any case, values that are constants.

use std::fmt;

use sqlparser::tokenizer::Token;

use super::ast::{Literal, Node};
use super::cursor::Cursor;
use super::expr::parse_value;
use super::words::quote_if_needed;
use crate::error::{Error, Result, Span};

/// One `NAME = value`.
#[derive(Clone, Debug, PartialEq)]
pub struct Property {
    /// In upper case.
    pub name: String,
    pub value: Literal,
    pub span: Span,
}

/// The properties of a WITH clause, as they were written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Properties {
    pub items: Vec<Property>,
    pub span: Span,
}

/// Parses `WITH (…)` if it comes next.
pub fn parse_with(cursor: &mut Cursor) -> Result<Properties> {
    let start = cursor.span();
    if !cursor.take_keywords("WITH") {
        return Ok(Properties::default());
    }
    cursor.expect(&Token::LParen, "( and properties")?;
    let items = cursor.list(property)?;
    cursor.expect(&Token::RParen, "a comma or )")?;
    for (i, item) in items.iter().enumerate() {
        if let Some(earlier) = items[..i].iter().find(|p| p.name == item.name) {
            let (name, first, second) = (&item.name, &earlier.value, &item.value);
            let message = format!("Multiple entries with same key: {name}={second} and {name}={first}");
            return Err(Error::syntax(message).at(item.span));
        }
    }
    Ok(Properties { items, span: cursor.since(start) })
}

fn property(cursor: &mut Cursor) -> Result<Property> {
    let start = cursor.span();
    let name = match cursor.take_string() {
        Some(text) => text,
        None => cursor.ident("the name of a property")?.name,
    };
    cursor.expect(&Token::Eq, "= and a value")?;
    let value = parse_value(cursor)?;
    let Node::Literal(value) = *value.node else {
        return Err(Error::syntax("the value of a property is a constant").at(value.span));
    };
    Ok(Property { name: name.to_uppercase(), value, span: cursor.since(start) })
}

impl Properties {
    /// The property of this name (in upper case).
    pub fn get(&self, name: &str) -> Option<&Property> {
        self.items.iter().find(|p| p.name == name)
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

/// ` WITH (…)`, or nothing.
impl fmt::Display for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.items.is_empty() {
            return Ok(());
        }
        let items: Vec<String> =
            self.items.iter().map(|p| format!("{} = {}", quote_if_needed(&p.name), p.value)).collect();
        write!(f, " WITH ({})", items.join(", "))
    }
}
