//! What a text asks for: something about the connection, the catalog as PostgreSQL has it, or a statement of ours.

use std::borrow::Cow;

use super::catalog;
use super::parameters::Bound;
use super::refused::{Refused, code};
use super::settings::Settings;
use crate::catalog::Catalog;
use crate::sql::bounds::{Bounds, lex_within};
use crate::sql::lexer::{Lexed, Lexeme, Token, lex, unquoted};
use crate::statements::{self, check_bounds};

/// The first words of what would change something, here or in PostgreSQL.
const CHANGES: &[&str] = &[
    "INSERT",
    "UPDATE",
    "DELETE",
    "MERGE",
    "TRUNCATE",
    "CREATE",
    "ALTER",
    "DROP",
    "COPY",
    "GRANT",
    "REVOKE",
    "COMMENT",
    "VACUUM",
    "ANALYZE",
    "CALL",
    "DO",
    "LOCK",
    "REINDEX",
    "CLUSTER",
    "REFRESH",
    "IMPORT",
    "TERMINATE",
    "PAUSE",
    "RESUME",
    "REASSIGN",
    "SECURITY",
];

/// The first words of queries.
const QUERIES: &[&str] = &["SELECT", "WITH", "VALUES", "TABLE", "("];

/// One statement of a client.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    /// As the client wrote it, without the semicolon.
    pub text: String,
    /// How many characters of the client's text stand before it.
    pub before: usize,
    /// The first word, in upper case.
    pub word: String,
    pub asks: Asks,
}

/// What a statement asks for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Asks {
    Begin,
    /// The end of a transaction, and how it is told.
    End(&'static str),
    /// Nothing that has an effect here, and how that is told.
    Nothing(&'static str),
    /// A setting's new value.
    Set(String, String),
    /// The value of a setting.
    Show(String),
    /// The values of all settings.
    ShowAll,
    /// That settings are as they were.
    Reset,
    /// That a prepared statement, or all of them, be forgotten.
    Deallocate(Option<String>),
    /// Rows of the catalog.
    Catalog,
    /// What our language says.
    Ours,
}

/// The statements of a text, each with how many characters stand before it. Those that are empty are left out.
///
/// # Errors
/// One has more tokens than may be.
pub(super) fn split(text: &str, bounds: Bounds) -> Result<Vec<(usize, &str)>, Refused> {
    let lexed = lex_within(text, bounds);
    let all_fit = lexed.lexemes.iter().try_for_each(|lexeme| check_bounds(Some(lexeme), bounds));
    all_fit.map_err(|error| Refused::of(&error, text))?;
    let ends = lexed.lexemes.iter().filter(|lexeme| lexeme.text == ";" && lexeme.token == Token::Symbol);
    let (mut found, mut from, mut before) = (Vec::new(), 0, 0);
    for end in ends.map(|lexeme| lexeme.at).chain([text.len()]) {
        let piece = &text[from..end];
        if lexed.lexemes.iter().any(|lexeme| (from..end).contains(&lexeme.at)) {
            found.push((before, piece));
        }
        before += piece.chars().count() + 1;
        from = (end + 1).min(text.len());
    }
    Ok(found)
}

impl Statement {
    /// What a text of one statement asks for.
    ///
    /// # Errors
    /// It would change something.
    pub(super) fn read(
        (before, text): (usize, &str),
        settings: &Settings,
        catalog: &Catalog,
    ) -> Result<Statement, Refused> {
        let lexed = lex(text);
        let word = lexed.lexemes.first().map(|first| first.text.to_ascii_uppercase()).unwrap_or_default();
        let asks = match word.as_str() {
            word if CHANGES.contains(&word) => {
                let refused = Refused::new(code::READ_ONLY, format!("cannot execute {word}: this protocol only reads"));
                return Err(refused.hint("use tidemill shell --server, or the HTTP API"));
            }
            "SET" => of_set(&lexed)?,
            "SHOW" => of_show(&lexed, settings),
            word if QUERIES.contains(&word) => of_query(text, &lexed, catalog)?,
            _ => of_words(&lexed)?,
        };
        Ok(Statement { text: text.to_owned(), before, word, asks })
    }
}

/// The words of a statement from `from` on, as they are meant.
fn words<'a>(lexed: &'a Lexed, from: usize) -> Vec<Cow<'a, str>> {
    let meant = |lexeme: &'a Lexeme| match lexeme.token {
        Token::Quoted | Token::Text => Cow::Owned(unquoted(&lexeme.text)),
        _ => Cow::Borrowed(lexeme.text.as_ref()),
    };
    lexed.lexemes.iter().skip(from).map(meant).collect()
}

