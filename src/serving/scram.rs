//! SCRAM-SHA-256 as a server does it (RFC 5802, RFC 7677): a client proves that it knows a password without sending it.
//!
//! Kept is a [`Verifier`] in the form of PostgreSQL, `SCRAM-SHA-256$iterations:salt$stored key:server key`. Whoever has
//! read it can check guesses, and cannot log in. (The code of `pgwire` keeps the salted password, with which one can.)
//! Channels are not bound: a client that insists on it is refused.

use std::fmt;
use std::num::NonZeroU32;

use ring::rand::{SecureRandom, SystemRandom};
use ring::{digest, hmac, pbkdf2};

use crate::types::parse::{base64_bytes, base64_text};

/// What the mechanism is called.
pub(super) const METHOD: &str = "SCRAM-SHA-256";

/// How often a password is hashed by a client that connects. More would make a stolen verifier worth less, and
/// connecting slower: this is about a tenth of a second.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(100_000).expect("not 0");

/// How many bytes a key has.
const KEY_BYTES: usize = digest::SHA256_OUTPUT_LEN;

/// How many random bytes the server adds to a client's.
const NONCE_BYTES: usize = 18;

type Key = [u8; KEY_BYTES];

/// What is kept of a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verifier {
    iterations: NonZeroU32,
    salt: Vec<u8>,
    stored: Key,
    server: Key,
}

/// What a client has to answer with its password.
pub(super) struct Challenge {
    verifier: Verifier,
    /// What the client said of binding channels, which it repeats.
    header: String,
    nonce: String,
    client_first: String,
    server_first: String,
}

impl Verifier {
    /// The verifier of a password.
    pub(super) fn new(password: &str, salt: &[u8]) -> Verifier {
        Verifier::derived(password, salt, ITERATIONS)
    }

    fn derived(password: &str, salt: &[u8], iterations: NonZeroU32) -> Verifier {
        // Clients do the same; a password that cannot be normalized is taken as it is.
        let normalized = stringprep::saslprep(password).unwrap_or(password.into());
        let mut salted = [0; KEY_BYTES];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, normalized.as_bytes(), &mut salted);
        let stored = hashed(&signed(&salted, b"Client Key"));
        Verifier { iterations, salt: salt.to_vec(), stored, server: signed(&salted, b"Server Key") }
    }

    /// Reads the form of PostgreSQL.
    pub(super) fn parse(text: &str) -> Option<Verifier> {
        let (cost, keys) = text.strip_prefix(METHOD)?.strip_prefix('$')?.split_once('$')?;
        let ((iterations, salt), (stored, server)) = (cost.split_once(':')?, keys.split_once(':')?);
        let key = |text| base64_bytes(text)?.try_into().ok();
        Some(Verifier {
            iterations: iterations.parse().ok()?,
            salt: base64_bytes(salt)?,
            stored: key(stored)?,
            server: key(server)?,
        })
    }

    /// A verifier that no password fits, so that a client does not learn which names there are: the same for a name as
    /// long as the key is.
    pub(super) fn decoy(key: &hmac::Key, name: &str) -> Verifier {
        let drawn = |what: &str| {
            let mut text = what.as_bytes().to_vec();
            text.extend(name.as_bytes());
            hmac::sign(key, &text).as_ref().to_vec()
        };
        let stored = drawn("stored").try_into().expect("SHA-256 gives as many bytes as a key has");
        Verifier { iterations: ITERATIONS, salt: drawn("salt")[..16].to_vec(), stored, server: [0; KEY_BYTES] }
    }

    /// What is asked of a client after its first message; None if that is none, or wants its channel bound.
    pub(super) fn challenge(self, client_first: &str) -> Option<Challenge> {
        let mut random = [0; NONCE_BYTES];
        SystemRandom::new().fill(&mut random).ok()?;
        self.challenge_with(client_first, &base64_text(&random))
    }

    fn challenge_with(self, client_first: &str, random: &str) -> Option<Challenge> {
        // The name of the user stands in the message that opened the connection; that in here does not matter.
        let bare = ["n,,", "y,,"].iter().find_map(|header| client_first.strip_prefix(header))?;
        let nonce = bare.strip_prefix("n=")?.split_once(",r=")?.1.split(',').next().filter(|own| !own.is_empty())?;
        let nonce = format!("{nonce}{random}");
        Some(Challenge {
            header: client_first[..client_first.len() - bare.len()].to_owned(),
            client_first: bare.to_owned(),
            server_first: format!("r={nonce},s={},i={}", base64_text(&self.salt), self.iterations),
            nonce,
            verifier: self,
        })
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [salt, stored, server] = [&self.salt[..], &self.stored, &self.server].map(base64_text);
        write!(f, "{METHOD}${}:{salt}${stored}:{server}", self.iterations)
    }
}

