//! `tidemill backup`: a copy of the data folder as of one moment, of a stopped folder or by a running service.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::common::Common;
use super::connect::Credentials;
use super::failure::{Done, Failure};
use super::output::{Format, Output};
use super::remote::Remote;
use crate::engine::Backup;
use crate::error::Error;

#[derive(Args)]
pub(super) struct Arguments {
    /// The folder to be made; with --server, its name below the server's 'tidemill.backup.location'.
    #[arg(value_name = "DIR")]
    target: PathBuf,
    /// The server that makes the backup of its data folder, which it goes on using.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    #[command(flatten)]
    credentials: Credentials,
}

/// Makes the backup and says what it has.
///
/// # Errors
/// Status 1: there is something in the folder, or the server refuses. Status 3: the data folder is in use, or a folder
/// cannot be read or written.
pub(super) fn run(common: &Common, arguments: &Arguments) -> Done {
    let mut output = Output::new(Format::Table);
    match &arguments.server {
        Some(url) => {
            let remote = Remote::connect(url, &arguments.credentials, false)?;
            let name = arguments.target.to_str().ok_or_else(|| {
                Failure::usage(Error::invalid("the name of a backup that a server makes must be UTF-8"))
            })?;
            output.line(remote.post("/backup", &json!({ "name": name }).to_string())?.trim_end())?;
        }
        None => {
            let engine = common.open_existing()?;
            let Backup { linked, copied, copied_bytes } = engine.backup(&arguments.target)?;
            engine.close();
            let target = arguments.target.display();
            output.line(format!("{target}: {linked} files linked, {copied} copied with {copied_bytes} bytes"))?;
        }
    }
    output.flush()?;
    Ok(0)
}
