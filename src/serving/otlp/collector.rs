//! A request to the collector.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use bytes::Bytes;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::Signal;
use crate::config::{self, Url};
use crate::error::{Error, Result};
use crate::serving::client::{self, Answer, Http};
use crate::serving::client_tls;

/// How many bytes of an answer are read.
const MOST_ANSWER: usize = 64 << 10;

/// The statuses after which a request may be sent again, by the specification of OTLP.
const PASSING: [u16; 4] = [429, 502, 503, 504];

/// Where telemetry is sent.
pub(super) struct Collector {
    url: Url,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    headers: HeaderMap,
    timeout: Duration,
}

/// Why the collector did not take something.
#[derive(Debug)]
pub(super) struct Fault {
    pub why: String,
    /// Whether the same may be sent again.
    pub is_passing: bool,
}

impl Fault {
    fn passing(why: impl ToString) -> Fault {
        Fault { why: why.to_string(), is_passing: true }
    }
}

impl Collector {
    /// The collector at an address, asked with these headers. `authorities` is the file of the CAs that its certificate
    /// may come from; if it is empty, those of the system count.
    ///
    /// # Errors
    /// Kind `Invalid`: a header cannot be sent, the host cannot have a certificate, or the file cannot be used.
    pub(super) fn new(
        url: Url,
        headers: &[(String, String)],
        authorities: &str,
        timeout: Duration,
    ) -> Result<Collector> {
        let tls = url.is_secure.then(|| tls(&url.host, authorities)).transpose()?;
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            let refused = || Error::invalid(format!("a header of {} cannot be sent", config::OTLP_HEADERS));
            let name = HeaderName::try_from(name).map_err(|_| refused())?;
            all.insert(name, HeaderValue::try_from(value).map_err(|_| refused())?);
        }
        let host = HeaderValue::try_from(&url.authority);
        let host = host.map_err(|_| Error::invalid(format!("'{}' cannot be the name of a host", url.authority)))?;
        all.insert(header::HOST, host);
        all.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        let agent = concat!("Tidemill/", env!("CARGO_PKG_VERSION"));
        all.insert(header::USER_AGENT, HeaderValue::from_static(agent));
        Ok(Collector { url, tls, headers: all, timeout })
    }

    /// Where a kind of telemetry is sent, as people are shown it.
    pub(super) fn address(&self, signal: Signal) -> String {
        let scheme = if self.url.is_secure { "https" } else { "http" };
        format!("{scheme}://{}{}", self.url.authority, self.path(signal))
    }

    fn path(&self, signal: Signal) -> String {
        format!("{}/v1/{}", self.url.path, signal.name())
    }

    /// Sends telemetry; the answer of a collector that has taken it.
    ///
    /// # Errors
    /// The collector is not there, is slow, or refuses it.
    pub(super) async fn post(&self, signal: Signal, body: Bytes) -> std::result::Result<Vec<u8>, Fault> {
        let exchange = async {
            let answer = self.send(signal, body).await.map_err(Fault::passing)?;
            let status = answer.status;
            if !answer.is_good() {
                let is_passing = PASSING.contains(&status);
                return Err(Fault { why: format!("it answers with status {status}"), is_passing });
            }
            answer.up_to(MOST_ANSWER).await.map_err(Fault::passing)
        };
        match tokio::time::timeout(self.timeout, exchange).await {
            Ok(answered) => answered,
            Err(_) => Err(Fault::passing(format!("no answer within {} ms", self.timeout.as_millis()))),
        }
    }

    async fn send(
        &self,
        signal: Signal,
        body: Bytes,
    ) -> std::result::Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
        let mut request = hyper::Request::builder().method(Method::POST).uri(self.path(signal)).body(body)?;
        *request.headers_mut() = self.headers.clone();
        let stream = TcpStream::connect((self.url.host.as_str(), self.url.port)).await?;
        match &self.tls {
            None => client::exchange(stream, Http::One, request).await,
            Some((connector, name)) => {
                client::exchange(connector.connect(name.clone(), stream).await?, Http::One, request).await
            }
        }
    }
}

/// How TLS is spoken with a host.
fn tls(host: &str, authorities: &str) -> Result<(TlsConnector, ServerName<'static>)> {
    let no_name = |_| Error::invalid(format!("'{host}' is no name that a certificate can have"));
    let name = ServerName::try_from(host.to_owned()).map_err(no_name)?;
    let file = Some(authorities).filter(|file| !file.is_empty()).map(Path::new);
    Ok((TlsConnector::from(Arc::new(client_tls(file, None)?)), name))
}
