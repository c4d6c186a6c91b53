//! `serve`: the service of ksqlDB's API.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::common::Common;
use super::failure::{Done, Failure};
use super::queries_file;
use super::stop::Stop;
use crate::clock::SystemClock;
use crate::config;
use crate::engine::Drive;
use crate::error::{Error, Kind};
use crate::journal::WhenFull;
use crate::serving::{self, Listener, Setup, Telemetry};

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// Where requests are taken; http:// or https:// may stand before it. It wins over the property 'listeners'.
    #[arg(long, value_name = "HOST:PORT")]
    listen: Vec<String>,
    /// The statements that the service runs; then clients cannot change what exists. It wins over the property
    /// 'ksql.queries.file'.
    #[arg(long, value_name = "FILE.sql")]
    queries_file: Option<PathBuf>,
    /// Where PostgreSQL's protocol is spoken, read only. It wins over the property 'tidemill.pg.listeners'.
    #[arg(long, value_name = "HOST:PORT")]
    pg_listen: Vec<String>,
    /// The collector of OpenTelemetry that gets metrics, traces and logs. It wins over the property
    /// 'tidemill.otlp.endpoint' and the variable OTEL_EXPORTER_OTLP_ENDPOINT.
    #[arg(long, value_name = "URL")]
    otlp_endpoint: Option<String>,
}

/// Serves until Ctrl-C or SIGTERM; a second one ends at once.
///
/// # Errors
/// Status 1: the file of queries is refused. Status 2: a property of the service, or a file that one names, is wrong.
/// Status 3: an address is in use, or the
/// folder cannot be opened.
pub(super) fn run(common: &Common, arguments: &Arguments) -> Done {
    let mut properties = common.properties()?;
    if let Some(url) = &arguments.otlp_endpoint {
        let refused = |error: Error| Failure::usage(error.context("--otlp-endpoint: "));
        properties.set(config::OTLP_ENDPOINT, url).map_err(refused)?;
    }
    let telemetry = Telemetry::read(&properties, Arc::new(SystemClock::new())).map_err(misused)?;
    let common = &common.clone().exporting(telemetry.clone());
    let list = |given: &[String], name| match given {
        [] => properties.text(name).to_owned(),
        given => given.join(","),
    };
    let mut listeners = Listener::open_all(&list(&arguments.listen, config::LISTENERS)).map_err(misused)?;
    let postgres = list(&arguments.pg_listen, config::PG_LISTENERS);
    listeners.extend(Listener::open_postgres(&postgres).map_err(misused)?);
    let mut setup = Setup::read(&properties, &listeners, common.events()).map_err(misused)?.exporting(telemetry);
    let queries_file = arguments.queries_file.clone().or_else(|| match properties.text(config::QUERIES_FILE) {
        "" => None,
        file => Some(PathBuf::from(file)),
    });
    // What cannot be read makes no folder.
    queries_file.as_deref().map(|file| queries_file::read(file, &properties)).transpose()?;
    let engine = Arc::new(common.open(Drive::Threads { start: true }, WhenFull::Retry, "latest")?);
    let stop = Stop::on_signals()?;
    serving::make_processing_log(&engine, &properties)?;
    if let Some(file) = &queries_file {
        queries_file::apply(&engine, file, &|text| common.say(text))?;
        setup = setup.headless();
    }
    for listener in &listeners {
        let (scheme, address) = (listener.scheme(), listener.address()?);
        common.say(&format!("serving at {scheme}://{address}"));
        // Over PostgreSQL's protocol they are refused.
        if setup.has_users() && !listener.is_postgres() && !listener.is_secure() && !address.ip().is_loopback() {
            common.say(&format!("warning: passwords come to {scheme}://{address} in clear text; use https://"));
        }
    }
    let stopped = || stop.is_asked() || engine.failure().is_some();
    serving::serve(&engine, listeners, setup, &stopped)?;
    engine.close();
    engine.failure().map_or(Ok(0), |error| Err(error.clone().into()))
}

/// The failure for a property or a file that is wrong, unless the environment is in the way.
fn misused(error: Error) -> Failure {
    if error.kind() == Kind::Backend { error.into() } else { Failure::usage(error) }
}
