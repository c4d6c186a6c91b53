//! How a command reaches a server: in clear text or over TLS, and as which user.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError, InvalidMessage};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::failure::Failure;
use crate::error::Error;
use crate::serving;
use crate::serving::client::{self, Answer, Call, Http};
use crate::types::parse::base64_text;

/// The variable with the password of the user.
const PASSWORD: &str = "TIDEMILL_PASSWORD";

/// The port of a server that does not name one.
const PORT: &str = "8088";

/// Who asks, and whom they trust.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct Credentials {
    /// The user at the server. The password is read from --password-file, the variable TIDEMILL_PASSWORD, or the
    /// terminal.
    #[arg(long, value_name = "NAME", requires = "server")]
    user: Option<String>,
    /// The file with the password, in its first line.
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
    /// The password, where it was given otherwise.
    #[arg(skip)]
    password: Option<String>,
    /// The PEM file with the CAs that are trusted, instead of those of the system.
    #[arg(long, value_name = "FILE", requires = "server")]
    ca_file: Option<PathBuf>,
    /// The PEM file with a certificate and its key, for a server that asks its clients for one.
    #[arg(long, value_name = "FILE", requires = "server")]
    client_cert: Option<PathBuf>,
}

/// The way to a server.
pub(super) struct Link {
    /// `host:port`.
    pub address: String,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    /// The header that says who asks.
    authorization: Option<String>,
}

impl Link {
    /// The way to `http://host:port` or `https://host:port`; without a scheme it is http, without a port 8088.
    ///
    /// # Errors
    /// Status 2: the address is none, a file is not there or is none of its kind, or the password is missing.
    pub(super) fn new(url: &str, credentials: &Credentials) -> Result<Link, Failure> {
        let invalid =
            || Failure::usage(Error::invalid(format!("'{url}' is not http://HOST:PORT or https://HOST:PORT")));
        let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
        let bare = rest.trim_end_matches('/');
        let address = if has_port(bare) { bare.to_owned() } else { format!("{bare}:{PORT}") };
        // A name or password before the host would be shown by whoever lists processes.
        if address.contains(['/', '@']) || address.starts_with(':') {
            return Err(invalid());
        }
        let tls = match scheme {
            "http" => None,
            "https" => {
                let host = address.rsplit_once(':').map_or(address.as_str(), |(host, _)| host);
                let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).map_err(|_| invalid())?;
                let tls = serving::client_tls(credentials.ca_file.as_deref(), credentials.client_cert.as_deref());
                Some((TlsConnector::from(Arc::new(tls.map_err(Failure::usage)?)), name))
            }
            _ => return Err(invalid()),
        };
        Ok(Link { address, tls, authorization: credentials.authorization()? })
    }

    /// Sends a request over a connection of its own.
    ///
    /// # Errors
    /// Nobody answers, or the two do not agree on TLS: the failure says why.
    pub(super) async fn send(&self, method: &str, path: &str, body: &str) -> Result<Answer, Failure> {
        let accept = "application/vnd.ksql.v1+json";
        let call = Call { http: Http::One, method, path, accept, authorization: self.authorization.as_deref(), body };
        let stream = TcpStream::connect(&self.address).await.map_err(|e| self.lost(&e))?;
        let answer = match &self.tls {
            None => client::over(stream, &self.address, call).await,
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), stream).await.map_err(|e| self.lost(&e))?;
                client::over(stream, &self.address, call).await
            }
        };
        answer.map_err(|e| self.lost(e.as_ref()))
    }

    /// The failure for an answer that did not come.
    fn lost(&self, error: &(dyn std::error::Error + 'static)) -> Failure {
        let refused = in_chain(error).map(|error| said_of(error, &self.address));
        let (why, advice) = refused.unwrap_or_else(|| (error.to_string(), None));
        let error = Error::backend(format!("no answer from {}: {why}", self.address));
        advice.map_or(error.clone(), |advice| error.hint(advice)).into()
    }
}

fn has_port(address: &str) -> bool {
    address.rsplit_once(':').is_some_and(|(host, port)| !port.contains(']') && !host.is_empty())
}

