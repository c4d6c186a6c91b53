//! A place in a sequence of tokens, with what every parser needs: look, take, expect, refuse.

use super::lexer::{Lexed, Lexeme, Token, unquoted};
use super::slips::{WINDOWS, foreign, slip};
use super::words::{Duration, Ident, Quotes, is_keyword, is_plain_name, is_reserved, is_variable};
use crate::error::{Error, Position, Result, Span, nearest};
use crate::types::TimeUnit;

/// How deep a syntax tree may be: expressions, types, queries and statements in each other.
///
/// Code that walks over a syntax tree recurses; this bound keeps it far from the end of a worker's stack.
pub const MAX_DEPTH: usize = 400;

/// A place in the tokens of one statement or script.
pub struct Cursor<'a> {
    lexemes: &'a [Lexeme<'a>],
    next: usize,
    end: Position,
    depth: usize,
    tried: Tried,
}

/// The words that were looked for and not found at the furthest token, and at the token before it: what could stand
/// there. Keywords are in upper case; what is in lower case describes what was expected.
///
/// A token beyond the furthest one replaces the list, so it never holds more than what one place can have.
#[derive(Default)]
struct Tried {
    at: usize,
    here: Vec<&'static str>,
    before: Vec<&'static str>,
}

impl Tried {
    /// Notes that `words` were looked for at the token with the number `at`.
    fn note(&mut self, at: usize, words: &'static str) {
        if at > self.at {
            self.before.clear();
            if at == self.at + 1 {
                std::mem::swap(&mut self.before, &mut self.here);
            }
            self.here.clear();
            self.at = at;
        }
        if at == self.at {
            self.here.push(words);
        }
    }
}

impl<'a> Cursor<'a> {
    /// A cursor before the first token.
    pub fn new(lexed: &'a Lexed<'a>) -> Self {
        Cursor { lexemes: &lexed.lexemes, next: 0, end: lexed.end, depth: 0, tried: Tried::default() }
    }

    /// The token `ahead` places further, 0 being the next one.
    fn lexeme(&self, ahead: usize) -> Option<&'a Lexeme<'a>> {
        self.lexemes.get(self.next + ahead)
    }

    /// What the next token is.
    pub fn token(&self) -> Option<Token> {
        self.lexeme(0).map(|l| l.token)
    }

