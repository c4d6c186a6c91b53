//! A client of the service: requests over HTTP/1.1 or HTTP/2, and answers whole or line by line.
//!
//! The command line talks to a server with it, and cases of the test runner do. A request has a connection of its own.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::{CONNECTION_WINDOW, STREAM_WINDOW};
use crate::error::{Error, Result};

/// The version of HTTP that a request uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Http {
    /// HTTP/1.1.
    One,
    /// HTTP/2 with prior knowledge.
    Two,
}

/// A request.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The version of HTTP.
    pub http: Http,
    /// GET, POST or another one.
    pub method: &'a str,
    /// The path, with a query if there is one.
    pub path: &'a str,
    /// The media type that is wanted.
    pub accept: &'a str,
    /// Who asks, as the header of that name says it.
    pub authorization: Option<&'a str>,
    /// The body; may be empty.
    pub body: &'a str,
}

/// An answer of which the head has come.
#[derive(Debug)]
pub struct Answer {
    /// The status of HTTP.
    pub status: u16,
    body: Incoming,
    /// What has come and is no whole line yet.
    rest: Vec<u8>,
}

/// Sends a request to `host:port`, inside of a runtime of tokio.
///
/// # Errors
/// Kind `Backend`: nobody answers there.
pub async fn send(address: &str, call: Call<'_>) -> Result<Answer> {
    let lost = |why: &dyn std::fmt::Display| Error::backend(format!("no answer from {address}: {why}"));
    let stream = TcpStream::connect(address).await.map_err(|e| lost(&e))?;
    over(stream, address, call).await.map_err(|e| lost(&e))
}

/// Sends a request over a connection that is made, which ends with the answer.
///
/// # Errors
/// What went wrong on the way, whose causes tell more.
pub async fn over<S>(
    stream: S,
    address: &str,
    call: Call<'_>,
) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let builder = hyper::Request::builder().method(call.method).header("accept", call.accept);
    let builder = match call.http {
        Http::One => builder.uri(call.path).header("host", address),
        Http::Two => builder.uri(format!("http://{address}{}", call.path)),
    };
    let builder = match call.authorization {
        Some(authorization) => builder.header("authorization", authorization),
        None => builder,
    };
    let request = builder.body(Bytes::from(call.body.to_owned()))?;
    exchange(stream, call.http, request).await
}

/// Sends any request over a connection that is made, which ends with the answer.
///
/// # Errors
/// As those of [`over`].
pub(super) async fn exchange<S>(
    stream: S,
    http: Http,
    request: hyper::Request<Bytes>,
) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (stream, request) = (TokioIo::new(stream), request.map(Full::new));
    // What goes wrong with the connection is told by the answer.
    let response = match http {
        Http::One => {
            let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
            tokio::spawn(connection);
            sender.send_request(request).await?
        }
        Http::Two => {
            let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
            builder.initial_stream_window_size(STREAM_WINDOW).initial_connection_window_size(CONNECTION_WINDOW);
            let (mut sender, connection) = builder.handshake(stream).await?;
            tokio::spawn(connection);
            sender.send_request(request).await?
        }
    };
    Ok(Answer { status: response.status().as_u16(), body: response.into_body(), rest: Vec::new() })
}

impl Answer {
    /// Whether the request was accepted.
    pub fn is_good(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The rest of the answer, to its end.
    ///
    /// # Errors
    /// Kind `Backend`: it has broken off.
    pub async fn whole(mut self) -> Result<Vec<u8>> {
        while self.more().await? {}
        Ok(self.rest)
    }

    /// The first bytes of the answer: all of it, or a little more than `most`.
    ///
    /// # Errors
    /// Kind `Backend`: it has broken off.
    pub(super) async fn up_to(mut self, most: usize) -> Result<Vec<u8>> {
        while self.rest.len() <= most && self.more().await? {}
        Ok(self.rest)
    }

    /// The next line with its end, or what stands behind the last one; None at the end.
    ///
    /// May be dropped while it waits: nothing is lost then.
    ///
    /// # Errors
    /// Kind `Backend`: the answer has broken off.
    pub async fn line(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.rest) {
                return Ok(Some(self.rest.drain(..=end).collect()));
            }
            if !self.more().await? {
                return Ok(Some(std::mem::take(&mut self.rest)).filter(|rest| !rest.is_empty()));
            }
        }
    }

    /// Takes the next piece; whether there was one.
    async fn more(&mut self) -> Result<bool> {
        match self.body.frame().await {
            Some(Ok(frame)) => {
                self.rest.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
                Ok(true)
            }
            Some(Err(error)) => Err(Error::backend(format!("the answer has broken off: {error}"))),
            None => Ok(false),
        }
    }
}
