//! Names and keywords: what is reserved, how a name is stored and how it is printed.
//!
//! | written | kept as | printed as |
//! |---|---|---|
//! | `orders` | `ORDERS` | `ORDERS` |
//! | `` `orders` `` or `"orders"` | `orders` | `` `orders` `` |
//! | `` `ORDERS` `` | `ORDERS` | `ORDERS` |
//! | `` `select` `` | `select` | `` `select` `` |
//! | `` `a``b` `` | ``a`b`` | `` `a``b` `` |
//!
//! The lists of keywords are sorted, so that a word is found by a binary search; tests hold them to that and to what
//! the parsers look for. The reserved words are those of ksqlDB's grammar.

use std::fmt;

use crate::error::Span;
use crate::types::TimeUnit;

/// The words that cannot be a name unless they are quoted, sorted.
pub const RESERVED: &[&str] = &[
    "ADVANCE",
    "ALL",
    "AND",
    "AS",
    "AT",
    "BEGINNING",
    "BETWEEN",
    "BY",
    "CASE",
    "CAST",
    "CATALOG",
    "CONNECTOR",
    "CONNECTORS",
    "CREATE",
    "DAYS",
    "DECIMAL",
    "DELETE",
    "DESCRIBE",
    "DISTINCT",
    "DROP",
    "ELSE",
    "END",
    "EXISTS",
    "EXPORT",
    "EXTENDED",
    "FALSE",
    "FROM",
    "FULL",
    "GROUP",
    "HAVING",
    "HOPPING",
    "HOURS",
    "IN",
    "INNER",
    "INSERT",
    "INTO",
    "IS",
    "JOIN",
    "LEFT",
    "LIKE",
    "LIMIT",
    "LIST",
    "LOAD",
    "MATERIALIZED",
    "MILLISECOND",
    "MILLISECONDS",
    "MINUTES",
    "MONTHS",
    "NAMESPACE",
    "NOT",
    "NULL",
    "ON",
    "OR",
    "OUTER",
    "PAUSE",
    "PRINT",
    "PROPERTIES",
    "QUERIES",
    "QUERY",
    "RENAME",
    "RESUME",
    "RETENTION",
    "RIGHT",
    "RUN",
    "SAMPLE",
    "SCRIPT",
    "SECONDS",
    "SELECT",
    "SIZE",
    "STREAM",
    "STREAMS",
    "TABLE",
    "TERMINATE",
    "THEN",
    "TO",
    "TOPIC",
    "TOPICS",
    "TRUE",
    "TUMBLING",
    "UNSET",
    "VALUES",
    "VIEW",
    "WHEN",
    "WHERE",
    "WINDOW",
    "WITH",
    "WITHIN",
    "YEARS",
];

/// Keywords that can also be names, sorted.
///
/// A parser that takes one of these must be sure that a name cannot stand there, or look further ahead.
pub const NOT_RESERVED: &[&str] = &[
    "ADD",
    "ALTER",
    "ANALYZE",
    "ARRAY",
    "ASC",
    "ASSERT",
    "CHANGES",
    "COLUMN",
    "COLUMNS",
    "CURRENT",
    "DATE",
    "DAY",
    "DEFINE",
    "DESC",
    "EMIT",
    "ESCAPE",
    "EVERY",
    "EXPLAIN",
    "FINAL",
    "FIRST",
    "FOLLOWING",
    "FUNCTION",
    "FUNCTIONS",
    "GRACE",
    "HEADER",
    "HEADERS",
    "HOUR",
    "ID",
    "IF",
    "INTEGER",
    "INTERVAL",
    "KEY",
    "LAST",
    "MAP",
    "MINUTE",
    "MONTH",
    "NULLS",
    "OFFSET",
    "ORDER",
    "OVER",
    "PARTITION",
    "PARTITIONS",
    "PERIOD",
    "PLUGINS",
    "PRECEDING",
    "PRIMARY",
    "RANGE",
    "REPLACE",
    "RESET",
    "ROW",
    "ROWS",
    "SCHEMA",
    "SECOND",
    "SESSION",
    "SET",
    "SHOW",
    "SINK",
    "SOURCE",
    "STRING",
    "STRUCT",
    "SUBJECT",
    "SYSTEM",
    "TABLES",
    "TIME",
    "TIMEOUT",
    "TIMESTAMP",
    "TYPE",
    "TYPES",
    "UNBOUNDED",
    "UNDEFINE",
    "UNION",
    "VARIABLES",
    "YEAR",
    "ZONE",
];

/// Whether `word`, in any case, cannot be a name without quotes.
pub fn is_reserved(word: &str) -> bool {
    is_in(RESERVED, word)
}

