//! LIKE: `%` for any run of characters, `_` for one, also where a line ends.
//!
//! A pattern is compared with the whole text, and letters with their case. The escape character takes the meaning from the
//! character after it. A match takes time in proportion to the text, but for patterns with `_` after a `%`, which may look at a
//! place again for every place where the run of `%` could end.

use arrow::array::{Array, AsArray};
use arrow::buffer::BooleanBuffer;

use super::bits;
use super::compiled::{Compiled, Step};
use super::datum::Out;
use super::logic;
use super::rows::{Evaluated, Rows};
use crate::functions::fault::shown;
use crate::types::{SqlType, Value};

/// A pattern, taken apart.
///
/// Two runs of `%` never follow each other, and neither do two texts. An empty pattern has no pieces and fits the
/// empty text only.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pattern(Vec<Piece>);

/// A part of a pattern.
#[derive(Clone, Debug, PartialEq)]
enum Piece {
    /// These characters.
    Text(String),
    /// One character.
    One,
    /// Any run of characters.
    Any,
}

impl Pattern {
    /// Takes a pattern apart; `None` if it ends in the escape character, so that nothing is escaped by it.
    ///
    /// There is no escape character unless one is given: a backslash is an ordinary character, as in ksqlDB.
    pub(super) fn new(pattern: &str, escape: Option<char>) -> Option<Pattern> {
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut chars = pattern.chars();
        while let Some(c) = chars.next() {
            let piece = match c {
                c if Some(c) == escape => {
                    text.push(chars.next()?);
                    continue;
                }
                '%' => Piece::Any,
                '_' => Piece::One,
                c => {
                    text.push(c);
                    continue;
                }
            };
            if !text.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut text)));
            }
            if piece != Piece::Any || pieces.last() != Some(&Piece::Any) {
                pieces.push(piece);
            }
        }
        if !text.is_empty() {
            pieces.push(Piece::Text(text));
        }
        Some(Pattern(pieces))
    }

    /// The text from the next place on where a piece may fit, at least one character later.
    fn next_start<'t>(&self, piece: usize, from: &'t str) -> Option<&'t str> {
        let next = skip_one(from)?;
        match self.0.get(piece) {
            Some(Piece::Text(wanted)) => next.find(wanted.as_str()).map(|at| &next[at..]),
            _ => Some(next),
        }
    }

    /// Whether the whole text fits the pattern.
    ///
    /// After a failure it is enough to go back to the last `%`: whatever an earlier `%` could take, the last one can
    /// take as well.
    pub(super) fn matches(&self, text: &str) -> bool {
        // The last `%` seen and where the text stood then: the only place that is ever worth going back to.
        let (mut piece, mut rest) = (0, text);
        let mut retry: Option<(usize, &str)> = None;
        loop {
            let step = match self.0.get(piece) {
                Some(Piece::Any) if piece + 1 == self.0.len() => return true,
                Some(Piece::Any) => {
                    retry = Some((piece, rest));
                    Some(rest)
                }
                Some(Piece::Text(text)) => rest.strip_prefix(text.as_str()),
                Some(Piece::One) => skip_one(rest),
                None if rest.is_empty() => return true,
                None => None,
            };
            match (step, retry) {
                (Some(next), _) => (piece, rest) = (piece + 1, next),
                (None, Some((any, from))) => match self.next_start(any + 1, from) {
                    Some(next) => {
                        retry = Some((any, next));
                        (piece, rest) = (any + 1, next);
                    }
                    None => return false,
                },
                (None, None) => return false,
            }
        }
    }
}

/// The text after its first character.
fn skip_one(text: &str) -> Option<&str> {
    let mut chars = text.chars();
    chars.next().map(|_| chars.as_str())
}

/// `value LIKE pattern ESCAPE escape`. A NULL on either side ends the row.
pub(super) struct Like {
    /// The text.
    value: Compiled,
    pattern: Compiled,
    /// The character that takes its meaning from the one after it.
    escape: Option<char>,
    /// The pattern, if it is a constant.
    fixed: Option<Pattern>,
}

impl Like {
    /// A comparison with a pattern, which is `fixed` if it is a constant.
    pub(super) fn new(value: Compiled, pattern: Compiled, escape: Option<char>, fixed: Option<&Value>) -> Self {
        let fixed = match fixed {
            Some(Value::String(text)) => Pattern::new(text, escape),
            _ => None,
        };
        Like { value, pattern, escape, fixed }
    }
}

impl Step for Like {
    fn eval(&self, rows: &mut Rows) -> Evaluated<Out> {
        let (value, pattern) = (self.value.out(rows)?, self.pattern.out(rows)?);
        let nulls = bits::union(value.values.nulls(rows.count), pattern.values.nulls(rows.count));
        let ended = bits::union(bits::union(value.ended, pattern.ended), nulls);
        let texts = value.values.array().as_string::<i32>();
        let patterns = pattern.values.array().as_string::<i32>();
        let mut unfinished = vec![false; rows.count];
        let values = BooleanBuffer::collect_bool(rows.count, |row| {
            let (text, place) = (value.values.place(row), pattern.values.place(row));
            if !rows.is_reached(row) || texts.is_null(text) || patterns.is_null(place) {
                return false;
            }
            if let Some(fixed) = &self.fixed {
                return fixed.matches(texts.value(text));
            }
            let found = Pattern::new(patterns.value(place), self.escape);
            unfinished[row] = found.is_none();
            found.is_some_and(|p| p.matches(texts.value(text)))
        });
        let failed = bits::except(bits::marked(unfinished), &ended);
        rows.fault(&failed, |row| {
            let pattern = shown(&pattern.values.value(row, &SqlType::String));
            format!("LIKE: the pattern {pattern} ends in its escape character")
        });
        Ok(logic::boolean(values, bits::union(ended, failed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_texts() {
        let like = |text: &str, pattern: &str| Pattern::new(pattern, Some('!')).expect("finished").matches(text);
        assert!(like("abcabd", "%ab_"));
        assert!(like("", "%"));
        assert!(like("a%c", "a!%c"));
        assert!(like("😀", "_"));
        assert!(!like("abc", "ab"));
        assert!(like("a.c", "a.c") && !like("abc", "a.c"));
        assert!(like("mississippi", "m%iss%pi"));
        assert_eq!(Pattern::new("a!", Some('!')), None);
    }

    #[test]
    fn wildcards_stand_for_line_ends_too() {
        let like = |text: &str, pattern: &str| Pattern::new(pattern, None).expect("finished").matches(text);
        for line_end in ["\n", "\r", "\u{85}", "\u{2028}", "\u{2029}"] {
            assert!(like(&format!("error{line_end}at x"), "error%"));
            assert!(like(&format!("error{line_end}at x"), "error_at%"));
            assert!(like(&format!("first{line_end}error"), "%error%"));
        }
    }
}
