//! What can be typed inside of a WITH clause: the names of its properties, and their values.

use crate::catalog::Catalog;
use crate::formats;
use crate::plan::with::names;
use crate::sql::lexer::{Lexeme, Token};

/// What can come at a place of a WITH clause.
pub(super) struct Words {
    pub words: Vec<String>,
    /// Whether they are texts, which stand in quotes.
    pub texts: bool,
}

/// What can come after these lexemes, if they end inside of a WITH clause.
///
/// `None` if they do not.
pub(super) fn next(lexemes: &[Lexeme], catalog: &Catalog) -> Option<Words> {
    let clause = open_clause(lexemes)?;
    let plain = |words: Vec<String>| Some(Words { words, texts: false });
    match clause {
        [.., name, equals] if equals.text == "=" => Some(values(&name.text.to_uppercase(), catalog)),
        [] => plain(unused(clause)),
        [.., last] if last.text == "," => plain(unused(clause)),
        [.., equals, _] if equals.text == "=" => plain(vec![",".to_owned(), ")".to_owned()]),
        _ => plain(vec!["=".to_owned()]),
    }
}

/// What stands in the WITH clause that is open at the end: behind its parenthesis, in which there are no others.
fn open_clause<'a>(lexemes: &'a [Lexeme]) -> Option<&'a [Lexeme<'a>]> {
    let open = lexemes.iter().rposition(|l| matches!(l.text.as_ref(), "(" | ")" | ";"))?;
    let is_with = |l: &Lexeme| l.token == Token::Word && l.text.eq_ignore_ascii_case("WITH");
    (lexemes[open].text == "(" && open > 0 && is_with(&lexemes[open - 1])).then(|| &lexemes[open + 1..])
}

/// The names of the properties that the clause does not have yet.
fn unused(clause: &[Lexeme]) -> Vec<String> {
    let used = |name: &str| clause.iter().any(|l| l.token == Token::Word && l.text.eq_ignore_ascii_case(name));
    names().filter(|name| !used(name)).map(|name| name + "=").collect()
}

/// The values of a property, as far as they are known.
///
/// Empty for a property whose values are free, such as a number.
fn values(name: &str, catalog: &Catalog) -> Words {
    let texts = |words: Vec<String>| Words { words, texts: true };
    match name {
        "KAFKA_TOPIC" => texts(catalog.topics().map(|topic| topic.name.clone()).collect()),
        "FORMAT" | "KEY_FORMAT" | "VALUE_FORMAT" => texts(formats::ALL.iter().map(|f| f.name().to_owned()).collect()),
        "WINDOW_TYPE" => texts(["TUMBLING", "HOPPING", "SESSION"].map(str::to_owned).to_vec()),
        "WRAP_SINGLE_VALUE" => Words { words: ["TRUE", "FALSE"].map(str::to_owned).to_vec(), texts: false },
        "TIMESTAMP" => texts(catalog.sources().flat_map(|s| s.schema.columns()).map(|c| c.name.clone()).collect()),
        _ => texts(Vec::new()),
    }
}
