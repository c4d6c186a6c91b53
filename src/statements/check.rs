//! The check of a whole script before any of it is done: all refusals are found at once, but not those that only follow
//! from an earlier one.

use std::collections::BTreeSet;

use super::session::{DryRun, Nature};
use super::{Parsed, Statement};
use crate::catalog::Catalog;
use crate::error::{Error, Kind, Result};
use crate::sql::lexer::{Token, lex, unquoted};

/// What a statement makes, changes or removes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// The names of sources, topics and types.
    pub names: Vec<String>,
    /// How the id of the query begins that the statement starts.
    pub query: Option<String>,
}

impl Touched {
    /// Something of this name.
    pub fn name(name: &str) -> Touched {
        Touched { names: vec![name.to_owned()], query: None }
    }

    /// The same, and something of another name.
    pub fn and(mut self, name: Option<String>) -> Touched {
        self.names.extend(name);
        self
    }

    /// The same, and a query whose id begins so.
    pub fn with_query(self, prefix: String) -> Touched {
        Touched { query: Some(prefix), ..self }
    }
}

/// What the statements refused so far leave open.
#[derive(Default)]
struct Open {
    /// Names that would mean something else if no statement had been refused.
    names: BTreeSet<String>,
    /// How ids of queries begin that would exist.
    queries: Vec<String>,
}

impl Open {
    /// Remembers what a refused statement does not do. The queries after it get the numbers that they would have had.
    fn add(&mut self, statement: &dyn Statement, catalog: &mut Catalog) {
        let Touched { names, query } = statement.touches();
        self.names.extend(names);
        if let Some(prefix) = query {
            self.queries.push(prefix);
            catalog.skip_ids(catalog.next_topic(), catalog.next_query() + 1);
        }
    }

    /// Whether the refusal of a statement may only follow from an earlier one.
    ///
    /// A name that does not exist can only be missed or be there in place of another. A name that exists may mean something
    /// else by then, of which anything can follow.
    fn explains(&self, error: &Error, parsed: &Parsed, catalog: &Catalog) -> bool {
        let mentioned = mentioned(&parsed.text);
        let is_query = |name: &String| self.queries.iter().any(|prefix| name.starts_with(prefix.as_str()));
        let mut open = mentioned.iter().filter(|name| self.names.contains(*name) || is_query(name)).peekable();
        match error.kind() {
            Kind::Missing | Kind::Conflict => open.peek().is_some(),
            Kind::Invalid => open.any(|name| catalog.source(name).is_some() || catalog.custom_type(name).is_some()),
            _ => false,
        }
    }
}

/// The names and texts in a statement.
fn mentioned(text: &str) -> Vec<String> {
    let lexed = lex(text);
    let name = |token: Token, text: &str| match token {
        Token::Word => Some(text.to_uppercase()),
        Token::Text | Token::Quoted => Some(unquoted(text)),
        _ => None,
    };
    lexed.lexemes.iter().filter_map(|lexeme| name(lexeme.token, &lexeme.text)).collect()
}

impl DryRun<'_> {
    /// Checks statements that are to be executed one after the other: what each is.
    ///
    /// # Errors
    /// The refused statements, by their places, each with its error.
    pub fn check_all<'p>(
        &mut self,
        statements: impl IntoIterator<Item = &'p Parsed>,
    ) -> Result<Vec<Nature>, Vec<(usize, Error)>> {
        let (mut natures, mut errors, mut open) = (Vec::new(), Vec::new(), Open::default());
        for (place, parsed) in statements.into_iter().enumerate() {
            match self.check(parsed) {
                Ok(nature) => natures.push(nature),
                Err(error) => {
                    let follows = open.explains(&error, parsed, self.catalog());
                    open.add(parsed.statement.as_ref(), self.catalog_mut());
                    if !follows {
                        errors.push((place, error));
                    }
                }
            }
        }
        if errors.is_empty() { Ok(natures) } else { Err(errors) }
    }
}
