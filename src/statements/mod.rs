//! The statements: one file each, from text to what it does.
//!
//! A statement is a [`Statement`] with its syntax tree, its canonical text and its meaning. To add one, write its file and
//! its word in the list here.
//!
//! # Life of a statement
//!
//! | step | where | what it gives |
//! |---|---|---|
//! | parse | [`parse`], [`Kind::parse`] | a [`Parsed`] for each statement, or all syntax errors of the text |
//! | substitute | variables of the session | the same statement with values in the places of `${name}` |
//! | check | [`DryRun::check_all`] | the [`Nature`] of each statement of a script, or all refusals; nothing is done |
//! | compile | [`Statement::compile`] | an [`Action`]: what would be done, as a value |
//! | run | [`Session::run`] | an [`Outcome`], after the engine has committed the change |
//!
//! Compiling is pure: it reads the [`Context`] and changes nothing. The engine may compile a statement again against
//! a newer catalog before its change is applied, and once more from the kept text when it starts. So the same text
//! must mean the same with the same catalog, properties and variables.
//!
//! # The order of the kinds
//!
//! Several kinds begin with the same word. They are tried in the order of the list, each from the first word on,
//! until one returns a statement or an error. A kind that finds that another one is meant goes back to where it began
//! and returns `None`. What no kind has taken is refused, with everything that was looked for.

mod bounds;
mod check;
mod complete;
mod export;
mod format;
mod lines;
mod places;
mod reply;
mod session;
mod standing;

pub use assert_topic::Asserted;
pub use bounds::{check_bounds, foreign_bounds, own_bounds};
pub use complete::{Next, next};
pub use explain::HOST;
pub use export::export;
pub use format::format;
pub use insert_values::record_of;
pub use lines::{Portion, RecordLines};
pub use print_topic::Printed;
pub use reply::{Entity, Reply, Shown, fields};
pub use session::{DryRun, Nature, Outcome, Session, denied, execute};
pub use standing::Standing;

use std::any::Any;
use std::fmt;

use crate::catalog::Catalog;
use crate::config::Properties;
use crate::engine::{Change, Engine};
use crate::error::{Error, Result, Span, nearest};
use crate::plan::Plan;
use crate::plan::pull::Pull;
use crate::sql::bounds::{Bounds, lex_within};
use crate::sql::cursor::Cursor;
use crate::sql::lexer::{Lexed, lex, lex_at};
use crate::sql::slips::foreign;
use crate::sql::variables::Variables;
use crate::topics::Topic;
use crate::topics::record::RecordBatch;
use check::Touched;
use places::Lines;

macro_rules! shelf {
    ($($name:ident)*) => {
        $(mod $name;)*
        /// All kinds of statements, in the order in which they are tried.
        pub const ALL: &[&Kind] = &[$(&$name::KIND),*];
    };
}

shelf! {
    select
    create_as
    create_type
    create_topic
    create_connector
    create_source
    insert_select
    insert_values
    drop
    drop_topic
    drop_type
    drop_connector
    alter_topic
    alter
    alter_system
    terminate
    pause
    show
    describe_function
    describe_connector
    describe
    explain
    print_topic
    set
    unset
    define
    run_script
    assert_topic
    assert_schema
    assert_values
    assert_source
}

/// What somebody may do; each right has those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// Ask for rows, lists and descriptions.
    Read,
    /// Append records, too.
    Write,
    /// Change what exists, too.
    Admin,
}

impl Right {
    /// All of them, from the least on.
    pub const ALL: [Right; 3] = [Right::Read, Right::Write, Right::Admin];

    /// Its name, which is also that of the role that has it.
    pub fn name(self) -> &'static str {
        match self {
            Right::Read => "read",
            Right::Write => "write",
            Right::Admin => "admin",
        }
    }
}

/// A kind of statement.
///
/// A constant in the list [`ALL`]; help, completion and tests loop over it.
pub struct Kind {
    /// The words by which it is known, for messages and help.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// One that is parsed and printed as a test.
    pub example: &'static str,
    /// The words that it can begin with.
    ///
    /// Upper-case keywords. `parse` is called only if the next token is one of them.
    pub begins: &'static [&'static str],
    /// The least right that it needs where users have roles.
    pub needs: Right,
    /// Parses a statement of this kind; `None`, without a step, if another kind begins here.
    ///
    /// The semicolon is not part of it.
    ///
    /// # Errors
    /// Syntax, with the place. Nothing is looked up in the catalog here.
    pub parse: fn(&mut Cursor) -> Result<Option<Box<dyn Statement>>>,
}

