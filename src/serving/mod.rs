//! The service: ksqlDB's API over HTTP, for clients that know nothing of this engine.
//!
//! The engine stays on its own threads. What happens here is the rim: a few threads of tokio read requests and write
//! answers, and a statement is executed on a thread that may wait. One port takes HTTP/1.1, HTTP/2 with prior
//! knowledge, and WebSockets.
//!
//! | endpoint | file | what |
//! |---|---|---|
//! | `/ksql` | `ksql` | statements, validated whole, executed in order |
//! | `/query`, `/query-stream` | `query` | rows of one SELECT, as they come; records of a PRINT (`print`) |
//! | `/close-query` | `close` | ends a query that shows rows |
//! | `/inserts-stream` | `inserts` | rows as lines, acknowledged one by one |
//! | `/ws/query` | `websocket` | rows of one SELECT as frames |
//! | `/metrics` | `metrics` | what is measured, as Prometheus reads it |
//! | `/info`, `/healthcheck`, `/status` … | `small` | what can be asked of a server |
//!
//! Statuses, content types, texts of errors and the borders of chunks are those of ksqlDB: clients depend on all of
//! them. An element of an answer (a row, a header, an acknowledgement) is one chunk of HTTP/1.1 and one DATA frame of
//! HTTP/2, since several clients parse a frame as one JSON value.

mod accept;
pub mod client;
mod close;
mod coerce;
mod cors;
mod inserts;
mod ksql;
mod metrics;
mod print;
mod protobuf;
mod query;
mod refusal;
mod request;
mod rows;
mod small;
mod target;
mod websocket;
mod wording;

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::handler::Handler;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::sync::Semaphore;
use tower::ServiceExt;

use crate::disk::RealDisk;
use crate::engine::Engine;
use crate::error::{Error, Result};
use ksql::Commands;
use refusal::Refusal;

pub use request::SHOWN_AS;

/// How often somebody looks whether the server is to end.
const LOOK: Duration = Duration::from_millis(20);

/// How long answers that are open may take to end.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// The largest body of a request, in bytes, apart from streams of rows.
const MOST_BODY: usize = 16 << 20;

/// How long the head of a request, and its body, may take to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many connections there may be, whatever number of handles the process may have.
const MOST_CONNECTIONS: usize = 20_000;

/// The longest path and query of a request, and the longest header, in bytes: as ksqlDB's server has them.
const MOST_URI: usize = 4_096;
const MOST_HEADER: usize = 8_192;

/// What all requests share.
pub(crate) struct Service {
    engine: Arc<Engine>,
    commands: Commands,
    /// Whether the cluster was terminated: from then on everything is refused.
    is_terminated: AtomicBool,
}

/// Answers requests until `stop` says that it is enough.
///
/// Then no more connections are taken, open queries end in order, and answers that are being written may go on for a
/// few seconds.
///
/// # Errors
/// Kind `Backend`: the socket cannot be used, or no thread can be started.
pub fn serve(engine: &Arc<Engine>, listener: TcpListener, stop: &dyn Fn() -> bool) -> Result<()> {
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("serving")
        .enable_all()
        .build()
        .map_err(|e| Error::backend(format!("the threads of the server cannot be started: {e}")))?;
    let service = Arc::new(Service {
        engine: engine.clone(),
        commands: Commands::of(&engine.catalog()),
        is_terminated: AtomicBool::new(false),
    });
    let result = runtime.block_on(accept(&service, listener, stop));
    runtime.shutdown_timeout(LAST_WORDS);
    result
}

