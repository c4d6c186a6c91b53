//! `tidemill run`: a script is checked, applied and, as wished, waited for.
//!
//! In this order: all texts are parsed and every error is told; the whole script is checked against what exists, and
//! nothing of a bad one is applied; the statements are executed one after the other. After that:
//!
//! ```text
//! --until-drained   waits until all queries have read their sources, then answers pull queries in text order
//! --follow          shows rows of push queries until Ctrl-C or SIGTERM
//! neither           ends; the queries go on at the next run
//! ```
//!
//! With `--until-drained` pull queries are put off to the end, since their answer is asked of the result. A push query
//! without either option is watched on the spot.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::common::Common;
use super::connect::Credentials;
use super::failure::{Done, FAILED, Failure};
use super::output::{Format, Output, tell};
use super::remote::Remote;
use super::script::{Script, ScriptStatement, bounds, without_folder};
use super::stop::Stop;
use super::viewer::Viewer;
use crate::config::Properties;
use crate::engine::{Change, Committed, Drive, Engine};
use crate::error::Error;
use crate::journal::WhenFull;
use crate::statements::{Nature, Outcome, Session};

#[derive(Args)]
pub(super) struct Arguments {
    /// Files of statements; they are checked as one script, and nothing of a bad one is applied.
    #[arg(value_name = "FILE.sql")]
    files: Vec<PathBuf>,
    /// Statements, behind those of the files.
    #[arg(short = 'e', long = "execute", value_name = "SQL")]
    execute: Vec<String>,
    /// The server that executes the statements, instead of an engine over the data folder.
    #[arg(long, value_name = "URL", conflicts_with_all = ["until_drained", "follow"])]
    server: Option<String>,
    #[command(flatten)]
    credentials: Credentials,
    /// Goes on until every query has read its sources to their ends.
    #[arg(long, conflicts_with = "follow")]
    until_drained: bool,
    /// Goes on until it is interrupted.
    #[arg(long)]
    follow: bool,
    /// How rows are written.
    #[arg(long, value_enum, default_value = "table")]
    output: Format,
}

/// How long to wait for the next row before looking at everything else.
const PAUSE: Duration = Duration::from_millis(20);

/// What is shown when all has been applied.
///
/// In the order of the script.
enum Later<'s> {
    Pull(&'s ScriptStatement),
    Push(Viewer),
}

/// Runs the script; the exit status.
pub(super) fn run(common: &Common, arguments: &Arguments) -> Done {
    if arguments.files.is_empty() && arguments.execute.is_empty() && !arguments.until_drained && !arguments.follow {
        let error = Error::invalid("nothing to run: give files of statements, or statements with -e");
        return Err(Failure::usage(
            error.hint("--until-drained or --follow alone go on with the queries that there are"),
        ));
    }
    let bounds = bounds(common, arguments.server.as_deref())?;
    let script = Script::read(&arguments.files, &arguments.execute, bounds)?;
    if let Some(url) = &arguments.server {
        return run_at(common, Remote::connect(url, &arguments.credentials, false)?, &script, arguments.output);
    }
    let when_full = if arguments.follow { WhenFull::Retry } else { WhenFull::Refuse };
    let engine = match without_folder(common, &script, "earliest")? {
        Some(engine) => engine,
        None => common.open(Drive::Threads { start: true }, when_full, "earliest")?,
    };
    let stop = Stop::on_signals()?;
    let mut output = Output::new(arguments.output);
    let is_asked = || stop.is_asked();
    let mut session = Session::new(&engine, Properties::default()).stopping(&is_asked);
    let natures = script.check(&session)?;
    let mut later = Vec::new();
    for (statement, nature) in script.statements.iter().zip(natures) {
        if stop.is_asked() {
            break;
        }
        if nature == Nature::Pull && arguments.until_drained {
            later.push(Later::Pull(statement));
            continue;
        }
        let outcome = session.run(&statement.parsed).map_err(|e| statement.failure(e))?;
        let waits = arguments.until_drained || arguments.follow;
        if let Some(viewer) = show(outcome, &mut output)? {
            if waits { later.push(Later::Push(viewer)) } else { watch(viewer, &stop, &mut output)? }
        }
    }
    if arguments.until_drained {
        drain(&engine, &mut session, later, &stop, &mut output)?;
    } else if arguments.follow {
        follow(&engine, later, &stop, &mut output)?;
    }
    output.flush()?;
    engine.close();
    engine.failure().map_or(Ok(0), |error| Err(error.clone().into()))
}

