//! The users of the service: a file with a name, a hashed password, a verifier and a role in each line.
//!
//! ```text
//! # comments and blank lines are skipped
//! ann:$argon2id$v=19$m=19456,t=2,p=1$…:SCRAM-SHA-256$100000:…$…:…:admin
//! ```
//!
//! The verifier of SCRAM may be missing: then PostgreSQL's clients are asked for the password itself.
//!
//! A password is checked against its hash once, which takes tens of milliseconds on purpose; then a digest of it under a
//! key of this process is remembered, and compared in constant time. The file bounds how many are remembered.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};

use super::pem::unreadable;
use super::scram::Verifier;
use crate::error::{Error, Result};
use crate::locks::lock;
use crate::statements::Right;

/// How many bytes of salt a hash has.
const SALT_BYTES: usize = 16;

/// The users of a file.
pub(super) struct Users {
    by_name: BTreeMap<String, User>,
    /// Under which passwords are remembered.
    key: hmac::Key,
}

struct User {
    hash: String,
    verifier: Option<Verifier>,
    right: Right,
    /// The digest of the password that was last found to be right.
    remembered: Mutex<Option<hmac::Tag>>,
}

/// Who asks, and what they may do.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Caller {
    /// None where nobody has to say who they are.
    pub name: Option<Arc<str>>,
    pub right: Right,
}

impl Users {
    /// Reads a file of users.
    ///
    /// # Errors
    /// It cannot be read, has no user, or has a line that is none. Messages never have the hash.
    pub(super) fn read(path: &Path) -> Result<Users> {
        let text = std::fs::read_to_string(path).map_err(|e| unreadable(path, &e))?;
        Users::parse(&text, &path.display().to_string())
    }

    fn parse(text: &str, file: &str) -> Result<Users> {
        let mut by_name = BTreeMap::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, user) = User::parse(line).map_err(|e| e.context(format!("{file}, line {}: ", number + 1)))?;
            if by_name.insert(name.clone(), user).is_some() {
                return Err(Error::invalid(format!("{file} names the user {name} twice")));
            }
        }
        if by_name.is_empty() {
            let advice = "tidemill user NAME --role admin makes a line of it";
            return Err(Error::invalid(format!("{file} names no user")).hint(advice));
        }
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .map_err(|_| Error::backend("the system gives no random bytes"))?;
        Ok(Users { by_name, key })
    }

    /// Whoever has this name and password, if that is remembered. Takes microseconds.
    pub(super) fn recall(&self, name: &str, password: &str) -> Option<Caller> {
        let user = self.by_name.get(name)?;
        let remembered = *lock(&user.remembered);
        hmac::verify(&self.key, password.as_bytes(), remembered?.as_ref()).ok()?;
        Some(user.caller(name))
    }

    /// Whoever has this name and password, by the hash. Takes long, and as long for a name that there is not.
    pub(super) fn verify(&self, name: &str, password: &str) -> Option<Caller> {
        let known = self.by_name.get(name);
        let user = known.or_else(|| self.by_name.values().next())?;
        let hash = PasswordHash::new(&user.hash).ok()?;
        let fits = Argon2::default().verify_password(password.as_bytes(), &hash).is_ok();
        let user = known.filter(|_| fits)?;
        *lock(&user.remembered) = Some(hmac::sign(&self.key, password.as_bytes()));
        Some(user.caller(name))
    }

    /// How a name proves itself by SCRAM; None if it has to give its password.
    ///
    /// A name that there is not is asked as those that there are.
    pub(super) fn verifier(&self, name: &str) -> Option<Verifier> {
        match self.by_name.get(name) {
            Some(user) => user.verifier.clone(),
            None => {
                let is_usual = self.by_name.values().any(|user| user.verifier.is_some());
                is_usual.then(|| Verifier::decoy(&self.key, name))
            }
        }
    }
}

impl User {
    /// The user of a line, and the name.
    fn parse(line: &str) -> Result<(String, User)> {
        let form =
            || Error::invalid("it is not name:hash:verifier:role").hint("tidemill user NAME --role read makes a line");
        let (name, rest) = line.split_once(':').ok_or_else(form)?;
        let (secrets, role) = rest.rsplit_once(':').ok_or_else(form)?;
        let (hash, verifier) = secrets.split_once(':').map_or((secrets, None), |(hash, rest)| (hash, Some(rest)));
        check_name(name)?;
        let right = Right::ALL.into_iter().find(|right| right.name() == role.trim()).ok_or_else(|| {
            Error::invalid(format!("'{}' is no role", role.trim())).hint("roles are read, write and admin")
        })?;
        let is_argon2 = PasswordHash::new(hash).is_ok_and(|hash| hash.algorithm.as_str().starts_with("argon2"));
        if !is_argon2 {
            return Err(form().saying(format!("the hash of {name} is none of argon2")));
        }
        let read = |text| {
            let unfit = || form().saying(format!("the verifier of {name} is none of SCRAM-SHA-256"));
            Verifier::parse(text).ok_or_else(unfit)
        };
        let verifier = verifier.map(read).transpose()?;
        Ok((name.to_owned(), User { hash: hash.to_owned(), verifier, right, remembered: Mutex::default() }))
    }

