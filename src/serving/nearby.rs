//! The tokens around the place of a syntax error.

use super::syntax::BEGINNINGS;
use crate::sql::lexer::{Lexeme, Token};
use crate::sql::words::is_reserved;

/// The token after the one at the place.
pub(super) const NEXT: isize = 1;

/// The tokens around a place.
pub(super) struct Nearby<'a> {
    all: &'a [Lexeme<'a>],
    at: usize,
    /// The number of the first token of its statement.
    pub start: usize,
}

impl<'a> Nearby<'a> {
    pub(super) fn new(all: &'a [Lexeme<'a>], at: usize) -> Nearby<'a> {
        let start = all[..at.min(all.len())].iter().rposition(|lexeme| lexeme.text == ";").map_or(0, |end| end + 1);
        Nearby { all, at, start }
    }

    fn lexeme(&self, ahead: isize) -> Option<&'a Lexeme<'a>> {
        self.all.get(self.at.checked_add_signed(ahead)?)
    }

    /// The token so many places after the place; nothing where there is none.
    pub(super) fn text(&self, ahead: isize) -> &'a str {
        self.lexeme(ahead).map_or("", |lexeme| &lexeme.text)
    }

    fn is(&self, ahead: isize, word: &str) -> bool {
        self.text(ahead).eq_ignore_ascii_case(word)
    }

    /// Whether a word stands so many places before the place.
    pub(super) fn is_behind(&self, word: &str, places: isize) -> bool {
        self.is(-places, word)
    }

    /// Whether the token with this number in the statement is one of these words.
    fn has(&self, number: usize, words: &[&str]) -> bool {
        let token = self.all.get(self.start + number);
        token.is_some_and(|lexeme| words.iter().any(|word| lexeme.text.eq_ignore_ascii_case(word)))
    }

    /// The number of the place in its statement.
    fn number(&self) -> usize {
        self.at - self.start
    }

    /// Whether a statement can begin at the place.
    pub(super) fn starts_statement(&self) -> bool {
        BEGINNINGS.iter().any(|word| self.is(0, word))
    }

    /// Whether something of a list at the place has a comma before it.
    pub(super) fn is_after_comma(&self) -> bool {
        let mut depth = 0;
        for lexeme in self.before() {
            match lexeme.text.to_ascii_uppercase().as_str() {
                ")" | "]" => depth += 1,
                "(" | "[" if depth == 0 => return false,
                "(" | "[" => depth -= 1,
                "," if depth == 0 => return true,
                "SELECT" if depth == 0 => return false,
                _ => {}
            }
        }
        false
    }

    /// The tokens of the statement before the place, from there on.
    fn before(&self) -> impl Iterator<Item = &'a Lexeme<'a>> {
        self.all[self.start..self.at.min(self.all.len())].iter().rev()
    }

    /// Whether the place is inside of brackets, of a CASE, or behind an arrow, in what a query selects.
    fn is_inside_of_selected(&self) -> bool {
        let (mut depth, mut cases, mut is_inside) = (0, 0, self.is(-1, "->"));
        for lexeme in self.before() {
            match lexeme.text.to_ascii_uppercase().as_str() {
                ")" | "]" => depth += 1,
                "(" | "[" if depth == 0 => is_inside = true,
                "(" | "[" => depth -= 1,
                "END" => cases += 1,
                "CASE" if cases == 0 => is_inside = true,
                "CASE" => cases -= 1,
                "SELECT" if depth == 0 => return is_inside,
                "FROM" | "VALUES" if depth == 0 => return false,
                _ => {}
            }
        }
        false
    }

    /// Whether ksqlDB's parser has not yet decided what it reads at the place.
    pub(super) fn is_undecided(&self, expected: &[String]) -> bool {
        let is_name = expected.iter().any(|word| word == "the name of a stream or table");
        self.number() <= self.head()
            || self.is(-1, "IS")
            || (is_name && self.is(-1, "AS"))
            || self.is_inside_of_selected()
    }

    /// The number of the last token by which a statement is told from others that begin alike.
    fn head(&self) -> usize {
        if self.has(0, &["CREATE"]) {
            return self.head_of_create();
        }
        if self.has(0, &["INSERT"]) {
            return if self.has(3, &["("]) { 2 } else { 3 };
        }
        usize::from(self.has(0, ALIKE))
    }

    fn head_of_create(&self) -> usize {
        let after = |number: usize, words: &[&str]| {
            let is_there = words.iter().enumerate().all(|(ahead, word)| self.has(number + ahead, &[word]));
            if is_there { number + words.len() } else { number }
        };
        let kind = after(after(1, &["OR", "REPLACE"]), &["SOURCE"]);
        match self.has(kind, &["STREAM", "TABLE"]) {
            true => after(kind + 1, &["IF", "NOT", "EXISTS"]),
            false => kind,
        }
    }

    /// Whether the token so many places further could be what is described.
    pub(super) fn fits(&self, ahead: isize, expected: &[String]) -> bool {
        let wants_number = expected.iter().any(|word| word.contains("length") || word.contains("number"));
        let is_expression = expected.iter().any(|word| word == "an expression");
        match self.lexeme(ahead).map(|lexeme| lexeme.token) {
            Some(Token::Number) => wants_number || is_expression,
            Some(Token::Word | Token::Quoted) if is_reserved(self.text(ahead)) => {
                is_expression && BEGIN_EXPRESSIONS.iter().any(|word| self.is(ahead, word))
            }
            Some(Token::Word | Token::Quoted) => !wants_number,
            Some(Token::Text) => is_expression,
            Some(Token::Symbol) => is_expression && ["(", "-", "+"].contains(&self.text(ahead)),
            _ => false,
        }
    }

    /// Whether the token at the place could follow this one, which is missing.
    pub(super) fn fits_after(&self, missing: &str) -> bool {
        let expression = ["an expression".to_owned()];
        let is_one_of = |tokens: &[&str]| tokens.iter().any(|token| self.is(0, token));
        match missing {
            "'BY'" => self.fits(0, &expression),
            "'SELECT'" => self.fits(0, &expression) || is_one_of(&["*"]),
            "'('" => self.fits(0, &expression) || is_one_of(&["SIZE"]),
            "'ADD'" => is_one_of(&["COLUMN"]),
            "STRING" => self.number() > 4 && self.fits(0, &["a name".to_owned()]),
            "','" => is_one_of(&["ADVANCE"]) || self.lexeme(0).is_some_and(|lexeme| lexeme.token == Token::Number),
            "')'" => is_one_of(&[","]),
            "'>'" | "'DAY'" => is_one_of(&[")"]),
            _ => false,
        }
    }
}

/// Reserved words that begin an expression.
const BEGIN_EXPRESSIONS: &[&str] = &["CASE", "CAST", "NOT", "NULL", "TRUE", "FALSE"];

/// The words with which several kinds of statements begin.
const ALIKE: &[&str] =
    &["DROP", "LIST", "SHOW", "ALTER", "ASSERT", "DESCRIBE", "TERMINATE", "PAUSE", "RESUME", "EXPLAIN"];