impl Credentials {
    /// The same, with what a file says where the command line says nothing.
    pub(super) fn or(mut self, other: Credentials) -> Credentials {
        if self.user.is_none() {
            (self.user, self.password) = (other.user, other.password);
        }
        self.ca_file = self.ca_file.or(other.ca_file);
        self.client_cert = self.client_cert.or(other.client_cert);
        self
    }

    /// A user with a password, the CAs that are trusted, and a certificate, each if it is given.
    pub(super) fn given(
        user: Option<(String, String)>,
        ca_file: Option<PathBuf>,
        client_cert: Option<PathBuf>,
    ) -> Credentials {
        let (user, password) = user.unzip();
        Credentials { user, password, ca_file, client_cert, ..Credentials::default() }
    }

    /// The header that says who asks.
    fn authorization(&self) -> Result<Option<String>, Failure> {
        let Some(name) = &self.user else { return Ok(None) };
        let password = match (&self.password_file, &self.password, std::env::var(PASSWORD)) {
            (None, Some(password), _) => password.clone(),
            (Some(file), ..) => {
                let shown = file.display().to_string();
                let text = std::fs::read_to_string(file).map_err(|e| Failure::unreadable(&shown, &e))?;
                text.lines().next().unwrap_or_default().to_owned()
            }
            (None, None, Ok(password)) => password,
            (None, None, Err(_)) => prompt(&format!("Password of {name}: "))?,
        };
        Ok(Some(format!("Basic {}", base64_text(format!("{name}:{password}").as_bytes()))))
    }
}

/// A password, from the terminal; it is not shown.
///
/// # Errors
/// Status 2: there is no terminal.
pub(super) fn prompt(text: &str) -> Result<String, Failure> {
    rpassword::prompt_password(text).map_err(|error| {
        let error = Error::invalid(format!("the password cannot be read from the terminal: {error}"));
        Failure::usage(error.hint(format!("--password-file or the variable {PASSWORD} has it")))
    })
}

/// The error of TLS that is the cause of another one.
fn in_chain<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        // An error of the system may hold another one without naming it as its source.
        let held = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = held.map(|held| held as &(dyn std::error::Error + 'static)).or_else(|| error.source());
    }
    None
}

/// What is said of an error of TLS, and what helps.
fn said_of(error: &rustls::Error, address: &str) -> (String, Option<&'static str>) {
    let certificate = |what: &str| format!("the server's certificate {what}");
    match error {
        rustls::Error::InvalidCertificate(found) => match found {
            CertificateError::UnknownIssuer => {
                (certificate("is signed by no CA that is trusted"), Some("--ca-file names the file of its CA"))
            }
            CertificateError::NotValidForName => (certificate(&format!("is not one of {address}")), None),
            CertificateError::NotValidForNameContext { presented, .. } => {
                let names = presented.join(", ");
                (certificate(&format!("is not one of {address}, but of {names}")), None)
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => (certificate("has expired"), None),
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                (certificate("is not valid yet"), Some("compare the clocks of the two machines"))
            }
            other => (certificate(&format!("cannot be trusted: {other}")), None),
        },
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            ("the server asks its clients for a certificate".to_owned(), Some("--client-cert names a file with one"))
        }
        rustls::Error::AlertReceived(alert) => (format!("the server has refused TLS: {alert:?}"), None),
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            ("the server does not speak TLS there".to_owned(), Some("try http://"))
        }
        other => (other.to_string(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_scheme_and_a_port_or_the_usual_ones() {
        let address =
            |url: &str| Link::new(url, &Credentials::default()).map(|link| (link.address, link.tls.is_some()));
        for (url, expected) in [
            ("localhost", ("localhost:8088", false)),
            ("http://localhost:1/", ("localhost:1", false)),
            ("http://[::1]", ("[::1]:8088", false)),
            ("https://[::1]:9", ("[::1]:9", true)),
            ("https://example.org", ("example.org:8088", true)),
        ] {
            assert_eq!(address(url).expect(url), (expected.0.to_owned(), expected.1), "{url}");
        }
        for url in ["ftp://localhost", "http://localhost/path", "http://ann:secret@localhost", "http://:8088"] {
            assert!(address(url).is_err(), "{url}");
        }
    }
}
