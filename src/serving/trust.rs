//! TLS as a client speaks it: whom it trusts, and what it shows of itself.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring::default_provider;
use rustls::{ClientConfig, RootCertStore};

use super::pem;
use crate::error::{Error, Result};

/// How a client speaks TLS for HTTP/1.1. `authorities` is the PEM file of the CAs that it trusts, instead of those of the
/// system; `own` that of a certificate with its key, for a server that asks for one.
///
/// # Errors
/// Kind `Invalid`: a file cannot be used.
pub fn client_tls(authorities: Option<&Path>, own: Option<&Path>) -> Result<ClientConfig> {
    let unusable = |error: rustls::Error| Error::invalid(format!("TLS cannot be used: {error}"));
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_root_certificates(roots(authorities)?);
    let mut config = match own {
        None => config.with_no_client_auth(),
        Some(file) => config.with_client_auth_cert(pem::certificates(file)?, pem::key(file, "")?).map_err(unusable)?,
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// The CAs that are trusted.
fn roots(authorities: Option<&Path>) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let Some(file) = authorities else {
        // Systems have CAs that nothing can read; the others count.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(roots);
    };
    for certificate in pem::certificates(file)? {
        roots.add(certificate).map_err(|e| Error::invalid(format!("{} cannot be used: {e}", file.display())))?;
    }
    Ok(roots)
}
