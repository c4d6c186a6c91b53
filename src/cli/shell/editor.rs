//! Typing in the shell: what can come next, and colours.
//!
//! What can come next is asked of the parser: the text up to the cursor is parsed, and the parser says which words it
//! would have taken. Names come from the catalog, functions and properties from their lists. So a new statement is
//! completed without a line here.

use std::borrow::Cow;

use rustyline::completion::{Completer, Pair};
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};

use super::with;
use crate::catalog::Catalog;
use crate::config::PROPERTIES;
use crate::engine::Engine;
use crate::functions;
use crate::sql::lexer::{Lexeme, Token, lex};
use crate::sql::words::{is_keyword, quote_if_needed};
use crate::statements::next;

/// The line editor of the shell.
pub(super) type Editor<'e> = rustyline::Editor<Assistant<'e>, DefaultHistory>;

/// What helps at typing.
pub(super) struct Assistant<'e> {
    pub engine: &'e Engine,
    /// Whether somebody types, who sees colours.
    pub types: bool,
    /// The lines of the statement that were typed before this one.
    ///
    /// With the line ends between them; empty at the start of a statement.
    pub before: String,
}

impl Helper for Assistant<'_> {}

impl Hinter for Assistant<'_> {
    type Hint = String;
}

/// Every line is taken as it is: the shell puts lines together, so that each has a prompt of its own.
impl Validator for Assistant<'_> {}

impl Completer for Assistant<'_> {
    type Candidate = Pair;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let text = format!("{}{}", self.before, &line[..pos]);
        let (start, words) = completions(&self.engine.catalog(), &text);
        // In a quote that a line before has opened, there is nothing to complete.
        let Some(start) = start.checked_sub(self.before.len()) else { return Ok((pos, Vec::new())) };
        let pair = |word: String| Pair { display: word.clone(), replacement: word };
        Ok((start, words.into_iter().map(pair).collect()))
    }
}

/// Where the word begins that is being typed at the end of `text`, and what it can be.
///
/// The place is in bytes from the start of `text`. Words follow the case of what was typed; they are sorted by rank and
/// then by name.
fn completions(catalog: &Catalog, text: &str) -> (usize, Vec<String>) {
    let lexed = lex(text);
    let last = lexed.lexemes.last();
    let open = lexed.lexemes.iter().rev().find(|l| l.token == Token::Unclosed);
    let start = match (open, last) {
        (Some(quote), _) => quote.at + 1,
        (None, Some(word)) if word.token == Token::Word && word.at + word.text.len() == text.len() => word.at,
        _ => text.len(),
    };
    let quoted = open.is_some();
    let before = &text[..start - usize::from(quoted)];
    let typed = &text[start..];
    let mut words = candidates(catalog, before, quoted);
    let lower = typed.chars().any(|c| c.is_ascii_lowercase());
    if lower && !quoted {
        words.iter_mut().filter(|(_, w)| !w.starts_with(['`', '\''])).for_each(|(_, w)| *w = w.to_lowercase());
    }
    words.retain(|(_, word)| word.get(..typed.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(typed)));
    words.sort_unstable();
    words.dedup();
    (start, words.into_iter().map(|(_, word)| word).collect())
}

/// The order in which words are listed: what a user has named comes before what the language has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Named,
    Keyword,
    Function,
}

/// What can come behind `text`, or inside a quote there.
///
/// With `quoted` only texts can come: names of topics and properties, and values.
fn candidates(catalog: &Catalog, text: &str, quoted: bool) -> Vec<(Rank, String)> {
    let as_text = |word: &str| if quoted { word.to_owned() } else { format!("'{word}'") };
    let mut words: Vec<(Rank, String)> = Vec::new();
    let mut add = |rank: Rank, all: &mut dyn Iterator<Item = String>| words.extend(all.map(|word| (rank, word)));
    let lexed = lex(text);
    let statement = lexed.lexemes.iter().rposition(|l| l.text == ";").map_or(0, |end| end + 1);
    let statement = &lexed.lexemes[statement..];
    if let Some(with) = with::next(statement, catalog) {
        match with.texts {
            true => add(Rank::Named, &mut with.words.iter().map(|word| as_text(word))),
            false if !quoted => add(Rank::Keyword, &mut with.words.into_iter()),
            false => {}
        }
        return words;
    }
    let next = next(text);
    if next.properties {
        add(Rank::Named, &mut PROPERTIES.iter().map(|p| as_text(p.name)));
    }
    if next.topics {
        add(Rank::Named, &mut catalog.topics().map(|t| as_text(&t.name)));
    }
    if quoted {
        return words;
    }
    add(Rank::Keyword, &mut next.keywords.iter().map(|word| (*word).to_owned()));
    if next.sources {
        add(Rank::Named, &mut catalog.sources().map(|s| quote_if_needed(&s.name)));
    }
    if next.columns {
        let is_named = |name: &str| statement.iter().any(|l| l.text.eq_ignore_ascii_case(name));
        let any = catalog.sources().any(|s| is_named(&s.name));
        let sources = catalog.sources().filter(|s| !any || is_named(&s.name));
        add(Rank::Named, &mut sources.flat_map(|s| s.schema.columns()).map(|c| quote_if_needed(&c.name)));
    }
    if next.functions {
        add(Rank::Function, &mut functions::names().map(|name| format!("{name}(")));
    }
    if next.queries {
        add(Rank::Named, &mut catalog.queries().into_iter().map(|q| quote_if_needed(&q.id)));
    }
    words
}

