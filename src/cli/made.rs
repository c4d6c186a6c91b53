//! What a statement makes or removes, as its text says it: by it a script is compared with what exists.

use crate::error::Result;
use crate::sql::cursor::Cursor;
use crate::sql::lexer::lex;

/// What stands for all queries in place of an id.
pub(super) const ALL: &str = "ALL";

/// What a statement makes or removes. Names are as a catalog stores them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Made {
    /// A stream or table; `is_query` if a query is started that writes it.
    Source {
        /// Whether it is a table.
        is_table: bool,
        /// Its name.
        name: String,
        /// Whether a query is started that writes it.
        is_query: bool,
    },
    /// A custom type.
    Type(String),
    /// A query that writes into a stream that is there already.
    Insert(String),
    /// Removes a stream or table.
    DropSource(String),
    /// Removes a custom type.
    DropType(String),
    /// Ends a query of this id, or all.
    Terminate(String),
    /// Nothing that has a name of these kinds.
    Nothing,
}

/// What a statement makes or removes.
///
/// # Errors
/// The text is no statement.
pub(super) fn made(text: &str) -> Result<Made> {
    let lexed = lex(text);
    let mut cursor = Cursor::new(&lexed);
    let has = |word: &str| lexed.lexemes.iter().any(|lexeme| lexeme.text.eq_ignore_ascii_case(word));
    if cursor.take("CREATE") {
        cursor.take("OR REPLACE");
        if cursor.take("TYPE") {
            cursor.take("IF NOT EXISTS");
            return Ok(Made::Type(cursor.ident("the name of a type")?.name.to_uppercase()));
        }
        cursor.take("SOURCE");
        let is_table = cursor.take("TABLE");
        if is_table || cursor.take("STREAM") {
            cursor.take("IF NOT EXISTS");
            return Ok(Made::Source { is_table, name: cursor.source_name()?.name, is_query: has("AS") });
        }
    } else if cursor.take("DROP") {
        let is_type = cursor.take("TYPE");
        if is_type || cursor.take("STREAM") || cursor.take("TABLE") {
            cursor.take("IF EXISTS");
            return Ok(match is_type {
                true => Made::DropType(cursor.ident("the name of a type")?.name.to_uppercase()),
                false => Made::DropSource(cursor.source_name()?.name),
            });
        }
    } else if cursor.take("INSERT INTO") {
        let name = cursor.source_name()?.name;
        // Values may hold no query of their own.
        return Ok(if has("SELECT") { Made::Insert(name) } else { Made::Nothing });
    } else if cursor.take("TERMINATE") {
        let is_all = cursor.take("ALL");
        return Ok(Made::Terminate(if is_all { ALL.to_owned() } else { cursor.ident("the id of a query")?.name }));
    }
    Ok(Made::Nothing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_say_what_they_make() {
        let source = |is_table, name: &str, is_query| Made::Source { is_table, name: name.to_owned(), is_query };
        for (text, expected) in [
            ("CREATE STREAM a (`as` INT) WITH (KAFKA_TOPIC='as');", source(false, "A", false)),
            ("create or replace table `b` as select * from a;", source(true, "b", true)),
            ("CREATE SOURCE TABLE IF NOT EXISTS c (k INT PRIMARY KEY);", source(true, "C", false)),
            ("CREATE TYPE IF NOT EXISTS t AS INT;", Made::Type("T".to_owned())),
            ("INSERT INTO a SELECT * FROM b;", Made::Insert("A".to_owned())),
            ("INSERT INTO a VALUES ('SELECT');", Made::Nothing),
            ("DROP TABLE IF EXISTS b DELETE TOPIC;", Made::DropSource("B".to_owned())),
            ("DROP TYPE t;", Made::DropType("T".to_owned())),
            ("TERMINATE CSAS_A_1;", Made::Terminate("CSAS_A_1".to_owned())),
            ("TERMINATE ALL;", Made::Terminate(ALL.to_owned())),
            ("SHOW STREAMS;", Made::Nothing),
        ] {
            assert_eq!(made(text).expect(text), expected, "{text}");
        }
    }
}
