//! How ksqlDB words syntax errors.
//!
//! Its parser is generated (by ANTLR), and which words it has for an error depends on how far it has decided what is being
//! read:
//!
//! | what is read | message |
//! |---|---|
//! | a statement of a kind that is unknown | `Unknown statement 'X'`, and the nearest word |
//! | one of several things, not yet decided | `Syntax error at or near 'X'` |
//! | a reserved word, and what follows would fit | `"X" is a reserved keyword …` |
//! | a token that would fit after a missing one | `missing 'Y' at 'X'` |
//! | anything else | `Expecting {…}`; nothing if that would be more than three |

use super::nearby::{NEXT, Nearby};
use crate::error::Error;
use crate::sql::bounds::lex_near;
use crate::sql::words::is_reserved;

/// What ksqlDB says at the place of a syntax error in a text; None if our place is another one, as where a misspelt word
/// is found before the one at which it shows.
pub(super) fn worded(error: &Error, text: &str) -> Option<String> {
    let place = error.span().filter(|_| !text.is_empty())?.start;
    let lexed = lex_near(text, place);
    let at = lexed.lexemes.iter().position(|lexeme| lexeme.span.start >= place).unwrap_or(lexed.lexemes.len());
    let near = Nearby::new(&lexed.lexemes, at);
    let here = near.text(0);
    let message = error.message();
    if message.starts_with("Unknown statement '") {
        return Some(match near.start > 0 && is_reserved(here) {
            true => reserved(here),
            false => format!("Unknown statement '{here}'{}", near_statement(here)),
        });
    }
    if message.ends_with(" comes too late in the query, or twice") {
        return Some(too_late(&near));
    }
    // A misspelt word that was taken for a name is found later, and told where it stands.
    if error.expected().is_empty() {
        return None;
    }
    let shown = if here.is_empty() { "<EOF>" } else { here };
    if near.is_undecided(error.expected()) {
        return Some(format!("Syntax error at or near '{shown}' at line {}:{}", place.line, place.column));
    }
    Some(match Set::of(error.expected()) {
        Set::Wide if is_reserved(here) && near.fits(NEXT, error.expected()) => reserved(here),
        Set::Wide => String::new(),
        Set::Few(words) => few(&words, &near, shown),
    })
}

/// What is said where one of a few tokens could stand.
fn few(words: &[String], near: &Nearby, shown: &str) -> String {
    let has = |wanted: &str| words.iter().any(|word| word == wanted);
    let here = near.text(0);
    let ends_next = has("';'") && near.text(NEXT) == ";";
    if is_reserved(here) && (ends_next || (has("','") && near.is_after_comma())) {
        return reserved(here);
    }
    if ends_next {
        return "Expecting ';'".to_owned();
    }
    if has("';'") && (here.is_empty() || near.starts_statement()) {
        return format!("missing ';' at '{shown}'");
    }
    let all = match words {
        [only] => only.clone(),
        _ => format!("{{{}}}", words.join(", ")),
    };
    let is_one = words.len() == 1 || words.len() == UNITS.len();
    match is_one && near.fits_after(&words[0]) {
        true => format!("missing {all} at '{shown}'"),
        false if words.len() > MOST => String::new(),
        false => format!("Expecting {all}"),
    }
}

/// How many tokens are listed; of more, none is.
const MOST: usize = 3;

/// What is said of a clause that comes too late: what could stand there depends on how far the query has come.
fn too_late(near: &Nearby) -> String {
    match () {
        () if near.is_behind("LIMIT", 2) => "Expecting ';'".to_owned(),
        () if near.is_behind("EMIT", 2) => "Expecting {';', 'LIMIT'}".to_owned(),
        () => String::new(),
    }
}

fn reserved(word: &str) -> String {
    format!(
        "\"{word}\" is a reserved keyword and it can't be used as an identifier. You can use it as an identifier by \
         escaping it as '{word}' "
    )
}

/// What could stand at a place, as ksqlDB counts it.
enum Set {
    /// More than it lists: whatever begins an expression, a name or a type.
    Wide,
    Few(Vec<String>),
}

