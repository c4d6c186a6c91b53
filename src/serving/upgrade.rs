//! HTTP/2 by upgrade: who asks for it in a request over HTTP/1.1 is answered over HTTP/2, that request included.
//!
//! ```text
//! client                                          server
//! GET /info HTTP/1.1
//! Connection: Upgrade, HTTP2-Settings
//! Upgrade: h2c
//! HTTP2-Settings: AAMAAABk…
//!                                                 HTTP/1.1 101 Switching Protocols
//! preface, SETTINGS, frames                       frames; the answer to the request on stream 1
//! ```
//!
//! What serves HTTP/2 knows no upgrade: it reads a connection from the preface on. So the request is written as frames
//! of stream 1, as the client would have sent them, and read between the client's first frame and the others. The
//! settings of the request's header stand in that first frame, before those that it has: they are confirmed once, as
//! the client expects it.
//!
//! A server need not upgrade. Requests that do not fit in a frame, and those over TLS, are answered over HTTP/1.1.

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use super::PATIENCE;
use super::begin::{Begun, PREFACE};
use super::bodies::Bodies;
use super::refusal::Refusal;
use crate::types::parse::base64_bytes;

/// The header with the client's settings.
const SETTINGS_HEADER: &str = "http2-settings";

/// How many bytes a frame may have after its head; and a setting has.
const MOST_PAYLOAD: usize = 16_384;
const SETTING_BYTES: usize = 6;

/// The kinds of frames, and their flags.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Headers that concern the connection of HTTP/1.1 alone, besides those that `Connection` names.
const OF_CONNECTION: &[&str] =
    &["connection", "host", SETTINGS_HEADER, "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"];

/// A request that asks for HTTP/2, and the connection that it came on.
pub(super) struct Upgrade {
    on: OnUpgrade,
    /// The settings of its header, as a frame has them.
    settings: Vec<u8>,
    /// The request as frames.
    frames: Vec<u8>,
}

/// The settings of a request that asks for HTTP/2, as a frame has them, if it can be done.
pub(super) fn wanted(request: &Request) -> Option<Vec<u8>> {
    let headers = request.headers();
    let names = |name, word| tokens(headers, name).any(|token| token.eq_ignore_ascii_case(word));
    let asks = names(header::UPGRADE, "h2c")
        && names(header::CONNECTION, "upgrade")
        && names(header::CONNECTION, SETTINGS_HEADER);
    let fits = request.version() == Version::HTTP_11
        && request.method() != Method::CONNECT
        && request.body().size_hint().exact().is_some_and(|size| size <= MOST_PAYLOAD as u64);
    let mut all = headers.get_all(SETTINGS_HEADER).iter();
    let (Some(only), None, true) = (all.next(), all.next(), asks && fits) else { return None };
    let settings = base64_bytes(&only.to_str().ok()?.replace('-', "+").replace('_', "/"))?;
    (settings.len() % SETTING_BYTES == 0 && settings.len() <= MOST_PAYLOAD / 2).then_some(settings)
}

/// The words of a header that is a list.
fn tokens(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(',')).map(str::trim)
}

impl Upgrade {
    /// Reads a request that asks for HTTP/2.
    ///
    /// # Errors
    /// Its body does not come.
    pub(super) async fn of(bodies: &Bodies, mut request: Request, settings: Vec<u8>) -> Result<Upgrade, Refusal> {
        let on = hyper::upgrade::on(&mut request);
        let (parts, body) = request.into_parts();
        let body = bodies.read(body).await?;
        Ok(Upgrade { on, settings, frames: frames(&parts, &body) })
    }

    /// The answer that says that HTTP/2 follows.
    pub(super) fn answer() -> Response {
        let headers = [(header::CONNECTION, "Upgrade"), (header::UPGRADE, "h2c")];
        (StatusCode::SWITCHING_PROTOCOLS, headers, Body::empty()).into_response()
    }

    /// The connection as one that began with HTTP/2 and this request; None if the client does not begin it in time.
    pub(super) async fn connection(self) -> Option<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        let begun = async {
            let mut io = TokioIo::new(self.on.await.ok()?);
            let first = first_frame(&mut io, &self.settings).await?;
            let before = [PREFACE, &first[..], &self.frames].concat();
            Some(Begun::new(before.into(), io))
        };
        tokio::time::timeout(PATIENCE, begun).await.ok()?
    }
}

