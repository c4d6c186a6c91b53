//! Errors, sorted by what the reader should do about them.

use std::fmt;

/// The result of an operation that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The text is not a statement of the language: correct the text.
    Syntax,
    /// The statement is understood and breaks a rule: change the statement.
    Invalid,
    /// Something that was named does not exist: create it, or correct the name.
    Missing,
    /// Something conflicts (exists already, is in use, has changed meanwhile): resolve that, or try again.
    Conflict,
    /// What a statement asserts is not so: make it so, or correct the statement.
    Assertion,
    /// One record cannot be processed: it is set aside and counted, the others go on.
    BadRecord,
    /// The statement is valid and this version cannot execute it yet.
    Unsupported,
    /// The environment is in the way: disk, rights, memory, ports, brokers.
    Backend,
    /// An assumption of the program does not hold: report it.
    Bug,
}

/// A limit that ended what was asked for; the rest of the engine goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// It needs more memory than it may have.
    Memory,
    /// It has taken longer than it may.
    Time,
    /// Its client does not want it any more.
    Cancelled,
}

/// How the message of every error of kind [`Kind::Unsupported`] begins.
pub const UNSUPPORTED: &str = "not supported by this version: ";

/// A position in a text: line and column count from 1, in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The line; the first is 1.
    pub line: u32,
    /// The character in the line; the first is 1.
    pub column: u32,
}

/// A stretch of a text, from its first character to the one after its last.
///
/// A span says where a node was written, which is not part of its meaning. So all spans are equal, and syntax trees
/// compare by meaning.
#[derive(Clone, Copy, Debug, Default)]
pub struct Span {
    /// The first character.
    pub start: Position,
    /// The character after the last.
    pub end: Position,
}

impl PartialEq for Span {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Span {}

impl std::hash::Hash for Span {
    fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
}

impl Span {
    /// The stretch from the start of `self` to the end of `other`.
    pub fn to(self, other: Span) -> Span {
        Span { start: self.start, end: other.end }
    }
}

/// What went wrong, where, and what helps.
#[derive(Clone)]
pub struct Error(Box<Inner>);

/// The parts of an error, in a box so that results stay small.
#[derive(Clone)]
struct Inner {
    kind: Kind,
    message: String,
    span: Option<Span>,
    hint: Option<String>,
    excerpt: Option<Excerpt>,
    disk_is_full: bool,
    limit: Option<Limit>,
    expected: Vec<String>,
    blamed: Blamed,
}

/// What of a statement an error is about, for answers that name it.
#[derive(Clone, Default)]
struct Blamed {
    /// The clause whose condition it is found in.
    clause: Option<&'static str>,
    /// The texts of the parts that are wrong, from the smallest on.
    parts: Vec<String>,
    /// Whether no part is to be named.
    is_whole: bool,
}

/// The part of a line that an error shows.
#[derive(Clone)]
struct Excerpt {
    text: String,
    /// How many characters of the line stand before it.
    before: usize,
}

/// How many characters of a line are shown before the place of an error, and after it.
const SHOWN: (usize, usize) = (100, 60);

macro_rules! constructors {
    ($($name:ident => $kind:ident),* $(,)?) => {
        $(
            #[doc = concat!("An error of kind [`Kind::", stringify!($kind), "`].")]
            pub fn $name(message: impl Into<String>) -> Self {
                Error::new(Kind::$kind, message)
            }
        )*
    };
}

impl Error {
    /// An error of `kind`; the message is a sentence for the person who has to act on it.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        let message = message.into();
        let (span, hint, excerpt) = (None, None, None);
        let (disk_is_full, limit, expected, blamed) = (false, None, Vec::new(), Blamed::default());
        Error(Box::new(Inner { kind, message, span, hint, excerpt, disk_is_full, limit, expected, blamed }))
    }

    constructors! {
        syntax => Syntax, invalid => Invalid, missing => Missing, conflict => Conflict, assertion => Assertion, bad_record => BadRecord,
        backend => Backend, bug => Bug,
    }

    /// An error of kind [`Kind::Unsupported`], for something that this version lacks. A hint says what to use
    /// meanwhile.
    pub fn unsupported(what: impl fmt::Display) -> Self {
        Error::new(Kind::Unsupported, format!("{UNSUPPORTED}{what}"))
    }

    /// The same error at a place of the statement's text, unless it has a place already.
    pub fn at(mut self, span: Span) -> Self {
        self.0.span.get_or_insert(span);
        self
    }

