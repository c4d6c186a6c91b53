//! `tidemill shell`: statements as they are typed, with ksqlDB's habits.
//!
//! A line is one of the shell's own commands, or a part of a statement. Statements may go over several lines and end
//! with a semicolon outside of quotes and comments; several in one line are one script, checked before any is executed.
//! A statement that fails does not end the shell.
//!
//! Ctrl-C while typing throws the typed lines away; while a statement is at work it ends what is shown, not the shell.
//! Ctrl-D leaves. What was typed is kept in `~/.tidemill-history`.
//!
//! If the input is no terminal, the shell reads it like a script that is typed, without prompts, and ends with status 1
//! if any statement failed.

mod commands;
mod editor;
mod with;

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::time::Duration;

use super::common::Common;
use super::connect::Credentials;
use super::failure::{Done, FAILED, Failure};
use super::output::{Format, Output, tell, tell_error};
use super::remote::Remote;
use super::script::{Script, bounds, without_folder};
use super::stop::Stop;
use super::viewer::Viewer;
use crate::config::Properties;
use crate::engine::{Drive, Engine};
use crate::error::Error;
use crate::journal::WhenFull;
use crate::sql::bounds::Bounds;
use crate::sql::lexer::{Token, lex};
use crate::statements::{Outcome, Session};
use clap::Args;
use commands::After;
use editor::{Assistant, Editor};
use rustyline::CompletionType;
use rustyline::error::ReadlineError;

#[derive(Args)]
pub(super) struct Arguments {
    /// The server that executes the statements.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    #[command(flatten)]
    credentials: Credentials,
    /// Executes statements and leaves.
    #[arg(short = 'e', long = "execute", value_name = "SQL")]
    execute: Vec<String>,
    /// Executes the statements of a file and leaves.
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: Vec<PathBuf>,
    /// How rows are written.
    #[arg(long, value_enum, default_value = "table")]
    output: Format,
}

/// How long to wait for the next row before looking whether somebody has had enough.
const PAUSE: Duration = Duration::from_millis(20);
/// What stands before a statement, and before its further lines.
const PROMPTS: [&str; 2] = ["tidemill> ", "        > "];

/// Runs the shell; the exit status.
pub(super) fn run(common: &Common, arguments: &Arguments) -> Done {
    let bounds = bounds(common, arguments.server.as_deref())?;
    let given = Script::read(&arguments.file, &arguments.execute, bounds)?;
    let talks = arguments.file.is_empty() && arguments.execute.is_empty();
    let remote = arguments.server.as_deref().map(|url| Remote::connect(url, &arguments.credentials, true));
    let remote = remote.transpose()?;
    if talks && remote.is_none() && io::stdin().is_terminal() && !common.has_folder() {
        tell(&format!("making a new data folder {}", common.folder()));
    }
    let engine = match &remote {
        // What belongs to the session is kept in an engine of its own, in which nothing else is.
        Some(_) => common.open_empty("latest")?,
        None => {
            let empty = if talks { None } else { without_folder(common, &given, "latest")? };
            let open = || common.open(Drive::Threads { start: true }, WhenFull::Retry, "latest");
            empty.map_or_else(open, Ok)?
        }
    };
    let editor = if talks { Some(editor(&engine)?) } else { None };
    // Behind the editor, which handles Ctrl-C in its own way and is needed only while nothing is at work.
    let stop = Stop::on_interrupt()?;
    let asked = stop.clone();
    let is_asked = move || asked.is_asked();
    let mut shell = Shell {
        session: Session::new(&engine, Properties::default()).stopping(&is_asked),
        engine: &engine,
        remote,
        bounds,
        output: Output::new(arguments.output),
        stop,
        failed: false,
    };
    match editor {
        Some(editor) => shell.talk(editor)?,
        None => shell.script(&given)?,
    }
    let failed = shell.failed && !io::stdin().is_terminal();
    engine.close();
    match engine.failure() {
        Some(error) => Err(error.clone().into()),
        None => Ok(if failed { FAILED } else { 0 }),
    }
}

