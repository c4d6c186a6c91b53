//! How a connection begins: TLS if the client wants it, who the client is, and what it is told of the server.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use pgwire::messages::cancel::CancelRequest;
use pgwire::messages::response::{GssEncResponse, SslResponse};
use pgwire::messages::startup::{
    Authentication, BackendKeyData, NegotiateProtocolVersion, ParameterStatus, PasswordMessageFamily, SecretKey,
    Startup,
};
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage, SslNegotiationMetaMessage};
use tokio_rustls::TlsAcceptor;

use super::refused::{Refused, code};
use super::settings::Settings;
use super::wire::Wire;
use super::{Cancellable, Door};
use crate::serving::scram::{self, Verifier};
use crate::serving::{PATIENCE, Setup};

/// What ALPN calls the protocol.
const PROTOCOL: &[u8] = b"postgresql";

/// A connection whose client is known.
pub(super) struct Started {
    pub wire: Wire,
    pub settings: Settings,
    pub user: Arc<str>,
    pub cancellable: Cancellable,
}

/// What comes after the questions about encryption.
struct Opened {
    wire: Wire,
    is_secure: bool,
    message: PgWireFrontendMessage,
}

/// Greets a client; None if it has gone, is refused, or only wanted to cancel a query of another connection.
pub(super) async fn greet(door: &Door, wire: Wire, peer: SocketAddr) -> Option<Started> {
    let greeted = async {
        let Opened { mut wire, is_secure, message } = open(&door.service.setup, wire).await.ok()?;
        let startup = match message {
            PgWireFrontendMessage::Startup(startup) => startup,
            PgWireFrontendMessage::CancelRequest(CancelRequest { pid, secret_key: SecretKey::I32(secret), .. }) => {
                door.connections.cancel((pid, secret));
                return None;
            }
            _ => return None,
        };
        let is_private = is_secure || peer.ip().is_loopback();
        match admit(door, &mut wire, startup, is_private).await {
            Ok(Ok((settings, user, cancellable))) => Some(Started { wire, settings, user, cancellable }),
            Ok(Err(refused)) => {
                wire.put(refused.response(true)).ok()?;
                wire.close().await;
                None
            }
            Err(_) => None,
        }
    };
    tokio::time::timeout(PATIENCE, greeted).await.ok().flatten()
}

/// Agrees on encryption, and reads what comes then.
async fn open(setup: &Setup, mut wire: Wire) -> io::Result<Opened> {
    let mut is_secure = false;
    loop {
        let Some(message) = wire.next().await? else { return Err(io::ErrorKind::UnexpectedEof.into()) };
        match message {
            PgWireFrontendMessage::SslNegotiation(SslNegotiationMetaMessage::PostgresSsl(_)) => {
                let Some(tls) = setup.tls.as_ref().filter(|_| !is_secure) else {
                    wire.put(PgWireBackendMessage::SslResponse(SslResponse::Refuse))?;
                    wire.flush().await?;
                    continue;
                };
                wire.put(PgWireBackendMessage::SslResponse(SslResponse::Accept))?;
                wire.flush().await?;
                let mut config = rustls::ServerConfig::clone(&tls.now());
                config.alpn_protocols = vec![PROTOCOL.to_vec()];
                let stream = TlsAcceptor::from(Arc::new(config)).accept(wire.into_stream()?).await?;
                (wire, is_secure) = (Wire::new(stream), true);
            }
            PgWireFrontendMessage::SslNegotiation(SslNegotiationMetaMessage::PostgresGss(_)) => {
                wire.put(PgWireBackendMessage::GssEncResponse(GssEncResponse::Refuse))?;
                wire.flush().await?;
            }
            PgWireFrontendMessage::SslNegotiation(SslNegotiationMetaMessage::None) => wire.expect_startup(),
            message => {
                wire.expect_messages();
                return Ok(Opened { wire, is_secure, message });
            }
        }
    }
}

/// Checks who the client is, and tells it what it has to know before its first statement.
async fn admit(
    door: &Door,
    wire: &mut Wire,
    startup: Startup,
    is_private: bool,
) -> io::Result<Result<(Settings, Arc<str>, Cancellable), Refused>> {
    negotiate(wire, &startup)?;
    let user = startup.parameters.get("user").map_or("", String::as_str);
    if door.service.is_terminated.load(Ordering::SeqCst) {
        return Ok(Err(Refused::new(code::TERMINATED, "the server is shutting down")));
    }
    if let Err(refused) = authenticate(door, wire, user, is_private).await? {
        return Ok(Err(refused));
    }
    let settings = match wanted(&startup.parameters, user) {
        Ok(settings) => settings,
        Err(refused) => return Ok(Err(refused)),
    };
    let Some(cancellable) = door.connections.add() else {
        return Ok(Err(Refused::new(code::BACKEND, "the system gives no random bytes")));
    };
    wire.admit();
    wire.put(PgWireBackendMessage::Authentication(Authentication::Ok))?;
    for (name, value) in settings.told() {
        wire.put(PgWireBackendMessage::ParameterStatus(ParameterStatus::new(name.to_owned(), value.to_owned())))?;
    }
    let (number, secret) = cancellable.key;
    wire.put(PgWireBackendMessage::BackendKeyData(BackendKeyData::new(number, SecretKey::I32(secret))))?;
    Ok(Ok((settings, user.into(), cancellable)))
}

