//! Applies files: which ones come next, what may stand in them, and how their statements are executed.
//!
//! A file is read whole before the first of its statements is executed. On a data folder all of its statements are
//! checked before, too; a server checks a statement when it executes it. A version is not atomic: what stands before a
//! statement that fails stays in effect, the version is in the state ERROR, and the next `apply` executes it again.

use super::metadata::{Applied, Event, NONE, State};
use super::project::MigrationFile;
use super::{Which, Work, report};
use crate::cli::failure::{Done, FAILED, Failure};
use crate::cli::output::tell;
use crate::cli::script::{Script, ScriptStatement};
use crate::error::Error;
use crate::sql::bounds::Bounds;
use crate::statements::Session;

/// The first words of statements that show something; they have no place in a file.
const REFUSED: [&str; 8] = ["DESCRIBE", "EXPLAIN", "SELECT", "WITH", "PRINT", "SHOW", "LIST", "RUN"];

/// What is told before a dry run.
pub(super) const DRY_RUN: &str = "This is a dry run. No statements will be submitted.";

/// Names and values for the variables of files.
pub(super) type Variables<'v> = [(&'v str, &'v str)];

/// Applies the files that are meant.
pub(super) fn apply(mut work: Work, which: &Which, dry_run: bool, variables: &Variables) -> Done {
    if dry_run {
        work.say(DRY_RUN)?;
    }
    let applied = work.metadata.applied(&work.peer)?;
    require_unchanged(&work, &applied)?;
    warn_of_running(&applied);
    let mut previous = applied.latest_migrated()?.to_owned();
    work.say("Loading migration files")?;
    let files = chosen(work.project.files()?, which, &previous)?;
    match files.len() {
        0 => work.say("No eligible migrations found.")?,
        count => work.say(&format!("{count} migration file(s) loaded."))?,
    }
    for file in &files {
        work.say(&format!("Applying migration version {}: {}", file.version, file.name))?;
        work.say(&format!("{} contents:\n{}", file.path.display(), file.text()?.trim_end()))?;
        let script = read(file)?;
        if dry_run {
            continue;
        }
        check(&work, &script, variables)?;
        let event = Event::started(file, &previous)?;
        work.metadata.write(&work.peer, &event)?;
        if let Err(reason) = execute(&work, &script, variables) {
            work.metadata.write(&work.peer, &event.ended(State::Error, Some(&reason.text)))?;
            return Err(reason);
        }
        work.metadata.write(&work.peer, &event.ended(State::Migrated, None))?;
        work.say("Successfully migrated")?;
        previous = file.version.to_string();
    }
    if dry_run {
        work.say("Dry run complete. No migrations were actually applied.")?;
    }
    work.end(0)
}

/// Shows the files that were not applied, and on a data folder whether their statements would be accepted.
pub(super) fn plan(mut work: Work, variables: &Variables) -> Done {
    let applied = work.metadata.applied(&work.peer)?;
    require_unchanged(&work, &applied)?;
    warn_of_running(&applied);
    let latest = applied.latest_migrated()?;
    let files: Vec<MigrationFile> = work.project.files()?.into_iter().filter(|file| is_newer(file, latest)).collect();
    work.say(&format!("Current migration version: {latest}"))?;
    if files.is_empty() {
        work.say("No eligible migrations found.")?;
    }
    let mut all = Script::default();
    for file in &files {
        let way_back = match work.project.down_file(file.version)? {
            Some(down) => format!("{} takes it back", down.path.display()),
            None => "no file takes it back".to_owned(),
        };
        work.say(&format!("Version {}: {} ({}; {way_back})", file.version, file.name, file.path.display()))?;
        for statement in read(file)?.statements {
            work.say(&format!("  {}", statement.parsed.text.replace('\n', "\n  ")))?;
            all.statements.push(statement);
        }
    }
    check(&work, &all, variables)?;
    work.end(0)
}

