//! A place in a sequence of tokens, with what every parser needs: look, take, expect, refuse.

use sqlparser::tokenizer::{Token, Word};

use super::lexer::Lexeme;
use super::words::{Duration, Ident, is_reserved};
use crate::error::{Error, Position, Result, Span, nearest};
use crate::types::TimeUnit;

/// How deep expressions, types and operator chains may nest.
///
/// What walks over a syntax tree recurses; this bound keeps every walk far from the end of a worker's stack.
pub const MAX_DEPTH: usize = 400;

/// A place in the tokens of one statement or script.
pub struct Cursor<'a> {
    lexemes: &'a [Lexeme],
    next: usize,
    end: Position,
    depth: usize,
}

impl<'a> Cursor<'a> {
    /// A cursor before the first token; `end` is where the text ends.
    pub fn new(lexemes: &'a [Lexeme], end: Position) -> Self {
        Cursor { lexemes, next: 0, end, depth: 0 }
    }

    /// The token `ahead` places further, 0 being the next one.
    pub fn peek_at(&self, ahead: usize) -> Option<&'a Token> {
        self.lexemes.get(self.next + ahead).map(|l| &l.token)
    }

    /// The next token.
    pub fn peek(&self) -> Option<&'a Token> {
        self.peek_at(0)
    }

    /// Whether nothing is left.
    pub fn at_end(&self) -> bool {
        self.next >= self.lexemes.len()
    }

    /// Where the next token stands; behind the last one, the end of the text.
    pub fn span(&self) -> Span {
        self.lexemes.get(self.next).map_or(Span { start: self.end, end: self.end }, |l| l.span)
    }

    /// Where the token before stands.
    pub fn last_span(&self) -> Span {
        self.next.checked_sub(1).and_then(|i| self.lexemes.get(i)).map_or(Span::default(), |l| l.span)
    }

    /// The stretch from `start` to the token before.
    pub fn since(&self, start: Span) -> Span {
        start.to(self.last_span())
    }

    /// Steps over the next token.
    pub fn advance(&mut self) {
        self.next += 1;
    }

    /// A mark to go back to.
    pub fn mark(&self) -> usize {
        self.next
    }

    /// Back to a mark.
    pub fn reset(&mut self, mark: usize) {
        self.next = mark;
    }

    /// Steps over the next token if it is `token`.
    pub fn take(&mut self, token: &Token) -> bool {
        let found = self.peek() == Some(token);
        self.next += usize::from(found);
        found
    }

    /// Steps over `token` or refuses what stands there; `what` says in the user's words what was expected.
    pub fn expect(&mut self, token: &Token, what: &str) -> Result<()> {
        if self.take(token) { Ok(()) } else { Err(self.unexpected(what)) }
    }

    /// The unquoted word `ahead` places further.
    fn word_at(&self, ahead: usize) -> Option<&'a str> {
        match self.peek_at(ahead) {
            Some(Token::Word(Word { value, quote_style: None, .. })) => Some(value),
            _ => None,
        }
    }

    /// Whether the word `ahead` places further is this keyword, in any case.
    pub fn is_keyword_at(&self, ahead: usize, keyword: &str) -> bool {
        self.word_at(ahead).is_some_and(|w| w.eq_ignore_ascii_case(keyword))
    }

    /// Whether the next tokens are these keywords, separated by blanks in `keywords`.
    pub fn is_keywords(&self, keywords: &str) -> bool {
        keywords.split(' ').enumerate().all(|(i, keyword)| self.is_keyword_at(i, keyword))
    }

    /// Steps over these keywords if they come next.
    pub fn take_keywords(&mut self, keywords: &str) -> bool {
        let found = self.is_keywords(keywords);
        if found {
            self.next += keywords.split(' ').count();
        }
        found
    }

    /// Steps over these keywords or refuses what stands there.
    pub fn expect_keywords(&mut self, keywords: &str) -> Result<()> {
        for keyword in keywords.split(' ') {
            if !self.take_keywords(keyword) {
                return Err(self.unexpected(keyword));
            }
        }
        Ok(())
    }

    /// A name: a quoted one, or a word that is not reserved.
    pub fn ident(&mut self, what: &str) -> Result<Ident> {
        let span = self.span();
        let Some(Token::Word(word)) = self.peek() else { return Err(self.unexpected(what)) };
        if word.quote_style.is_some() {
            if word.value.is_empty() {
                return Err(Error::syntax("a quoted name is empty").at(span));
            }
            self.advance();
            return Ok(Ident { name: word.value.clone(), span });
        }
        let upper = word.value.to_ascii_uppercase();
        if is_reserved(&upper) {
            let message = format!("\"{}\" is a reserved keyword and it can't be used as an identifier", word.value);
            let hint = format!("write it as `{}` in back-ticks to use it as a name", word.value);
            return Err(Error::syntax(message).at(span).hint(hint));
        }
        self.advance();
        Ok(Ident { name: upper, span })
    }

    /// Whether a name comes next.
    pub fn is_ident(&self) -> bool {
        match self.peek() {
            Some(Token::Word(w)) => w.quote_style.is_some() || !is_reserved(&w.value.to_ascii_uppercase()),
            _ => false,
        }
    }

    /// The name of a stream or table: letters, digits, `_` and `-`, even when it is quoted.
    pub fn source_name(&mut self) -> Result<Ident> {
        let ident = self.ident("the name of a stream or table")?;
        if ident.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
            return Ok(ident);
        }
        let message = format!(
            "Illegal argument at Line: {}, Col: {}. Source names may only contain alphanumeric values, '_' or '-'. Got: '{}'",
            ident.span.start.line, ident.span.start.column, ident.name
        );
        Err(Error::syntax(message).at(ident.span))
    }

    /// The text of a string literal, if one comes next.
    pub fn take_string(&mut self) -> Option<String> {
        let Some(Token::SingleQuotedString(text)) = self.peek() else { return None };
        self.advance();
        Some(text.clone())
    }

    /// A string literal.
    pub fn string(&mut self, what: &str) -> Result<String> {
        if let Some(Token::Word(w)) = self.peek()
            && w.quote_style == Some('"')
        {
            let hint = "double quotes quote names; text stands in single quotes";
            return Err(self.unexpected(what).hint(hint));
        }
        self.take_string().ok_or_else(|| self.unexpected(what))
    }

    /// A whole number that is not negative.
    pub fn unsigned(&mut self, what: &str) -> Result<i64> {
        let Some(Token::Number(text, _)) = self.peek() else { return Err(self.unexpected(what)) };
        let value = text.parse().map_err(|_| {
            Error::syntax(format!("For input string: \"{text}\": a whole number is expected")).at(self.span())
        })?;
        self.advance();
        Ok(value)
    }

    /// The unit of time that comes next, if one does.
    pub fn peek_unit(&self) -> Option<TimeUnit> {
        self.word_at(0).and_then(TimeUnit::parse)
    }

    /// A length of time: `5 MINUTES`.
    pub fn duration(&mut self) -> Result<Duration> {
        let start = self.span();
        let negative = self.take(&Token::Minus);
        let count = self.unsigned("a number with a unit of time, such as 5 MINUTES")?;
        let unit = self.peek_unit().ok_or_else(|| {
            let known = TimeUnit::ALL.map(TimeUnit::name);
            let near = self.word_at(0).and_then(|w| nearest(w, known));
            let error = self.unexpected("MILLISECONDS, SECONDS, MINUTES, HOURS or DAYS");
            near.map_or(error.clone(), |n| error.hint(format!("did you mean {n}?")))
        })?;
        self.advance();
        Ok(Duration { count: if negative { -count } else { count }, unit, span: self.since(start) })
    }

    /// Items separated by commas.
    pub fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.take(&Token::Comma) {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// Runs `parse` one level deeper; refuses to go too deep, and grows the stack where it is short.
    pub fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= MAX_DEPTH {
            return Err(self.too_deep());
        }
        self.depth += 1;
        let result = stacker::maybe_grow(128 << 10, 2 << 20, || parse(self));
        self.depth -= 1;
        result
    }

    /// The refusal of something that nests too deeply or is too long a chain.
    pub fn too_deep(&self) -> Error {
        let message = "Error processing statement: Statement is too large to parse. \
                       This may be caused by having too many nested expressions in the statement.";
        Error::syntax(message).at(self.span())
    }

    /// The refusal of the next token: `expected … , found …`.
    pub fn unexpected(&self, expected: &str) -> Error {
        let found = match self.peek() {
            Some(Token::Word(word)) if word.quote_style.is_none() => format!("'{}'", word.value),
            Some(token) => format!("'{token}'"),
            None => "the end of the text".to_owned(),
        };
        Error::syntax(format!("expected {expected}, found {found}")).at(self.span())
    }
}
