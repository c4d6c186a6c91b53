//! Hints for usual mistakes: words and symbols of other languages, quotes, missing and superfluous signs.
//!
//! Hints are looked up only for a statement that is refused anyway, so they cost nothing for good ones. A hint names
//! what to write here; it never changes what the parser accepts.

use super::lexer::{Lexeme, Token};
use super::words::is_reserved;

/// Words of other languages, and what is written here instead.
///
/// Sorted by word. Words that are keywords here as well, such as DELETE, are hinted at only where they are refused.
const FOREIGN: &[(&str, &str)] = &[
    ("AUTO_INCREMENT", NO_CONSTRAINTS),
    ("BEGIN", NO_TRANSACTIONS),
    ("CASCADE", "drop what reads it first"),
    ("CHECK", NO_CONSTRAINTS),
    ("COMMIT", NO_TRANSACTIONS),
    ("CONSTRAINT", NO_CONSTRAINTS),
    ("CROSS", JOINS),
    ("DATABASE", "there are no databases: a folder of data is one"),
    ("DATABASES", "there are no databases: a folder of data is one"),
    ("DEFAULT", NO_CONSTRAINTS),
    ("DELETE", "a row of a table is deleted by a record with its key and no value"),
    ("DESC", "write DESCRIBE"),
    ("EXCEPT", "only UNION puts queries together"),
    ("FETCH", "the number of rows is written LIMIT n"),
    ("FILTER", "put the condition into the aggregate: SUM(CASE WHEN … THEN 1 ELSE 0 END)"),
    ("FUNCTION", "functions are built in: SHOW FUNCTIONS lists them"),
    ("GLOB", LIKE),
    ("GROUPBY", "write GROUP BY"),
    ("ILIKE", LIKE),
    ("INDEX", "a table is looked up by its primary key; there are no other indexes"),
    ("INTERSECT", "only UNION puts queries together"),
    ("LATERAL", JOINS),
    ("MATERIALIZED", "CREATE TABLE … AS SELECT keeps its result up to date"),
    ("MERGE", "INSERT INTO a table replaces the row with the same key"),
    ("NATURAL", JOINS),
    ("ORDERBY", "write ORDER BY"),
    ("OVERWRITE", "write INSERT INTO"),
    ("PRECISION", "the type is called DOUBLE"),
    ("QUALIFY", "select from a query in parentheses and filter that"),
    ("REFERENCES", NO_CONSTRAINTS),
    ("REGEXP", LIKE),
    ("RLIKE", LIKE),
    ("ROLLBACK", NO_TRANSACTIONS),
    ("ROWTYPE", "a structure is written STRUCT<name TYPE, …>"),
    ("SIMILAR", LIKE),
    ("TOP", "the number of rows is written LIMIT n, at the end of the query"),
    ("TRUNCATE", "DROP it with DELETE TOPIC and CREATE it again"),
    ("UNIQUE", NO_CONSTRAINTS),
    ("UNSIGNED", "there are INTEGER, BIGINT, DOUBLE and DECIMAL(p, s), all with a sign"),
    ("UPDATE", "INSERT INTO a table replaces the row with the same key"),
    ("UPSERT", "INSERT INTO a table replaces the row with the same key"),
    ("USE", "there are no databases: a folder of data is one"),
    ("USING", "name the columns: ON a.x = b.x"),
    ("VIEW", "CREATE TABLE … AS SELECT keeps its result up to date"),
    (
        "WATERMARK",
        "the property TIMESTAMP names the column of the time; a window's GRACE PERIOD says how late rows may be",
    ),
];
/// The hint where a name in double quotes was probably meant as text.
pub const DOUBLE_QUOTES: &str = "double quotes quote names; text stands in single quotes";
/// The hint where a function is used to make windows.
pub const WINDOWS: &str = "windows stand behind what is read: FROM s WINDOW TUMBLING (SIZE 5 MINUTES)";
const JOINS: &str = "joins are [INNER], LEFT, RIGHT and FULL JOIN, each with ON";
const LIKE: &str = "there are LIKE, with UCASE if case does not matter, and REGEXP_EXTRACT";
const NO_CONSTRAINTS: &str =
    "a column has a name, a type and perhaps [PRIMARY] KEY, HEADERS or HEADER('…'), nothing else";