/// Tells a client that wants a newer version, or options that there are not, what is spoken: version 3.0.
fn negotiate(wire: &mut Wire, startup: &Startup) -> io::Result<()> {
    let is_option = |name: &&String| name.starts_with("_pq_.");
    let options: Vec<String> = startup.parameters.keys().filter(is_option).cloned().collect();
    if startup.protocol_number_minor == 0 && options.is_empty() {
        return Ok(());
    }
    wire.put(PgWireBackendMessage::NegotiateProtocolVersion(NegotiateProtocolVersion::new(0, options)))
}

/// Has the client prove who it is, if there are users.
async fn authenticate(door: &Door, wire: &mut Wire, user: &str, is_private: bool) -> io::Result<Result<(), Refused>> {
    let access = &door.service.setup.access;
    let Some(users) = &access.users else { return Ok(Ok(())) };
    let is_known = match users.now().verifier(user) {
        Some(verifier) => prove(wire, verifier).await?,
        None if !is_private => {
            let refused = Refused::new(code::REFUSED_USER, "passwords are taken over TLS only");
            return Ok(Err(refused.hint("connect with sslmode=require")));
        }
        None => {
            wire.put(PgWireBackendMessage::Authentication(Authentication::CleartextPassword))?;
            wire.flush().await?;
            let password = wire.proof(PasswordMessageFamily::into_password).await?;
            access.verified(user, &password.password).await.is_ok()
        }
    };
    let wrong = || Refused::new(code::BAD_PASSWORD, format!("password authentication failed for user \"{user}\""));
    Ok(if is_known { Ok(()) } else { Err(wrong()) })
}

/// Whether the client proves by SCRAM that it knows the password.
async fn prove(wire: &mut Wire, verifier: Verifier) -> io::Result<bool> {
    let methods = vec![scram::METHOD.to_owned()];
    wire.put(PgWireBackendMessage::Authentication(Authentication::SASL(methods)))?;
    wire.flush().await?;
    let first = wire.proof(PasswordMessageFamily::into_sasl_initial_response).await?;
    let text = first.data.filter(|_| first.auth_method == scram::METHOD).unwrap_or_default();
    let challenge = std::str::from_utf8(&text).ok().and_then(|text| verifier.challenge(text));
    let Some(challenge) = challenge else { return Err(io::ErrorKind::InvalidData.into()) };
    let text = challenge.text().to_owned().into();
    wire.put(PgWireBackendMessage::Authentication(Authentication::SASLContinue(text)))?;
    wire.flush().await?;
    let last = wire.proof(PasswordMessageFamily::into_sasl_response).await?;
    let Some(proof) = std::str::from_utf8(&last.data).ok().and_then(|text| challenge.proven(text)) else {
        return Ok(false);
    };
    wire.put(PgWireBackendMessage::Authentication(Authentication::SASLFinal(proof.into())))?;
    Ok(true)
}

/// The settings that a client wants when it connects.
fn wanted(parameters: &BTreeMap<String, String>, user: &str) -> Result<Settings, Refused> {
    let mut settings = Settings::default();
    settings.own_user(user);
    for (name, value) in parameters {
        let is_another =
            ["user", "database", "options", "replication"].contains(&name.as_str()) || name.starts_with("_pq_.");
        if !is_another {
            settings.set(name, value)?;
        }
    }
    if parameters.get("replication").is_some_and(|value| !["false", "off", "no", "0"].contains(&value.as_str())) {
        return Err(Refused::new(code::UNSUPPORTED, "replication is not supported"));
    }
    for option in options(parameters.get("options").map_or("", String::as_str)) {
        let (name, value) = option.split_once('=').unwrap_or((&option, ""));
        settings.set(&name.replace('-', "_"), value)?;
    }
    Ok(settings)
}

/// The settings among options of a command line: `-c name=value` and `--name=value`.
fn options(text: &str) -> Vec<String> {
    let mut words = text.split_ascii_whitespace();
    let mut found = Vec::new();
    while let Some(word) = words.next() {
        match word.strip_prefix("--").or_else(|| word.strip_prefix("-c").filter(|rest| !rest.is_empty())) {
            Some(option) => found.push(option.to_owned()),
            None if word == "-c" => found.extend(words.next().map(str::to_owned)),
            None => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_a_command_line_are_settings() {
        assert_eq!(options("-c a=1 --b=2 -cc=3 x"), ["a=1", "b=2", "c=3"]);
        let parameters = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let settings = wanted(&parameters("options", "-c application_name=x"), "ann").expect("settings");
        assert_eq!(settings.get("application_name"), Some("x"));
        assert_eq!(settings.get("session_authorization"), Some("ann"));
        wanted(&parameters("client_encoding", "LATIN1"), "ann").expect_err("another encoding");
        wanted(&parameters("replication", "database"), "ann").expect_err("no replication");
    }
}
