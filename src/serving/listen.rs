//! Listeners: where requests are taken, in clear text or over TLS.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use futures_util::future::BoxFuture;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::TlsAcceptor;

use tracing::warn;

use super::begin::Begun;
use super::endpoints::routes;
use super::otlp::Trace;
use super::pg;
use super::upgrade::{self, Upgrade};
use super::{CONNECTION_WINDOW, LAST_WORDS, PATIENCE, STREAM_WINDOW, Service, Setup, answer};
use crate::disk::RealDisk;
use crate::error::{Error, Result};
use crate::locks::lock;

/// How often somebody looks whether the server is to end.
const LOOK: Duration = Duration::from_millis(20);

/// How often somebody looks whether certificates and users have changed.
const LOOK_AT_FILES: Duration = Duration::from_secs(1);

/// How many connections there may be, whatever number of handles the process may have.
const MOST_CONNECTIONS: usize = 20_000;

/// A socket at which requests are taken.
pub struct Listener {
    socket: TcpListener,
    speaks: Speaks,
}

/// What is spoken at a listener.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Speaks {
    Http,
    Https,
    /// PostgreSQL's protocol, over TLS if the client asks for it.
    Postgres,
}

impl Listener {
    /// Opens those of a list with commas: `http://HOST:PORT`, `https://HOST:PORT`, or `HOST:PORT` without TLS.
    ///
    /// # Errors
    /// Kind `Invalid`: one is none of these. Kind `Backend`: an address is in use, or not one of this machine.
    pub fn open_all(list: &str) -> Result<Vec<Listener>> {
        written_in(list)?.into_iter().map(Listener::open).collect()
    }

    fn open(written: &str) -> Result<Listener> {
        let (is_secure, address) = address_of(written)?;
        Listener::bind(address, if is_secure { Speaks::Https } else { Speaks::Http })
    }

    /// Opens those of a list of HOST:PORT with commas, for PostgreSQL's protocol; the list may be empty.
    ///
    /// # Errors
    /// As those of [`Listener::open_all`].
    pub fn open_postgres(list: &str) -> Result<Vec<Listener>> {
        let written = list.split(',').map(str::trim).filter(|one| !one.is_empty());
        let open = |address: &str| match has_port(address) {
            true => Listener::bind(address, Speaks::Postgres),
            false => Err(Error::invalid(format!("cannot listen at '{address}': it is not HOST:PORT"))),
        };
        written.map(open).collect()
    }

    fn bind(address: &str, speaks: Speaks) -> Result<Listener> {
        let failed = |e: std::io::Error| Error::backend(format!("cannot listen at {address}: {e}"));
        let socket = TcpListener::bind(address).map_err(failed)?;
        socket.set_nonblocking(true).map_err(failed)?;
        Ok(Listener { socket, speaks })
    }

    /// Whether it speaks TLS at once.
    pub fn is_secure(&self) -> bool {
        self.speaks == Speaks::Https
    }

    /// Whether it speaks PostgreSQL's protocol.
    pub fn is_postgres(&self) -> bool {
        self.speaks == Speaks::Postgres
    }

    /// What stands before its address.
    pub fn scheme(&self) -> &'static str {
        match self.speaks {
            Speaks::Http => "http",
            Speaks::Https => "https",
            Speaks::Postgres => "postgresql",
        }
    }

    /// Where it is.
    ///
    /// # Errors
    /// Kind `Backend`: the system does not say it.
    pub fn address(&self) -> Result<SocketAddr> {
        Ok(self.socket.local_addr()?)
    }
}

/// The addresses of a list with commas.
///
/// # Errors
/// Kind `Invalid`: there is none.
pub(super) fn written_in(list: &str) -> Result<Vec<&str>> {
    let all: Vec<&str> = list.split(',').map(str::trim).filter(|one| !one.is_empty()).collect();
    if all.is_empty() { Err(Error::invalid("there is no address to listen at")) } else { Ok(all) }
}

