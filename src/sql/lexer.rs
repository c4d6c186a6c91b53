//! Text to tokens, by the rules of ksqlDB's lexer.
//!
//! This lexer is our own, since ksqlDB has its own rules: what is a name (`a1@b`, `1R0`), where a number ends
//! (`1.5abc`), what `${name}` means. Tokens borrow from the text. Comments are kept, so that a formatted statement has
//! them. The lexer never fails: text that is no token becomes a token that no parser accepts.
//!
//! | token | form |
//! |---|---|
//! | word | a letter or `_`, then letters, digits, `_` and `@`; also digits with such a tail, as in `1st` |
//! | quoted name | between double quotes or back-ticks; the quote written twice stands for itself |
//! | text | between single quotes, line breaks included; two quotes are one |
//! | number | digits, a point, an exponent; never a sign |
//! | variable | `${name}` outside of quotes |
//! | symbol | one or two characters; the two-character ones win |
//! | too long | a statement, or the rest of a text, with more tokens than may be (`bounds`) |
//!
//! Only ASCII letters make words; other letters must be quoted. Whether a word is a keyword is not decided here.
//! Cutting goes through the text once. That no `*/` follows is remembered, so that many `/*` do not cost a search
//! each.

use std::borrow::Cow;

use crate::error::{Position, Span};

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// A keyword or a name without quotes.
    Word,
    /// A name in double quotes or back-ticks.
    Quoted,
    /// A text in single quotes.
    Text,
    /// A number without a sign.
    Number,
    /// `${name}`.
    Variable,
    /// An operator or a bracket.
    Symbol,
    /// An opening quote or `/*` without its end.
    Unclosed,
    /// A character that the language does not use.
    Unknown,
    /// A statement of more tokens than one may have, up to its semicolon.
    LongStatement,
    /// The rest of a text of more tokens than one may have, from a statement on.
    LongText,
}

/// A token that is neither white space nor a comment, and where it stands.
#[derive(Clone, Debug)]
pub struct Lexeme<'a> {
    /// What it is.
    pub token: Token,
    /// As it was written, quotes included.
    ///
    /// Borrowed unless a variable was replaced in it.
    pub text: Cow<'a, str>,
    /// The byte of the text at which it begins.
    pub at: usize,
    /// Where it stands.
    pub span: Span,
}

/// A comment, and where it stands.
///
/// A `--` comment ends before the line break, which is not part of it, and loses blanks at its end.
#[derive(Clone, Debug)]
pub struct Comment<'a> {
    /// The comment with its `--` or `/* */`.
    pub text: &'a str,
    /// The byte of the text at which it begins.
    pub at: usize,
    /// Where it stands.
    pub span: Span,
    /// How many tokens stand before it.
    ///
    /// So 0 is a comment before the first token.
    pub before: usize,
}

/// A comment that starts with `--@`: `--@name: text`. The runner of test scripts reads them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive<'a> {
    /// The name between `--@` and the colon.
    pub name: &'a str,
    /// The text after the colon.
    pub text: &'a str,
    /// Where the comment stands.
    pub span: Span,
}

/// All tokens and comments of a text.
///
/// Every byte of the text is in a token, in a comment, or white space. Tokens and comments do not overlap.
#[derive(Debug, Default)]
pub struct Lexed<'a> {
    /// The tokens, in their order.
    pub lexemes: Vec<Lexeme<'a>>,
    /// The comments, in their order.
    pub comments: Vec<Comment<'a>>,
    /// Where the text ends.
    pub end: Position,
}

impl<'a> Lexed<'a> {
    /// The directives among the comments.
    pub fn directives(&self) -> impl Iterator<Item = Directive<'a>> {
        self.comments.iter().filter_map(|comment| {
            let (name, text) = comment.text.strip_prefix("--@")?.split_once(':')?;
            Some(Directive { name, text: text.trim(), span: comment.span })
        })
    }
}

/// Cuts `text` into tokens, however many; [`super::bounds`] does it within bounds.
pub fn lex(text: &str) -> Lexed<'_> {
    lex_at(text, Position { line: 1, column: 1 })
}

/// Cuts a `text` that begins at `start` of a larger one.
///
/// Only the spans begin at `start`; [`Lexeme::at`] counts bytes of `text`.
pub fn lex_at(text: &str, start: Position) -> Lexed<'_> {
    let mut scanner = Scanner::new(text, start);
    let mut lexed = Lexed::default();
    lexed.lexemes.reserve(text.len() / 5);
    while let Some(piece) = scanner.piece() {
        lexed.keep(piece);
    }
    lexed.end = scanner.position;
    lexed
}

