//! The service: ksqlDB's API over HTTP, for clients that know nothing of this engine.
//!
//! The engine stays on its own threads. What happens here is the rim: a few threads of tokio read requests and write
//! answers, and a statement is executed on a thread that may wait. A listener (`listen`) takes HTTP/1.1, HTTP/2 with
//! prior knowledge or by upgrade (`upgrade`), and WebSockets, in clear text or over TLS (`tls`); who may ask for what is decided before a request
//! gets to its endpoint (`access`), and for each statement by its kind (`ksql`).
//!
//! | endpoint | file | what |
//! |---|---|---|
//! | `/ksql` | `ksql` | statements, validated whole, executed in order |
//! | `/query`, `/query-stream` | `query` | rows of one SELECT, as they come; records of a PRINT (`print`) |
//! | `/close-query` | `close` | ends a query that shows rows |
//! | `/inserts-stream` | `inserts` | rows as lines, acknowledged one by one |
//! | `/ws/query` | `websocket` | rows of one SELECT as frames |
//! | `/backup` | `backup` | a copy of the data folder |
//! | `/metrics` | `metrics` | what is measured, as Prometheus reads it |
//! | `/openapi.json` | `openapi` | the description of the API |
//! | `/info`, `/healthcheck`, `/status` … | `small` | what can be asked of a server |
//!
//! `endpoints` lists them all. What is measured, and a trace of each request, is sent to a collector, too (`otlp`).
//!
//! At listeners of its own it speaks PostgreSQL's protocol, too (`pg`).
//!
//! Statuses, content types, texts of errors and the borders of chunks are those of ksqlDB: clients depend on all of
//! them. An element of an answer (a row, a header, an acknowledgement) is one chunk of HTTP/1.1 and one DATA frame of
//! HTTP/2, since several clients parse a frame as one JSON value.

mod accept;
mod access;
mod backup;
mod begin;
mod bodies;
pub mod client;
mod close;
mod coerce;
mod commands;
mod cors;
mod endpoints;
mod foreign;
mod fresh;
mod inserts;
mod json;
mod ksql;
mod listen;
mod metrics;
mod nearby;
mod openapi;
mod otlp;
mod overrides;
mod owners;
mod pem;
mod pg;
mod print;
mod processing_log;
mod protobuf;
mod query;
mod refusal;
mod repeats;
mod request;
mod rows;
mod scram;
mod slots;
mod small;
mod stalls;
mod syntax;
mod target;
mod tls;
mod trust;
mod upgrade;
mod users;
mod waits;
mod websocket;
mod wording;

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use rustls::ServerConfig;
use tower::ServiceExt;
use tracing::{Dispatch, info};

use crate::config::{self, Properties};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::process;
use crate::sql::bounds::Bounds;
use crate::statements::foreign_bounds;
use access::Access;
use bodies::Bodies;
use commands::Commands;
use fresh::Fresh;
use otlp::Exporter;
use owners::Owners;
use refusal::Refusal;
use repeats::Repeats;
use slots::Slots;

pub use listen::Listener;
pub use otlp::{Attribute, Telemetry};
pub use processing_log::make_processing_log;
pub use request::SHOWN_AS;
pub use trust::client_tls;
pub use users::user_line;

/// How long answers that are open may take to end.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// How many threads read requests and write answers, at most.
const MOST_THREADS: usize = 4;

/// The largest body of a request, in bytes, apart from streams of rows.
const MOST_BODY: usize = 16 << 20;

/// How long the head of a request, and its body, may take to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// The longest path and query of a request, and the longest header, in bytes: as ksqlDB's server has them.
const MOST_URI: usize = 4_096;
const MOST_HEADER: usize = 8_192;

