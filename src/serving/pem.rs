//! Certificates and keys from PEM files.
//!
//! What is in another form is refused with the command that makes PEM of it.

use std::path::Path;

use pkcs8::der::SecretDocument;
use pkcs8::{EncryptedPrivateKeyInfo, der::pem::PemLabel};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::error::{Error, Result};

/// How Java's own key stores begin.
const JKS: &[u8] = &[0xFE, 0xED, 0xFE, 0xED];

/// How everything in DER begins that is as large as a key store: PKCS12 files, among others.
const DER: &[u8] = &[0x30, 0x82];

/// What stands before keys that OpenSSL has encrypted in its old way.
const OLD_ENCRYPTION: &str = "Proc-Type: 4,ENCRYPTED";

/// The advice for Java's own key stores.
pub(super) const FROM_JKS: &str = "make PEM of it: keytool -importkeystore -srckeystore STORE -destkeystore store.p12 \
                                   -deststoretype PKCS12; openssl pkcs12 -in store.p12 -nodes -out store.pem";

/// The advice for PKCS12 files.
pub(super) const FROM_PKCS12: &str = "make PEM of it: openssl pkcs12 -in STORE -nodes -out store.pem";

/// The text of a file that is in PEM.
///
/// # Errors
/// It cannot be read, or is something else.
fn text(path: &Path) -> Result<String> {
    let shown = path.display();
    let bytes = std::fs::read(path).map_err(|e| unreadable(path, &e))?;
    if bytes.starts_with(JKS) {
        return Err(Error::invalid(format!("{shown} is a key store of Java, not PEM")).hint(FROM_JKS));
    }
    if bytes.starts_with(DER) {
        return Err(Error::invalid(format!("{shown} is DER or PKCS12, not PEM")).hint(FROM_PKCS12));
    }
    String::from_utf8(bytes).map_err(|_| Error::invalid(format!("{shown} is not PEM")))
}

/// A file that is named in the properties or on the command line cannot be read.
pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    let message = format!("cannot read {}: {error}", path.display());
    if error.kind() == std::io::ErrorKind::NotFound { Error::missing(message) } else { Error::backend(message) }
}

/// The certificates of a file, in their order; at least one.
///
/// # Errors
/// The file cannot be read, is not PEM, or has no certificate.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let text = text(path)?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    let found = read.map_err(|e| Error::invalid(format!("{}: {e}", path.display())))?;
    match found.is_empty() {
        true => Err(Error::invalid(format!("{} has no certificate (BEGIN CERTIFICATE)", path.display()))),
        false => Ok(found),
    }
}

/// The first private key of a file. The password is empty if it is not known.
///
/// # Errors
/// The file cannot be read, is not PEM, has no key, or one that the password does not open.
pub(super) fn key(path: &Path, password: &str) -> Result<PrivateKeyDer<'static>> {
    let text = text(path)?;
    let shown = path.display();
    if text.contains(OLD_ENCRYPTION) {
        let error = Error::invalid(format!("the key in {shown} is encrypted in a way that cannot be read"));
        return Err(error.hint("encrypt it anew: openssl pkcs8 -topk8 -v2 aes-256-cbc -in KEY -out key.pem"));
    }
    if let Some(encrypted) = section(&text, EncryptedPrivateKeyInfo::PEM_LABEL) {
        return decrypted(encrypted, password).map_err(|error| error.context(format!("{shown}: ")));
    }
    PrivateKeyDer::from_pem_slice(text.as_bytes())
        .map_err(|_| Error::invalid(format!("{shown} has no private key that can be read (BEGIN PRIVATE KEY)")))
}

/// The part of a PEM file with this label, from its BEGIN to its END.
fn section<'a>(text: &'a str, label: &str) -> Option<&'a str> {
    let end = format!("-----END {label}-----");
    let from = &text[text.find(&format!("-----BEGIN {label}-----"))?..];
    Some(&from[..from.find(&end)? + end.len()])
}

/// The key of a section with an encrypted one.
fn decrypted(section: &str, password: &str) -> Result<PrivateKeyDer<'static>> {
    if password.is_empty() {
        let advice = "the service takes it from ssl.key.password; the command line takes keys that are not encrypted";
        return Err(Error::invalid("the key is encrypted, and no password is given").hint(advice));
    }
    let unreadable = |why: &dyn std::fmt::Display| Error::invalid(format!("the encrypted key cannot be read: {why}"));
    let (_, document) = SecretDocument::from_pem(section).map_err(|e| unreadable(&e))?;
    let encrypted = EncryptedPrivateKeyInfo::try_from(document.as_bytes()).map_err(|e| unreadable(&e))?;
    let plain = encrypted.decrypt(password).map_err(|e| {
        let other = "encrypt it with AES: openssl pkcs8 -topk8 -v2 aes-256-cbc -in KEY -out key.pem";
        Error::invalid(format!("ssl.key.password does not open the key: {e}")).hint(other)
    })?;
    Ok(PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(plain.as_bytes().to_vec())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Encrypted with the password "tide".
    const ENCRYPTED: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAhz3iV2I0ZIEAICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEAL3mxyNlX9gwERJX+sM8lkEgZC+
dmvyUyYk6fKwl74is6JbzBf+KdXUQOQPRGX8/rH709qBchbySnsk0r4N1MWA+d9S
FsOdSN0IjieoY7NBKv3zVRNIFkmCh8AIZOlIkGrVKHaVHS6yp/dlZvExLZXCeOjv
TB6dyVDjqqxbHVxRkN+5n4GQab010XmkJOEsH8J4w+YfkSFz+GaHgrsTXseTgIA=
-----END ENCRYPTED PRIVATE KEY-----
";

    #[test]
    fn an_encrypted_key_is_opened_by_its_password() {
        let opened = |section: &str, password: &str| decrypted(section, password).map_err(|e| e.render(None));
        let text = format!("what stands before it\n{ENCRYPTED}");
        let section = section(&text, EncryptedPrivateKeyInfo::PEM_LABEL).expect("a section");
        assert!(matches!(opened(section, "tide"), Ok(PrivateKeyDer::Pkcs8(_))));
        let wrong = opened(section, "ebb").expect_err("another password");
        assert!(wrong.contains("ssl.key.password does not open the key") && !wrong.contains("ebb"), "{wrong}");
        assert!(opened(section, "").expect_err("no password").contains("no password is given"));
    }
}
