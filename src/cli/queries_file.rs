//! The file of `serve --queries-file`: the statements that the service runs, instead of those that its clients send.
//!
//! At each start the file is checked whole against the data folder. What the folder has already stays; what it does not
//! have is executed in the order of the file; anything that differs refuses the start. An interrupted start leaves the
//! first statements executed, and the next one goes on behind them.

use std::path::Path;

use super::failure::{FAILED, Failure};
use super::script::Script;
use crate::config::Properties;
use crate::engine::{Committed, Engine};
use crate::error::Error;
use crate::statements::{Outcome, Session, own_bounds};

/// Brings the folder to what the file says; `tell` is told what was done.
///
/// # Errors
/// Status 1: the file says something else than the folder has, or a statement is refused; nothing was changed then.
/// Status 2 or 3: the file cannot be read.
pub(super) fn apply(engine: &Engine, file: &Path, tell: &dyn Fn(&str)) -> Result<(), Failure> {
    let script = read(file, engine.properties())?;
    let mut session = Session::new(engine, Properties::default());
    let parsed: Vec<_> = script.statements.iter().map(|statement| &statement.parsed).collect();
    let standing = session.standing(&parsed).map_err(|errors| {
        let text = |(place, error): (Option<usize>, Error)| match place {
            Some(place) => script.statements[place].failure(error).text,
            None => error.context(format!("{}: ", file.display())).render(None),
        };
        Failure { status: FAILED, text: errors.into_iter().map(text).collect::<Vec<_>>().join("\n\n") }
    })?;
    standing.kept.iter().for_each(|text| tell(&format!("note: {text}")));
    for (statement, stands) in script.statements.iter().zip(&standing.stands) {
        if *stands {
            continue;
        }
        let outcome = session.run(&statement.parsed).map_err(|error| statement.failure(error))?;
        // Others only change the session.
        if let Outcome::Changed { committed: Committed { change, .. }, hint } = outcome {
            change.warnings.iter().for_each(|text| tell(&format!("warning: {text}")));
            tell(&change.message);
            hint.iter().for_each(|text| tell(&format!("note: {text}")));
        }
    }
    Ok(())
}

/// Reads the statements of the file.
///
/// # Errors
/// Status 1 with all syntax errors; status 2 or 3 if it cannot be read.
pub(super) fn read(file: &Path, properties: &Properties) -> Result<Script, Failure> {
    Script::read(&[file.to_owned()], &[], own_bounds(properties))
}