/// Has a server execute the script.
fn run_at(common: &Common, remote: Remote, script: &Script, format: Format) -> Done {
    let mut output = Output::new(format);
    // What belongs to the session is kept in an engine of its own, in which nothing else is.
    let engine = common.open_empty("latest")?;
    let mut session = Session::new(&engine, Properties::default());
    remote.script(&mut session, script, &mut output, &Stop::on_signals()?)?;
    output.flush()?;
    Ok(0)
}

/// Shows what has come of a statement; rows that are still to come are given back.
fn show(outcome: Outcome, output: &mut Output) -> Result<Option<Viewer>, Failure> {
    match outcome {
        Outcome::Changed { committed: Committed { change: Change { message, warnings, .. }, .. }, .. }
        | Outcome::Done { message, warnings } => {
            warnings.iter().for_each(|warning| tell(&format!("warning: {warning}")));
            tell(&message);
        }
        Outcome::Reply(reply) => output.reply(&reply)?,
        Outcome::Rows(rows) => output.pulled(rows)?,
        Outcome::Push { query, until, warnings, .. } => {
            warnings.iter().for_each(|warning| tell(&format!("warning: {warning}")));
            return Ok(Some(Viewer::new(query, until)));
        }
        Outcome::Print { records, lines } => return Ok(Some(Viewer::of_topic(records, lines))),
    }
    Ok(None)
}

/// Shows rows until there are as many as were asked for, or somebody wants the end.
fn watch(mut viewer: Viewer, stop: &Stop, output: &mut Output) -> Result<(), Failure> {
    viewer.start(output)?;
    while !viewer.is_over() && !stop.is_asked() {
        viewer.show(PAUSE, output)?;
    }
    Ok(())
}

/// Waits until nothing is left to do, and shows what is asked of the result, in the order of the script.
///
/// # Errors
/// Status 1 after Ctrl-C or SIGTERM. Else that of the error: a query has failed, or the disk is full.
fn drain(
    engine: &Engine,
    session: &mut Session,
    later: Vec<Later>,
    stop: &Stop,
    output: &mut Output,
) -> Result<(), Failure> {
    engine.wait_drained(&|| stop.is_asked())?;
    for later in later {
        match later {
            _ if stop.is_asked() => break,
            Later::Pull(statement) => {
                let outcome = session.run(&statement.parsed).map_err(|e| statement.failure(e))?;
                show(outcome, output)?;
            }
            Later::Push(mut viewer) => {
                viewer.start(output)?;
                while !viewer.is_over() && !viewer.is_drained()? && !stop.is_asked() {
                    viewer.show(PAUSE, output)?;
                }
            }
        }
    }
    if stop.is_asked() {
        let text = "interrupted before everything was read; the queries go on at the next run".to_owned();
        return Err(Failure { status: FAILED, text });
    }
    Ok(())
}

/// Shows rows as they come until somebody wants the end.
///
/// Several push queries take turns. Their rows are not mixed: the columns are named again where another query goes on.
fn follow(engine: &Engine, later: Vec<Later>, stop: &Stop, output: &mut Output) -> Result<(), Failure> {
    let mut viewers: Vec<Viewer> = later
        .into_iter()
        .filter_map(|l| match l {
            Later::Push(viewer) => Some(viewer),
            Later::Pull(_) => None,
        })
        .collect();
    let mut last = None;
    while !stop.is_asked() {
        if let Some(error) = engine.failure() {
            return Err(error.clone().into());
        }
        viewers.retain(|viewer| !viewer.is_over());
        if viewers.is_empty() {
            std::thread::sleep(PAUSE);
        }
        let wait = PAUSE / viewers.len().max(1) as u32;
        for viewer in &mut viewers {
            if last.is_some_and(|last| last != viewer.number) {
                viewer.name_columns_again();
            }
            if viewer.show(wait, output)? {
                last = Some(viewer.number);
            }
        }
    }
    Ok(())
}