const NO_TRANSACTIONS: &str = "there are no transactions: every statement is done as a whole";

/// What is written instead of a word of another language.
///
/// In any case of its letters.
pub fn foreign(word: &str) -> Option<&'static str> {
    FOREIGN.iter().find(|(known, _)| known.eq_ignore_ascii_case(word)).map(|(_, hint)| *hint)
}

/// The hint where `found` follows `before` and is not what was `expected`.
///
/// `expected` is the text after "expected" in the message, by which places are told apart: a comma after FROM is
/// another slip than one after LIMIT. `None` if nothing usual is seen. The first rule that fits decides, so special
/// rules stand before general ones.
pub fn slip(before: Option<&Lexeme>, found: &Lexeme, expected: &str) -> Option<String> {
    let last = before.map_or("", |l| l.text.as_ref());
    let hint = match (found.token, found.text.as_ref()) {
        (Token::Unclosed, "/*") => "this comment has no */ at its end",
        (Token::Unclosed, quote) => {
            return Some(format!("there is no {quote} that closes this one; within, {quote} is written twice"));
        }
        (Token::Quoted, name) if name.starts_with('"') => DOUBLE_QUOTES,
        (Token::Text, _) if expected.contains("name") => "a name stands without quotes, or in back-ticks",
        (Token::Symbol, "=") if last == "=" => "equality is written with one =",
        (Token::Symbol, sign @ ("<" | ">")) if last == "=" => return Some(format!("write {sign}= instead of ={sign}")),
        (Token::Symbol, "*") if last == "*" => "POWER(a, b) raises to a power",
        (Token::Symbol, ",") if expected.contains("JOIN") || expected.contains("clause") => {
            "further sources are added with JOIN … ON …"
        }
        (Token::Symbol, ",") if expected.contains("OFFSET") => "write LIMIT n OFFSET m",
        (Token::Symbol, ")" | ";") if last == "," => "there is a comma too many before it",
        (Token::Symbol, "=>") => "at least is written >=",
        (Token::Unknown, "&") => "conditions are joined with AND",
        (Token::Unknown, "|") => "texts are joined with || or CONCAT(a, b)",
        (Token::Unknown, "!") => "write NOT, or <> for not equal",
        (Token::Unknown, "^") => "POWER(a, b) raises to a power",
        (Token::Symbol, ".") if expected.contains("JOIN") || expected.contains("WITH (") => {
            "there are no databases and schemas: a stream or table has one name"
        }
        (Token::Symbol, ".") => "a field of a structure is reached with ->",
        (Token::Symbol, "-") if expected.contains("JOIN") || expected.contains("WITH (") => {
            "a name with a hyphen stands in back-ticks"
        }
        (Token::Symbol, "<") if last.eq_ignore_ascii_case("ROW") => "a structure is written STRUCT<name TYPE, …>",
        (Token::Unknown, ":") if expected == "a type" => "no colon stands between a name and its type",
        (Token::Unknown, ":") => "a type is changed with CAST(value AS type)",
        (Token::Unknown, "#") => "a comment begins with --",
        (Token::Unknown, "{") => "a structure is written STRUCT(name := value, …)",
        (Token::Unknown, "?" | "$") => "a variable is written ${name}",
        (Token::Unknown, text) if text.chars().all(char::is_alphabetic) => {
            "a name with such letters stands in back-ticks"
        }
        (Token::Word, word) if last == "," && is_reserved(word) => "there is a comma too many before it",
        (Token::Word, word) if word.eq_ignore_ascii_case("NOT") && expected.contains("KEY") => NO_CONSTRAINTS,
        (Token::Word, word) if foreign(word).is_some() => foreign(word)?,
        // It was taken for a name.
        _ if before.is_some_and(|l| l.token == Token::Word) => foreign(last)?,
        _ => return None,
    };
    Some(hint.to_owned())
}
