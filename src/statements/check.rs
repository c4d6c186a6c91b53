//! The check of a whole script before any of it is done: all refusals are found at once, but not those that only follow
//! from an earlier one.
//!
//! A script is checked by a dry run from its first statement to its last. The difficulty is what follows a refused
//! statement: `CREATE STREAM a …` is refused for a typing error, and `SELECT * FROM a` is then refused because A does
//! not exist. The second error says nothing new. So the names that a refused statement would have made are
//! remembered, and a later refusal that may follow from them is left out.
//!
//! | kind of the later error | left out if the statement mentions |
//! |---|---|
//! | missing, conflict | a name or a query that a refused statement would have made or removed |
//! | invalid | such a name that exists all the same, perhaps as something else |
//! | any other | never |

use std::collections::BTreeSet;

use super::session::{DryRun, Nature};
use super::{Parsed, Statement};
use crate::catalog::Catalog;
use crate::error::{Error, Kind, Result};
use crate::sql::lexer::{Token, lex, unquoted};

/// What a statement makes, changes or removes.
///
/// Names are as the catalog stores them, the words of a text in upper case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// The names of sources, topics and types.
    pub names: Vec<String>,
    /// How the id of the query begins that the statement starts.
    ///
    /// `CTAS_ORDERS_` for example; the number after it is not known.
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
    ///
    /// The ids after it are shifted as if the statement had been executed, so that messages show the ids that a
    /// corrected script gets.
    fn add(&mut self, statement: &dyn Statement, catalog: &mut Catalog) {
        let Touched { names, query } = statement.touches();
        self.names.extend(names);
        if let Some(prefix) = query {
            self.queries.push(prefix);
            catalog.skip_ids(catalog.next_topic(), catalog.next_query().next());
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
///
/// Too many rather than too few: every word counts, keywords too, and every quoted text.
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
    ///
    /// The natures have the order of the statements. Every statement is checked, also after an error.
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
