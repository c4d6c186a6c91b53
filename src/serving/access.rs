//! Who may ask for what: HTTP basic authentication, and the right that each path needs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, header};
use tokio::sync::Semaphore;

use super::fresh::Fresh;
use super::ksql::on_a_thread;
use super::refusal::Refusal;
use super::users::{Caller, Users};
use crate::config::{self, Properties};
use crate::error::{Error, Result};
use crate::statements::Right;
use crate::types::parse::base64_bytes;

/// How many passwords are checked against hashes at once: each takes a core, and 19 MiB.
const VERIFIED_AT_ONCE: usize = 2;

/// How long a password may wait for its turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// The paths that need a right other than to read, and which.
const NEEDS: &[(&str, Right)] =
    &[(TERMINATE, Right::Admin), ("/backup", Right::Admin), ("/inserts-stream", Right::Write)];

/// The path that changes what exists.
const TERMINATE: &str = "/ksql/terminate";

/// The paths that anybody may ask for, and the start of some.
const OPEN: &[&str] = &["/livez", "/readyz"];
const OPEN_BELOW: &str = "/chc/";

/// The right that a path needs.
pub(super) fn needed(path: &str) -> Right {
    NEEDS.iter().find(|(own, _)| *own == path).map_or(Right::Read, |(_, right)| *right)
}

/// Whether anybody may ask for a path.
pub(super) fn is_open(path: &str) -> bool {
    OPEN.contains(&path) || path.starts_with(OPEN_BELOW)
}

/// Who may ask for what.
pub(super) struct Access {
    /// None if nobody has to say who they are.
    pub users: Option<Fresh<Users>>,
    /// Whether the statements come from a file, and nobody else may change what exists.
    pub is_headless: bool,
    verifying: Arc<Semaphore>,
}

/// The name and the password of a request.
struct Credentials {
    name: String,
    password: String,
}

impl Access {
    /// As the properties say it.
    ///
    /// # Errors
    /// The file of the users is not named, or cannot be used.
    pub(super) fn read(properties: &Properties) -> Result<Access> {
        let is_basic = properties.text(config::AUTHENTICATION).eq_ignore_ascii_case("BASIC");
        let file = PathBuf::from(properties.text(config::USERS));
        if is_basic && file.as_os_str().is_empty() {
            let error = Error::invalid(format!("{}=BASIC, and {} is not set", config::AUTHENTICATION, config::USERS));
            return Err(error.hint("it names a file with lines of 'tidemill user NAME --role ROLE'"));
        }
        let read = || Fresh::read(vec![file.clone()], move || Users::read(&file));
        let users = is_basic.then(read).transpose()?;
        Ok(Access { users, is_headless: false, verifying: Arc::new(Semaphore::new(VERIFIED_AT_ONCE)) })
    }

    /// Who asks for a path.
    ///
    /// # Errors
    /// 401 if that is not said, or the password is wrong; 403 if they may not ask for it; 429 if too many passwords are
    /// being checked.
    pub(super) async fn admit(&self, path: &str, headers: &HeaderMap) -> Result<Caller, Refusal> {
        let needed = needed(path);
        let nobody = Caller { name: None, right: Right::Admin };
        let caller = match &self.users {
            None => nobody,
            Some(_) if is_open(path) => Caller { right: Right::Read, ..nobody },
            Some(users) => self.caller(users.now(), Credentials::of(headers).ok_or_else(unauthorized)?).await?,
        };
        match path {
            TERMINATE => self.may(&caller, needed, path)?,
            _ => caller.may(needed, path)?,
        }
        Ok(caller)
    }

    /// # Errors
    /// The caller may not do what needs this right, or nobody may.
    pub(super) fn may(&self, caller: &Caller, needed: Right, what: &str) -> Result<(), Refusal> {
        caller.may(needed, what)?;
        if !self.is_headless || needed < Right::Admin {
            return Ok(());
        }
        let message = format!("{what} is refused: the statements of this service come from its file of queries");
        Err(Refusal::new(40300, message))
    }

    /// Whoever has this name and password.
    ///
    /// # Errors
    /// As those of [`Access::admit`].
    pub(super) async fn verified(&self, name: &str, password: &str) -> Result<Caller, Refusal> {
        let asked = Credentials { name: name.to_owned(), password: password.to_owned() };
        match &self.users {
            Some(users) => self.caller(users.now(), asked).await,
            None => Ok(Caller { name: None, right: Right::Admin }),
        }
    }

    /// Whoever has these credentials.
    async fn caller(&self, users: Arc<Users>, asked: Credentials) -> Result<Caller, Refusal> {
        if let Some(caller) = users.recall(&asked.name, &asked.password) {
            return Ok(caller);
        }
        let late = || Refusal::new(42900, "Too many passwords are being checked; try again");
        let turn = tokio::time::timeout(PATIENCE, self.verifying.clone().acquire_owned()).await;
        let turn = turn.map_err(|_| late())?.map_err(|_| late())?;
        let verified = move || {
            // Another request with the same password may have been before this one.
            let recalled = users.recall(&asked.name, &asked.password);
            let caller = recalled.or_else(|| users.verify(&asked.name, &asked.password));
            // The thread holds it, since it goes on if the client has gone.
            drop(turn);
            caller.ok_or_else(unauthorized)
        };
        on_a_thread(verified).await
    }
}

impl Credentials {
    /// Those of the header of basic authentication.
    fn of(headers: &HeaderMap) -> Option<Credentials> {
        let (scheme, encoded) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
        let decoded = base64_bytes(encoded.trim()).filter(|_| scheme.eq_ignore_ascii_case("Basic"))?;
        let text = String::from_utf8(decoded).ok()?;
        let (name, password) = text.split_once(':')?;
        Some(Credentials { name: name.to_owned(), password: password.to_owned() })
    }
}

impl Caller {
    /// # Errors
    /// They may not do what needs this right.
    fn may(&self, needed: Right, what: &str) -> Result<(), Refusal> {
        if self.right >= needed {
            return Ok(());
        }
        let (name, needed, has) = (self.name.as_deref().unwrap_or_default(), needed.name(), self.right.name());
        let message = format!("{what} needs the role {needed}; the user {name} has the role {has}");
        Err(Refusal::new(40300, message))
    }
}

fn unauthorized() -> Refusal {
    Refusal::new(40100, "Unauthorized")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_what_stands_before_and_after_the_first_colon() {
        let of = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().expect("a header"));
            Credentials::of(&headers).map(|found| (found.name, found.password))
        };
        let both = |name: &str, password: &str| Some((name.to_owned(), password.to_owned()));
        assert_eq!(of("Basic YW5uOmE6Yg=="), both("ann", "a:b"));
        assert_eq!(of("basic YW5uOg"), both("ann", ""));
        for other in ["Bearer YW5uOmE6Yg==", "Basic", "Basic !", "Basic YW5u", ""] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