impl Challenge {
    /// The message to the client.
    pub(super) fn text(&self) -> &str {
        &self.server_first
    }

    /// What proves to the client that the server knows the password, too; None if the client does not know it.
    pub(super) fn proven(&self, client_final: &str) -> Option<String> {
        let (without_proof, proof) = client_final.rsplit_once(",p=")?;
        let (header, nonce) = without_proof.strip_prefix("c=")?.split_once(",r=")?;
        let is_ours = base64_bytes(header)? == self.header.as_bytes() && nonce == self.nonce;
        let proof: Key = base64_bytes(proof)?.try_into().ok().filter(|_| is_ours)?;
        let all = format!("{},{},{without_proof}", self.client_first, self.server_first);
        let signature = signed(&self.verifier.stored, all.as_bytes());
        let client_key: Vec<u8> = proof.iter().zip(signature).map(|(proof, signed)| proof ^ signed).collect();
        (hashed(&client_key) == self.verifier.stored)
            .then(|| format!("v={}", base64_text(&signed(&self.verifier.server, all.as_bytes()))))
    }
}

fn signed(key: &[u8], text: &[u8]) -> Key {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text);
    tag.as_ref().try_into().expect("SHA-256 gives as many bytes as a key has")
}

fn hashed(bytes: &[u8]) -> Key {
    let digest = digest::digest(&digest::SHA256, bytes);
    digest.as_ref().try_into().expect("SHA-256 gives as many bytes as a key has")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7677.
    const FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
    const RANDOM: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    const FINAL: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
        p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

    fn pencil(password: &str) -> Verifier {
        let salt = base64_bytes("W22ZaJ0SNY7soEsUEjb6gQ==").expect("a salt");
        Verifier::derived(password, &salt, NonZeroU32::new(4096).expect("not 0"))
    }

    #[test]
    fn the_example_of_the_standard_is_answered() {
        let challenge = pencil("pencil").challenge_with(FIRST, RANDOM).expect("a challenge");
        let expected = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        assert_eq!(challenge.text(), expected);
        assert_eq!(challenge.proven(FINAL).as_deref(), Some("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
    }

    #[test]
    fn nothing_but_the_proof_for_this_challenge_is_taken() {
        let challenge = |first: &str, random: &str| pencil("pencil").challenge_with(first, random);
        assert!(pencil("Pencil").challenge_with(FIRST, RANDOM).expect("a challenge").proven(FINAL).is_none());
        assert!(challenge(FIRST, "another").expect("a challenge").proven(FINAL).is_none(), "a proof of before");
        let other = FIRST.replace("n,,", "y,,");
        assert!(challenge(&other, RANDOM).expect("a challenge").proven(FINAL).is_none(), "another header");
        let ours = challenge(FIRST, RANDOM).expect("a challenge");
        for wrong in
            ["", "c=biws", "c=biws,r=x,p=", "e=other", &FINAL.replace("p=dH", "p=dI"), &FINAL[..FINAL.len() - 4]]
        {
            assert!(ours.proven(wrong).is_none(), "{wrong}");
        }
        for first in
            ["", "n,,", "n,,n=a", "n,,n=a,r=", "p=tls-server-end-point,,n=a,r=b", "n,a=b,n=a,r=b", "n,,m=1,n=a,r=b"]
        {
            assert!(challenge(first, RANDOM).is_none(), "{first}");
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"key");
        assert_eq!(Verifier::decoy(&key, "a"), Verifier::decoy(&key, "a"));
        assert_ne!(Verifier::decoy(&key, "a").salt, Verifier::decoy(&key, "b").salt);
    }

    #[test]
    fn a_verifier_is_kept_as_text() {
        let verifier = pencil("pencil");
        assert_eq!(Verifier::parse(&verifier.to_string()), Some(verifier.clone()));
        assert_eq!(pencil("pen\u{ad}cil"), verifier, "what looks like it is the same password");
        let text = verifier.to_string();
        let wrong =
            [text.replace("4096", "0"), text.replace("256", "1"), text.replace("==", ""), text + "a", "a".into()];
        // Padding may be left out.
        assert_eq!(wrong.map(|text| Verifier::parse(&text).is_some()), [false, false, true, false, false]);
    }
}