/// A syntax tree that can be compared with any other; where it was written does not matter.
pub trait Tree: fmt::Debug {
    /// The tree as what it is.
    fn as_any(&self) -> &dyn Any;

    /// Whether the other tree says the same.
    fn same(&self, other: &dyn Tree) -> bool;
}

impl<T: PartialEq + fmt::Debug + 'static> Tree for T {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn same(&self, other: &dyn Tree) -> bool {
        other.as_any().downcast_ref::<T>() == Some(self)
    }
}

/// A statement. `Display` gives its canonical text, without the semicolon; with `{:#}`, every part of a clause on its own line.
///
/// Printing and parsing again gives an equal tree, for every statement: a test holds the examples of all kinds to it.
pub trait Statement: Tree + fmt::Display + Send + Sync {
    /// What the statement does, as of the given state of things. Nothing is done yet.
    ///
    /// # Errors
    /// By remedy: missing for a name that does not exist, conflict for one that is taken or in use, invalid for what
    /// contradicts itself or the types, unsupported for what this version does not do. Each has the place in the
    /// statement where it is known, and most say what to do instead.
    fn compile(&self, cx: &Context) -> Result<Action>;

    /// The statement with everything in it that it leaves to defaults, for messages; None if that is its own text, or
    /// cannot be said.
    fn completed(&self, _: &Context) -> Option<String> {
        None
    }

    /// What the statement makes, changes or removes. Where it is refused, the check of later ones takes that into account.
    ///
    /// By default nothing. It is taken from the tree alone, since a refused statement has no plan.
    fn touches(&self) -> Touched {
        Touched::default()
    }
}

impl PartialEq for dyn Statement {
    fn eq(&self, other: &Self) -> bool {
        self.same(other)
    }
}

/// What a statement is compiled against.
pub struct Context<'a> {
    /// The text of the statement.
    ///
    /// With variables replaced; it is kept with what the statement makes and read again when the engine starts.
    pub text: &'a str,
    /// What exists before the statement.
    pub catalog: &'a Catalog,
    /// The properties of the process, with those of the session over them.
    pub properties: &'a Properties,
    /// The variables of the session.
    pub variables: &'a Variables,
    /// The engine, for statements that show what it does; none where a kept statement is read again.
    pub engine: Option<&'a Engine>,
    /// The time, in milliseconds since the epoch, for records that do not say theirs.
    ///
    /// 0 where a kept statement is read again, since nothing then depends on it.
    pub now_ms: i64,
}

/// What a statement does.
///
/// A value, so that it can be checked, explained or thrown away.
pub enum Action {
    /// It changes what exists.
    ///
    /// One statement may have several effects; they become visible together.
    Change(Box<Change>),
    /// It appends a record.
    Insert(Insert),
    /// It shows something.
    Reply(Reply),
    /// It sets a property, given by name, to a value for the rest of the session.
    Set(String, String),
    /// It drops the session's own value of the property of this name.
    Unset(String),
    /// It gives a variable a value.
    Define(String, String),
    /// It takes a variable back.
    Undefine(String),
    /// It shows the rows of a table as of its last commit.
    Pull(Box<Pull>),
    /// It shows rows as they come.
    Push(Box<Plan>, Until),
    /// It shows the records of a topic as they come.
    Print(Printed),
    /// It waits until something is so, and fails if it does not become so.
    Assert(Asserted),
    /// It ends a query of this id whose rows are being shown.
    EndShown(String),
}

/// When a query that shows rows is over; else it goes on until its client leaves.
#[derive(Clone, Copy, Debug, Default)]
pub struct Until {
    /// After so many rows.
    pub rows: Option<usize>,
    /// When it has read the records that were there when it began; it then reads from the start.
    pub is_at_ends: bool,
}