/// How many bytes the other side may send ahead on a stream of HTTP/2, and on a connection.
///
/// A row may be a frame of its own, of a few bytes, and `h2` ends a connection whose frames that nobody has taken yet cost
/// more than half of the connection's window, at 256 bytes for each. So the window of a stream is so much smaller than that
/// of the connection that nobody who keeps to it sends so many.
const STREAM_WINDOW: u32 = 128 << 10;
const CONNECTION_WINDOW: u32 = 16 << 20;

/// What all requests share.
pub(crate) struct Service {
    engine: Arc<Engine>,
    commands: Commands,
    bodies: Bodies,
    /// Of queries that show rows.
    slots: Slots,
    owners: Owners,
    repeats: Repeats,
    ids: query::Ids,
    /// Whether the cluster was terminated: from then on everything is refused.
    is_terminated: AtomicBool,
    setup: Setup,
}

/// What the properties say of the rim, read and checked.
pub struct Setup {
    access: Access,
    /// None if no listener needs it.
    tls: Option<Fresh<ServerConfig>>,
    /// Where it listens, by the first listener for HTTP: the name of the one node.
    node: String,
    events: Dispatch,
    /// None if nothing is sent to a collector.
    telemetry: Option<Telemetry>,
}

impl Setup {
    /// Reads the files that the properties name. `events` takes what is to be told later: requests, and files that
    /// cannot be read anew.
    ///
    /// # Errors
    /// A property or a file is missing or cannot be used.
    pub fn read(properties: &Properties, listeners: &[Listener], events: Dispatch) -> Result<Setup> {
        let may_be_secure = !properties.text(config::KEYSTORE).is_empty();
        let is_secure =
            listeners.iter().any(|listener| listener.is_secure() || listener.is_postgres() && may_be_secure);
        let tls = is_secure.then(|| tls::read(properties)).transpose()?;
        let http = listeners.iter().find(|listener| !listener.is_postgres());
        let node = http.map_or(Ok(String::new()), |listener| listener.address().map(node_at))?;
        Ok(Setup { access: Access::read(properties)?, tls, node, events, telemetry: None })
    }

    /// The same for a service whose statements come from a file: its clients cannot change what exists.
    pub fn headless(mut self) -> Setup {
        self.access.is_headless = true;
        self
    }

    /// The same for a service that sends telemetry to a collector, if there is one.
    pub fn exporting(mut self, telemetry: Option<Telemetry>) -> Setup {
        self.telemetry = telemetry;
        self
    }

    /// Reads files anew that have changed; what is to be told of it.
    fn look(&self) -> Vec<String> {
        let tls = self.tls.as_ref().map(|tls| ("certificate", tls.look()));
        let users = self.access.users.as_ref().map(|users| ("file of users", users.look()));
        let said = |(what, looked)| match looked {
            Ok(false) => None,
            Ok(true) => Some(format!("the {what} was read anew")),
            Err(error) => Some(format!("the {what} has changed and cannot be used; that of before holds: {error}")),
        };
        [tls, users].into_iter().flatten().filter_map(said).collect()
    }

    /// Has an event told.
    fn tell(&self, event: impl FnOnce()) {
        tracing::dispatcher::with_default(&self.events, event);
    }

    /// Whether users have to say their passwords.
    pub fn has_users(&self) -> bool {
        self.access.users.is_some()
    }
}

impl Service {
    /// How many tokens the texts of its clients may have.
    fn bounds(&self) -> Bounds {
        foreign_bounds(self.engine.properties())
    }
}

/// The name of a node that listens at an address.
fn node_at(address: SocketAddr) -> String {
    if address.ip().is_unspecified() { format!("localhost:{}", address.port()) } else { address.to_string() }
}

