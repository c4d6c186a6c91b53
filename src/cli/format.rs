//! `tidemill fmt`: statements in their canonical form, with their comments.

use std::path::PathBuf;

use clap::Args;

use super::failure::{Done, FAILED, Failure};
use super::output::{Format, Output, tell};
use super::script::sources;
use crate::statements::format;

#[derive(Args)]
pub(super) struct Arguments {
    /// Files of statements; `-` is the standard input.
    #[arg(value_name = "FILE.sql", required = true)]
    files: Vec<PathBuf>,
    /// Prints nothing, but names the files that are not in canonical form; the status is 1 if there are any.
    #[arg(long)]
    check: bool,
}

/// Prints the statements; nothing of them if one cannot be read.
///
/// All files are read before anything is printed, and all errors of all files are told.
pub(super) fn run(arguments: &Arguments) -> Done {
    let (mut formatted, mut errors, mut differ) = (Vec::new(), Vec::new(), false);
    for (name, text) in sources(&arguments.files)? {
        match format(&text) {
            Ok(canonical) if arguments.check && canonical != text => {
                differ = true;
                tell(&format!("{name} is not in canonical form"));
            }
            Ok(canonical) => formatted.push(canonical),
            Err(found) => errors.extend(found.iter().map(|e| e.render(Some(&name)))),
        }
    }
    if !errors.is_empty() {
        return Err(Failure { status: FAILED, text: errors.join("\n\n") });
    }
    if !arguments.check {
        let mut output = Output::new(Format::Table);
        formatted.iter().try_for_each(|text| output.line(text.trim_end()))?;
        output.flush()?;
    }
    Ok(if differ { FAILED } else { 0 })
}