    fn caller(&self, name: &str) -> Caller {
        Caller { name: Some(name.into()), right: self.right }
    }
}

/// Refuses what cannot be the name of a user: it stands before a colon, in files and in requests.
fn check_name(name: &str) -> Result<()> {
    match name.is_empty() || name.starts_with('#') || name.trim() != name || name.contains([':', '\n', '\r', '\0']) {
        true => Err(Error::invalid(format!("'{}' cannot be the name of a user", name.escape_debug()))),
        false => Ok(()),
    }
}

/// The line of a user for a file: `name:hash:verifier:role`.
///
/// # Errors
/// The name has a colon or the like, the password is empty, or the system gives no random bytes.
pub fn user_line(name: &str, password: &str, right: Right) -> Result<String> {
    check_name(name)?;
    if password.is_empty() {
        return Err(Error::invalid("a password may not be empty"));
    }
    let failed = |why: &dyn std::fmt::Display| Error::backend(format!("the password cannot be hashed: {why}"));
    let mut salts = [[0; SALT_BYTES]; 2];
    SystemRandom::new().fill(salts.as_flattened_mut()).map_err(|e| failed(&e))?;
    let salt = SaltString::encode_b64(&salts[0]).map_err(|e| failed(&e))?;
    let hash = Argon2::default().hash_password(password.as_bytes(), &salt).map_err(|e| failed(&e))?;
    Ok(format!("{name}:{hash}:{}:{}", Verifier::new(password, &salts[1]), right.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_remembered_once_it_was_verified_and_no_other_is() {
        let line = user_line("ann", "secret", Right::Write).expect("a line");
        let users = Users::parse(&format!("# all\n\n{line}\n"), "users").expect("users");
        let ann = Caller { name: Some("ann".into()), right: Right::Write };
        assert_eq!(users.recall("ann", "secret"), None);
        assert_eq!(users.verify("ann", "Secret"), None);
        assert_eq!(users.verify("bob", "secret"), None);
        assert_eq!(users.recall("ann", "Secret"), None);
        assert_eq!(users.verify("ann", "secret"), Some(ann.clone()));
        assert_eq!(users.recall("ann", "secret"), Some(ann));
        assert_eq!(users.recall("ann", "Secret"), None);
        assert_eq!(users.recall("bob", "secret"), None);
    }

    #[test]
    fn a_user_without_a_verifier_gives_the_password() {
        let line = user_line("ann", "secret", Right::Read).expect("a line");
        let (start, verifier) = line.split_once(":SCRAM").expect("a verifier");
        let role = verifier.rsplit_once(':').expect("a role").1;
        let without = format!("{start}:{role}");
        let users = |text: &str| Users::parse(text, "users").expect("users");
        assert!(users(&line).verifier("ann").is_some() && users(&line).verifier("nobody").is_some());
        let alone = users(&without);
        assert!(alone.verifier("ann").is_none() && alone.verifier("nobody").is_none());
        assert!(alone.verify("ann", "secret").is_some());
    }

    #[test]
    fn lines_that_are_no_users_are_refused_without_their_hash() {
        let line = user_line("ann", "secret", Right::Admin).expect("a line");
        let refused = |text: &str| match Users::parse(text, "users") {
            Ok(_) => panic!("{text} is accepted"),
            Err(error) => error.render(None),
        };
        assert!(refused("").contains("names no user"));
        assert!(refused("ann").contains("users, line 1: it is not name:hash:verifier:role"));
        assert!(refused(&format!("{line}\n{line}")).contains("names the user ann twice"));
        assert!(refused(&line.replace(":admin", ":root")).contains("'root' is no role"));
        let message = refused("\nann:plaintext:read");
        assert!(message.contains("line 2: the hash of ann is none of argon2") && !message.contains("plaintext"));
        let message = refused(&line.replace(":SCRAM-SHA-256$100000", ":SCRAM-SHA-256$x"));
        assert!(message.contains("the verifier of ann is none of SCRAM-SHA-256") && !message.contains("argon2"));
        assert!(user_line("a:b", "secret", Right::Read).is_err());
        assert!(user_line("ann", "", Right::Read).is_err());
    }
}