/// # Errors
/// A file of a version that was applied is not what it was, or not there.
fn require_unchanged(work: &Work, applied: &Applied) -> Result<(), Failure> {
    let changed = report::changed(&work.project, applied)?;
    if changed.is_empty() { Ok(()) } else { Err(Failure { status: FAILED, text: changed.join("\n") }) }
}

/// Tells of a version that was begun: by somebody who is still at work, or who was interrupted.
fn warn_of_running(applied: &Applied) {
    let current = applied.current();
    if applied.of(current).is_some_and(|event| event.state == State::Running) {
        tell(&format!(
            "warning: the version {current} is in the state RUNNING: it was interrupted, or is being applied"
        ));
    }
}

fn is_newer(file: &MigrationFile, latest: &str) -> bool {
    latest.parse().is_ok_and(|latest: u32| file.version > latest) || latest == NONE
}

/// The files that are meant, in the order in which they are applied.
fn chosen(files: Vec<MigrationFile>, which: &Which, latest: &str) -> Result<Vec<MigrationFile>, Failure> {
    if let Some(version) = which.version {
        let found = files.into_iter().find(|file| file.version == version);
        let missing = || Error::missing(format!("No migration file with version {version} exists."));
        let file = found.ok_or_else(missing)?;
        if !is_newer(&file, latest) {
            let message =
                format!("Version must be newer than the last version migrated. Last version migrated was {latest}");
            return Err(Error::invalid(message).into());
        }
        return Ok(vec![file]);
    }
    let until = which.until.unwrap_or(u32::MAX);
    let eligible = files.into_iter().filter(|file| is_newer(file, latest) && file.version <= until);
    let most = if which.next { 1 } else { usize::MAX };
    let chosen: Vec<MigrationFile> = eligible.take(most).collect();
    if which.next && chosen.is_empty() {
        return Err(Error::missing("No eligible migrations found.").into());
    }
    Ok(chosen)
}

/// The statements of a file.
///
/// # Errors
/// It cannot be read, or has statements that may not stand in it.
pub(super) fn read(file: &MigrationFile) -> Result<Script, Failure> {
    let name = file.path.display().to_string();
    let script = Script::parse(&name, &file.text()?, Bounds::NONE).map_err(|errors| {
        let texts: Vec<String> = errors.iter().map(|error| error.render(Some(&name))).collect();
        Failure { status: FAILED, text: texts.join("\n\n") }
    })?;
    for statement in &script.statements {
        if let Some(word) = REFUSED.iter().find(|word| statement.begins_with(&[word])) {
            let word = if *word == "WITH" { "SELECT" } else { word };
            return Err(statement.failure(Error::invalid(format!("'{word}' statements are not supported."))));
        }
    }
    Ok(script)
}

/// A session with the variables.
pub(super) fn session<'w>(work: &'w Work, variables: &Variables) -> Session<'w> {
    let mut session = work.peer.session();
    variables.iter().for_each(|(name, value)| session.define(name, value));
    session
}

/// Checks statements without doing any of it; a server cannot be asked that.
///
/// # Errors
/// Some are refused.
pub(super) fn check(work: &Work, script: &Script, variables: &Variables) -> Result<(), Failure> {
    if work.peer.is_server() {
        return Ok(());
    }
    script.check(&session(work, variables)).map(|_| ())
}

/// Executes the statements in a session of their own.
///
/// # Errors
/// The first one that is refused; those before it stay in effect.
pub(super) fn execute(work: &Work, script: &Script, variables: &Variables) -> Result<(), Failure> {
    let mut session = session(work, variables);
    script.statements.iter().try_for_each(|statement| {
        work.peer.run(&mut session, statement).map(|_| ()).map_err(|failure| failed(statement, failure))
    })
}

/// The failure of a statement, with its text.
fn failed(statement: &ScriptStatement, failure: Failure) -> Failure {
    let reason = failure.text.strip_prefix("error: ").unwrap_or(&failure.text);
    let text = format!("Failed to execute sql: {}. Error: {reason}", statement.parsed.text.trim());
    Failure { text, ..failure }
}
