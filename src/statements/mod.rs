//! The statements: one file each, from text to what it does.
//!
//! A statement is a [`Statement`] with its syntax tree, its canonical text and its meaning. To add one, write its file and
//! its word in the list here.

mod session;

pub use session::{DryRun, Nature, Outcome, Session};

use std::fmt;

use sqlparser::tokenizer::Token;

use crate::catalog::Catalog;
use crate::config::Properties;
use crate::engine::{Change, Engine};
use crate::error::{Error, Result, Span, nearest};
use crate::plan::Plan;
use crate::plan::table::Pull;
use crate::sql::cursor::Cursor;
use crate::sql::lexer::lex;
use crate::topics::Topic;
use crate::topics::record::RecordBatch;

macro_rules! shelf {
    ($($name:ident)*) => {
        $(mod $name;)*
        /// All kinds of statements, in the order in which they are tried.
        pub const ALL: &[&Kind] = &[$(&$name::KIND),*];
    };
}

shelf! {
    create_source
    create_as
    insert_values
    drop
    terminate
    show
    describe
    explain
    set
    unset
    select
    create_topic
    drop_topic
    later
}

/// A kind of statement.
pub struct Kind {
    /// The words by which it is known, for messages and help.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// One that is parsed and printed as a test.
    pub example: &'static str,
    /// Parses a statement of this kind; `None`, without a step, if another kind begins here.
    pub parse: fn(&mut Cursor) -> Result<Option<Box<dyn Statement>>>,
}

/// A statement. `Display` gives its canonical text, without the semicolon.
pub trait Statement: fmt::Display + fmt::Debug + Send + Sync {
    /// What the statement does, as of the given state of things. Nothing is done yet.
    fn compile(&self, cx: &Context) -> Result<Action>;
}

/// What a statement is compiled against.
pub struct Context<'a> {
    /// The text of the statement.
    pub text: &'a str,
    pub catalog: &'a Catalog,
    /// The properties of the process, with those of the session over them.
    pub properties: &'a Properties,
    /// The engine, for statements that show what it does; none where a kept statement is read again.
    pub engine: Option<&'a Engine>,
    /// The time, in milliseconds since the epoch, for records that do not say theirs.
    pub now_ms: i64,
}

/// What a statement does.
pub enum Action {
    /// It changes what exists.
    Change(Box<Change>),
    /// It appends a record.
    Insert(Insert),
    /// It shows something.
    Reply(Reply),
    Set(String, String),
    Unset(String),
    Pull(Box<Pull>),
    Push(Box<Plan>, Option<usize>),
}

/// A record to be appended.
pub struct Insert {
    pub topic: std::sync::Arc<Topic>,
    /// The record's key, which decides the partition.
    pub key: Option<Vec<u8>>,
    pub batch: RecordBatch,
}

/// What a statement shows.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    Message(String),
    Table { columns: Vec<&'static str>, rows: Vec<Vec<String>> },
}

/// A statement and the text that it was parsed from.
#[derive(Debug)]
pub struct Parsed {
    pub statement: Box<dyn Statement>,
    pub text: String,
    pub span: Span,
}

/// Parses a script. Every bad statement is reported, not only the first.
pub fn parse(text: &str) -> Result<Vec<Parsed>, Vec<Error>> {
    let lexed = lex(text).map_err(|e| vec![e.in_source(text)])?;
    let mut cursor = Cursor::new(&lexed.lexemes, lexed.end);
    let lines = Lines::new(text);
    let (mut parsed, mut errors) = (Vec::new(), Vec::new());
    while !cursor.at_end() {
        let start = cursor.span();
        match statement(&mut cursor, true) {
            Ok(statement) => {
                let span = cursor.since(start);
                parsed.push(Parsed { statement, text: lines.slice(span).to_owned(), span });
            }
            Err(error) => {
                errors.push(error.in_source(text));
                skip_statement(&mut cursor, start);
            }
        }
    }
    if errors.is_empty() { Ok(parsed) } else { Err(errors) }
}