/// Whether TLS is spoken at an address, and its host and port.
///
/// # Errors
/// Kind `Invalid`: it is no address.
pub(super) fn address_of(written: &str) -> Result<(bool, &str)> {
    let (scheme, address) = written.split_once("://").unwrap_or(("http", written));
    let address = address.trim_end_matches('/');
    let is_secure = scheme.eq_ignore_ascii_case("https");
    if !(is_secure || scheme.eq_ignore_ascii_case("http")) || !has_port(address) {
        let message = format!("cannot listen at '{written}': it is not http://HOST:PORT or https://HOST:PORT");
        return Err(Error::invalid(message));
    }
    Ok((is_secure, address))
}

fn has_port(address: &str) -> bool {
    address.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok())
}

/// What the connections of a listener need.
#[derive(Clone)]
struct Door {
    service: Arc<Service>,
    routes: Router,
    connections: Arc<Semaphore>,
    graceful: Arc<GracefulShutdown>,
    is_secure: bool,
}

/// Takes connections at all listeners until `stop` says that it is enough.
pub(super) async fn accept_all(
    service: &Arc<Service>,
    listeners: Vec<Listener>,
    stop: &dyn Fn() -> bool,
) -> Result<()> {
    // The log needs handles, too: without them the engine cannot go on.
    let connections = Arc::new(Semaphore::new(MOST_CONNECTIONS.min(RealDisk::most_handles() / 2)));
    let graceful = Arc::new(GracefulShutdown::new());
    let mut tasks = tokio::task::JoinSet::new();
    let (stop_all, stopping) = watch::channel(false);
    let door = pg::Door { service: service.clone(), connections: pg::Connections::default(), stopping };
    for Listener { socket, speaks } in listeners {
        let (connections, graceful, is_secure) = (connections.clone(), graceful.clone(), speaks == Speaks::Https);
        if speaks == Speaks::Postgres {
            tasks.spawn(accept_postgres(door.clone(), connections, tokio::net::TcpListener::from_std(socket)?));
            continue;
        }
        let door = Door { service: service.clone(), routes: routes(service), connections, graceful, is_secure };
        tasks.spawn(accept(door, tokio::net::TcpListener::from_std(socket)?));
    }
    tasks.spawn(look_at_files(service.clone()));
    while !stop() {
        tokio::time::sleep(LOOK).await;
    }
    tasks.shutdown().await;
    drop(door);
    service.engine.stop_showing();
    // Nobody listens if there is no connection.
    let _ = stop_all.send(true);
    if let Some(graceful) = Arc::into_inner(graceful) {
        // Those that take longer are cut off.
        let all = async { tokio::join!(graceful.shutdown(), stop_all.closed()) };
        let _ = tokio::time::timeout(LAST_WORDS, all).await;
    }
    Ok(())
}

/// Takes connections of PostgreSQL's protocol, and has each served by a task of its own.
async fn accept_postgres(door: pg::Door, connections: Arc<Semaphore>, listener: tokio::net::TcpListener) {
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            tokio::time::sleep(LOOK).await;
            continue;
        };
        // As for those of HTTP.
        let Ok(permit) = connections.clone().try_acquire_owned() else { continue };
        let _ = stream.set_nodelay(true);
        tokio::spawn(door.clone().converse(stream, peer, Held(Arc::new(permit))));
    }
}

/// Takes connections, and has each served by a task of its own.
async fn accept(door: Door, listener: tokio::net::TcpListener) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // For want of handles, say. It stays in line, and is not asked for again at once.
            tokio::time::sleep(LOOK).await;
            continue;
        };
        // One more than there may be is closed without a word.
        let Ok(permit) = door.connections.clone().try_acquire_owned() else { continue };
        // Without it, answers may be late.
        let _ = stream.set_nodelay(true);
        let watcher = door.graceful.watcher();
        let after_upgrade = (!door.is_secure).then(|| door.graceful.watcher());
        let line = Line {
            service: door.service.clone(),
            routes: door.routes.clone(),
            permit: Held(Arc::new(permit)),
            after_upgrade: Mutex::new(after_upgrade),
            is_secure: door.is_secure,
        };
        let is_secure = door.is_secure;
        tokio::spawn(async move {
            if !is_secure {
                converse(stream, line, watcher).await;
            } else if let Some(stream) = shake_hands(&line.service.setup, stream).await {
                converse(stream, line, watcher).await;
            }
        });
    }
}