/// Whether the word at a place is one of some.
fn is_at(lexed: &Lexed, place: usize, any: &[&str]) -> bool {
    lexed.lexemes.get(place).is_some_and(|lexeme| any.iter().any(|word| lexeme.text.eq_ignore_ascii_case(word)))
}

fn of_words(lexed: &Lexed) -> Result<Asks, Refused> {
    let word = lexed.lexemes.first().map(|first| first.text.to_ascii_uppercase()).unwrap_or_default();
    let is_to_savepoint = is_at(lexed, 1, &["TO"]) || is_at(lexed, 2, &["TO"]);
    Ok(match word.as_str() {
        "BEGIN" => Asks::Begin,
        "START" => Asks::Begin,
        "COMMIT" | "END" => Asks::End("COMMIT"),
        "ROLLBACK" if is_to_savepoint => Asks::Nothing("ROLLBACK"),
        "ROLLBACK" | "ABORT" => Asks::End("ROLLBACK"),
        "SAVEPOINT" => Asks::Nothing("SAVEPOINT"),
        "RELEASE" => Asks::Nothing("RELEASE"),
        "UNLISTEN" => Asks::Nothing("UNLISTEN"),
        "DISCARD" | "RESET" => Asks::Reset,
        "DEALLOCATE" => {
            let names = words(lexed, if is_at(lexed, 1, &["PREPARE"]) { 2 } else { 1 });
            let name = names.first().map(|name| name.to_string()).unwrap_or_default();
            Asks::Deallocate((!name.eq_ignore_ascii_case("ALL")).then_some(name))
        }
        "LISTEN" | "NOTIFY" | "DECLARE" | "FETCH" | "MOVE" | "PREPARE" | "EXECUTE" | "PRINT" | "RUN" | "DEFINE"
        | "UNDEFINE" => {
            return Err(Refused::new(code::UNSUPPORTED, format!("{word} is not supported by this protocol")));
        }
        _ => Asks::Ours,
    })
}

/// `SET name TO value`; properties of ours stand in quotes.
fn of_set(lexed: &Lexed) -> Result<Asks, Refused> {
    if lexed.lexemes.get(1).is_some_and(|lexeme| lexeme.token == Token::Text) {
        return Ok(Asks::Ours);
    }
    let from = if is_at(lexed, 1, &["SESSION", "LOCAL"]) { 2 } else { 1 };
    if is_at(lexed, from, &["TRANSACTION", "CHARACTERISTICS"]) {
        return Ok(Asks::Nothing("SET"));
    }
    if is_at(lexed, from, &["TIME"]) && is_at(lexed, from + 1, &["ZONE"]) {
        return Ok(Asks::Set("TimeZone".to_owned(), words(lexed, from + 2).concat()));
    }
    if is_at(lexed, from, &["NAMES"]) {
        return Ok(Asks::Set("client_encoding".to_owned(), words(lexed, from + 1).concat()));
    }
    let is_to = |lexeme: &Lexeme| lexeme.text == "=" || lexeme.text.eq_ignore_ascii_case("TO");
    let Some(to) = lexed.lexemes.iter().position(is_to).filter(|to| *to > from) else {
        return Err(Refused::new(code::SYNTAX, "SET needs a name, '=' or TO, and a value"));
    };
    let all = words(lexed, 0);
    Ok(Asks::Set(all[from..to].concat(), all[to + 1..].concat()))
}

/// `SHOW name`; what is no setting is ours.
fn of_show(lexed: &Lexed, settings: &Settings) -> Asks {
    let name = words(lexed, 1).join(" ");
    match name.to_ascii_lowercase().as_str() {
        "transaction isolation level" => Asks::Show("transaction_isolation".to_owned()),
        "time zone" => Asks::Show("TimeZone".to_owned()),
        "all" => Asks::ShowAll,
        _ if settings.get(&name).is_some() => Asks::Show(name),
        _ => Asks::Ours,
    }
}

fn of_query(text: &str, lexed: &Lexed, catalog: &Catalog) -> Result<Asks, Refused> {
    let own = |lexeme: &Lexeme| name_of(lexeme).is_some_and(|name| is_own(&name, catalog));
    let is_catalogs = |lexeme: &Lexeme| {
        let Some(name) = name_of(lexeme) else { return false };
        let lower = name.to_ascii_lowercase();
        (lower == "pg_catalog" || lower == "information_schema" || lower.starts_with("pg_")) && !is_own(&name, catalog)
    };
    if lexed.lexemes.iter().any(is_catalogs) {
        return Ok(Asks::Catalog);
    }
    let bound = Bound::new(text, |_| Ok("NULL".to_owned()))?;
    let is_ours = statements::parse(&ours(&bound.text, catalog)).is_ok();
    let is_catalogs = !is_ours && !lexed.lexemes.iter().any(own) && catalog::is_query(text);
    Ok(if is_catalogs { Asks::Catalog } else { Asks::Ours })
}

