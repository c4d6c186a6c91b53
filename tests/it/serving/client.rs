//! A server of a test's own, and a client that keeps the pieces of an answer apart.

use std::io::{BufRead, BufReader};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::command_line::Folder;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server over a folder.
pub(crate) struct Server {
    child: Child,
    /// Where it takes requests; the first is the one that is asked.
    addresses: Vec<String>,
    /// How it is asked over TLS.
    tls: Option<Arc<ClientConfig>>,
    /// What it has told after it had begun to serve.
    told: Arc<Mutex<Vec<String>>>,
}

/// A connection, over TLS or not.
pub(super) trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// The version of HTTP that a request uses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Http {
    One,
    Two,
}

/// An answer to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub status: u16,
    pub content_type: Option<String>,
    pub allow: Option<String>,
    /// Whose pages may read it.
    pub origin: Option<String>,
    /// How it asks who asks.
    pub asks_who: Option<String>,
    /// What came in each chunk or frame.
    pub pieces: Vec<String>,
}

/// An answer that goes on.
pub(super) struct Open {
    body: Incoming,
}

impl Server {
    pub(crate) fn start(folder: &Folder) -> Server {
        Server::start_with(folder, &[])
    }

    pub(super) fn start_with(folder: &Folder, arguments: &[&str]) -> Server {
        Server::start_at(folder, &["127.0.0.1:0"], arguments)
    }

    /// A server with these listeners.
    pub(super) fn start_at(folder: &Folder, listeners: &[&str], arguments: &[&str]) -> Server {
        let listen = listeners.iter().flat_map(|listener| ["--listen", listener]);
        let arguments: Vec<&str> = ["serve"].into_iter().chain(listen).chain(arguments.iter().copied()).collect();
        Server::of(folder.start(&arguments), listeners.len())
    }

    /// A server with these variables of the environment.
    pub(super) fn start_in(folder: &Folder, variables: &[(&str, &str)], arguments: &[&str]) -> Server {
        let arguments = [&["serve", "--listen", "127.0.0.1:0"], arguments].concat();
        let mut command = folder.command(&arguments);
        command.envs(variables.iter().copied()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        Server::of(command.spawn().expect("the program"), 1)
    }

    /// A server whose second listener speaks PostgreSQL's protocol.
    pub(super) fn start_for_postgres(folder: &Folder, arguments: &[&str]) -> Server {
        let listeners = ["serve", "--listen", "127.0.0.1:0", "--pg-listen", "127.0.0.1:0"];
        let arguments: Vec<&str> = listeners.into_iter().chain(arguments.iter().copied()).collect();
        Server::of(folder.start(&arguments), 2)
    }

    /// A server that may have so many handles.
    pub(super) fn start_with_handles(folder: &Folder, handles: usize) -> Server {
        let script = format!("ulimit -n {handles}; exec \"$0\" serve --listen 127.0.0.1:0");
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_tidemill")]).env("TIDEMILL_DATA_DIR", folder.data());
        Server::of(shell.stderr(Stdio::piped()).spawn().expect("sh"), 1)
    }

    fn of(mut child: Child, listeners: usize) -> Server {
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let address = |line: std::io::Result<String>| {
            let line = line.expect("text");
            let address = line.strip_prefix("serving at ").and_then(|rest| rest.split_once("://"));
            address.map(|(_, address)| address.to_owned()).ok_or(line)
        };
        let (mut addresses, mut others) = (Vec::new(), Vec::new());
        while addresses.len() < listeners {
            match lines.next().map(address) {
                Some(Ok(address)) => addresses.push(address),
                Some(Err(line)) => others.push(line),
                None => panic!("it does not serve: {others:?}"),
            }
        }
        // What else it tells is read, so that it never waits for somebody to read it.
        let told = Arc::new(Mutex::new(Vec::new()));
        let teller = told.clone();
        std::thread::spawn(move || {
            lines.map_while(Result::ok).for_each(|line| teller.lock().expect("a lock").push(line))
        });
        Server { child, addresses, tls: None, told }
    }

    /// What it has told so far, after it had begun to serve.
    pub(super) fn told(&self) -> Vec<String> {
        self.told.lock().expect("a lock").clone()
    }

    /// The most memory that it has taken so far, in kilobytes; None where the system does not say.
    pub(super) fn most_memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().trim_end_matches(" kB").parse().ok()
    }

    /// Has the server asked over TLS from now on.
    pub(super) fn asked_over(&mut self, tls: ClientConfig) {
        self.tls = Some(Arc::new(tls));
    }

    pub(crate) fn address(&self) -> &str {
        &self.addresses[0]
    }

    /// The address of the second listener.
    pub(super) fn second_address(&self) -> &str {
        &self.addresses[1]
    }

    /// The port of the first listener.
    pub(super) fn port(&self) -> &str {
        self.address().rsplit(':').next().expect("a port")
    }

    /// The status of what is at a path; None if the server does not talk to such a client.
    pub(super) async fn try_get(&self, path: &str) -> Option<u16> {
        let stream = TokioIo::new(self.connect().await.ok()?);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.ok()?;
        tokio::spawn(connection);
        let answer = sender.send_request(request("GET", path, &[("host", "localhost")], "")).await;
        answer.ok().map(|answer| answer.status().as_u16())
    }