/// What is not white space.
pub(super) enum Piece<'a> {
    Token(Lexeme<'a>),
    /// A comment, the byte at which it begins, and where it stands.
    Comment(&'a str, usize, Span),
}

/// A place in a text.
///
/// `at` is always between two characters. `position` is that of the same place, in characters.
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    pub position: Position,
    /// Whether no `*/` follows, as an earlier search found.
    unclosed_comment: bool,
}

impl<'a> Scanner<'a> {
    /// At the start of `text`, which begins at `position` of a larger one.
    pub(super) fn new(text: &'a str, position: Position) -> Self {
        Scanner { text, at: 0, position, unclosed_comment: false }
    }

    /// The next token or comment; none at the end.
    pub(super) fn piece(&mut self) -> Option<Piece<'a>> {
        let first = loop {
            match self.peek(0)? {
                b' ' | b'\t' | b'\r' | b'\n' => self.step(1),
                first => break first,
            }
        };
        let (from, start) = (self.at, self.position);
        let comment = self.comment(first);
        let (token, length) = comment.map_or_else(|| self.token(first), |length| (Token::Unknown, length));
        self.pass(length, matches!(token, Token::Text | Token::Quoted | Token::Unknown));
        let (text, span) = (&self.text[from..self.at], Span { start, end: self.position });
        Some(match comment {
            Some(_) => Piece::Comment(text.trim_end(), from, span),
            None => Piece::Token(Lexeme { token, text: Cow::Borrowed(text), at: from, span }),
        })
    }

    /// The bytes from here to the end.
    fn rest(&self) -> &'a [u8] {
        &self.text.as_bytes()[self.at..]
    }

    /// The byte `ahead` places further, if there is one.
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    /// Steps over one character of `length` bytes.
    ///
    /// A line break counts as the last character of its line.
    fn step(&mut self, length: usize) {
        match self.peek(0) {
            Some(b'\n') => self.position = Position { line: self.position.line + 1, column: 1 },
            _ => self.position.column += 1,
        }
        self.at += length;
    }

    /// Steps over `length` bytes. Line breaks and characters of several bytes are handled only if `any` is set.
    fn pass(&mut self, length: usize, any: bool) {
        if !any {
            self.at += length;
            self.position.column += length as u32;
            return;
        }
        let passed = &self.text[self.at..self.at + length];
        passed.chars().for_each(|c| self.step(c.len_utf8()));
    }

    /// The length of the comment that begins here with `first`, if one does and it ends.
    fn comment(&mut self, first: u8) -> Option<usize> {
        match (first, self.peek(1)?) {
            (b'-', b'-') => Some(memchr::memchr(b'\n', self.rest()).unwrap_or(self.rest().len())),
            (b'/', b'*') if !self.unclosed_comment => {
                let end = memchr::memmem::find(&self.rest()[2..], b"*/").map(|at| at + 4);
                self.unclosed_comment = end.is_none();
                end
            }
            _ => None,
        }
    }

    /// The token that begins here with `first`, and its length in bytes.
    fn token(&self, first: u8) -> (Token, usize) {
        match first {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => (Token::Word, self.name_length(0)),
            b'0'..=b'9' => self.number_or_name(),
            b'.' if self.peek(1).is_some_and(|b| b.is_ascii_digit()) => self.number_or_name(),
            b'\'' => self.quoted(first, Token::Text),
            b'"' | b'`' => self.quoted(first, Token::Quoted),
            b'$' => self.variable().map_or((Token::Unknown, 1), |length| (Token::Variable, length)),
            b'/' if self.peek(1) == Some(b'*') => (Token::Unclosed, 2),
            _ => self.symbol(first),
        }
    }

    /// How many bytes from `ahead` on can be part of a name.
    fn name_length(&self, ahead: usize) -> usize {
        let is_part = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_' || *b == b'@';
        self.rest()[ahead..].iter().take_while(|b| is_part(b)).count()
    }

    /// A number or a name, whichever is longer; `1E3` is a number.
    ///
    /// `1.5abc` is the number `1.5` and the word `abc`, `1R0` is a word, `1E3` a number although both are equally
    /// long.
    fn number_or_name(&self) -> (Token, usize) {
        let rest = self.rest();
        let digits = |from: usize| rest[from.min(rest.len())..].iter().take_while(|b| b.is_ascii_digit()).count();
        let mut number = digits(0);
        if rest.get(number) == Some(&b'.') {
            number += 1 + digits(number + 1);
        }
        if matches!(rest.get(number), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(rest.get(number + 1), Some(b'+' | b'-')));
            let exponent = digits(number + 1 + sign);
            number += if exponent > 0 { 1 + sign + exponent } else { 0 };
        }
        let name = self.name_length(0);
        if name > number { (Token::Word, name) } else { (Token::Number, number) }
    }

    /// A text or name in quotes; the quote written twice stands for itself.
    ///
    /// Without an end only the opening quote is a token, [`Token::Unclosed`], and what comes after it is cut as
    /// usual.
    fn quoted(&self, quote: u8, token: Token) -> (Token, usize) {
        let rest = self.rest();
        let mut at = 1;
        while let Some(found) = memchr::memchr(quote, &rest[at..]) {
            at += found + 1;
            if rest.get(at) != Some(&quote) {
                return (token, at);
            }
            at += 1;
        }
        (Token::Unclosed, 1)
    }

    /// The length of `${name}`, if it begins here.
    ///
    /// The name has the form of a plain name, without quotes.
    fn variable(&self) -> Option<usize> {
        let starts = self.peek(1) == Some(b'{') && self.peek(2).is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
        let end = 2 + self.name_length(2.min(self.rest().len()));
        (starts && self.peek(end) == Some(b'}')).then_some(end + 1)
    }

    /// The symbol that begins here with `first`, or an unknown character.
    fn symbol(&self, first: u8) -> (Token, usize) {
        const TWO: [&[u8]; 8] = [b"->", b"=>", b":=", b"||", b"<>", b"!=", b"<=", b">="];
        if TWO.iter().any(|two| self.rest().starts_with(two)) {
            return (Token::Symbol, 2);
        }
        if b"=<>+-*/%()[],.;".contains(&first) {
            return (Token::Symbol, 1);
        }
        let character = self.text[self.at..].chars().next().map_or(1, char::len_utf8);
        (Token::Unknown, character)
    }
}