/// Whether `word`, in any case, is a keyword of the language.
pub fn is_keyword(word: &str) -> bool {
    is_in(RESERVED, word) || is_in(NOT_RESERVED, word)
}

/// All keywords.
pub fn keywords() -> impl Iterator<Item = &'static str> {
    RESERVED.iter().chain(NOT_RESERVED).copied()
}

/// Whether a word, in any case, is in a sorted list of words in upper case.
fn is_in(sorted: &[&str], word: &str) -> bool {
    let order = |known: &&str| known.bytes().cmp(word.bytes().map(|b| b.to_ascii_uppercase()));
    sorted.binary_search_by(order).is_ok()
}

/// A name: kept in upper case if it was written without quotes, else as it was written; `${name}` if it is a variable.
///
/// Two names are equal if `name` is: where and how they were written does not count.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ident {
    /// The name as it is kept.
    pub name: String,
    /// Where it was written.
    pub span: Span,
    /// How it was quoted.
    pub quotes: Quotes,
}

/// Whether a name was written in double quotes, which other languages use for text. Like a [`Span`] it is not part of
/// the name's meaning, so all values are equal.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quotes {
    /// Whether they were double quotes.
    pub double: bool,
}

impl PartialEq for Quotes {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Quotes {}

impl std::hash::Hash for Quotes {
    fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
}

impl Ident {
    /// A name that was not read from a text.
    pub fn new(name: impl Into<String>) -> Self {
        Ident { name: name.into(), span: Span::default(), quotes: Quotes::default() }
    }

    /// Whether a variable stands for the name.
    pub fn is_variable(&self) -> bool {
        is_variable(&self.name)
    }
}

/// Whether this is `${name}`.
pub fn is_variable(text: &str) -> bool {
    let name = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).unwrap_or_default();
    is_plain_name(name)
}

/// Whether this is a name that needs no quotes, whatever it means.
///
/// Keywords pass too, and case does not matter.
pub fn is_plain_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '@')
}

impl fmt::Display for Ident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&quote_if_needed(&self.name))
    }
}

/// The name as it must be written to be read back: in back-ticks only where it has to be.
///
/// Quoted are names with lower-case letters, other characters than letters, digits, `_` and `@`, reserved words, and
/// ARRAY, MAP and STRUCT. Reading the result gives `name` again.
pub fn quote_if_needed(name: &str) -> String {
    // Some would be taken for the beginning of a constructor.
    let special = is_reserved(name) || ["ARRAY", "MAP", "STRUCT"].contains(&name);
    let plain = is_plain_name(name) && !name.contains(|c: char| c.is_ascii_lowercase()) && !special;
    if plain || is_variable(name) { name.to_owned() } else { format!("`{}`", name.replace('`', "``")) }
}

/// The text as a string literal.
///
/// In single quotes, each quote inside doubled. There are no escapes with backslashes.
pub fn string_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A length of time as it was written: `5 MINUTES`.
///
/// `count` may be negative where a sign was written; whether that makes sense is up to the clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Duration {
    /// How many units.
    pub count: i64,
    /// The unit.
    pub unit: TimeUnit,
    /// Where it was written.
    pub span: Span,
}

impl Duration {
    /// The length in milliseconds, as large as 64 bits allow.
    pub fn ms(&self) -> i64 {
        self.count.saturating_mul(self.unit.ms())
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = self.unit.name();
        let unit = if self.count == 1 { &plural[..plural.len() - 1] } else { plural };
        write!(f, "{} {unit}", self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_words_are_sorted_and_quoted() {
        assert!(RESERVED.is_sorted() && NOT_RESERVED.is_sorted());
        assert!(is_reserved("select") && is_keyword("emit") && !is_reserved("emit") && !is_keyword("x"));
        assert_eq!(quote_if_needed("SELECT"), "`SELECT`");
        assert_eq!(quote_if_needed("KEY"), "KEY");
        assert_eq!(quote_if_needed("a`b"), "`a``b`");
        assert_eq!(quote_if_needed("${x}"), "${x}");
        assert_eq!(quote_if_needed("1R0"), "`1R0`");
    }

    #[test]
    fn units_are_read_in_singular_and_plural() {
        assert_eq!(TimeUnit::parse("minute"), Some(TimeUnit::Minutes));
        assert_eq!(TimeUnit::parse("WEEKS"), None);
        let one = Duration { count: 1, unit: TimeUnit::Hours, span: Span::default() };
        assert_eq!((one.to_string().as_str(), one.ms()), ("1 HOUR", 3_600_000));
    }
}