impl Set {
    fn of(expected: &[String]) -> Set {
        let mut words: Vec<String> = Vec::new();
        let goes_on = |word: &str| GOES_ON.contains(&word);
        let is_one_of_several = expected.iter().any(|word| !goes_on(word));
        for word in expected.iter().filter(|word| !goes_on(word)) {
            let Some(tokens) = tokens(word) else { continue };
            tokens.into_iter().for_each(|token| {
                if !words.contains(&token) {
                    words.push(token);
                }
            });
        }
        if words.iter().any(|word| !OPTIONAL.contains(&word.as_str())) {
            words.retain(|word| !OPTIONAL.contains(&word.as_str()));
        }
        // After a source come its alias, joins and clauses.
        if words.iter().any(|word| word == "'ON'") {
            words.retain(|word| word != "'WITH'");
        }
        words.sort_by_key(|word| ORDER.iter().position(|known| known == word).unwrap_or(ORDER.len()));
        match words.is_empty() || !is_one_of_several {
            true => Set::Wide,
            false => Set::Few(words),
        }
    }
}

/// What ksqlDB's parser has decided not to come before it looks for what must.
const OPTIONAL: &[&str] = &["'AS'", "'PRIMARY'", "'KEY'", "'HEADERS'", "'HEADER'", "'EXISTS'", "'NOT'", "'OFFSET'"];

/// The order in which ksqlDB numbers tokens, of those for which it matters here.
const ORDER: &[&str] = &["';'", "'('", "','", "')'"];

/// Words that can continue any expression or type.
const GOES_ON: [&str; 11] = ["AND", "OR", "IS", "IN", "LIKE", "BETWEEN", "AT TIME ZONE", "[", "ARRAY", "NOT", "ESCAPE"];

/// The tokens that a word of our parser stands for; None if it only describes something.
fn tokens(word: &str) -> Option<Vec<String>> {
    let quoted = |word: &str| format!("'{word}'");
    if word.ends_with("in single quotes") {
        return Some(vec!["STRING".to_owned()]);
    }
    match word {
        "a number or STRING" => Some(vec!["'STRING'".to_owned(), "INTEGER_VALUE".to_owned()]),
        "MILLISECONDS, SECONDS, MINUTES, HOURS or DAYS" => Some(UNITS.iter().map(|unit| quoted(unit)).collect()),
        // What is not followed by one of these is an alias.
        "CHANGES" | "FINAL" => Some([";", "WHERE", "GROUP", "EMIT"].map(quoted).to_vec()),
        _ if word.starts_with(|c: char| c.is_ascii_lowercase()) => None,
        _ => word.split(' ').next().map(|first| vec![quoted(first)]),
    }
}

/// Units of time.
const UNITS: [&str; 10] =
    ["DAY", "HOUR", "MINUTE", "SECOND", "MILLISECOND", "DAYS", "HOURS", "MINUTES", "SECONDS", "MILLISECONDS"];

/// The word with which a statement begins that is nearest to another one.
fn near_statement(word: &str) -> String {
    let distances = BEGINNINGS.iter().map(|known| (distance(word, known), known));
    distances
        .min_by_key(|(distance, _)| *distance)
        .map_or(String::new(), |(_, near)| format!("\nDid you mean '{near}'?"))
}

/// The words with which ksqlDB's statements begin, in the order of its tokens: of two that are equally near, it names the
/// first.
pub(super) const BEGINNINGS: &[&str] = &[
    "SELECT",
    "CREATE",
    "INSERT",
    "DESCRIBE",
    "PRINT",
    "EXPLAIN",
    "SHOW",
    "LIST",
    "TERMINATE",
    "PAUSE",
    "RESUME",
    "DROP",
    "SET",
    "DEFINE",
    "UNDEFINE",
    "UNSET",
    "ALTER",
    "ASSERT",
];

