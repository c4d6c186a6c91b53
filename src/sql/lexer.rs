//! Text to tokens: sqlparser's tokenizer under the rules of ksqlDB's lexer.

use sqlparser::dialect::Dialect;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer, Whitespace};

use crate::error::{Error, Position, Result, Span};

/// ksqlDB's lexical rules: `a1@b` and `1R0` are identifiers, back-ticks and double quotes quote them.
#[derive(Debug)]
struct KsqlDialect;

impl Dialect for KsqlDialect {
    fn is_identifier_start(&self, c: char) -> bool {
        c.is_ascii_alphabetic() || c == '_'
    }

    fn is_identifier_part(&self, c: char) -> bool {
        c.is_ascii_alphanumeric() || c == '_' || c == '@'
    }

    fn is_delimited_identifier_start(&self, c: char) -> bool {
        c == '"' || c == '`'
    }

    fn supports_numeric_prefix(&self) -> bool {
        true
    }
}

/// A token that is neither white space nor a comment, and where it stands.
#[derive(Clone, Debug)]
pub struct Lexeme {
    pub token: Token,
    pub span: Span,
}

/// A comment that starts with `--@`: `--@name: text`.
#[derive(Clone, Debug, PartialEq)]
pub struct Directive {
    pub name: String,
    pub text: String,
    pub span: Span,
}

/// All tokens of a text, and its directives.
#[derive(Debug, Default)]
pub struct Lexed {
    pub lexemes: Vec<Lexeme>,
    pub directives: Vec<Directive>,
    /// Where the text ends.
    pub end: Position,
}

/// Cuts `text` into tokens; refuses an unclosed string, quoted name or comment.
pub fn lex(text: &str) -> Result<Lexed> {
    let mut raw = Vec::with_capacity(text.len() / 4);
    Tokenizer::new(&KsqlDialect, text).tokenize_with_location_into_buf(&mut raw).map_err(|error| {
        let start = position(error.location);
        let end = Position { column: start.column + 1, ..start };
        Error::syntax(format!("the text breaks off: {}", lower_first(&error.message))).at(Span { start, end })
    })?;
    let mut lexed = Lexed { end: end_of(text), ..Lexed::default() };
    for TokenWithSpan { token, span } in raw {
        let span = Span { start: position(span.start), end: position(span.end) };
        match token {
            Token::EOF => {}
            Token::Whitespace(Whitespace::SingleLineComment { comment, .. }) => {
                lexed.directives.extend(directive(&comment, span));
            }
            Token::Whitespace(_) => {}
            token => push(&mut lexed.lexemes, token, span),
        }
    }
    Ok(lexed)
}

/// `1.5abc` is a number and a name; the tokenizer takes it for one word.
fn push(lexemes: &mut Vec<Lexeme>, token: Token, span: Span) {
    if let Token::Word(word) = &token
        && word.quote_style.is_none()
        && word.value.contains('.')
    {
        let digits = word.value.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(word.value.len());
        let (number, name) = word.value.split_at(digits);
        let middle = Position { column: span.start.column + digits as u32, ..span.start };
        let number = Token::Number(number.to_owned(), false);
        lexemes.push(Lexeme { token: number, span: Span { start: span.start, end: middle } });
        lexemes.push(Lexeme { token: Token::make_word(name, None), span: Span { start: middle, end: span.end } });
        return;
    }
    lexemes.push(Lexeme { token, span });
}

fn directive(comment: &str, span: Span) -> Option<Directive> {
    let (name, text) = comment.strip_prefix('@')?.split_once(':')?;
    Some(Directive { name: name.to_owned(), text: text.trim().to_owned(), span })
}

fn position(location: Location) -> Position {
    Position { line: location.line as u32, column: location.column as u32 }
}

fn end_of(text: &str) -> Position {
    let line = text.matches('\n').count() as u32 + 1;
    let last = text.rsplit('\n').next().unwrap_or_default();
    Position { line, column: last.chars().count() as u32 + 1 }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}