impl Until {
    /// What a statement is that shows rows until then.
    fn nature(self) -> Nature {
        if self.is_at_ends { Nature::Scan } else { Nature::Push }
    }
}

/// A record to be appended.
pub struct Insert {
    /// The topic that gets the record.
    pub topic: std::sync::Arc<Topic>,
    /// The record's key, which decides the partition.
    ///
    /// As bytes in the key format of the source. Without a key any partition is right.
    pub key: Option<Vec<u8>>,
    /// A batch that holds just this record.
    ///
    /// With the time of the record already set.
    pub batch: RecordBatch,
}

/// A statement and the text that it was parsed from.
#[derive(Debug)]
pub struct Parsed {
    /// The syntax tree.
    pub statement: Box<dyn Statement>,
    /// The right that its kind needs.
    pub needs: Right,
    /// The part of the script that it was parsed from, or the canonical text once variables were replaced.
    pub text: String,
    /// Where it stands in the script.
    pub span: Span,
    /// How many tokens it has, the semicolon included.
    ///
    /// Formatting uses it to find the comments within the statement.
    pub tokens: usize,
}

/// How many bad statements of a text are reported; one with more is no script.
const MOST_ERRORS: usize = 1_000;

/// Parses a script. Every bad statement is reported, not only the first.
///
/// An empty text is an empty script. After a bad statement parsing goes on after its semicolon, or at the next word
/// on a new line that begins a statement if the semicolon is missing.
///
/// # Errors
/// All syntax errors in the order of the text, at most 1,000 and one that says so. Each has its line of
/// text.
pub fn parse(text: &str) -> Result<Vec<Parsed>, Vec<Error>> {
    parse_lexed(text, &lex(text), Bounds::NONE)
}

/// The same; a statement with more tokens than may be is refused before the memory for it is taken.
///
/// # Errors
/// As those of [`parse`].
pub fn parse_within(text: &str, bounds: Bounds) -> Result<Vec<Parsed>, Vec<Error>> {
    parse_lexed(text, &lex_within(text, bounds), bounds)
}

/// The same for a text that was cut into tokens.
fn parse_lexed(text: &str, lexed: &Lexed, bounds: Bounds) -> Result<Vec<Parsed>, Vec<Error>> {
    let mut cursor = Cursor::new(lexed);
    let lines = Lines::new(text);
    let (mut parsed, mut errors) = (Vec::new(), Vec::new());
    while !cursor.at_end() {
        if errors.len() == MOST_ERRORS {
            let message = format!("more than {MOST_ERRORS} statements are refused; the rest of the text is not read");
            errors.push(Error::syntax(message).at(cursor.span()));
            break;
        }
        let (start, mark) = (cursor.span(), cursor.mark());
        let within = check_bounds(lexed.lexemes.get(mark), bounds);
        match within.and_then(|()| statement(&mut cursor, true)) {
            Ok((statement, needs)) => {
                let span = cursor.since(start);
                let tokens = cursor.mark() - mark;
                let (first, last) = (&lexed.lexemes[mark], &lexed.lexemes[cursor.mark() - 1]);
                let text = text[first.at..last.at + last.text.len()].to_owned();
                parsed.push(Parsed { statement, needs, text, span, tokens });
            }
            Err(error) => {
                let line = error.span().map_or("", |span| lines.line(span.start));
                errors.push(error.in_line(line).shortened());
                skip_statement(&mut cursor, mark);
            }
        }
    }
    if errors.is_empty() { Ok(parsed) } else { Err(errors) }
}

/// The statement with the values of variables in their places, if there are any; its text is then the canonical one.
///
/// `None` if the text has no `${`: then the statement is used as it is.
///
/// # Errors
/// A variable is not defined or its value does not fit, or the statement with the values is not one.
fn with_variables(parsed: &Parsed, variables: &Variables) -> Result<Option<Parsed>> {
    if !parsed.text.contains("${") {
        return Ok(None);
    }
    let lexed = variables.put_into(lex_at(&parsed.text, parsed.span.start))?;
    let (statement, needs) = statement(&mut Cursor::new(&lexed), true)?;
    // Rights were checked before values were put in.
    if needs != parsed.needs {
        return Err(Error::invalid("values of variables may not make another kind of statement").at(parsed.span));
    }
    let text = format!("{statement};");
    Ok(Some(Parsed { statement, needs, text, span: parsed.span, tokens: parsed.tokens }))
}

