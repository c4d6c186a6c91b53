//! The properties of a WITH clause: names in any case, values that are constants.
//!
//! `WITH (KAFKA_TOPIC = 'orders', PARTITIONS = 4)`: a name is a word or a text in quotes, a value is a literal. Which
//! properties a statement knows, and of which type each is, is decided by the statement; here every name is good.

use std::collections::HashMap;

use super::ast::Literal;
use super::cursor::Cursor;
use super::literal::parse_literal;
use super::print::Printer;
use super::words::{is_plain_name, is_reserved, is_variable, string_literal};
use crate::error::{Error, Result, Span};

/// One `NAME = value`.
#[derive(Clone, Debug, PartialEq)]
pub struct Property {
    /// In upper case.
    pub name: String,
    /// The value as it was written.
    pub value: Literal,
    /// Where name and value stand.
    pub span: Span,
}

/// The properties of a WITH clause, as they were written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Properties {
    /// In the order in which they were written; no name is there twice.
    pub items: Vec<Property>,
    /// Where the clause stands.
    pub span: Span,
}

/// Parses `WITH (…)` if it comes next; names are in upper case.
///
/// # Errors
/// A value is no constant, or a name is there twice.
pub fn parse_with(cursor: &mut Cursor) -> Result<Properties> {
    parse(cursor, str::to_uppercase)
}

/// Parses `WITH (…)` if it comes next; names in quotes stay as they are written.
///
/// For connectors, whose properties are called `connector.class` and the like. Words without quotes still get upper
/// case.
pub fn parse_with_exact_names(cursor: &mut Cursor) -> Result<Properties> {
    parse(cursor, str::to_owned)
}

/// Parses `WITH (…)` if it comes next; `name` makes the stored name of a written one. A name that is there twice is
/// refused.
fn parse(cursor: &mut Cursor, name: fn(&str) -> String) -> Result<Properties> {
    let start = cursor.span();
    if !cursor.is("WITH (") {
        // Notes WITH among the expected words, for messages.
        cursor.take("WITH (");
        return Ok(Properties::default());
    }
    cursor.take("WITH");
    cursor.expect("(")?;
    let items = cursor.list(|c| property(c, name))?;
    cursor.expect(")")?;
    let mut seen: HashMap<&str, &Literal> = HashMap::new();
    for item in &items {
        if let Some(first) = seen.insert(&item.name, &item.value) {
            let (name, second) = (&item.name, &item.value);
            let message = format!("Multiple entries with same key: {name}={second} and {name}={first}");
            return Err(Error::syntax(message).at(item.span));
        }
    }
    Ok(Properties { items, span: cursor.since(start) })
}

/// Parses one `NAME = value`; `stored` makes the stored name of a written one.
fn property(cursor: &mut Cursor, stored: fn(&str) -> String) -> Result<Property> {
    let start = cursor.span();
    let name = match cursor.take_string() {
        Some(text) => text,
        None => cursor.ident("the name of a property")?.name,
    };
    cursor.expect("=")?;
    let value = parse_literal(cursor)?;
    Ok(Property { name: stored(&name), value, span: cursor.since(start) })
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

impl Properties {
    /// Writes ` WITH (…)`, or nothing.
    pub fn print(&self, p: &mut Printer) {
        if !self.items.is_empty() {
            p.list(" WITH (", &self.items, ")", Property::print);
        }
    }
}

impl Property {
    /// The value as a text, without quotes.
    ///
    /// So `PARTITIONS = 4` and `PARTITIONS = '4'` are the same to a statement that asks for the text.
    pub fn text(&self) -> String {
        match &self.value {
            Literal::String(text) => text.clone(),
            other => other.to_string(),
        }
    }

    /// Writes `NAME = value`; a name that is not plain stands in single quotes.
    pub fn print(p: &mut Printer, property: &Property) {
        let (name, value) = (&property.name, &property.value);
        let plain = is_plain_name(name) && !is_reserved(name) && !name.contains(|c: char| c.is_ascii_lowercase());
        if plain || is_variable(name) {
            p.put(format_args!("{name} = {value}"));
        } else {
            p.put(format_args!("{} = {value}", string_literal(name)));
        }
    }
}
