//! Long statements: they are refused while the text is cut into tokens, before the memory for them is taken.
//!
//! A token takes 56 bytes, and what a statement is made of, from its tree to its columns, up to a kilobyte for each. So
//! a text of 16 MiB could take more memory than a machine has.

use std::borrow::Cow;

use super::lexer::{Comment, Lexed, Lexeme, Piece, Scanner, Token};
use crate::error::{Position, Span};

/// How many tokens may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Of a statement.
    pub statement: usize,
    /// Of a text, comments included.
    pub text: usize,
}

impl Bounds {
    /// As many as there are.
    pub const NONE: Bounds = Bounds { statement: usize::MAX, text: usize::MAX };
}

/// How many tokens after a place say what is wrong there.
const AFTER: usize = 64;

/// Cuts `text` into tokens. A statement of too many is one token, [`Token::LongStatement`], before its semicolon; so is
/// the rest of a text of too many, [`Token::LongText`], from the start of the statement in which they are too many.
///
/// Their texts are empty: they stand where the statement begins, and end at the token that is too much.
pub fn lex_within(text: &str, bounds: Bounds) -> Lexed<'_> {
    let start = Position { line: 1, column: 1 };
    let (mut scanner, mut lexed) = (Scanner::new(text, start), Lexed::default());
    // Where the tokens of the statement begin; None in one that is too long.
    let mut first = Some(0);
    while let Some(piece) = scanner.piece() {
        if lexed.lexemes.len() + lexed.comments.len() >= bounds.text {
            let begun = first.unwrap_or(lexed.lexemes.len());
            lexed.replace_from(begun, Token::LongText, piece.start());
            break;
        }
        let is_end = piece.is_semicolon();
        if first.is_some_and(|first| lexed.lexemes.len() - first >= bounds.statement && !is_end) {
            lexed.replace_from(first.take().expect("it was there"), Token::LongStatement, piece.start());
        }
        if is_end || first.is_some() {
            lexed.keep(piece);
        }
        if is_end {
            first = Some(lexed.lexemes.len());
        }
    }
    lexed.end = scanner.position;
    lexed
}

/// Cuts a text that should be a name or a constant; what has more tokens is one token that is neither.
pub fn lex_few(text: &str) -> Lexed<'_> {
    const FEW: usize = 4;
    lex_within(text, Bounds { statement: FEW, text: FEW })
}

/// Cuts `text` into tokens up to a few after `place`.
pub fn lex_near(text: &str, place: Position) -> Lexed<'_> {
    let (mut scanner, mut lexed) = (Scanner::new(text, Position { line: 1, column: 1 }), Lexed::default());
    let mut after = 0;
    while let Some(piece) = scanner.piece().filter(|_| after < AFTER) {
        after += usize::from(piece.start().1.start >= place);
        lexed.keep(piece);
    }
    lexed.end = scanner.position;
    lexed
}

impl Piece<'_> {
    /// The byte at which it begins, and where it stands.
    fn start(&self) -> (usize, Span) {
        match self {
            Piece::Token(lexeme) => (lexeme.at, lexeme.span),
            Piece::Comment(_, at, span) => (*at, *span),
        }
    }

    fn is_semicolon(&self) -> bool {
        matches!(self, Piece::Token(lexeme) if lexeme.token == Token::Symbol && lexeme.text == ";")
    }
}

impl<'a> Lexed<'a> {
    /// Adds what comes next.
    pub(super) fn keep(&mut self, piece: Piece<'a>) {
        match piece {
            Piece::Token(lexeme) => self.lexemes.push(lexeme),
            Piece::Comment(text, at, span) => {
                self.comments.push(Comment { text, at, span, before: self.lexemes.len() });
            }
        }
    }

    /// Puts one token in the place of all from the one with the number `first` on, and of the one that begins here.
    fn replace_from(&mut self, first: usize, token: Token, (at, span): (usize, Span)) {
        let (at, span) = self.lexemes.get(first).map_or((at, span), |begun| (begun.at, begun.span.to(span)));
        self.lexemes.truncate(first);
        self.comments.retain(|comment| comment.before <= first);
        self.lexemes.push(Lexeme { token, text: Cow::Borrowed(""), at, span });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::lexer::lex;

    const SMALL: Bounds = Bounds { statement: 4, text: 16 };

    fn cut(text: &str, bounds: Bounds) -> Vec<(Token, String)> {
        let lexed = lex_within(text, bounds);
        lexed.lexemes.iter().map(|lexeme| (lexeme.token, lexeme.text.to_string())).collect()
    }

    #[test]
    fn a_statement_of_too_many_tokens_is_one_and_the_others_are_whole() {
        let text = "a b c d; /* 1 */ a b /* 2 */ c d\n 'e;' f; g;";
        let lexed = lex_within(text, SMALL);
        let kept: Vec<&str> = lexed.lexemes.iter().map(|lexeme| lexeme.text.as_ref()).collect();
        assert_eq!(kept, ["a", "b", "c", "d", ";", "", ";", "g", ";"]);
        let long = &lexed.lexemes[5];
        assert_eq!((long.token, long.at), (Token::LongStatement, 17));
        assert_eq!((long.span.start, long.span.end.line), (Position { line: 1, column: 18 }, 2));
        assert_eq!(lexed.comments.iter().map(|comment| comment.text).collect::<Vec<_>>(), ["/* 1 */"]);
        assert_eq!(lexed.end, lex(text).end);
    }

    #[test]
    fn a_text_of_too_many_tokens_ends_at_the_statement_in_which_they_are() {
        let kept = cut(&"a b;".repeat(100), SMALL);
        assert_eq!(kept.len(), 16);
        assert_eq!(kept.last(), Some(&(Token::LongText, String::new())));
        let kept = cut(&"/**/".repeat(100), SMALL);
        assert_eq!(kept, [(Token::LongText, String::new())]);
        let kept = cut(&format!("a b;{};", "c ".repeat(100)), SMALL);
        assert_eq!(kept.len(), 5, "long statements count as one token");
    }

    #[test]
    fn a_text_within_the_bounds_is_cut_as_always() {
        for text in ["", ";", "a b c d; e", "-- x\n a; /* y", "a b c d"] {
            let (within, all) = (lex_within(text, SMALL), lex(text));
            assert_eq!(format!("{within:?}"), format!("{all:?}"), "{text}");
        }
    }

    #[test]
    fn what_stands_near_a_place_is_cut_alike() {
        let text = "a\n".repeat(1_000);
        let near = lex_near(&text, Position { line: 100, column: 1 });
        assert_eq!(near.lexemes.len(), 99 + AFTER);
        assert_eq!(lex_near("a b; c", Position { line: 1, column: 3 }).lexemes.len(), lex("a b; c").lexemes.len());
    }
}