/// Reads the preface and the client's first frame, which has its settings; that frame with others before them.
async fn first_frame(io: &mut (impl AsyncRead + Unpin), settings: &[u8]) -> Option<Vec<u8>> {
    let mut preface = [0; PREFACE.len()];
    io.read_exact(&mut preface).await.ok()?;
    let mut head = [0; 9];
    io.read_exact(&mut head).await.ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    let is_settings = head[3..] == [SETTINGS, 0, 0, 0, 0, 0];
    if preface != *PREFACE || !is_settings || settings.len() + length > MOST_PAYLOAD {
        return None;
    }
    let mut payload = settings.to_vec();
    payload.resize(settings.len() + length, 0);
    io.read_exact(&mut payload[settings.len()..]).await.ok()?;
    let mut out = Vec::new();
    put_frame(SETTINGS, 0, 0, &payload, &mut out);
    Some(out)
}

/// A request as frames of stream 1.
fn frames(parts: &Parts, body: &[u8]) -> Vec<u8> {
    let mut block = Vec::new();
    let host = parts.headers.get(header::HOST).map(HeaderValue::as_bytes);
    let authority = parts.uri.authority().map(|authority| authority.as_str().as_bytes()).or(host);
    put_header(":method", parts.method.as_str().as_bytes(), &mut block);
    put_header(":scheme", b"http", &mut block);
    if let Some(authority) = authority {
        put_header(":authority", authority, &mut block);
    }
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    put_header(":path", path.as_bytes(), &mut block);
    let named: Vec<&str> = tokens(&parts.headers, header::CONNECTION).collect();
    let is_own = |name: &HeaderName| {
        !OF_CONNECTION.contains(&name.as_str()) && !named.iter().any(|named| named.eq_ignore_ascii_case(name.as_str()))
    };
    for (name, value) in parts.headers.iter().filter(|(name, _)| is_own(name)) {
        put_header(name.as_str(), value.as_bytes(), &mut block);
    }
    let mut out = Vec::new();
    let ends = if body.is_empty() { END_STREAM } else { 0 };
    put_frame(HEADERS, END_HEADERS | ends, 1, &block, &mut out);
    if !body.is_empty() {
        put_frame(DATA, END_STREAM, 1, body, &mut out);
    }
    out
}

/// Writes a frame.
fn put_frame(kind: u8, flags: u8, stream: u32, payload: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(payload.len()).expect("a payload fits in a frame");
    out.extend_from_slice(&length.to_be_bytes()[1..]);
    out.extend([kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// Writes a header so that no table changes: a literal without indexing, with a new name (RFC 7541, 6.2.2).
fn put_header(name: &str, value: &[u8], out: &mut Vec<u8>) {
    out.push(0);
    put_text(name.as_bytes(), out);
    put_text(value, out);
}

/// Writes a text without Huffman's code: its length as an integer with a prefix of 7 bits (RFC 7541, 5.1), and it.
fn put_text(text: &[u8], out: &mut Vec<u8>) {
    const MOST_IN_PREFIX: usize = 127;
    if text.len() < MOST_IN_PREFIX {
        out.push(text.len() as u8);
    } else {
        out.push(MOST_IN_PREFIX as u8);
        let mut rest = text.len() - MOST_IN_PREFIX;
        while rest >= 128 {
            out.push((rest % 128) as u8 | 128);
            rest /= 128;
        }
        out.push(rest as u8);
    }
    out.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_as_the_standard_has_them() {
        let length = |length: usize| {
            let mut out = Vec::new();
            put_text(&vec![b'x'; length], &mut out);
            out.truncate(out.len() - length);
            out
        };
        assert_eq!(length(126), [126]);
        assert_eq!(length(127), [127, 0]);
        assert_eq!(length(254), [127, 127]);
        assert_eq!(length(127 + 1_337), [127, 0b1011_1001, 0b0000_1010]);
    }

    #[test]
    fn headers_of_the_connection_stay_behind() {
        let request = Request::builder()
            .uri("/info?x=1")
            .header("host", "h:1")
            .header("connection", "Upgrade, HTTP2-Settings, X-Hop")
            .header("upgrade", "h2c")
            .header("http2-settings", "AAMAAABk")
            .header("x-hop", "1")
            .header("accept", "*/*")
            .body(Body::empty())
            .expect("a request");
        assert_eq!(wanted(&request), Some(vec![0, 3, 0, 0, 0, 100]));
        let (parts, _) = request.into_parts();
        let text = String::from_utf8_lossy(&frames(&parts, b"")).into_owned();
        for (name, is_there) in
            [(":path\u{9}/info?x=1", true), (":authority\u{3}h:1", true), ("accept\u{3}*/*", true), ("x-hop", false)]
        {
            assert_eq!(text.contains(name), is_there, "{name} {text:?}");
        }
        assert!(!text.contains("upgrade") && !text.contains("settings") && !text.contains("host"), "{text:?}");
    }
}