/// What the properties say of the rim and what cannot be used of it: addresses, certificates, users, telemetry. Nothing is
/// opened but files.
///
/// The files of TLS count if an address needs them or one of them is named.
pub fn check(properties: &Properties) -> Vec<Error> {
    let mut errors = Vec::new();
    let written = listen::written_in(properties.text(config::LISTENERS));
    let mut is_secure = !properties.text(config::KEYSTORE).is_empty();
    errors.extend(written.as_ref().err().cloned());
    for address in written.unwrap_or_default() {
        match listen::address_of(address) {
            Ok((secure, _)) => is_secure |= secure,
            Err(error) => errors.push(error),
        }
    }
    if is_secure {
        errors.extend(tls::read(properties).err());
    }
    errors.extend(Access::read(properties).err());
    errors.extend(otlp::check(properties));
    errors
}

/// Answers requests until `stop` says that it is enough.
///
/// Then no more connections are taken, open queries end in order, and answers that are being written may go on for a
/// few seconds.
///
/// # Errors
/// Kind `Backend`: the socket cannot be used, or no thread can be started.
pub fn serve(engine: &Arc<Engine>, listeners: Vec<Listener>, setup: Setup, stop: &dyn Fn() -> bool) -> Result<()> {
    // More threads than processors would only wake each other.
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get().min(MOST_THREADS));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name("serving")
        .on_thread_start(process::short_slices)
        .enable_all()
        .build()
        .map_err(|e| Error::backend(format!("the threads of the server cannot be started: {e}")))?;
    let service = Arc::new(Service {
        engine: engine.clone(),
        commands: Commands::of(&engine.catalog()),
        bodies: Bodies::new(engine.properties().number(config::REQUEST_MEMORY_BYTES) as usize),
        slots: Slots::default(),
        owners: Owners::default(),
        repeats: Repeats::default(),
        ids: query::Ids::default(),
        is_terminated: AtomicBool::new(false),
        setup,
    });
    let result = runtime.block_on(async {
        let exporter = Exporter::start(&service);
        let result = listen::accept_all(&service, listeners, stop).await;
        exporter.finish().await;
        result
    });
    runtime.shutdown_timeout(LAST_WORDS);
    result
}

/// Answers a request: what concerns all of them is decided here, the rest by its route.
async fn answer(service: &Service, routes: Router, mut request: Request) -> Response {
    let uri = request.uri();
    if uri.path() == "*" {
        return StatusCode::NOT_FOUND.into_response();
    }
    if uri.path_and_query().map_or(0, |all| all.as_str().len()) > MOST_URI {
        return StatusCode::URI_TOO_LONG.into_response();
    }
    let sizes = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len());
    if sizes.sum::<usize>() > MOST_HEADER {
        return StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE.into_response();
    }
    let Some(path) = target::normalised(uri.path()).map(Cow::into_owned) else {
        return (StatusCode::BAD_REQUEST, "Bad Request").into_response();
    };
    if service.is_terminated.load(Ordering::SeqCst) && !path.starts_with("/chc/") {
        return Refusal::new(50303, "The server is shutting down").untyped().into_response();
    }
    if request.method() == Method::HEAD {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let shared = cors::Shared::of(&service.engine, request.headers());
    // A browser asks what it may ask before it sends who asks.
    if let Some(shared) = shared.as_ref().filter(|_| cors::is_question(&request)) {
        return shared.permission();
    }
    if path != uri.path() {
        match target::with_path(uri, &path) {
            Some(uri) => *request.uri_mut() = uri,
            None => return (StatusCode::BAD_REQUEST, "Bad Request").into_response(),
        }
    }
    let method = request.method().clone();
    let began_ns = service.engine.clock().monotonic_ns();
    let mut response = match service.setup.access.admit(&path, request.headers()).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            routes.oneshot(request).await.unwrap_or_else(|never| match never {})
        }
        Err(refusal) => refusal.into_response(),
    };
    if let Some(shared) = shared {
        shared.mark(&mut response);
    }
    let status = response.status().as_u16();
    let ms = (service.engine.clock().monotonic_ns() - began_ns) / 1_000_000;
    service.setup.tell(|| info!(%method, path, status, ms, "{method} {path}: {status}"));
    response
}