/// The name that a token may be.
fn name_of(lexeme: &Lexeme) -> Option<String> {
    match lexeme.token {
        Token::Word => Some(lexeme.text.to_string()),
        Token::Quoted => Some(unquoted(&lexeme.text)),
        _ => None,
    }
}

/// Whether a name, as a client of PostgreSQL writes it, is that of a stream or a table.
fn is_own(name: &str, catalog: &Catalog) -> bool {
    catalog.source(name).is_some() || catalog.source(&name.to_ascii_uppercase()).is_some()
}

/// A statement as our language has it: names in double quotes that are in lower case are those that need no quotes, and
/// the schema `public` is left out. Every character stays in its place; a semicolon comes last.
pub(super) fn ours(text: &str, catalog: &Catalog) -> String {
    let lexed = lex(text);
    let mut bytes = text.as_bytes().to_vec();
    let is_plain = |name: &str| {
        let is_part = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        !name.is_empty() && name.bytes().all(is_part) && !name.starts_with(|c: char| c.is_ascii_digit())
    };
    for (place, lexeme) in lexed.lexemes.iter().enumerate() {
        let range = lexeme.at..lexeme.at + lexeme.text.len();
        let name = name_of(lexeme).unwrap_or_default();
        let follows = |ahead: usize, text: &str| lexed.lexemes.get(place + ahead).is_some_and(|next| next.text == text);
        let is_after_point = place > 0 && lexed.lexemes[place - 1].text == ".";
        if name.eq_ignore_ascii_case("public") && follows(1, ".") && !is_after_point && !is_own(&name, catalog) {
            let end = lexed.lexemes[place + 1].at + 1;
            bytes[range.start..end].iter_mut().filter(|b| **b != b'\n').for_each(|b| *b = b' ');
        } else if lexeme.text.starts_with('"') && is_plain(&name) && catalog.source(&name).is_none() {
            bytes[range].make_ascii_uppercase();
        }
    }
    bytes.push(b'\n');
    bytes.push(b';');
    String::from_utf8(bytes).expect("only ASCII bytes have changed, to ASCII ones")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_split_at_semicolons_outside_of_quotes() {
        let split = split("SELECT 'ä;'; -- ;\n;SELECT 2;", Bounds::NONE).expect("within the bounds");
        assert_eq!(split, [(0, "SELECT 'ä;'"), (19, "SELECT 2")]);
    }

    #[test]
    fn names_are_folded_in_their_places() {
        let catalog = Catalog::default();
        let text = "SELECT \"public\".\"orders\".\"id\", \"Mixed\", 'public.\"x\"' FROM public.orders";
        let expected = "SELECT          \"ORDERS\".\"ID\", \"Mixed\", 'public.\"x\"' FROM        orders\n;";
        assert_eq!(ours(text, &catalog), expected);
    }

    #[test]
    fn statements_about_the_connection_are_known() {
        let asks = |text: &str| {
            Statement::read((0, text), &Settings::default(), &Catalog::default()).map(|statement| statement.asks)
        };
        let set = |name: &str, value: &str| Asks::Set(name.to_owned(), value.to_owned());
        assert_eq!(asks("set session DateStyle to 'ISO, MDY'").expect("SET"), set("DateStyle", "ISO, MDY"));
        assert_eq!(asks("SET extra_float_digits = 3").expect("SET"), set("extra_float_digits", "3"));
        assert_eq!(asks("SET TIME ZONE 'UTC'").expect("SET"), set("TimeZone", "UTC"));
        assert_eq!(asks("SET 'auto.offset.reset'='earliest'").expect("SET"), Asks::Ours);
        assert_eq!(
            asks("SET x").expect_err("no value").after(0).response(false).encode(&mut Default::default()).ok(),
            Some(())
        );
        assert_eq!(asks("SHOW server_version").expect("SHOW"), Asks::Show("server_version".to_owned()));
        assert_eq!(asks("SHOW TABLES").expect("SHOW"), Asks::Ours);
        assert_eq!(asks("ROLLBACK TO SAVEPOINT a").expect("ROLLBACK"), Asks::Nothing("ROLLBACK"));
        assert_eq!(asks("DEALLOCATE \"s1\"").expect("DEALLOCATE"), Asks::Deallocate(Some("s1".to_owned())));
        assert_eq!(asks("SELECT version()").expect("a query"), Asks::Catalog);
        assert_eq!(asks("SELECT * FROM Pg_Class").expect("a query"), Asks::Catalog);
        assert_eq!(asks("SELECT a FROM t WHERE a = $1").expect("a query"), Asks::Ours);
        assert!(asks("UPDATE t SET a = 1").is_err());
    }
}
