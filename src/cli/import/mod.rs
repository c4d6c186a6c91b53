//! `tidemill import`: takes over the statements of a running ksqlDB.
//!
//! ```text
//! found      what the server has, as statements in the order in which they can be executed
//! judged     each statement as it is, changed or refused, by a dry run on the data folder
//! ```
//!
//! The script goes to the standard output, with what becomes of each statement before it. Records are not taken over.

mod found;
mod judged;

use clap::Args;

use super::common::Common;
use super::connect::Credentials;
use super::failure::{Done, FAILED, Failure};
use super::output::{Format, Output, tell};
use super::remote::Remote;
use crate::config::Properties;
use crate::engine::{Drive, Engine};
use crate::journal::WhenFull;
use crate::statements::{Outcome, Session};
use judged::{Judged, Verdict};

#[derive(Args)]
pub(super) struct Arguments {
    /// The server whose statements are taken over.
    #[arg(long = "ksqldb", id = "server", value_name = "URL", required = true)]
    ksqldb: String,
    #[command(flatten)]
    credentials: Credentials,
    /// Executes on the data folder what is not refused.
    #[arg(long)]
    apply: bool,
}

/// Prints the script, and applies it if that is wanted; status 1 if a statement is refused.
pub(super) fn run(common: &Common, arguments: &Arguments) -> Done {
    let remote = Remote::connect(&arguments.ksqldb, &arguments.credentials, false)?;
    let engine = match arguments.apply || common.has_folder() {
        true => common.open(Drive::Threads { start: arguments.apply }, WhenFull::Refuse, "earliest")?,
        false => common.open_empty("earliest")?,
    };
    let found = found::statements(&remote, &Session::new(&engine, Properties::default()))?;
    let all = judged::judge(&engine, found);
    let mut output = Output::new(Format::Table);
    for judged in &all {
        output.line(judged.to_string())?;
    }
    output.flush()?;
    let count = |is: fn(&Verdict) -> bool| all.iter().filter(|judged| is(&judged.verdict)).count();
    let taken = count(|verdict| matches!(verdict, Verdict::Taken));
    let changed = count(|verdict| matches!(verdict, Verdict::Changed(_)));
    let refused = count(Verdict::is_refused);
    tell(&format!("{taken} statements taken as they are, {changed} changed, {refused} refused"));
    if arguments.apply {
        apply(&engine, &all)?;
    }
    engine.close();
    Ok(if refused > 0 { FAILED } else { 0 })
}

/// Executes what is not refused.
///
/// # Errors
/// A statement is refused after all, or the disk is in the way; those before it stay in effect.
fn apply(engine: &Engine, all: &[Judged]) -> Result<(), Failure> {
    for judged in all.iter().filter(|judged| !judged.verdict.is_refused()) {
        let mut session = Session::new(engine, judged.properties.clone());
        for statement in &judged.parsed {
            if let Outcome::Changed { committed, .. } = session.run(statement)? {
                tell(&committed.change.message);
            }
        }
    }
    Ok(())
}
