//! The shell's own commands: words without a semicolon, as ksqlDB's shell has them.
//!
//! Commands are looked for only at the start of a statement, in any case of letters, with or without a semicolon.
//! `help` shows the statements from the one list that the parser uses.

use std::path::Path;

use rustyline::history::{History, SearchDirection};

use super::Shell;
use super::editor::Editor;
use crate::cli::failure::Failure;
use crate::cli::output::Format;
use crate::statements;

/// What comes after a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// The line was no command.
    NoCommand,
    GoOn,
    Leave,
}

/// The commands and what they do.
const COMMANDS: &[(&str, &str)] = &[
    ("help", "Shows this."),
    ("exit", "Leaves; so does Ctrl-D."),
    ("version", "Shows the version."),
    ("clear", "Clears the screen."),
    ("history", "Shows what was typed."),
    ("output [table|json|csv]", "Shows or changes how rows are written."),
    ("run script 'FILE'", "Executes the statements of a file."),
];

/// Commands of ksqlDB's shell that this one does not have.
///
/// They are named so that a user hears that they are missing, and does not get an error of syntax.
const NOT_YET: &[&str] = &["spool", "server", "request-pipelining"];

/// The words of a line, without quotes and a last semicolon.
///
/// What is in single quotes is one word, with its blanks.
fn words(line: &str) -> Vec<String> {
    let line = line.trim().trim_end_matches(';');
    let mut words = Vec::new();
    for (place, piece) in line.split('\'').enumerate() {
        match place % 2 {
            0 => words.extend(piece.split_whitespace().map(str::to_owned)),
            _ => words.push(piece.to_owned()),
        }
    }
    words
}

/// The command that a line is.
fn command_of(line: &str) -> Option<String> {
    let words = words(line);
    let first = words.first()?.to_lowercase();
    let second = words.get(1).map(|w| w.to_lowercase()).unwrap_or_default();
    match first.as_str() {
        "help" | "exit" | "quit" | "version" | "clear" | "history" | "output" => Some(first),
        "run" if second == "script" => Some(first),
        other if NOT_YET.contains(&other) => Some(first),
        _ => None,
    }
}

/// Whether a line is a command.
pub(super) fn is_command(line: &str) -> bool {
    command_of(line).is_some()
}

impl Shell<'_> {
    /// Executes a line that is a command.
    ///
    /// # Errors
    /// The output cannot be written. A command that is used wrongly is told and is no error.
    pub(super) fn command(&mut self, line: &str, editor: &mut Editor) -> Result<After, Failure> {
        let Some(command) = command_of(line) else { return Ok(After::NoCommand) };
        let words = words(line);
        let most = match command.as_str() {
            "output" => 2,
            "run" => 3,
            other if NOT_YET.contains(&other) => usize::MAX,
            _ => 1,
        };
        if words.len() > most {
            self.complain(&format!("Too many parameters: help shows what {command} takes"));
            return Ok(After::GoOn);
        }
        match command.as_str() {
            "exit" | "quit" => return Ok(After::Leave),
            "help" => self.help()?,
            "version" => self.output.line(format!("Version: {}", env!("CARGO_PKG_VERSION")))?,
            "clear" => editor.clear_screen().unwrap_or_default(),
            "history" => self.history(editor)?,
            "output" => self.format(words.get(1))?,
            "run" => self.run_script(words.get(2))?,
            other => self.complain(&format!("{other} is not supported by this version yet")),
        }
        self.output.flush()?;
        Ok(After::GoOn)
    }

    fn help(&mut self) -> Result<(), Failure> {
        let row = |(name, summary): (&str, &str)| vec![name.to_owned(), summary.to_owned()];
        let commands: Vec<_> = COMMANDS.iter().copied().map(row).collect();
        self.output.listing(&["Command", "Meaning"], &commands)?;
        self.output.line("")?;
        let statements: Vec<_> = statements::ALL.iter().map(|k| row((k.name, k.summary))).collect();
        self.output.listing(&["Statement, with ; at its end", "Meaning"], &statements)
    }

    fn history(&mut self, editor: &Editor) -> Result<(), Failure> {
        let history = editor.history();
        for place in 0..history.len() {
            if let Ok(Some(found)) = history.get(place, SearchDirection::Forward) {
                self.output.line(format!("{:4}: {}", place + 1, found.entry))?;
            }
        }
        Ok(())
    }

    fn format(&mut self, name: Option<&String>) -> Result<(), Failure> {
        let Some(name) = name else {
            let name = format!("{:?}", self.output.format).to_uppercase();
            return self.output.line(format!("Current output format: {name}"));
        };
        let format = match name.to_lowercase().as_str() {
            "table" | "tabular" => Format::Table,
            "json" => Format::Json,
            "csv" => Format::Csv,
            _ => {
                self.complain(&format!("Invalid output format: '{name}' (valid formats: 'TABLE', 'JSON', 'CSV')"));
                return Ok(());
            }
        };
        self.output.format = format;
        self.output.line(format!("Output format set to {}", name.to_uppercase()))
    }

    fn run_script(&mut self, file: Option<&String>) -> Result<(), Failure> {
        let Some(file) = file else {
            self.complain("RUN SCRIPT takes the name of a file");
            return Ok(());
        };
        match std::fs::read_to_string(Path::new(file)) {
            Ok(text) => self.text(file, &text),
            Err(error) => {
                self.complain(&format!("Failed to read file: {file}: {error}"));
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_from_statements() {
        assert_eq!(command_of("HELP"), Some("help".to_owned()));
        assert_eq!(command_of(" exit; "), Some("exit".to_owned()));
        assert_eq!(command_of("run script 'my file.sql';"), Some("run".to_owned()));
        assert_eq!(words("run script 'my file.sql';"), ["run", "script", "my file.sql"]);
        assert_eq!(command_of("SHOW STREAMS;"), None);
        assert_eq!(command_of(""), None);
    }
}
