//! Puts comments back into formatted text.
//!
//! A comment on a line of its own gets its own line before the line of the token that follows it. Any other comment
//! goes to the end of the line of the token before it. If that token was added or left out, the nearest remaining one
//! counts.
//!
//! How it works: the canonical text is cut into tokens again and aligned with the old tokens; each comment then finds
//! the new line of the token that it stood at. Alignment looks only a few tokens ahead and never goes back, so it
//! takes O(tokens). Comments are never lost or doubled, whatever the alignment finds.

use super::lexer::{Comment, Lexeme, lex};

/// A comment within a statement.
pub struct Inner<'a> {
    /// The comment with its marks.
    pub text: &'a str,
    /// How many of the statement's tokens stand before it.
    ///
    /// 0 for one before the first token of the statement.
    pub before: usize,
    /// Whether no token stands before it on its line.
    pub own_line: bool,
}

impl<'a> Inner<'a> {
    /// A comment of a text as one of the statement whose first token has the number `first`.
    pub fn new(comment: &Comment<'a>, lexemes: &[Lexeme], first: usize) -> Self {
        let previous = comment.before.checked_sub(1).map(|i| &lexemes[i]);
        let own_line = previous.is_none_or(|l| l.span.end.line < comment.span.start.line);
        Inner { text: comment.text, before: comment.before - first, own_line }
    }
}

/// The canonical text of a statement with its comments; `old` are the tokens as they were written.
///
/// `canonical` must be spread over lines, each part of a clause on its own, or comments pile up at the end of a long
/// line.
pub fn weave(canonical: &str, old: &[Lexeme], comments: &[Inner]) -> String {
    let lexed = lex(canonical);
    let new = &lexed.lexemes;
    let places = align(old, new);
    let lines = line_starts(new);
    let mut out = String::with_capacity(canonical.len() + comments.iter().map(|c| c.text.len() + 8).sum::<usize>());
    let mut texts = canonical_lines(canonical, new, &lines);
    for comment in comments {
        let line = |token: usize| lines.partition_point(|first| *first <= token).saturating_sub(1);
        if comment.own_line {
            texts[line(places[comment.before.min(old.len() - 1)])].above.push(comment.text);
        } else {
            texts[line(places[comment.before.saturating_sub(1)])].behind.push(comment.text);
        }
    }
    for number in 0..texts.len() {
        let late = texts[number].late();
        if let Some(next) = texts.get_mut(number + 1) {
            next.above.splice(0..0, late);
            texts[number].write(&mut out);
            out.push('\n');
        } else {
            texts[number].write(&mut out);
            late.iter().for_each(|comment| out.extend(["\n", comment]));
        }
    }
    out
}

/// For each old token the number of the new one that stands for it.
///
/// Quotes and case do not matter, since the canonical text may have added or dropped them. A token without a
/// counterpart gets the place where it would stand. The result never falls.
fn align(old: &[Lexeme], new: &[Lexeme]) -> Vec<usize> {
    /// How far ahead a token is looked for; more than this is not added in one place.
    const AHEAD: usize = 12;
    let same = |a: &Lexeme, b: &Lexeme| {
        let bare = |l: &Lexeme| l.text.trim_matches(['`', '"', '\'']).to_ascii_uppercase();
        bare(a) == bare(b)
    };
    let mut next = 0;
    let mut places = Vec::with_capacity(old.len());
    for token in old {
        let found = (next..new.len().min(next + AHEAD)).find(|at| same(token, &new[*at]));
        let at = found.unwrap_or(next).min(new.len().saturating_sub(1));
        places.push(at);
        next = if found.is_some() { at + 1 } else { next };
    }
    places
}

/// The tokens that lines begin with; a token may itself go over several lines.
fn line_starts(tokens: &[Lexeme]) -> Vec<usize> {
    let begins = |i: &usize| *i == 0 || tokens[*i].span.start.line > tokens[*i - 1].span.end.line;
    (0..tokens.len()).filter(begins).collect()
}

/// A line with the comments that are put before and after it.
struct Line<'a> {
    text: &'a str,
    above: Vec<&'a str>,
    behind: Vec<&'a str>,
}

impl<'a> Line<'a> {
    /// Takes the comments that cannot stand after the line, because an earlier one extends to the end of the line.
    ///
    /// Nothing can stand on a line after a `--` comment; these go above the next line.
    fn late(&mut self) -> Vec<&'a str> {
        let first = self.behind.iter().position(|c| c.starts_with("--")).map_or(self.behind.len(), |at| at + 1);
        self.behind.split_off(first)
    }

    /// Writes the line with its comments.
    fn write(&self, out: &mut String) {
        let indent = &self.text[..self.text.len() - self.text.trim_start().len()];
        for comment in &self.above {
            out.extend([indent, comment, "\n"]);
        }
        out.push_str(self.text);
        self.behind.iter().for_each(|comment| out.extend([" ", comment]));
    }
}

/// Cuts the text before the tokens that lines begin with.
///
/// One per token that begins a line, so a text over several lines stays in one piece.
fn canonical_lines<'a>(text: &'a str, tokens: &[Lexeme], starts: &[usize]) -> Vec<Line<'a>> {
    let mut cuts = Vec::with_capacity(starts.len() + 1);
    let (mut at, mut line) = (0, 1);
    for start in starts {
        let wanted = tokens[*start].span.start.line;
        while line < wanted {
            at += text[at..].find('\n').map_or(0, |found| found + 1);
            line += 1;
        }
        cuts.push(at);
    }
    cuts.push(text.len() + 1);
    let line = |pair: &[usize]| Line { text: &text[pair[0]..pair[1] - 1], above: Vec::new(), behind: Vec::new() };
    cuts.windows(2).map(line).collect()
}