    /// A connection on which nothing was said yet.
    pub(super) async fn connect(&self) -> std::io::Result<Box<dyn Connection>> {
        let stream = TcpStream::connect(self.address()).await?;
        let Some(config) = &self.tls else { return Ok(Box::new(stream)) };
        let name = ServerName::try_from("localhost").expect("a name");
        Ok(Box::new(TlsConnector::from(config.clone()).connect(name, stream).await?))
    }

    /// Ends the process without a word.
    pub(super) fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("an end");
    }

    /// Asks the process to end.
    pub(super) fn ask_to_end(&self) {
        let id = i32::try_from(self.child.id()).expect("a process");
        // SAFETY: the call has no memory of ours.
        assert_eq!(unsafe { libc::kill(id, libc::SIGTERM) }, 0);
    }

    /// How the process has ended; None if it has not.
    pub(super) fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a look at the process")
    }

    pub(super) fn ended(&mut self) -> ExitStatus {
        self.child.wait().expect("an end")
    }

    /// An answer, from its first to its last piece.
    pub(super) async fn answer(&self, http: Http, request: hyper::Request<Full<Bytes>>) -> Answer {
        let asked = async {
            let response = self.send(http, request).await;
            let header = |name| response.headers().get(name).map(|v| v.to_str().expect("text").to_owned());
            let (content_type, allow) = (header("content-type"), header("allow"));
            let (origin, asks_who) = (header("access-control-allow-origin"), header("www-authenticate"));
            let status = response.status().as_u16();
            let mut open = Open { body: response.into_body() };
            let mut pieces = Vec::new();
            while let Some(piece) = open.next().await {
                pieces.push(piece);
            }
            Answer { status, content_type, allow, origin, asks_who, pieces }
        };
        tokio::time::timeout(PATIENCE, asked).await.expect("an answer in time")
    }

    /// An answer of which the head has come.
    pub(super) async fn open(&self, http: Http, request: hyper::Request<Full<Bytes>>) -> Open {
        let response = self.head(http, request).await;
        assert_eq!(response.status(), 200);
        Open { body: response.into_body() }
    }

    /// The answer to a request that goes on, over HTTP/2.
    pub(super) async fn open_stream(&self, path: &str, body: Lines) -> Open {
        let stream = TokioIo::new(self.connect().await.expect("a connection"));
        let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream);
        let (mut sender, connection) = handshake.await.expect("HTTP/2");
        tokio::spawn(connection);
        let uri = format!("http://{}{path}", self.address());
        let request = hyper::Request::builder().method("POST").uri(uri).body(body).expect("a request");
        let answer = tokio::time::timeout(PATIENCE, sender.send_request(request)).await.expect("an answer in time");
        Open { body: answer.expect("an answer").into_body() }
    }

    /// An answer of which the head has come, whatever its status.
    pub(super) async fn head(&self, http: Http, request: hyper::Request<Full<Bytes>>) -> hyper::Response<Incoming> {
        tokio::time::timeout(PATIENCE, self.send(http, request)).await.expect("an answer in time")
    }

    async fn send(&self, http: Http, mut request: hyper::Request<Full<Bytes>>) -> hyper::Response<Incoming> {
        let stream = TokioIo::new(self.connect().await.expect("a connection"));
        match http {
            Http::One => {
                request.headers_mut().insert("host", self.address().parse().expect("a header"));
                let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.expect("HTTP/1.1");
                tokio::spawn(connection);
                sender.send_request(request).await.expect("an answer")
            }
            Http::Two => {
                let path = request.uri().clone();
                *request.uri_mut() = format!("http://{}{path}", self.address()).parse().expect("an address");
                let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream);
                let (mut sender, connection) = handshake.await.expect("HTTP/2");
                tokio::spawn(connection);
                sender.send_request(request).await.expect("an answer")
            }
        }
    }

    /// The entities of statements that are accepted.
    pub(super) async fn ksql(&self, statements: &str) -> Vec<Value> {
        let answer = self.answer(Http::One, post("/ksql", &json!({ "ksql": statements }))).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        serde_json::from_str(&answer.text()).expect("a list of entities")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Answer {
    pub(super) fn text(&self) -> String {
        self.pieces.concat()
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text()).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Open {
    /// The next piece; None at the end.
    pub(super) async fn next(&mut self) -> Option<String> {
        loop {
            let frame = tokio::time::timeout(PATIENCE, self.body.frame()).await.expect("a piece in time")?;
            let data = frame.expect("no broken answer").into_data().expect("data");
            // An empty frame of HTTP/2 only says that it was the last one.
            if !data.is_empty() {
                return Some(String::from_utf8(data.to_vec()).expect("text"));
            }
        }
    }
}

/// A body of which the lines are sent one by one.
pub(super) fn lines() -> (tokio::sync::mpsc::Sender<String>, Lines) {
    let (send, receive) = tokio::sync::mpsc::channel(1);
    (send, Lines(receive))
}

/// The lines of a request that goes on.
pub(super) struct Lines(tokio::sync::mpsc::Receiver<String>);

impl hyper::body::Body for Lines {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(cx).map(|line| line.map(|line| Ok(hyper::body::Frame::data(line.into()))))
    }
}

/// A request with a body.
pub(super) fn post(path: &str, body: &Value) -> hyper::Request<Full<Bytes>> {
    request("POST", path, &[], body.to_string())
}

/// Any request.
pub(super) fn request(
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> hyper::Request<Full<Bytes>> {
    let mut builder = hyper::Request::builder().method(method).uri(path);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(Full::new(body.into())).expect("a request")
}