impl Highlighter for Assistant<'_> {
    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        Cow::Owned(coloured(line))
    }

    fn highlight_char(&self, _: &str, _: usize, _: CmdKind) -> bool {
        self.types
    }
}

const KEYWORD: &str = "1;34";
const FUNCTION: &str = "36";
const TEXT: &str = "32";
const NUMBER: &str = "35";
const COMMENT: &str = "2";
const WRONG: &str = "31";

/// The text with the colours of a terminal.
///
/// ANSI escapes around each token; the text itself stays as it is, so the cursor is where it should be.
fn coloured(text: &str) -> String {
    let lexed = lex(text);
    let colour = |place: usize, l: &Lexeme| match l.token {
        Token::Word if is_keyword(&l.text) => Some(KEYWORD),
        Token::Word if lexed.lexemes.get(place + 1).is_some_and(|next| next.text == "(") => Some(FUNCTION),
        Token::Text => Some(TEXT),
        Token::Number | Token::Variable => Some(NUMBER),
        Token::Unclosed | Token::Unknown => Some(WRONG),
        _ => None,
    };
    let tokens = lexed.lexemes.iter().enumerate();
    let mut pieces: Vec<(usize, usize, &str)> =
        tokens.filter_map(|(i, l)| Some((l.at, l.text.len(), colour(i, l)?))).collect();
    pieces.extend(lexed.comments.iter().map(|c| (c.at, c.text.len(), COMMENT)));
    pieces.sort_unstable();
    let (mut out, mut done) = (String::with_capacity(text.len() * 2), 0);
    for (at, length, colour) in pieces {
        out.push_str(&text[done..at]);
        done = at + length;
        out.extend(["\x1b[", colour, "m", &text[at..done], "\x1b[0m"]);
    }
    out.push_str(&text[done..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A catalog with what some statements make.
    fn catalog() -> std::sync::Arc<Catalog> {
        use crate::clock::ManualClock;
        use crate::config::Properties;
        use crate::engine::{Settings, Store};
        use crate::statements::{Session, compile_kept, parse};
        let settings = Settings::new(Store::Memory, std::sync::Arc::new(ManualClock::new()), compile_kept);
        let engine = Engine::open(settings).expect("an engine");
        let text =
            "CREATE STREAM logs (level STRING, bytes_sent INT) WITH (KAFKA_TOPIC='logs', PARTITIONS=1, VALUE_FORMAT='JSON');
            CREATE STREAM other (leak INT) WITH (KAFKA_TOPIC='o', PARTITIONS=1, VALUE_FORMAT='JSON');";
        let mut session = Session::new(&engine, Properties::default());
        for statement in parse(text).expect("statements") {
            session.run(&statement).expect("done");
        }
        engine.catalog()
    }

    #[test]
    fn what_can_be_typed_next_is_completed() {
        let catalog = catalog();
        let at = |text: &str| completions(&catalog, text).1;
        assert_eq!(at("CREATE STREAM x (a INT) WITH (KAFKA_T"), ["KAFKA_TOPIC="]);
        assert_eq!(at("create stream x with (value_f"), ["value_format="]);
        assert!(!at("CREATE STREAM x WITH (PARTITIONS=1, ").contains(&"PARTITIONS=".to_owned()));
        assert_eq!(at("CREATE STREAM x (a INT) WITH (KAFKA_TOPIC='l"), ["logs"]);
        assert_eq!(at("CREATE STREAM x (a INT) WITH (KAFKA_TOPIC="), ["'logs'", "'o'"]);
        assert_eq!(at("CREATE STREAM x (a INT) WITH (KAFKA_TOPIC='o', VALUE_FORMAT='j"), ["JSON"]);
        assert_eq!(at("CREATE STREAM x (a INT) WITH (WRAP_SINGLE_VALUE=t"), ["true"]);
        assert_eq!(at("SET 'auto.o"), ["auto.offset.reset"]);
        assert_eq!(at("PRINT 'l"), ["logs"]);
        // Columns come first, those of the sources that the statement names.
        let words = at("SELECT * FROM logs WHERE le");
        assert_eq!(words.first().map(String::as_str), Some("level"));
        assert!(words.contains(&"length(".to_owned()) || words.contains(&"len(".to_owned()), "{words:?}");
        assert!(!words.contains(&"leak".to_owned()));
        assert_eq!(&at("SELECT LE")[..2], ["LEAK", "LEVEL"]);
        assert!(at("SELECT 'some l").is_empty());
    }

    #[test]
    fn colours_show_what_is_what() {
        assert_eq!(coloured("select f(a) -- b"), "\x1b[1;34mselect\x1b[0m \x1b[36mf\x1b[0m(a) \x1b[2m-- b\x1b[0m");
        assert_eq!(coloured("'a' 1 'b"), "\x1b[32m'a'\x1b[0m \x1b[35m1\x1b[0m \x1b[31m'\x1b[0mb");
    }
}
