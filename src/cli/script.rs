//! A script: the statements of files and of the command line, read and checked as one.
//!
//! Several files and `-e` texts are one script: a statement may refer to what one in an earlier file makes, and a
//! mistake in the last file keeps the first from being applied. Each statement knows its text, so an error shows the
//! file, the line and a caret.

use std::path::PathBuf;
use std::sync::Arc;

use super::common::Common;
use super::failure::{FAILED, Failure};
use super::output::tell;
use crate::config::Properties;
use crate::engine::Engine;
use crate::error::{Error, Position};
use crate::sql::bounds::Bounds;
use crate::sql::lexer::lex;
use crate::statements::{self, Nature, Parsed, Session};

/// What the text of `-e` is called.
const COMMAND_LINE: &str = "-e";

/// Statements with the names of the texts that they stand in.
#[derive(Default)]
pub(super) struct Script {
    pub statements: Vec<ScriptStatement>,
}

/// A statement of a script.
pub(super) struct ScriptStatement {
    pub parsed: Parsed,
    /// The name of its text.
    ///
    /// `-e` for texts of the command line, `-` for the standard input.
    pub file: String,
    /// The whole text.
    source: Arc<str>,
}

impl Script {
    /// Reads files, `-` being the standard input, and then the texts of `-e`. All errors of all texts are reported, among
    /// them statements beyond the bounds.
    ///
    /// # Errors
    /// Status 1 with the errors of all texts; status 2 or 3 if a file cannot be read.
    pub(super) fn read(files: &[PathBuf], texts: &[String], bounds: Bounds) -> Result<Script, Failure> {
        let mut sources = sources(files)?;
        for text in texts {
            sources.push((COMMAND_LINE.to_owned(), completed(text)));
        }
        let mut script = Script::default();
        let mut errors = Vec::new();
        for (name, text) in sources {
            match Script::parse(&name, &text, bounds) {
                Ok(parsed) => script.statements.extend(parsed.statements),
                Err(found) => errors.extend(found.iter().map(|e| e.render(Some(&name)))),
            }
        }
        if errors.is_empty() { Ok(script) } else { Err(Failure { status: FAILED, text: errors.join("\n\n") }) }
    }

    /// The statements of one text.
    ///
    /// # Errors
    /// All mistakes of the text, in their order.
    pub(super) fn parse(name: &str, text: &str, bounds: Bounds) -> Result<Script, Vec<Error>> {
        let source: Arc<str> = text.into();
        let statement = |parsed| ScriptStatement { parsed, file: name.to_owned(), source: source.clone() };
        Ok(Script { statements: statements::parse_within(text, bounds)?.into_iter().map(statement).collect() })
    }

    /// Checks all statements without doing any of them; what each is. All refusals are reported.
    ///
    /// One nature for each statement, in their order. Each is checked as if those before it had been executed.
    ///
    /// # Errors
    /// All refusals, with the highest of their statuses.
    pub(super) fn check(&self, session: &Session) -> Result<Vec<Nature>, Failure> {
        let checked = session.dry_run().check_all(self.statements.iter().map(|s| &s.parsed));
        checked.map_err(|errors| {
            let failures: Vec<Failure> =
                errors.into_iter().map(|(place, error)| self.statements[place].failure(error)).collect();
            let status = failures.iter().map(|failure| failure.status).max().unwrap_or(FAILED);
            let texts: Vec<String> = failures.into_iter().map(|failure| failure.text).collect();
            Failure { status, text: texts.join("\n\n") }
        })
    }
}

/// How many tokens texts may have that a server executes, or else this process: the server knows its own bounds.
///
/// # Errors
/// Those of [`Common::properties`].
pub(super) fn bounds(common: &Common, server: Option<&str>) -> Result<Bounds, Failure> {
    Ok(if server.is_some() { Bounds::NONE } else { statements::own_bounds(&common.properties()?) })
}