/// A name or text without its quotes.
///
/// The quote is taken from the first character. A text of one character is empty without its quotes.
pub fn unquoted(text: &str) -> String {
    let Some(quote) = text.get(..1) else { return String::new() };
    let inner = &text[1..text.len().max(2) - 1];
    if inner.contains(quote) { inner.replace(&quote.repeat(2), quote) } else { inner.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let lexed = lex(text);
        let one = |l: &Lexeme| format!("{:?} {} {}:{}", l.token, l.text, l.span.start.line, l.span.start.column);
        lexed.lexemes.iter().map(one).collect::<Vec<_>>().join(" | ")
    }

    #[test]
    fn the_longest_token_wins() {
        assert_eq!(shown("a1@b 1R0"), "Word a1@b 1:1 | Word 1R0 1:6");
        assert_eq!(shown("1.5abc"), "Number 1.5 1:1 | Word abc 1:4");
        assert_eq!(shown("1.2.3 1e 1e3 5. .5E-2"), {
            "Number 1.2 1:1 | Number .3 1:4 | Word 1e 1:7 | Number 1e3 1:10 | Number 5. 1:14 | Number .5E-2 1:17"
        });
        assert_eq!(shown("a->b=>c"), "Word a 1:1 | Symbol -> 1:2 | Word b 1:4 | Symbol => 1:5 | Word c 1:7");
        assert_eq!(shown("${x} $x"), "Variable ${x} 1:1 | Unknown $ 1:6 | Word x 1:7");
    }

    #[test]
    fn columns_count_characters() {
        assert_eq!(shown("'äöü\n''' x"), "Text 'äöü\n''' 1:1 | Word x 2:5");
        assert_eq!(shown("größe"), "Word gr 1:1 | Unknown ö 1:3 | Unknown ß 1:4 | Word e 1:5");
    }

    #[test]
    fn what_is_not_closed_hides_nothing() {
        assert_eq!(shown("'abc ;"), "Unclosed ' 1:1 | Word abc 1:2 | Symbol ; 1:6");
        assert_eq!(shown("/* x"), "Unclosed /* 1:1 | Word x 1:4");
    }

    #[test]
    fn comments_are_kept_and_directives_read() {
        let lexed = lex("--@test: one two \nSELECT /* a */ 1; -- end");
        let comments: Vec<(&str, usize)> = lexed.comments.iter().map(|c| (c.text, c.before)).collect();
        assert_eq!(comments, [("--@test: one two", 0), ("/* a */", 1), ("-- end", 3)]);
        let directive = lexed.directives().next().expect("one");
        assert_eq!((directive.name, directive.text), ("test", "one two"));
    }

    #[test]
    fn quotes_are_taken_off() {
        assert_eq!(unquoted("'it''s'"), "it's");
        assert_eq!(unquoted("`a``b`"), "a`b");
        assert_eq!(unquoted("\"\""), "");
    }
}