/// How many letters must be put in, left out or replaced to make one word of another, in any case.
fn distance(word: &str, known: &str) -> usize {
    let mut row: Vec<usize> = (0..=known.len()).collect();
    for (i, letter) in word.chars().enumerate() {
        let mut before = std::mem::replace(&mut row[0], i + 1);
        for (j, other) in known.chars().enumerate() {
            let replaced = before + usize::from(!letter.eq_ignore_ascii_case(&other));
            before = row[j + 1];
            row[j + 1] = replaced.min(before + 1).min(row[j] + 1);
        }
    }
    row[known.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a text, with the line and column before it.
    fn said(text: &str) -> String {
        let errors = crate::statements::parse(text).expect_err(text);
        let place = errors[0].span().expect("a place").start;
        format!("{}:{} {}", place.line, place.column, worded(&errors[0], text).unwrap_or_else(|| "ours".to_owned()))
    }

    #[test]
    fn an_unknown_statement_has_the_nearest_word() {
        for (text, near) in [("FOO BAR;", "SHOW"), ("THIS;", "SHOW"), ("UPDATE u;", "CREATE"), ("version;", "PRINT")] {
            let word = text.split([' ', ';']).next().expect("a word");
            assert_eq!(said(text), format!("1:1 Unknown statement '{word}'\nDid you mean '{near}'?"));
        }
        assert_eq!(said("'abc';"), "1:1 Unknown statement ''abc''\nDid you mean 'PAUSE'?");
        assert_eq!(said(";"), "1:1 Unknown statement ';'\nDid you mean 'SET'?");
        assert!(said("LIST TYPES; DELETE FROM U;").starts_with("1:13 \"DELETE\" is a reserved keyword"));
    }

    #[test]
    fn what_is_not_yet_decided_is_near_its_token() {
        for (text, place, token) in [
            ("LIST", "1:5", "<EOF>"),
            ("CREATE;", "1:7", ";"),
            ("CREATE STREAM SELECT (A INT);", "1:15", "SELECT"),
            ("INSERT INTO S SET A = 1;", "1:15", "SET"),
            ("SELECT K, (A + 1 FROM S;", "1:18", "FROM"),
            ("SELECT K, CASE ELSE 1 END FROM S;", "1:16", "ELSE"),
            ("SELECT * FROM S WHERE A IS;", "1:27", ";"),
        ] {
            assert_eq!(said(text), format!("{place} Syntax error at or near '{token}' at line {place}"));
        }
    }

    #[test]
    fn a_reserved_word_is_named_where_the_next_token_would_fit() {
        let reserved = |place: &str, word: &str| {
            format!(
                "{place} \"{word}\" is a reserved keyword and it can't be used as an identifier. You can use it as an \
                 identifier by escaping it as '{word}' "
            )
        };
        assert_eq!(said("SELECT V, FROM S;"), reserved("1:11", "FROM"));
        assert_eq!(said("SELECT K, A END FROM S;"), reserved("1:13", "END"));
        assert_eq!(said("CREATE STREAM X (K INT KEY, SIZE INT);"), reserved("1:29", "SIZE"));
        assert_eq!(said("SELECT K, LIMIT FROM S;"), "1:11 ", "FROM begins no expression");
    }

    #[test]
    fn a_missing_token_is_named_where_the_next_one_would_fit() {
        assert_eq!(said("LIST STREAMS"), "1:13 missing ';' at '<EOF>'");
        assert_eq!(said("SELECT * FROM S GROUP ID;"), "1:23 missing 'BY' at 'ID'");
        assert_eq!(said("CREATE STREAM O SELECT * FROM S;"), "1:17 missing ';' at 'SELECT'");
        assert_eq!(said("SELECT * FROM S WHERE A IN 1, 2;"), "1:28 missing '(' at '1'");
        assert_eq!(said("CREATE STREAM X (A ARRAY<INT);"), "1:29 missing '>' at ')'");
    }

    #[test]
    fn a_few_tokens_are_listed_and_more_are_not() {
        assert_eq!(said("CREATE STREAM X (A INT;"), "1:23 Expecting {',', ')'}");
        assert_eq!(said("CREATE STREAM X (A INT)) WITH (K='s');"), "1:24 Expecting {';', 'WITH'}");
        assert_eq!(said("SELECT * AS X FROM S;"), "1:10 Expecting {',', 'FROM'}");
        assert_eq!(said("SET x='y';"), "1:5 Expecting STRING");
        assert_eq!(said("CREATE STREAM X (K INT (KEY));"), "1:25 Expecting {'STRING', INTEGER_VALUE}");
        assert_eq!(said("SELECT * FROM S JOIN R WITHIN 1 HOUR;"), "1:37 Expecting {'GRACE', 'ON'}");
        assert_eq!(said("DESCRIBE S T;"), "1:12 Expecting ';'");
        assert_eq!(said("SELECT * FROM S EMIT CHANGES GROUP BY A;"), "1:30 Expecting {';', 'LIMIT'}");
        assert_eq!(said("INSERT INTO S VALUES (1,);"), "1:25 ");
        assert_eq!(said("SELECT * FROM S WHERE A = 1 && B = 1;"), "1:29 ");
    }

    #[test]
    fn a_misspelt_word_keeps_its_place_and_our_words() {
        assert_eq!(said("SELECT * FROM S WHER A = 1;"), "1:17 ours");
    }
}