    /// The next token as it was written; nothing at the end.
    pub fn text(&self) -> &'a str {
        self.lexeme(0).map_or("", |l| &l.text)
    }

    /// The token `ahead` places further, and what it is.
    pub fn text_at(&self, ahead: usize) -> (&'a str, Option<Token>) {
        self.lexeme(ahead).map_or(("", None), |l| (&l.text, Some(l.token)))
    }

    /// Whether nothing is left.
    pub fn at_end(&self) -> bool {
        self.next >= self.lexemes.len()
    }

    /// Where the next token stands; after the last one, the end of the text.
    pub fn span(&self) -> Span {
        self.lexeme(0).map_or(Span { start: self.end, end: self.end }, |l| l.span)
    }

    /// Where the token before stands.
    pub fn last_span(&self) -> Span {
        self.next.checked_sub(1).and_then(|i| self.lexemes.get(i)).map_or(Span::default(), |l| l.span)
    }

    /// The stretch from `start` to the token before.
    ///
    /// `start` is the span of its first token.
    pub fn since(&self, start: Span) -> Span {
        start.to(self.last_span())
    }

    /// Steps over the next token.
    pub fn advance(&mut self) {
        self.next += 1;
    }

    /// A mark to go back to: how many tokens stand before it.
    pub fn mark(&self) -> usize {
        self.next
    }

    /// Back to a mark.
    ///
    /// What was looked for meanwhile is not forgotten: it belongs to the messages.
    pub fn reset(&mut self, mark: usize) {
        self.next = mark;
    }

    /// Whether the token `ahead` places further is this keyword, in any case, or this symbol.
    pub fn is_at(&self, ahead: usize, word: &str) -> bool {
        self.lexeme(ahead).is_some_and(|l| {
            matches!(l.token, Token::Word | Token::Symbol)
                && l.text.len() == word.len()
                && l.text.eq_ignore_ascii_case(word)
        })
    }

    /// Whether the next tokens are these keywords or symbols, separated by blanks in `words`.
    pub fn is(&self, words: &str) -> bool {
        // Most questions are answered by the first letter.
        let first = self.text().as_bytes().first().map(u8::to_ascii_uppercase);
        first == words.as_bytes().first().copied()
            && words.split(' ').enumerate().all(|(ahead, word)| self.is_at(ahead, word))
    }

    /// Steps over these keywords or symbols if they come next. If not, they are among what was expected there.
    pub fn take(&mut self, words: &'static str) -> bool {
        let (mut rest, mut ahead) = (words, 0);
        while let Some((word, behind)) = rest.split_once(' ').filter(|(word, _)| self.is_at(ahead, word)) {
            debug_assert!(!word.is_empty(), "one blank between words");
            (rest, ahead) = (behind, ahead + 1);
        }
        let found = !rest.contains(' ') && self.is_at(ahead, rest);
        if found {
            self.next += ahead + 1;
        } else {
            self.tried.note(self.next + ahead, rest);
        }
        found
    }

    /// Notes that these keywords could come next, though something else does.
    pub fn take_none(&mut self, words: &'static str) {
        self.tried.note(self.next, words);
    }

    /// Steps over the one of `alternatives` that comes next.
    pub fn take_one<T: Copy>(&mut self, alternatives: &[(&'static str, T)]) -> Option<T> {
        alternatives.iter().find(|(words, _)| self.take(words)).map(|(_, meaning)| *meaning)
    }

    /// Steps over these keywords or symbols or refuses what stands there.
    pub fn expect(&mut self, words: &'static str) -> Result<()> {
        for word in words.split(' ') {
            if !self.take(word) {
                return Err(self.expected());
            }
        }
        Ok(())
    }

    /// A name: a quoted one, a variable, or a word that is not reserved.
    pub fn ident(&mut self, what: &'static str) -> Result<Ident> {
        let (span, text) = (self.span(), self.text());
        self.tried.note(self.next, what);
        let name = match self.token() {
            Some(Token::Quoted) => match unquoted(text) {
                name if name.is_empty() => return Err(Error::syntax("a quoted name is empty").at(span)),
                name if is_variable(&name) => {
                    return Err(Error::syntax(format!("a name cannot have the form of a variable: {text}")).at(span));
                }
                name => name,
            },
            Some(Token::Variable) => text.to_owned(),
            Some(Token::Word) => {
                if is_reserved(text) {
                    return Err(self.reserved(what));
                }
                text.to_ascii_uppercase()
            }
            _ => return Err(self.unexpected(what)),
        };
        self.advance();
        Ok(Ident { name, span, quotes: Quotes { double: text.starts_with('"') } })
    }

    /// The refusal of a reserved word where a name should stand.
    fn reserved(&self, what: &str) -> Error {
        if let Some(error) = self.misspelt(self.next) {
            return error;
        }
        let word = self.text();
        let message = format!(
            "expected {what}, found \"{word}\", which is a reserved keyword and can't be used as an identifier"
        );
        let error = Error::syntax(message).at(self.span()).expecting([what]);
        let before = self.next.checked_sub(1).and_then(|i| self.lexemes.get(i));
        let after_comma = before.is_some_and(|comma| comma.text == ",");
        match word.to_ascii_uppercase().as_str() {
            "TABLE" if before.is_some_and(|from| from.text.eq_ignore_ascii_case("FROM")) => error.hint(WINDOWS),
            "SELECT" => error.hint("a query in an expression stands in brackets"),
            "EXISTS" => error.hint("EXISTS is followed by a query in brackets"),
            "FROM" | "WHERE" | "WITH" | "VALUES" | "AS" if after_comma => {
                error.hint("there is a comma too many before it")
            }
            "FROM" | "WHERE" | "WHEN" | "THEN" | "ELSE" | "END" | "AND" | "OR" | "IS" | "IN" | "LIKE" | "BETWEEN"
                if what == "an expression" =>
            {
                error
            }
            _ if what == "an expression" && self.lexeme(1).is_some_and(|l| l.token == Token::Text) => {
                error.hint("use CAST('…' AS type)")
            }
            _ => error.hint(format!("to use it as a name, write it as `{word}` in back-ticks")),
        }
    }

    /// Whether a name comes next.
    pub fn is_ident(&self) -> bool {
        self.is_ident_at(0)
    }

    /// Whether the token `ahead` places further is a name.
    pub fn is_ident_at(&self, ahead: usize) -> bool {
        self.lexeme(ahead).is_some_and(|l| match l.token {
            Token::Quoted | Token::Variable => true,
            Token::Word => !is_reserved(&l.text),
            _ => false,
        })
    }

    /// The name of a stream or table: letters, digits, `_` and `-`, even when it is quoted.
    ///
    /// # Errors
    /// Something else comes next, or the name has other characters.
    pub fn source_name(&mut self) -> Result<Ident> {
        let ident = self.ident("the name of a stream or table")?;
        if ident.is_variable() || ident.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
            return Ok(ident);
        }
        let message = format!(
            "Illegal argument at Line: {}, Col: {}. Source names may only contain alphanumeric values, '_' or '-'. Got: '{}'",
            ident.span.start.line, ident.span.start.column, ident.name
        );
        Err(Error::syntax(message).at(ident.span))
    }

    /// The name of a topic or subject: a string literal, or a name whose case is kept.
    pub fn resource(&mut self, what: &'static str) -> Result<String> {
        if let Some(text) = self.take_string() {
            return Ok(text);
        }
        let written = self.text();
        let ident = self.ident(what)?;
        let as_written = written.eq_ignore_ascii_case(&ident.name);
        Ok(if as_written { written.to_owned() } else { ident.name })
    }

    /// A word without quotes, reserved or not, as it is written.
    pub fn plain_word(&mut self, what: &str) -> Result<String> {
        let word = self.text();
        if self.token() != Some(Token::Word) || !is_plain_name(word) {
            return Err(self.unexpected(what));
        }
        self.advance();
        Ok(word.to_owned())
    }

    /// The text of a string literal, if one comes next.
    pub fn take_string(&mut self) -> Option<String> {
        if self.token() != Some(Token::Text) {
            return None;
        }
        let text = unquoted(self.text());
        self.advance();
        Some(text)
    }

    /// A string literal.
    pub fn string(&mut self, what: &'static str) -> Result<String> {
        self.tried.note(self.next, what);
        self.take_string().ok_or_else(|| self.unexpected(what))
    }

    /// The text of a number, if one comes next.
    pub fn take_number(&mut self) -> Option<&'a str> {
        let text = self.text();
        let found = self.token() == Some(Token::Number);
        self.next += usize::from(found);
        found.then_some(text)
    }

    /// A whole number that is not negative.
    ///
    /// # Errors
    /// Something else comes next, or the number is too large for 64 bits.
    pub fn unsigned(&mut self, what: &str) -> Result<i64> {
        let span = self.span();
        let text = self.take_number().ok_or_else(|| self.unexpected(what))?;
        text.parse()
            .map_err(|_| Error::syntax(format!("For input string: \"{text}\": a whole number is expected")).at(span))
    }

    /// The unit of time that comes next, if one does.
    pub fn peek_unit(&self) -> Option<TimeUnit> {
        self.lexeme(0).filter(|l| l.token == Token::Word).and_then(|l| TimeUnit::parse(&l.text))
    }

    /// A length of time: `5 MINUTES`.
    ///
    /// # Errors
    /// Something else comes next, or the unit is unknown.
    pub fn duration(&mut self) -> Result<Duration> {
        let start = self.span();
        let negative = self.take("-");
        let count = self.unsigned("a number with a unit of time, such as 5 MINUTES")?;
        let unit = self.peek_unit().ok_or_else(|| {
            let known = TimeUnit::ALL.map(TimeUnit::name);
            let near = nearest(self.text(), known);
            let error = self.unexpected("MILLISECONDS, SECONDS, MINUTES, HOURS or DAYS");
            near.map_or(error.clone(), |n| error.hint(format!("did you mean {n}?")))
        })?;
        self.advance();
        Ok(Duration { count: if negative { -count } else { count }, unit, span: self.since(start) })
    }

    /// Items separated by commas.
    ///
    /// # Errors
    /// An item cannot be parsed.
    pub fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.take(",") {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// Items between `open` and `close`, separated by commas; none is allowed.
    ///
    /// # Errors
    /// An item cannot be parsed, or `open` or `close` is missing.
    pub fn list_in<T>(
        &mut self,
        open: &'static str,
        close: &'static str,
        item: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<Vec<T>> {
        self.expect(open)?;
        if self.take(close) {
            return Ok(Vec::new());
        }
        let items = self.list(item)?;
        self.expect(close)?;
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

    /// The words that were looked for and not found at the next token: what could stand there.
    pub fn tried(&self) -> &[&'static str] {
        if self.tried.at == self.next { &self.tried.here } else { &[] }
    }

    /// The number of the furthest token at which an expected word was not found.
    pub fn furthest(&self) -> usize {
        self.tried.at
    }

    /// What was looked for there.
    pub fn furthest_tried(&self) -> &[&'static str] {
        &self.tried.here
    }

    /// The refusal of the token where one of the expected words could stand. That is the next token, or a later one if
    /// the beginning of something longer was found.
    pub fn expected(&self) -> Error {
        let at = self.next.max(self.tried.at);
        let tried: &[&str] = if at == self.tried.at { &self.tried.here } else { &[] };
        let shown = shown(tried);
        let words = if shown.is_empty() { tried.to_vec() } else { shown };
        let expected = match words.as_slice() {
            [] => "something else".to_owned(),
            [only] => (*only).to_owned(),
            [first @ .., last] => format!("{} or {last}", first.join(", ")),
        };
        self.unexpected_at(at, &expected, tried)
    }

    /// The refusal of the next token: `expected … , found …`.
    pub fn unexpected(&self, expected: &str) -> Error {
        self.unexpected_at(self.next, expected, &[expected])
    }

    /// The refusal of the token with the number `at`, where one of `words` could stand.
    fn unexpected_at(&self, at: usize, expected: &str, words: &[&str]) -> Error {
        if let Some(error) = self.misspelt(at) {
            return error;
        }
        let Some(found) = self.lexemes.get(at) else {
            let span = Span { start: self.end, end: self.end };
            let error = Error::syntax(format!("expected {expected}, found the end of the text")).at(span);
            return error.expecting(words.iter().copied());
        };
        let text = &found.text;
        let quoted = if found.token == Token::Text { text.to_string() } else { format!("'{text}'") };
        let error = Error::syntax(format!("expected {expected}, found {quoted}")).at(found.span);
        let error = error.expecting(words.iter().copied());
        let tried: &[&str] = if at == self.tried.at { &self.tried.here } else { &[] };
        let near = match found.token {
            Token::Word if !is_keyword(text) && foreign(text).is_none() => {
                nearest(text, tried.iter().copied().filter(|word| is_word(word)))
            }
            _ => None,
        };
        match near {
            Some(near) => error.hint(format!("did you mean {near}?")),
            None => match slip(at.checked_sub(1).and_then(|i| self.lexemes.get(i)), found, expected) {
                Some(hint) => error.hint(hint),
                None => error,
            },
        }
    }

    /// The refusal of the token before `at`, if it was taken for a name and is a keyword but for a slip of the pen.
    fn misspelt(&self, at: usize) -> Option<Error> {
        let before = self.lexemes.get(at.checked_sub(1)?)?;
        let known = match self.tried.at {
            here if here == at => &self.tried.before,
            here if here + 1 == at => &self.tried.here,
            _ => return None,
        };
        // Two letters are as near to AS, ON or IS as to any other name.
        if before.token != Token::Word || before.text.len() < 3 || is_keyword(&before.text) {
            return None;
        }
        let first_words = known.iter().filter(|w| is_word(w)).filter_map(|w| w.split(' ').next());
        let near = nearest(&before.text, first_words)?;
        let near = known.iter().find(|words| words.starts_with(near))?;
        let error = Error::syntax(format!("expected {near}, found '{}'", before.text)).at(before.span);
        Some(error.hint(foreign(&before.text).map_or_else(|| format!("did you mean {near}?"), str::to_owned)))
    }
}

/// What was looked for, as it is told.
fn shown(tried: &[&'static str]) -> Vec<&'static str> {
    /// Words that can continue any expression or type; messages leave them out.
    const GOES_ON: [&str; 9] = ["AND", "OR", "IS", "IN", "LIKE", "BETWEEN", "AT TIME ZONE", "[", "ARRAY"];
    const CLAUSES: [&str; 8] = ["WINDOW", "WHERE", "GROUP BY", "PARTITION BY", "HAVING", "ORDER BY", "EMIT", "OFFSET"];
    const ANY_CLAUSE: &str = "another clause";
    let is_clause = |word: &str| CLAUSES.contains(&word) || word.starts_with("UNION");
    let clauses = tried.iter().filter(|word| is_clause(word)).count();
    let mut words: Vec<&str> = Vec::new();
    for word in tried {
        let told = match *word {
            "," => "a comma",
            ";" => "a semicolon",
            word if clauses > 4 && (is_clause(word) || word == "LIMIT") => ANY_CLAUSE,
            word if word.ends_with("JOIN") && word.contains(' ') => "JOIN",
            word => word,
        };
        let describes = told.starts_with(|c: char| c.is_ascii_lowercase()) && told == *word;
        if !words.contains(&told) && !GOES_ON.contains(&told) && !describes {
            words.push(told);
        }
    }
    words
}

/// Whether what was looked for is a keyword and not a symbol.
fn is_word(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_uppercase())
}