/// Takes connections, and has each served by a task of its own.
async fn accept(service: &Arc<Service>, listener: TcpListener, stop: &dyn Fn() -> bool) -> Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let routes = routes(service);
    // The log needs handles, too: without them the engine cannot go on.
    let handles = RealDisk::most_handles();
    let connections = Arc::new(Semaphore::new(MOST_CONNECTIONS.min(handles / 2)));
    let graceful = hyper_util::server::graceful::GracefulShutdown::new();
    while !stop() {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = tokio::time::sleep(LOOK) => continue,
        };
        let Ok((stream, _)) = accepted else {
            // For want of handles, say. It stays in line, and is not asked for again at once.
            tokio::time::sleep(LOOK).await;
            continue;
        };
        // One more than there may be is closed without a word.
        let Ok(permit) = connections.clone().try_acquire_owned() else { continue };
        let _ = stream.set_nodelay(true);
        let (service, routes) = (service.clone(), routes.clone());
        let answer = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            let (service, routes) = (service.clone(), routes.clone());
            async move { Ok::<_, std::convert::Infallible>(answer(&service, routes, request.map(Body::new)).await) }
        });
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(PATIENCE);
        builder.http2().timer(TokioTimer::new()).keep_alive_interval(PATIENCE).keep_alive_timeout(PATIENCE);
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), answer).into_owned();
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // Its client has gone, or speaks something else: nobody is left to be told.
            let _ = connection.await;
            drop(permit);
        });
    }
    service.engine.end_all_shown();
    let _ = tokio::time::timeout(LAST_WORDS, graceful.shutdown()).await;
    Ok(())
}

/// What stands at which path.
fn routes(service: &Arc<Service>) -> Router {
    Router::new()
        .route("/ksql", post(ksql::ksql))
        .route("/ksql/terminate", post(small::terminate))
        .route("/query", post(query::query))
        .route("/query-stream", post(query::query_stream))
        .route("/close-query", post(close::close_query))
        .route("/inserts-stream", post(inserts::inserts_stream))
        .route("/ws/query", get(websocket::query))
        .route("/", get(small::root))
        .route("/info", get(small::info))
        .route("/healthcheck", get(small::health))
        .route("/status", get(small::statuses))
        .route("/status/{kind}/{entity}/{action}", get(small::status))
        .route("/is_valid_property/{name}", get(small::is_valid_property))
        .route("/clusterStatus", get(small::cluster_status))
        .route("/heartbeat", post(small::heartbeat))
        .route("/lag", post(small::lag))
        .route("/v1/metadata", get(small::metadata))
        .route("/v1/metadata/id", get(small::metadata_id))
        .route("/metrics", get(metrics::metrics))
        .route("/export", get(small::export))
        .route("/livez", get(small::live))
        .route("/readyz", get(small::ready))
        .route("/chc/ready", get(small::alive))
        .route("/chc/live", get(small::alive))
        .fallback(|| async { not_found() })
        .with_state(service.clone())
}

/// GET alone.
fn get<T: 'static>(handler: impl Handler<T, Arc<Service>>) -> MethodRouter<Arc<Service>> {
    only(on(MethodFilter::GET, handler), "GET")
}

/// POST alone.
fn post<T: 'static>(handler: impl Handler<T, Arc<Service>>) -> MethodRouter<Arc<Service>> {
    only(on(MethodFilter::POST, handler), "POST")
}

/// Any other method is refused, and the right one named.
fn only(route: MethodRouter<Arc<Service>>, method: &'static str) -> MethodRouter<Arc<Service>> {
    route.fallback(move || async move { (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, method)]).into_response() })
}

/// The answer to what stands nowhere.
fn not_found() -> Response {
    let page = "<html><body><h1>Resource not found</h1></body></html>";
    (StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response()
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
    let Some(path) = target::normalised(uri.path()) else {
        return (StatusCode::BAD_REQUEST, "Bad Request").into_response();
    };
    if service.is_terminated.load(Ordering::SeqCst) && !path.starts_with("/chc/") {
        return Refusal::new(50303, "The server is shutting down").untyped().into_response();
    }
    if request.method() == Method::HEAD {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let shared = cors::Shared::of(&service.engine, request.headers());
    if let Some(shared) = shared.as_ref().filter(|_| cors::is_question(&request)) {
        return shared.permission();
    }
    match target::with_path(uri, &path) {
        Some(uri) => *request.uri_mut() = uri,
        None => return (StatusCode::BAD_REQUEST, "Bad Request").into_response(),
    }
    let mut response = routes.oneshot(request).await.unwrap_or_else(|never| match never {});
    if let Some(shared) = shared {
        shared.mark(&mut response);
    }
    response
}
