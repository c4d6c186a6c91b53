//! What there is to be told: the versions and their states, files that have changed, and drift.

use super::apply::Variables;
use super::metadata::{Applied, Event, NONE, State};
use super::project::Project;
use super::{Work, drift};
use crate::cli::failure::{Done, FAILED, Failure};
use crate::cli::output::{Format, Output, tell};
use crate::types::Value;

/// What stands for what is not known.
const NOT_KNOWN: &str = "N/A";

/// The headings of the list.
const HEADINGS: [&str; 7] =
    ["Version", "Name", "State", "Previous Version", "Started On", "Completed On", "Error Reason"];

/// Shows the versions and their states.
pub(super) fn info(mut work: Work, format: Format) -> Done {
    work.output = Output::new(format);
    let applied = work.metadata.applied(&work.peer)?;
    let current = format!("Current migration version: {}", applied.current());
    match format {
        Format::Table => work.say(&current)?,
        Format::Json | Format::Csv => tell(&current),
    }
    let files = work.project.files()?;
    let rows = files.iter().map(|file| match applied.of(&file.version.to_string()) {
        Some(event) if event.state != State::Pending => row(event),
        _ => {
            let mut row = vec![NOT_KNOWN.to_owned(); HEADINGS.len()];
            row[0] = file.version.to_string();
            row[1].clone_from(&file.name);
            row[2] = State::Pending.name().to_owned();
            row
        }
    });
    let rows: Vec<Vec<String>> = rows.collect();
    if rows.is_empty() {
        tell("No migrations files found");
    } else {
        work.output.listing(&HEADINGS, &rows)?;
    }
    work.end(0)
}

fn row(event: &Event) -> Vec<String> {
    let reason = event.error_reason.replace('\n', " ");
    let texts = [&event.version, &event.name, event.state.name(), &event.previous];
    let times = [shown_time(&event.started_on), shown_time(&event.completed_on)];
    texts.into_iter().map(str::to_owned).chain(times).chain([reason]).collect()
}

/// Milliseconds since 1970 as a time in UTC.
fn shown_time(ms: &str) -> String {
    ms.parse().map_or_else(|_| NOT_KNOWN.to_owned(), |ms| format!("{}Z", Value::Timestamp(ms).to_text()))
}

/// Compares what was applied with the files, and unless `only_files` what exists with what they make.
pub(super) fn validate(mut work: Work, only_files: bool, variables: &Variables) -> Done {
    let applied = work.metadata.applied(&work.peer)?;
    let changed = changed(&work.project, &applied)?;
    if !changed.is_empty() {
        return Err(Failure { status: FAILED, text: changed.join("\n") });
    }
    work.say("Successfully validated checksums for migrations that have already been applied")?;
    if only_files {
        return work.end(0);
    }
    let migrated = applied.migrated()?;
    let differences = drift::differences(&work, &migrated, variables)?;
    for line in &differences {
        work.say(line)?;
    }
    if differences.is_empty() {
        work.say("What exists is what the migrations made")?;
    }
    work.end(if differences.is_empty() { 0 } else { FAILED })
}

/// The versions that were applied with another file than the one that is there, a line each.
///
/// # Errors
/// The files cannot be read.
pub(super) fn changed(project: &Project, applied: &Applied) -> Result<Vec<String>, Failure> {
    let files = project.files()?;
    let mut lines = Vec::new();
    for event in applied.migrated()?.into_iter().filter(|event| event.version != NONE) {
        let Some(file) = files.iter().find(|file| file.version.to_string() == event.version) else {
            let (version, state) = (&event.version, State::Migrated.name());
            lines.push(format!("No migrations file found for version with status {state}. Version: {version}"));
            continue;
        };
        let (expected, found) = (&event.checksum, file.checksum()?);
        if *expected != found {
            lines.push(format!(
                "Migrations file found for version {} does not match the checksum saved for this version. \
                 Expected checksum: {expected}. Actual checksum: {found}. File name: {}",
                event.version,
                file.path.display()
            ));
        }
    }
    Ok(lines)
}
