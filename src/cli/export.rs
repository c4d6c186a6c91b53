//! `tidemill export`: the statements that made what exists, as a script that makes it again.

use clap::Args;

use super::common::Common;
use super::connect::Credentials;
use super::failure::Done;
use super::output::{Format, Output};
use super::remote::Remote;
use crate::statements::export;

#[derive(Args)]
pub(super) struct Arguments {
    /// The server whose statements are exported, instead of those of the data folder.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    #[command(flatten)]
    credentials: Credentials,
}

/// Writes the script to the standard output. `tidemill run` executes it; records are not part of it.
pub(super) fn run(common: &Common, arguments: &Arguments) -> Done {
    let script = match &arguments.server {
        Some(url) => Remote::connect(url, &arguments.credentials, false)?.text("/export")?,
        None => {
            let engine = common.open_existing()?;
            let script = export(&engine.statements());
            engine.close();
            script
        }
    };
    let mut output = Output::new(Format::Table);
    if !script.is_empty() {
        output.line(script.trim_end())?;
    }
    output.flush()?;
    Ok(0)
}
