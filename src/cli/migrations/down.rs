//! Takes versions back: the newest first, each with its file `V000001__Name.down.sql`.
//!
//! A version that was taken back is in the state PENDING, and the one before it is the current one again; so `apply`
//! executes it anew. `ksql-migrations` knows no such files, but understands what is remembered of them.

use super::Work;
use super::apply::{DRY_RUN, Variables, check, execute, read};
use super::metadata::{Applied, Event, NONE, State};
use super::project::MigrationFile;
use crate::cli::failure::{Done, Failure};
use crate::error::Error;

/// Takes back the last version, or all that are newer than `until`.
///
/// A version that has failed, or was interrupted, is taken back as one that was applied.
pub(super) fn down(mut work: Work, until: Option<u32>, dry_run: bool, variables: &Variables) -> Done {
    let applied = work.metadata.applied(&work.peer)?;
    let steps = steps(&work, &applied, until)?;
    if dry_run {
        work.say(DRY_RUN)?;
    }
    if steps.is_empty() {
        work.say("There is no version to take back.")?;
    }
    for (event, file) in &steps {
        work.say(&format!("Taking back version {}: {}", event.version, event.name))?;
        work.say(&format!("{} contents:\n{}", file.path.display(), file.text()?.trim_end()))?;
        let script = read(file)?;
        if dry_run {
            continue;
        }
        check(&work, &script, variables)?;
        if let Err(reason) = execute(&work, &script, variables) {
            let failed = (*event).clone().ended(State::Error, Some(&reason.text));
            work.metadata.write(&work.peer, &failed)?;
            return Err(reason);
        }
        let before = applied.of(&event.previous).filter(|_| event.previous != NONE).cloned();
        let undone = (*event).clone().ended(State::Pending, None);
        work.metadata.write_both(&work.peer, &undone, &before.unwrap_or_else(Event::none))?;
        work.say("Successfully taken back")?;
    }
    work.end(0)
}

/// The versions to be taken back and their files, the newest first. All files are read before anything is done.
fn steps<'a>(
    work: &Work,
    applied: &'a Applied,
    until: Option<u32>,
) -> Result<Vec<(&'a Event, MigrationFile)>, Failure> {
    let mut steps = Vec::new();
    let mut next = applied.of(applied.current());
    while let Some(event) = next.filter(|event| event.version != NONE) {
        let number: u32 = event.version.parse().unwrap_or(u32::MAX);
        if until.is_some_and(|until| number <= until) {
            break;
        }
        let file = work.project.down_file(number)?.ok_or_else(|| {
            let message = format!("there is no file that takes back the version {number}: {}", event.name);
            Error::missing(message).hint(format!("write V{number:06}__<name>.down.sql beside the file of the version"))
        })?;
        read(&file)?;
        steps.push((event, file));
        if until.is_none() {
            break;
        }
        next = applied.of(applied.migrated_before(event)?);
    }
    Ok(steps)
}
