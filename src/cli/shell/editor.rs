//! Typing in the shell: what can come next, colours, and when a statement is complete.

use std::borrow::Cow;

use rustyline::completion::{Completer, Pair};
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Helper};

use super::commands::is_command;
use super::is_complete;
use crate::config::PROPERTIES;
use crate::engine::Engine;
use crate::functions;
use crate::sql::lexer::{Lexeme, Token, lex};
use crate::sql::words::{is_keyword, quote_if_needed};
use crate::statements::next;

/// The line editor of the shell.
pub type Editor<'e> = rustyline::Editor<Assistant<'e>, DefaultHistory>;

/// What helps at typing.
pub struct Assistant<'e> {
    pub engine: &'e Engine,
    /// Whether somebody types; lines that are piped in are taken one by one.
    pub types: bool,
}

impl Helper for Assistant<'_> {}

impl Hinter for Assistant<'_> {
    type Hint = String;
}

impl Validator for Assistant<'_> {
    fn validate(&self, context: &mut ValidationContext) -> rustyline::Result<ValidationResult> {
        let text = context.input();
        let done = !self.types || text.trim().is_empty() || is_command(text) || is_complete(text);
        Ok(if done { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}

impl Completer for Assistant<'_> {
    type Candidate = Pair;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (start, words) = completions(self.engine, &line[..pos]);
        let pair = |word: String| Pair { display: word.clone(), replacement: word };
        Ok((start, words.into_iter().map(pair).collect()))
    }
}

/// Where the word begins that is being typed at the end of `text`, and what it can be.
fn completions(engine: &Engine, text: &str) -> (usize, Vec<String>) {
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
    let mut words = candidates(engine, before, quoted);
    let lower = typed.chars().any(|c| c.is_ascii_lowercase());
    if lower && !quoted {
        words.iter_mut().filter(|w| !w.starts_with('`')).for_each(|w| *w = w.to_lowercase());
    }
    words.retain(|word| word.get(..typed.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(typed)));
    words.sort_unstable();
    words.dedup();
    (start, words)
}

/// What can come behind `text`, or inside a quote there.
fn candidates(engine: &Engine, text: &str, quoted: bool) -> Vec<String> {
    let next = next(text);
    let catalog = engine.catalog();
    let mut words: Vec<String> = Vec::new();
    if next.properties {
        words.extend(PROPERTIES.iter().map(|p| if quoted { p.name.to_owned() } else { format!("'{}'", p.name) }));
    }
    if next.topics {
        words.extend(catalog.topics().map(|t| if quoted { t.name.clone() } else { format!("'{}'", t.name) }));
    }
    if quoted {
        return words;
    }
    words.extend(next.keywords.iter().map(|word| (*word).to_owned()));
    if next.sources {
        words.extend(catalog.sources().map(|s| quote_if_needed(&s.name)));
    }
    if next.columns {
        words.extend(catalog.sources().flat_map(|s| s.schema.columns()).map(|c| quote_if_needed(&c.name)));
    }
    if next.functions {
        words.extend(functions::names().map(|name| format!("{name}(")));
    }
    if next.queries {
        words.extend(catalog.queries().into_iter().map(|q| quote_if_needed(&q.id)));
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

    #[test]
    fn colours_show_what_is_what() {
        assert_eq!(coloured("select f(a) -- b"), "\x1b[1;34mselect\x1b[0m \x1b[36mf\x1b[0m(a) \x1b[2m-- b\x1b[0m");
        assert_eq!(coloured("'a' 1 'b"), "\x1b[32m'a'\x1b[0m \x1b[35m1\x1b[0m \x1b[31m'\x1b[0mb");
    }
}
