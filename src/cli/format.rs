//! `tidemill fmt`: statements in their canonical form.

use std::path::PathBuf;

use clap::Args;

use super::failure::Done;
use super::output::{Format, Output};
use super::script::Script;

#[derive(Args)]
pub struct Arguments {
    /// Files of statements; `-` is the standard input.
    #[arg(value_name = "FILE.sql", required = true)]
    files: Vec<PathBuf>,
}

/// Prints the statements; nothing of them if one cannot be read.
pub fn run(arguments: &Arguments) -> Done {
    let script = Script::read(&arguments.files, &[])?;
    let mut output = Output::new(Format::Table);
    for statement in &script.statements {
        output.line(format!("{};", statement.parsed.statement))?;
    }
    output.flush()?;
    Ok(0)
}