/// If the data folder is not there and the script makes nothing that it could keep: an engine without a folder, in which
/// the script can be executed. So a mistyped name makes no folder, and neither does a script that is refused.
///
/// # Errors
/// The script is refused, or there is no statement in it.
pub(super) fn without_folder(common: &Common, script: &Script, reset: &'static str) -> Result<Option<Engine>, Failure> {
    if common.has_folder() {
        return Ok(None);
    }
    let engine = common.open_empty(reset)?;
    if script.statements.is_empty() {
        common.require_folder()?;
    }
    let note = format!("the data folder {} is not there", common.folder());
    let checked = script.check(&Session::new(&engine, Properties::default()));
    match checked {
        Ok(natures) if natures.contains(&Nature::Change) => Ok(None),
        Ok(_) => {
            tell(&format!("note: {note}, and these statements do not make it"));
            Ok(Some(engine))
        }
        Err(failure) => Err(Failure { text: format!("{}\n  = note: {note}", failure.text), ..failure }),
    }
}

impl ScriptStatement {
    /// Whether its first word is one of these.
    pub(super) fn begins_with(&self, words: &[&str]) -> bool {
        let lexed = lex(&self.parsed.text);
        lexed.lexemes.first().is_some_and(|first| words.iter().any(|word| first.text.eq_ignore_ascii_case(word)))
    }

    /// Whether it only changes what belongs to the session.
    pub(super) fn is_of_session(&self) -> bool {
        self.begins_with(&["SET", "UNSET", "DEFINE", "UNDEFINE"])
    }

    /// An error of the statement, with its place.
    pub(super) fn failure(&self, error: Error) -> Failure {
        Failure::in_file(&error.at(self.parsed.span).in_source(&self.source), &self.file)
    }
}

/// A text of statements of one file, each at the line and column where it stands there: so errors have the right places.
#[derive(Default)]
pub(super) struct Placed {
    pub text: String,
    /// What the file is called.
    pub file: String,
    /// Where the text ends.
    end: Position,
}

impl Placed {
    /// Whether a statement can stand behind the text.
    pub(super) fn fits(&self, statement: &ScriptStatement) -> bool {
        self.text.is_empty() || (self.file == statement.file && self.end <= statement.parsed.span.start)
    }

    /// Adds a statement that fits.
    pub(super) fn add(&mut self, statement: &ScriptStatement) {
        let (start, at) = (statement.parsed.span.start, if self.text.is_empty() { FIRST } else { self.end });
        let lines = start.line.saturating_sub(at.line) as usize;
        let from = if lines > 0 { FIRST.column } else { at.column };
        self.text.push_str(&"\n".repeat(lines));
        self.text.push_str(&" ".repeat(start.column.saturating_sub(from) as usize));
        self.text.push_str(&statement.parsed.text);
        self.file.clone_from(&statement.file);
        self.end = statement.parsed.span.end;
    }
}

/// Where a text begins.
const FIRST: Position = Position { line: 1, column: 1 };

/// The names and texts of files, `-` being the standard input.
///
/// Reads all of them into memory, in the order given.
pub(super) fn sources(files: &[PathBuf]) -> Result<Vec<(String, String)>, Failure> {
    let read = |path: &PathBuf| {
        let name = path.display().to_string();
        let text = if name == "-" { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(path) };
        text.map(|text| (name.clone(), text)).map_err(|e| Failure::unreadable(&name, &e))
    };
    files.iter().map(read).collect()
}

/// The text with a semicolon at its end: on a command line it may be missing.
///
/// An empty text and one that ends with a comment after a semicolon stay as they are.
pub(super) fn completed(text: &str) -> String {
    let open = lex(text).lexemes.last().is_some_and(|last| last.text != ";");
    if open { format!("{text}\n;") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_keep_their_places() {
        let text = "-- a remark\nSHOW STREAMS; SHOW\n  TABLES;\n\n  LIST TOPICS;";
        let script = Script::parse("f", text, Bounds::NONE).expect("statements");
        let mut placed = Placed::default();
        for statement in &script.statements {
            assert!(placed.fits(statement));
            placed.add(statement);
        }
        assert_eq!(placed.text, "\nSHOW STREAMS; SHOW\n  TABLES;\n\n  LIST TOPICS;");
        assert!(!placed.fits(&script.statements[0]));
    }
}