    /// The same error with advice, unless it has some already.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint.get_or_insert_with(|| hint.into());
        self
    }

    /// The same error with the known name that was probably meant by `name`, if there is one: the same in other letters
    /// of upper and lower case, or a misspelt one. `shown` writes a name as statements do.
    pub fn suggest<'a>(
        self,
        name: &str,
        known: impl IntoIterator<Item = &'a str> + Clone,
        shown: impl Fn(&str) -> String,
    ) -> Self {
        if let Some(other) = known.clone().into_iter().find(|k| k.to_uppercase() == name.to_uppercase()) {
            return self.hint(format!("it is {}: upper and lower case matter", shown(other)));
        }
        match nearest(name, known) {
            Some(near) => self.hint(format!("did you mean {}?", shown(near))),
            None => self,
        }
    }

    /// The same error, marked as caused by a full disk: what was tried can be tried again when there is room.
    pub fn by_full_disk(mut self) -> Self {
        self.0.disk_is_full = true;
        self.hint("make room on the disk")
    }

    /// The same error, marked as caused by a limit.
    pub fn by(mut self, limit: Limit) -> Self {
        self.0.limit = Some(limit);
        self
    }

    /// The limit that is the cause, if one is.
    pub fn limit(&self) -> Option<Limit> {
        self.0.limit
    }

    /// The same error of a parser, with what could stand at its place: keywords in upper case, symbols, and what is in
    /// lower case describes what was expected.
    pub fn expecting<'a>(mut self, words: impl IntoIterator<Item = &'a str>) -> Self {
        self.0.expected = words.into_iter().map(str::to_owned).collect();
        self
    }

    /// What could stand at the place of a syntax error.
    pub fn expected(&self) -> &[String] {
        &self.0.expected
    }

    /// The same error, traced to a part of the statement by its text. Traced again, it is to a larger part.
    pub fn in_part(mut self, part: impl FnOnce() -> String) -> Self {
        if !self.0.blamed.is_whole && self.0.kind != Kind::Unsupported {
            self.0.blamed.parts.push(part());
        }
        self
    }

    /// The same error, traced to the condition of a clause.
    pub fn in_condition(self, clause: &'static str, condition: impl FnOnce() -> String) -> Self {
        let mut traced = self.in_part(condition);
        if !traced.0.blamed.parts.is_empty() {
            traced.0.blamed.clause = Some(clause);
        }
        traced
    }

    /// The same error, of which no part is named: it is about the statement as a whole.
    pub fn in_whole(mut self) -> Self {
        self.0.blamed = Blamed { is_whole: true, ..Blamed::default() };
        self
    }

    /// The texts of the parts of the statement to which it was traced, from the smallest on.
    pub fn parts(&self) -> &[String] {
        &self.0.blamed.parts
    }

    /// The clause to whose condition it was traced.
    pub fn clause(&self) -> Option<&'static str> {
        self.0.blamed.clause
    }

    /// The same error with `context` before its message.
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.0.message = format!("{context}{}", self.0.message);
        self
    }

    /// The same error with another message.
    pub fn saying(mut self, message: impl Into<String>) -> Self {
        self.0.message = message.into();
        self
    }

    /// The same error, remembering the line of the text that its span points into.
    pub fn in_source(self, text: &str) -> Self {
        let number = self.0.span.map_or(0, |span| span.start.line.saturating_sub(1));
        self.in_line(text.split('\n').nth(number as usize).unwrap_or_default())
    }

    /// The same error, remembering the line that its span points into, or the part of it around the place.
    pub fn in_line(mut self, line: &str) -> Self {
        let column = self.0.span.map_or(0, |span| span.start.column.saturating_sub(1) as usize);
        let before = column.saturating_sub(SHOWN.0);
        let shown = || line.trim_end_matches('\r').chars().skip(before).take(SHOWN.0 + SHOWN.1).collect();
        self.0.excerpt.get_or_insert_with(|| Excerpt { text: shown(), before });
        self
    }

    /// The same error with its message cut to 1,000 characters, since it may quote megabytes.
    pub fn shortened(mut self) -> Self {
        const MOST: usize = 1_000;
        if let Some((at, _)) = self.0.message.char_indices().nth(MOST) {
            self.0.message.truncate(at);
            self.0.message.push('…');
        }
        self
    }

    /// What to do about it.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// Whether a full disk is the cause: what was tried can be tried again when there is room.
    pub fn is_by_full_disk(&self) -> bool {
        self.0.disk_is_full
    }

    /// The message alone, without place and advice.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Where in the text of the statements, if the error has a place.
    pub fn span(&self) -> Option<Span> {
        self.0.span
    }

    /// The advice, if there is any.
    pub fn advice(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The error as a person reads it: message, source line with a caret, advice.
    pub fn render(&self, file: Option<&str>) -> String {
        let mut text = format!("error: {}", self.0.message);
        if let Some(span) = self.0.span {
            let place = format!("{}:{}", span.start.line, span.start.column);
            match file {
                Some(file) => text.push_str(&format!("\n --> {file}:{place}")),
                None => text.push_str(&format!("\n --> line {place}")),
            }
            if let Some(excerpt) = &self.0.excerpt {
                text.push_str(&caret(excerpt, span));
            }
        }
        if let Some(hint) = &self.0.hint {
            text.push_str(&format!("\n  = help: {hint}"));
        }
        text
    }
}