/// Agrees on TLS with a client; None if that fails, which the client was told.
async fn shake_hands(setup: &Setup, stream: TcpStream) -> Option<tokio_rustls::server::TlsStream<TcpStream>> {
    let acceptor = TlsAcceptor::from(setup.tls.as_ref()?.now());
    tokio::time::timeout(PATIENCE, acceptor.accept(stream)).await.ok()?.ok()
}

/// The place of a connection among those that there may be. What goes on after HTTP/1.1, as a WebSocket does, holds it.
#[derive(Clone)]
pub(super) struct Held(#[expect(dead_code, reason = "it is there to be dropped")] Arc<OwnedSemaphorePermit>);

/// What the requests of a connection need.
struct Line {
    service: Arc<Service>,
    routes: Router,
    permit: Held,
    /// For HTTP/2 after an upgrade; None if there can be none.
    after_upgrade: Mutex<Option<Watcher>>,
    is_secure: bool,
}

impl Line {
    /// Answers a request.
    async fn answer(&self, mut request: Request) -> Response {
        if let Some(settings) = upgrade::wanted(&request)
            && let Some(watcher) = { lock(&self.after_upgrade).take() }
        {
            return match Upgrade::of(&self.service.bodies, request, settings).await {
                Ok(upgrade) => {
                    tokio::spawn(self.go_on(upgrade, watcher));
                    Upgrade::answer()
                }
                Err(refusal) => refusal.into_response(),
            };
        }
        request.extensions_mut().insert(self.permit.clone());
        let scheme = if self.is_secure { "https" } else { "http" };
        let trace = Trace::begin(self.service.setup.telemetry.as_ref(), scheme, &mut request);
        let response = answer(&self.service, self.routes.clone(), request).await;
        trace.end(&response);
        response
    }

    /// Answers over HTTP/2 from now on.
    fn go_on(&self, upgrade: Upgrade, watcher: Watcher) -> BoxFuture<'static, ()> {
        let (service, routes, permit) = (self.service.clone(), self.routes.clone(), self.permit.clone());
        let line = Line { service, routes, permit, after_upgrade: Mutex::new(None), is_secure: false };
        Box::pin(async move {
            if let Some(stream) = upgrade.connection().await {
                converse(stream, line, watcher).await;
            }
        })
    }
}

/// Answers the requests of a connection.
async fn converse<S>(stream: S, line: Line, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // What finds out the version by itself would wait for a client that says nothing for ever.
    let Some((stream, is_second)) = Begun::of(stream).await else { return };
    let line = Arc::new(line);
    let answer = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let line = line.clone();
        async move { Ok::<_, Infallible>(line.answer(request.map(Body::new)).await) }
    });
    let builder = auto::Builder::new(TokioExecutor::new());
    let mut builder = if is_second { builder.http2_only() } else { builder.http1_only() };
    builder.http1().timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(PATIENCE).keep_alive_timeout(PATIENCE);
    builder.http2().initial_stream_window_size(STREAM_WINDOW).initial_connection_window_size(CONNECTION_WINDOW);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), answer).into_owned();
    // Its client has gone, or speaks something else: nobody is left to be told.
    let _ = watcher.watch(connection).await;
}

/// Has certificates and users read anew when their files change, and tells each thing once.
async fn look_at_files(service: Arc<Service>) {
    let mut told = Vec::new();
    loop {
        tokio::time::sleep(LOOK_AT_FILES).await;
        let service = service.clone();
        let looked = tokio::task::spawn_blocking(move || {
            let said = service.setup.look();
            said.iter().filter(|text| !told.contains(*text)).for_each(|text| service.setup.tell(|| warn!("{text}")));
            said
        });
        // A look that has panicked has told nothing.
        told = looked.await.unwrap_or_default();
    }
}
