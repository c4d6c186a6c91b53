//! TLS: the certificate of the service, and those that its clients show.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring::default_provider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};

use super::fresh::Fresh;
use super::pem;
use crate::config::{self, Properties};
use crate::error::{Error, Result};

/// The protocols that are offered to clients, the best first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// What the properties say of TLS.
struct Wanted {
    certificate: PathBuf,
    key: PathBuf,
    password: String,
    /// The CAs of clients, and whether a client must show a certificate; None if it is not asked for one.
    clients: Option<(PathBuf, bool)>,
}

/// How TLS is spoken, as the properties say it.
///
/// # Errors
/// A property or a file that is needed is missing or cannot be used.
pub(super) fn read(properties: &Properties) -> Result<Fresh<ServerConfig>> {
    let wanted = Wanted::of(properties)?;
    let clients = wanted.clients.iter().map(|(file, _)| file);
    let files = [&wanted.certificate, &wanted.key].into_iter().chain(clients).cloned().collect();
    Fresh::read(files, move || wanted.config())
}

impl Wanted {
    fn of(properties: &Properties) -> Result<Wanted> {
        let location = |store: &'static str, kind: &'static str| match properties.text(kind) {
            pem if pem.eq_ignore_ascii_case("PEM") => path(properties, store),
            other => {
                let advice = if other.eq_ignore_ascii_case("JKS") { pem::FROM_JKS } else { pem::FROM_PKCS12 };
                Err(Error::invalid(format!("{kind}={other} cannot be read, only PEM")).hint(advice))
            }
        };
        let certificate = location(config::KEYSTORE, config::KEYSTORE_TYPE)?;
        let key = match properties.text(config::KEY_LOCATION) {
            "" => certificate.clone(),
            other => PathBuf::from(other),
        };
        let clients = match properties.text(config::CLIENT_AUTHENTICATION).to_ascii_uppercase().as_str() {
            "NONE" => None,
            word => Some((location(config::TRUSTSTORE, config::TRUSTSTORE_TYPE)?, word == "REQUIRED")),
        };
        Ok(Wanted { certificate, key, password: properties.text(config::KEY_PASSWORD).to_owned(), clients })
    }

    /// Reads the files.
    fn config(&self) -> Result<ServerConfig> {
        let chain = pem::certificates(&self.certificate)?;
        let key = pem::key(&self.key, &self.password)?;
        let unusable = |error: rustls::Error| {
            let message = format!("the certificate in {} cannot be used: {error}", self.certificate.display());
            Error::invalid(message).hint(format!("the key must be its own; it is read from {}", self.key.display()))
        };
        let versions = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?;
        let built = match &self.clients {
            None => versions.with_no_client_auth(),
            Some((authorities, must)) => versions.with_client_cert_verifier(verifier(authorities, *must)?),
        };
        let mut config = built.with_single_cert(chain, key).map_err(unusable)?;
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
        Ok(config)
    }
}

/// The path that a property names.
///
/// # Errors
/// It names none.
fn path(properties: &Properties, name: &'static str) -> Result<PathBuf> {
    match properties.text(name) {
        "" => Err(Error::invalid(format!("{name} is not set, and TLS needs it")).hint("it names a PEM file")),
        text => Ok(PathBuf::from(text)),
    }
}

/// What accepts certificates of clients that a CA of a file has signed.
fn verifier(authorities: &Path, must: bool) -> Result<Arc<dyn ClientCertVerifier>> {
    let unusable = |error: &dyn std::fmt::Display| {
        Error::invalid(format!("the CAs of clients in {} cannot be used: {error}", authorities.display()))
    };
    let mut roots = RootCertStore::empty();
    for certificate in pem::certificates(authorities)? {
        roots.add(certificate).map_err(|e| unusable(&e))?;
    }
    let provider = Arc::new(default_provider());
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = if must { builder } else { builder.allow_unauthenticated() };
    builder.build().map_err(|e| unusable(&e))
}