/// Steps behind the next semicolon, at least one token behind `start`.
fn skip_statement(cursor: &mut Cursor, start: Span) {
    if cursor.span().start == start.start && cursor.peek() != Some(&Token::SemiColon) {
        cursor.advance();
    }
    while !cursor.at_end() && !cursor.take(&Token::SemiColon) {
        cursor.advance();
    }
}

/// Parses a statement, with the semicolon behind it if it is one of a script.
fn statement(cursor: &mut Cursor, in_script: bool) -> Result<Box<dyn Statement>> {
    let start = cursor.span();
    for kind in ALL {
        let Some(statement) = (kind.parse)(cursor)? else { continue };
        if in_script && !cursor.take(&Token::SemiColon) {
            return Err(cursor.unexpected("; at the end of the statement"));
        }
        return Ok(statement);
    }
    let word = match cursor.peek() {
        Some(token) => token.to_string(),
        None => String::new(),
    };
    let known = ALL.iter().filter_map(|k| k.name.split(' ').next());
    let error = Error::syntax(format!("Unknown statement '{word}'")).at(start);
    let near = nearest(&word, known).filter(|near| !near.eq_ignore_ascii_case(&word));
    Err(near.map_or(error.clone(), |n| error.hint(format!("did you mean {n}?"))))
}

/// What a kept statement changed: the engine reads its text again when it starts.
pub fn compile_kept(text: &str, catalog: &Catalog, properties: &Properties) -> Result<Change> {
    let mut parsed = parse(text).map_err(|mut errors| errors.remove(0))?;
    let Some(only) = parsed.pop().filter(|_| parsed.is_empty()) else {
        return Err(Error::bug("a kept statement is one statement"));
    };
    let cx = Context { text: &only.text, catalog, properties, engine: None, now_ms: 0 };
    match only.statement.compile(&cx)? {
        Action::Change(change) => Ok(*change),
        _ => Err(Error::bug("a kept statement changes what exists")),
    }
}

/// Finds places of a text.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        let starts = std::iter::once(0).chain(memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1)).collect();
        Lines { text, starts }
    }

    fn byte(&self, position: crate::error::Position) -> usize {
        let start = self.starts.get(position.line as usize - 1).copied().unwrap_or(self.text.len());
        let line = &self.text[start..];
        let column = position.column as usize - 1;
        start + line.char_indices().nth(column).map_or(line.len(), |(at, _)| at)
    }

    fn slice(&self, span: Span) -> &'a str {
        &self.text[self.byte(span.start)..self.byte(span.end)]
    }
}

/// Whether these keywords come next, without a step.
fn starts_with(cursor: &Cursor, alternatives: &[&str]) -> bool {
    alternatives.iter().any(|keywords| cursor.is_keywords(keywords))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_parses_its_example_and_prints_it_alike() {
        for kind in ALL {
            let parsed = parse(kind.example).unwrap_or_else(|e| panic!("{}: {e:?}", kind.name));
            let printed = format!("{};", parsed[0].statement);
            let again = parse(&printed).unwrap_or_else(|e| panic!("{printed}: {e:?}"));
            assert_eq!(printed, format!("{};", again[0].statement), "{}", kind.name);
        }
    }

    #[test]
    fn every_bad_statement_is_reported() {
        let errors = parse("SELECT FROM s;\nSHOW STREAMS;\nCRATE STREAM s;\nDROP;").expect_err("bad");
        let places: Vec<u32> = errors.iter().filter_map(|e| e.span()).map(|s| s.start.line).collect();
        assert_eq!(places, [1, 3, 4]);
        assert_eq!(errors[1].advice(), Some("did you mean CREATE?"));
    }

    #[test]
    fn a_statement_keeps_its_text() {
        let parsed = parse("-- first\nSHOW  STREAMS ;\n\nSHOW 'ä', STREAMS;").or_else(|_| parse("SHOW  STREAMS ;"));
        assert_eq!(parsed.expect("good")[0].text, "SHOW  STREAMS ;");
    }
}
