//! Scripts in canonical form: each statement as it is printed, with the comments where they were.
//!
//! Formatting twice gives the same as formatting once. The words of the language and names without quotes get upper
//! case, each clause its own line, and between two statements at most one empty line stays. Comments keep their text;
//! those within a statement go with the part that they stand at, by [`weave`].

use std::fmt::Write;

use super::{Parsed, parse_lexed};
use crate::error::Error;
use crate::sql::bounds::Bounds;
use crate::sql::lexer::{Comment, Lexed, lex};
use crate::sql::weave::{Inner, weave};

/// The text in canonical form; the errors of all statements that cannot be read.
///
/// Ends with a line break, unless the text is empty.
///
/// # Errors
/// If one statement cannot be read nothing is formatted.
pub fn format(text: &str) -> Result<String, Vec<Error>> {
    let lexed = lex(text);
    let statements = parse_lexed(text, &lexed, Bounds::NONE)?;
    let mut script = Script { lexed: &lexed, comments: &lexed.comments, out: String::new(), last_line: 0 };
    let mut first = 0;
    for statement in &statements {
        script.outer_comments(first);
        script.statement(statement, first);
        first += statement.tokens;
    }
    script.outer_comments(usize::MAX);
    Ok(script.out)
}

/// A script that is being written.
struct Script<'a> {
    lexed: &'a Lexed<'a>,
    /// Those that are still to be written.
    ///
    /// In the order of the text.
    comments: &'a [Comment<'a>],
    out: String,
    /// The line of the old text on which what was written last ends.
    last_line: u32,
}

impl<'a> Script<'a> {
    /// The comments that stand before the token of this number.
    fn take_comments(&mut self, before: usize) -> &'a [Comment<'a>] {
        let count = self.comments.iter().take_while(|c| c.before <= before).count();
        let (taken, rest) = self.comments.split_at(count);
        self.comments = rest;
        taken
    }

    /// Goes to the next line of the new text, keeping one empty line where the old text had any.
    fn new_line(&mut self, line: u32) {
        if !self.out.is_empty() {
            self.out.push('\n');
            if line > self.last_line + 1 {
                self.out.push('\n');
            }
        }
    }

    /// Writes the comments between statements, up to the token of this number.
    fn outer_comments(&mut self, before: usize) {
        for comment in self.take_comments(before) {
            let behind = !self.out.is_empty() && comment.span.start.line == self.last_line && !self.ends_in_comment();
            if behind {
                self.out.push(' ');
            } else {
                self.new_line(comment.span.start.line);
            }
            self.out.push_str(comment.text);
            // The span of a comment to the end of its line ends on that line.
            self.last_line = comment.span.end.line;
        }
        if before == usize::MAX && !self.out.is_empty() {
            self.out.push('\n');
        }
    }

    /// Whether the last line ends in a comment that goes to the end of its line.
    fn ends_in_comment(&self) -> bool {
        let last = self.out.rsplit('\n').next().unwrap_or_default();
        lex(last).comments.last().is_some_and(|c| c.text.starts_with("--"))
    }

    /// `first` is the number of its first token. A statement with comments has each part on its own line, so that a
    /// comment can stand at its end.
    fn statement(&mut self, parsed: &Parsed, first: usize) {
        let old = &self.lexed.lexemes[first..first + parsed.tokens];
        // What stands behind the last token, the semicolon, is no part of the statement.
        let comments = self.take_comments(first + parsed.tokens - 1);
        self.new_line(parsed.span.start.line);
        if comments.is_empty() {
            // Writing into a String cannot fail.
            let _ = write!(self.out, "{};", parsed.statement);
        } else {
            let inner: Vec<Inner> = comments.iter().map(|c| Inner::new(c, &self.lexed.lexemes, first)).collect();
            self.out.push_str(&weave(&format!("{:#};", parsed.statement), old, &inner));
        }
        self.last_line = parsed.span.end.line;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let formatted = format(text).expect("good statements");
        assert_eq!(formatted, expected);
        assert_eq!(format(&formatted).expect("good statements"), expected, "formatted again");
    }

    #[test]
    fn statements_are_laid_out() {
        check(
            "show streams;list   tables;\n\n\nselect * from s;",
            "SHOW STREAMS;\nSHOW TABLES;\n\nSELECT *\nFROM S;\n",
        );
        check("", "");
    }

    #[test]
    fn comments_between_statements_stay_between_them() {
        check(
            "-- first\n\n--@test: x\nSHOW STREAMS; -- all\n/* and */ SHOW TABLES; /* a */ -- b\n-- end",
            "-- first\n\n--@test: x\nSHOW STREAMS; -- all\n/* and */\nSHOW TABLES; /* a */ -- b\n-- end\n",
        );
    }

    #[test]
    fn comments_within_a_statement_stay_at_their_parts() {
        check(
            "select a, -- the key\n  -- the sum\n  b + 1 /* one */ c, 'x -- y'\nfrom s -- all of it\nwhere a = 1 ;-- done",
            "SELECT\n  A, -- the key\n  -- the sum\n  B + 1 AS C, /* one */\n  'x -- y'\nFROM S -- all of it\nWHERE A = 1; -- done\n",
        );
        check(
            "create stream s (\n  a int, -- one\n  b int /* two */) with (\n  -- where\n  kafka_topic='t', value_format='JSON');",
            "CREATE STREAM S (\n  A INT, -- one\n  B INT /* two */\n) WITH (\n  -- where\n  KAFKA_TOPIC = 't',\n  VALUE_FORMAT = 'JSON'\n);\n",
        );
    }

    #[test]
    fn every_bad_statement_is_reported() {
        assert_eq!(format("SHOW;\nSHOW STREAMS;\nDROP;").expect_err("two bad ones").len(), 2);
    }
}
