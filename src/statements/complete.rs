//! What can come next in a statement that is being typed.
//!
//! The text is parsed as a statement, and what the parser looked for at the very end is what can come next. So
//! completion needs no list of its own: it knows a new statement as soon as its parser does. Names are not looked up
//! here; the shell adds those that exist.

use super::statement;
use crate::sql::cursor::Cursor;
use crate::sql::lexer::{Token, lex};

/// What can come next.
#[derive(Debug, Default, PartialEq)]
pub struct Next {
    /// Words of the language, sorted, each once.
    pub keywords: Vec<&'static str>,
    /// Whether the name of a stream or table can come.
    pub sources: bool,
    /// Whether the name of a column or field can come.
    pub columns: bool,
    /// Whether the name of a function can come.
    pub functions: bool,
    /// Whether the name of a property can come.
    pub properties: bool,
    /// Whether the name of a topic can come.
    pub topics: bool,
    /// Whether the id of a query can come.
    pub queries: bool,
}

/// The words that an expression can begin with.
const EXPRESSION: &[&str] = &["ARRAY[", "CASE", "CAST(", "FALSE", "MAP(", "NOT", "NULL", "STRUCT(", "TRUE"];

/// What can come behind `text`, which is whole words; what is in an open quote is not part of it.
///
/// Only the last statement counts, from its semicolon on. Empty where the text is wrong before its end, or a quote is
/// open.
pub fn next(text: &str) -> Next {
    let lexed = lex(text);
    if lexed.lexemes.iter().any(|l| l.token == Token::Unclosed) {
        return Next::default();
    }
    let mut cursor = Cursor::new(&lexed);
    cursor.reset(lexed.lexemes.iter().rposition(|l| l.text == ";").map_or(0, |last| last + 1));
    if cursor.at_end() {
        return Next { keywords: super::first_words().collect(), ..Next::default() };
    }
    // Whether it is a statement already does not matter: what was looked for at the end is what can come there.
    let _ = statement(&mut cursor, true);
    if cursor.furthest() == lexed.lexemes.len() { wanted(cursor.furthest_tried()) } else { Next::default() }
}

/// Descriptions such as "the name of a column" are told from keywords by their lower case.
fn wanted(tried: &[&'static str]) -> Next {
    let mut next = Next::default();
    for what in tried {
        match *what {
            "an expression" => {
                next.keywords.extend(EXPRESSION);
                (next.columns, next.functions) = (true, true);
            }
            "the name of a function" => next.functions = true,
            word if word.contains("column") || word.contains("field") => next.columns = true,
            word if word.contains("stream or table") || word.contains("of a source") => next.sources = true,
            word if word.contains("property") => next.properties = true,
            word if word.contains("topic") => next.topics = true,
            word if word.contains("query") => next.queries = true,
            word if word.starts_with(|c: char| c.is_ascii_uppercase()) => next.keywords.push(word),
            _ => {}
        }
    }
    next.keywords.sort_unstable();
    next.keywords.dedup();
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_come_next_is_what_the_parser_looks_for() {
        let has = |text: &str, word: &str| next(text).keywords.contains(&word);
        assert!(has("", "CREATE") && has("SHOW STREAMS; ", "DESCRIBE"));
        assert!(has("CREATE ", "STREAM") && has("CREATE ", "TYPE") && has("CREATE OR REPLACE ", "TABLE"));
        assert!(
            has("SELECT a FROM s ", "WHERE")
                && has("SELECT a FROM s ", "EMIT")
                && has("SELECT a FROM s x ", "LEFT JOIN")
        );
        assert!(has("SHOW ", "TOPICS") && has("SELECT a FROM s WINDOW ", "HOPPING") && !has("SHOW ", "HOPPING"));
        assert!(next("DROP STREAM ").sources && next("SELECT * FROM ").sources);
        let items = next("SELECT a, ");
        assert!(items.columns && items.functions && items.keywords.contains(&"CASE"));
        assert!(next("SELECT a FROM s WHERE ").columns);
        assert!(next("SET ").properties && next("PRINT ").topics && next("TERMINATE ").queries);
    }
}