/// Steps to the token after the semicolon of a bad statement that begins at `start`; not that far if another begins before, because the
/// semicolon is missing.
fn skip_statement(cursor: &mut Cursor, start: usize) {
    let missing = cursor.tried().contains(&";") && begins_line(cursor) && starts_statement(cursor);
    if missing && cursor.mark() > start {
        return;
    }
    while !cursor.at_end() && !cursor.take(";") {
        cursor.advance();
    }
}

/// Whether the next token is the first of its line.
fn begins_line(cursor: &Cursor) -> bool {
    cursor.span().start.line > cursor.last_span().end.line
}

/// Whether a statement can begin with the next token.
fn starts_statement(cursor: &Cursor) -> bool {
    first_words().any(|word| cursor.is(word))
}

/// The words that statements begin with.
fn first_words() -> impl Iterator<Item = &'static str> {
    ALL.iter().flat_map(|kind| kind.begins).copied()
}

/// Parses a statement, with the semicolon after it if it is one of a script; and the right that its kind needs.
fn statement(cursor: &mut Cursor, in_script: bool) -> Result<(Box<dyn Statement>, Right)> {
    let start = cursor.span();
    for kind in ALL {
        if !kind.begins.iter().any(|word| cursor.is_at(0, word)) {
            continue;
        }
        let Some(statement) = (kind.parse)(cursor)? else { continue };
        if in_script && !cursor.take(";") {
            let error = cursor.expected();
            // These two begin parts of a statement too, which more often have come too late.
            let is_part = ["SELECT", "WITH"].iter().any(|word| cursor.is(word));
            let another = starts_statement(cursor) && (begins_line(cursor) || !is_part);
            return Err(match another || cursor.at_end() {
                true => error.hint("a statement ends with a semicolon"),
                false => error,
            });
        }
        return Ok((statement, kind.needs));
    }
    Err(unknown(cursor, start))
}

/// The refusal of what no statement begins with.
///
/// If the first word is right, the error is about the word after it.
fn unknown(cursor: &mut Cursor, start: Span) -> Error {
    if starts_statement(cursor) {
        cursor.advance();
        return cursor.expected();
    }
    let word = cursor.text();
    let error = Error::syntax(format!("Unknown statement '{word}'")).at(start);
    let slip = if word == ";" { Some("there is nothing before this semicolon") } else { foreign(word) };
    let mut words: Vec<&str> = first_words().collect();
    words.sort_unstable();
    words.dedup();
    let all = format!("a statement begins with {}", words.join(", "));
    match (slip, nearest(word, first_words())) {
        (Some(hint), _) => error.hint(format!("{hint}; {all}")),
        (None, Some(near)) => error.hint(format!("did you mean {near}?")),
        (None, None) => error.hint(all),
    }
}

/// What a kept statement changed: the engine reads its text again when it starts.
///
/// Variables were replaced before the text was kept, so none are needed.
///
/// # Errors
/// A bug if the text is not one statement that changes something. A statement that this version refuses, though an
/// earlier one accepted it, gives its refusal.
pub fn compile_kept(text: &str, catalog: &Catalog, properties: &Properties) -> Result<Change> {
    let mut parsed = parse(text).map_err(|mut errors| errors.remove(0))?;
    let Some(only) = parsed.pop().filter(|_| parsed.is_empty()) else {
        return Err(Error::bug("a kept statement is one statement"));
    };
    let variables = Variables::default();
    let cx = Context { text: &only.text, catalog, properties, variables: &variables, engine: None, now_ms: 0 };
    match only.statement.compile(&cx)? {
        Action::Change(change) => Ok(*change),
        _ => Err(Error::bug("a kept statement changes what exists")),
    }
}

/// The refusal of a statement that this version knows and does not execute; `meanwhile` says what to do instead.
fn not_yet(what: impl fmt::Display, span: Span, meanwhile: &str) -> Error {
    Error::unsupported(format!("{what} statements")).at(span).hint(meanwhile)
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
            assert!(*parsed[0].statement == *again[0].statement, "{}", kind.name);
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
