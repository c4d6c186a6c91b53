//! LIKE: `%` for any run of characters, `_` for one, neither for a line's end, which nothing but itself matches.

use arrow::array::{Array, AsArray};
use arrow::buffer::BooleanBuffer;

use super::bits;
use super::{Expr, Out, Rows};
use crate::error::Result;

/// A pattern, taken apart.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern(Vec<Piece>);

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
    /// Takes a pattern apart; `None` if it ends in the escape character, which leaves open what is escaped.
    pub fn new(pattern: &str, escape: Option<char>) -> Option<Pattern> {
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

    /// Whether the whole text fits the pattern.
    pub fn matches(&self, text: &str) -> bool {
        // The last `%` seen and where the text stood then: the only place that is ever worth going back to.
        let (mut piece, mut rest) = (0, text);
        let mut retry: Option<(usize, &str)> = None;
        loop {
            let step = match self.0.get(piece) {
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
                (None, Some((any, from))) => match skip_one(from) {
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

/// The text behind its first character, unless that ends a line.
fn skip_one(text: &str) -> Option<&str> {
    let mut chars = text.chars();
    let c = chars.next()?;
    (!matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')).then_some(chars.as_str())
}

/// Whether the value fits the pattern; a NULL on either side is an error.
pub fn like(
    value: &Expr,
    pattern: &Expr,
    escape: Option<char>,
    fixed: Option<&Pattern>,
    rows: &mut Rows,
) -> Result<Out> {
    let (value, pattern) = (value.eval(rows)?, pattern.eval(rows)?);
    let nulls = bits::union(value.values.nulls(rows.count), pattern.values.nulls(rows.count));
    let mut broken = bits::union(bits::union(value.failed, pattern.failed), nulls);
    let texts = value.values.array().as_string::<i32>();
    let patterns = pattern.values.array().as_string::<i32>();
    let mut unfinished = vec![false; rows.count];
    let values = BooleanBuffer::collect_bool(rows.count, |row| {
        let (text, place) = (value.values.place(row), pattern.values.place(row));
        if texts.is_null(text) || patterns.is_null(place) {
            return false;
        }
        match fixed {
            Some(fixed) => fixed.matches(texts.value(text)),
            None => Pattern::new(patterns.value(place), escape).map_or_else(
                || {
                    unfinished[row] = true;
                    false
                },
                |p| p.matches(texts.value(text)),
            ),
        }
    });
    if unfinished.contains(&true) {
        broken = bits::union(broken, Some(BooleanBuffer::from(unfinished)));
    }
    Ok(super::logic::boolean(values, broken))
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
        assert!(!like("a\nb", "%"));
        assert!(!like("abc", "ab"));
        assert!(like("a.c", "a.c") && !like("abc", "a.c"));
        assert!(like("mississippi", "m%iss%pi"));
        assert_eq!(Pattern::new("a!", Some('!')), None);
    }
}