/// The source line with carets under the span; a tab before the place is kept, so that the caret stands right.
fn caret(excerpt: &Excerpt, span: Span) -> String {
    let line = &excerpt.text;
    let place = |column: u32| (column.saturating_sub(1) as usize).saturating_sub(excerpt.before);
    let (column, length) = (place(span.start.column), line.chars().count());
    let end = if span.end.line == span.start.line { place(span.end.column) } else { length };
    let width = end.min(length).saturating_sub(column).max(1);
    let number = span.start.line.to_string();
    let margin = " ".repeat(number.len());
    let indent: String = line.chars().take(column).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    let cut = if excerpt.before > 0 { "…" } else { "" };
    let gap = " ".repeat(cut.chars().count());
    format!("\n{margin} |\n{number} | {cut}{line}\n{margin} | {gap}{indent}{}", "^".repeat(width))
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.0.kind, self.0.message)?;
        if let Some(span) = self.0.span {
            write!(f, " (at {}:{})", span.start.line, span.start.column)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Error::backend(error.to_string())
    }
}

/// The entry of `known` that is closest to `name`, if it is close enough to be a misspelling. A difference in upper and
/// lower case alone is none.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// Names are not longer; comparing longer texts would take long.
    const LONGEST: usize = 64;
    if name.len() > LONGEST {
        return None;
    }
    let wanted = name.to_uppercase();
    let limit = (wanted.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|candidate| (distance(&wanted, &candidate.to_uppercase()), candidate))
        .filter(|(d, _)| (1..=limit).contains(d))
        .min_by_key(|(d, _)| *d)
        .map(|(_, candidate)| candidate)
}

/// Optimal string alignment distance: insertions, deletions, replacements, and swaps of neighbours.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let replace = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replace.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caret_points_at_the_span() {
        let span = Span { start: Position { line: 2, column: 3 }, end: Position { line: 2, column: 6 } };
        let error =
            Error::invalid("no column FOO").at(span).in_source("SELECT\n\tAFOO\nFROM s").hint("did you mean AFOO?");
        assert_eq!(
            error.render(Some("q.sql")),
            "error: no column FOO\n --> q.sql:2:3\n  |\n2 | \tAFOO\n  | \t ^^^\n  = help: did you mean AFOO?"
        );
    }

    #[test]
    fn the_nearest_name_is_a_slip_away() {
        assert_eq!(nearest("COUTN", ["SUM", "COUNT"]), Some("COUNT"));
        assert_eq!(nearest("substing", ["SUBSTRING", "TRIM"]), Some("SUBSTRING"));
        assert_eq!(nearest("FOO", ["COUNT", "SUM"]), None);
    }

    #[test]
    fn nothing_is_suggested_that_was_written() {
        assert_eq!(nearest("select", ["SELECT", "SET"]), None);
        let advice = |name: &str| {
            let known = ["orders", "ORDER_LINES"];
            Error::missing("").suggest(name, known, |known| format!("`{known}`")).advice().map(str::to_owned)
        };
        assert_eq!(advice("ORDERS").as_deref(), Some("it is `orders`: upper and lower case matter"));
        assert_eq!(advice("ORDER_LINE").as_deref(), Some("did you mean `ORDER_LINES`?"));
        assert_eq!(advice("X"), None);
    }
}