fn editor(engine: &Engine) -> Result<Editor<'_>, Failure> {
    // The first Tab completes what all candidates have in common, the second one lists them.
    let config = rustyline::Config::builder().completion_type(CompletionType::List).build();
    let mut editor = Editor::with_config(config).map_err(unusable)?;
    editor.set_helper(Some(Assistant { engine, types: io::stdin().is_terminal(), before: String::new() }));
    Ok(editor)
}

fn unusable(error: ReadlineError) -> Error {
    Error::backend(format!("the terminal cannot be used: {error}"))
}

/// A shell.
struct Shell<'e> {
    engine: &'e Engine,
    session: Session<'e>,
    /// The server that executes the statements, if it is not the engine.
    remote: Option<Remote>,
    /// How many tokens texts may have.
    bounds: Bounds,
    output: Output,
    /// Ctrl-C while a statement is at work.
    stop: Stop,
    /// Whether any statement has failed.
    ///
    /// Decides the exit status, unless a person types.
    failed: bool,
}

/// Where the lines that were typed are kept.
///
/// `None` without a home.
fn history_file() -> Option<PathBuf> {
    std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".tidemill-history"))
}

impl Shell<'_> {
    /// Reads and executes until there is nothing more to read, or somebody leaves.
    ///
    /// # Errors
    /// The terminal cannot be used, or the output cannot be written. A statement that fails is no error here.
    fn talk(&mut self, mut editor: Editor) -> Result<(), Failure> {
        let history = history_file().filter(|_| io::stdin().is_terminal());
        if let Some(file) = &history {
            // The first shell has no history yet.
            let _ = editor.load_history(file);
            tell(&format!("tidemill {}: help lists the commands, exit leaves", env!("CARGO_PKG_VERSION")));
        }
        let mut typed = String::new();
        while self.engine.failure().is_none() {
            if let Some(assistant) = editor.helper_mut() {
                assistant.before.clone_from(&typed);
            }
            match editor.readline(PROMPTS[usize::from(!typed.is_empty())]) {
                Ok(line) => {
                    if typed.is_empty() && self.is_done_with(&line, &mut editor)? == After::Leave {
                        break;
                    }
                    self.add_line(&line, &mut typed, &mut editor)?;
                }
                Err(ReadlineError::Interrupted) => typed.clear(),
                // A signal of the time before: it was obeyed then.
                Err(ReadlineError::Signal(_)) => {}
                Err(ReadlineError::Eof) => break,
                Err(error) => return Err(unusable(error).into()),
            }
            if let Some(file) = &history {
                // A history that cannot be written is no reason to stop working.
                let _ = editor.save_history(file);
            }
        }
        if !typed.trim().is_empty() {
            self.complain("error: the last statement has no ; at its end and was not executed");
        }
        Ok(())
    }

    /// Executes a command of the shell's own, if the line is one.
    fn is_done_with(&mut self, line: &str, editor: &mut Editor) -> Result<After, Failure> {
        let after = self.command(line, editor)?;
        if after != After::NoCommand {
            let _ = editor.add_history_entry(line);
        }
        Ok(after)
    }

    /// Adds a line to what was typed, and executes it if that makes it complete.
    fn add_line(&mut self, line: &str, typed: &mut String, editor: &mut Editor) -> Result<(), Failure> {
        if typed.is_empty() && (line.trim().is_empty() || commands::is_command(line)) {
            return Ok(());
        }
        typed.push_str(line);
        typed.push('\n');
        if is_complete(typed) {
            let text = std::mem::take(typed);
            let _ = editor.add_history_entry(text.trim_end());
            self.text("statement", &text)?;
        }
        Ok(())
    }

    /// Executes the statements of a text. What fails is told and ends the text, not the shell.
    ///
    /// # Errors
    /// Only that the reader of the output has gone.
    fn text(&mut self, name: &str, text: &str) -> Result<(), Failure> {
        self.stop.forget();
        match Script::parse(name, text, self.bounds) {
            Ok(script) => {
                if let Err(failure) = self.script(&script) {
                    if failure.text.is_empty() {
                        return Err(failure);
                    }
                    self.complain(&failure.text);
                }
            }
            Err(errors) => errors.iter().for_each(|error| self.complain(&error.render(Some(name)))),
        }
        Ok(())
    }

    fn complain(&mut self, text: &str) {
        self.failed = true;
        tell_error(text);
    }

    /// Checks the statements of a script as a whole and executes them.
    ///
    /// # Errors
    /// The first statement that fails; those before it stay in effect.
    fn script(&mut self, script: &Script) -> Result<(), Failure> {
        if let Some(remote) = &self.remote {
            return remote.script(&mut self.session, script, &mut self.output, &self.stop);
        }
        script.check(&self.session)?;
        for statement in &script.statements {
            let outcome = self.session.run(&statement.parsed).map_err(|e| statement.failure(e))?;
            self.show(outcome)?;
            if self.stop.is_asked() {
                break;
            }
        }
        self.output.flush()
    }

    fn show(&mut self, outcome: Outcome) -> Result<(), Failure> {
        match outcome {
            Outcome::Changed { committed, hint } => {
                self.done(&committed.change.message, &committed.change.warnings)?;
                hint.iter().for_each(|hint| tell(&format!("hint: {hint}")));
            }
            Outcome::Done { message, warnings } => self.done(&message, &warnings)?,
            Outcome::Reply(reply) => self.output.reply(&reply)?,
            Outcome::Rows(rows) => self.output.pulled(rows)?,
            Outcome::Push { query, until, warnings, hint } => {
                warnings.iter().for_each(|warning| tell(&format!("warning: {warning}")));
                hint.iter().for_each(|hint| tell(&format!("hint: {hint}")));
                self.watch(Viewer::new(query, until))?;
            }
            Outcome::Print { records, lines } => self.watch(Viewer::of_topic(records, lines))?,
        }
        Ok(())
    }

    /// Tells what was done.
    fn done(&mut self, message: &str, warnings: &[String]) -> Result<(), Failure> {
        warnings.iter().for_each(|warning| tell(&format!("warning: {warning}")));
        if !message.is_empty() {
            self.output.done(message)?;
        }
        self.output.flush()
    }

    /// Shows rows as they come until there are as many as were asked for, or somebody has had enough.
    fn watch(&mut self, mut viewer: Viewer) -> Result<(), Failure> {
        viewer.start(&mut self.output)?;
        if io::stderr().is_terminal() {
            tell("Press CTRL-C to interrupt");
        }
        while !viewer.is_over() && !self.stop.is_asked() {
            viewer.show(PAUSE, &mut self.output)?;
        }
        if viewer.is_complete() {
            tell("Limit Reached");
        }
        tell(viewer.last_words());
        Ok(())
    }
}

/// Whether a text ends with a statement's semicolon, outside of strings and comments.
///
/// True for a text without any word. A quote or a comment that is open makes it false.
fn is_complete(text: &str) -> bool {
    let lexed = lex(text);
    let closed = lexed.lexemes.iter().all(|l| l.token != Token::Unclosed);
    closed && lexed.lexemes.last().is_none_or(|last| last.text == ";")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_ends_with_a_semicolon_outside_of_strings_and_comments() {
        assert!(is_complete("SHOW STREAMS;\n"));
        assert!(is_complete("SHOW STREAMS; -- all of them\n"));
        assert!(!is_complete("SHOW STREAMS -- all; \n"));
        assert!(!is_complete("INSERT INTO s VALUES ('a;\n"));
        assert!(is_complete("-- only a remark\n"));
    }
}
