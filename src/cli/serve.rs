//! `serve`: the service of ksqlDB's API.

use std::net::TcpListener;
use std::sync::Arc;

use clap::Args;

use super::common::Common;
use super::failure::{Done, Failure};
use super::output::tell;
use super::stop::Stop;
use crate::engine::Drive;
use crate::error::Error;
use crate::journal::WhenFull;
use crate::serving;

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// Where requests are taken.
    #[arg(long, default_value = "0.0.0.0:8088", value_name = "HOST:PORT")]
    listen: String,
}

/// Serves until Ctrl-C or SIGTERM; a second one ends at once.
///
/// # Errors
/// Status 3: the address is in use, or the folder cannot be opened.
pub(super) fn run(common: &Common, arguments: &Arguments) -> Done {
    let listener = TcpListener::bind(&arguments.listen)
        .map_err(|e| Failure::from(Error::backend(format!("cannot listen at {}: {e}", arguments.listen))))?;
    let address = listener.local_addr().map_err(Error::from)?;
    let engine = Arc::new(common.open(Drive::Threads { start: true }, WhenFull::Retry, "latest")?);
    let stop = Stop::on_signals()?;
    tell(&format!("serving at http://{address}"));
    let stopped = || stop.is_asked() || engine.failure().is_some();
    serving::serve(&engine, listener, &stopped)?;
    engine.close();
    engine.failure().map_or(Ok(0), |error| Err(error.clone().into()))
}
