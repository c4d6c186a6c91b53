//! Texts that fit a regular expression: literals, classes, groups with alternatives, and bounded repetitions.
//!
//! `*` and `+` repeat at most eight times. Anchors, references and look-around are refused.

use super::chance::Chance;
use crate::error::{Error, Result};

/// The most repetitions of what has no bound.
const MOST: usize = 8;

/// How deep groups may be nested.
const DEEPEST: usize = 50;

/// A regular expression.
#[derive(Clone, Debug)]
pub(super) struct Pattern(Vec<Vec<Piece>>);

/// A part of one, and how often it stands there.
#[derive(Clone, Debug)]
struct Piece {
    part: Part,
    least: usize,
    most: usize,
}

#[derive(Clone, Debug)]
enum Part {
    /// One of these characters.
    Class(Vec<char>),
    Group(Pattern),
}

impl Pattern {
    /// Reads a regular expression.
    ///
    /// # Errors
    /// Kind `Invalid` or `Unsupported`: it is not a regular expression, or has something that texts cannot be made of.
    pub(super) fn new(text: &str) -> Result<Pattern> {
        let mut reader = Reader { rest: text.chars().collect(), next: 0, depth: 0 };
        let pattern = reader.alternatives().map_err(|e| e.context(format!("the regex '{text}': ")))?;
        match reader.peek() {
            None => Ok(pattern),
            Some(_) => Err(Error::invalid(format!("the regex '{text}' has a bracket too many"))),
        }
    }

    /// Adds a text that fits.
    pub(super) fn put(&self, chance: &mut Chance, out: &mut String) {
        for piece in &self.0[chance.place(self.0.len())] {
            let count = piece.least + chance.place(piece.most - piece.least + 1);
            for _ in 0..count {
                match &piece.part {
                    Part::Class(characters) => out.push(characters[chance.place(characters.len())]),
                    Part::Group(pattern) => pattern.put(chance, out),
                }
            }
        }
    }
}

struct Reader {
    rest: Vec<char>,
    next: usize,
    /// How many groups are open.
    depth: usize,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.rest.get(self.next).copied()
    }

    fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        self.next += usize::from(found);
        found
    }

    fn any(&mut self) -> Result<char> {
        let found = self.peek().ok_or_else(|| Error::invalid("it ends too early"))?;
        self.next += 1;
        Ok(found)
    }

    fn alternatives(&mut self) -> Result<Pattern> {
        let mut all = vec![self.sequence()?];
        while self.take('|') {
            all.push(self.sequence()?);
        }
        Ok(Pattern(all))
    }

    fn sequence(&mut self) -> Result<Vec<Piece>> {
        let mut pieces = Vec::new();
        while self.peek().is_some_and(|c| c != '|' && c != ')') {
            let part = self.part()?;
            let (least, most) = self.count()?;
            pieces.push(Piece { part, least, most });
        }
        Ok(pieces)
    }

    fn part(&mut self) -> Result<Part> {
        Ok(match self.any()? {
            '(' => {
                if self.take('?') && !self.take(':') {
                    return Err(Error::unsupported("groups with '?'"));
                }
                if self.depth == DEEPEST {
                    return Err(Error::unsupported(format!("groups that are nested deeper than {DEEPEST}")));
                }
                self.depth += 1;
                let group = self.alternatives()?;
                self.depth -= 1;
                if !self.take(')') {
                    return Err(Error::invalid("a group is not closed"));
                }
                Part::Group(group)
            }
            '[' => Part::Class(self.class()?),
            '.' => Part::Class((' '..='~').collect()),
            '\\' => Part::Class(self.escaped()?),
            c @ ('^' | '$') => return Err(Error::unsupported(format!("'{c}'"))),
            c @ ('*' | '+' | '?' | '{') => return Err(Error::invalid(format!("nothing stands before '{c}'"))),
            c => Part::Class(vec![c]),
        })
    }

    fn escaped(&mut self) -> Result<Vec<char>> {
        Ok(match self.any()? {
            'd' => ('0'..='9').collect(),
            'w' => ('a'..='z').chain('A'..='Z').chain('0'..='9').chain(['_']).collect(),
            's' => vec![' '],
            c if c.is_ascii_alphanumeric() => return Err(Error::unsupported(format!("'\\{c}'"))),
            c => vec![c],
        })
    }

    fn class(&mut self) -> Result<Vec<char>> {
        if self.peek() == Some('^') {
            return Err(Error::unsupported("classes with '^'"));
        }
        let mut characters = Vec::new();
        while !self.take(']') {
            let first = self.any()?;
            if first == '\\' {
                characters.extend(self.escaped()?);
            } else if self.peek() == Some('-') && self.rest.get(self.next + 1).is_some_and(|c| *c != ']') {
                self.next += 1;
                characters.extend(first..=self.any()?);
            } else {
                characters.push(first);
            }
        }
        if characters.is_empty() { Err(Error::invalid("a class is empty")) } else { Ok(characters) }
    }

    /// How often the part before stands there.
    fn count(&mut self) -> Result<(usize, usize)> {
        if self.take('?') {
            return Ok((0, 1));
        }
        if self.take('*') {
            return Ok((0, MOST));
        }
        if self.take('+') {
            return Ok((1, MOST));
        }
        if !self.take('{') {
            return Ok((1, 1));
        }
        let mut text = String::new();
        while !self.take('}') {
            text.push(self.any()?);
        }
        let (least, most) = text.split_once(',').unwrap_or((&text, &text));
        let least = least.parse().map_err(|_| Error::invalid(format!("'{{{text}}}' is no count")))?;
        let most = if most.is_empty() { Ok(least + MOST) } else { most.parse() };
        match most {
            Ok(most) if most >= least && most <= 10_000 => Ok((least, most)),
            _ => Err(Error::invalid(format!("'{{{text}}}' is no count"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_fit_their_regular_expression() {
        let mut chance = Chance::new(1);
        for text in
            ["User_[1-9]{0,1}", "(a|bc)+x*", "[a-cX-]{2,4}\\.\\d", "Page_[1-9][0-9]?", "(?:ab){3}", "a|", "[\\w.]{1,}"]
        {
            let pattern = Pattern::new(text).expect(text);
            let whole = fancy_regex::Regex::new(&format!("^(?:{text})$")).expect(text);
            for _ in 0..200 {
                let mut out = String::new();
                pattern.put(&mut chance, &mut out);
                assert!(whole.is_match(&out).expect(text), "{text}: {out}");
            }
        }
        assert!(Pattern::new(&"(".repeat(100_000)).is_err());
        for text in ["^a", "[^a]", "(a", "a)", "*", "a{2,1}", "[]", "\\b", "a{x}"] {
            assert!(Pattern::new(text).is_err(), "{text}");
        }
    }
}
