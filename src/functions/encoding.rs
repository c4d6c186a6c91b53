//! The encodings of bytes as text that functions know by name.
//!
//! | name | text to bytes | bytes to text |
//! |---|---|---|
//! | `hex` | two digits a byte, in any case | upper-case digits |
//! | `utf8` | UTF-8 | UTF-8; bad bytes become U+FFFD |
//! | `ascii` | other characters become `?` | bytes from 0x80 become U+FFFD |
//! | `base64` | the standard alphabet; padding may be missing | with padding |
//!
//! Replacing instead of failing is what Java's `String` does with bad bytes and characters.

use super::call::Fault;
use crate::types::parse::{base64_bytes, base64_text};

/// A way to write bytes as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Hex,
    Utf8,
    Ascii,
    Base64,
}

impl Encoding {
    /// The encoding of this name, in any case.
    ///
    /// # Errors
    /// The name is not one of the four, with ksqlDB's message.
    pub(super) fn find(name: &str) -> Result<Encoding, Fault> {
        match name.to_ascii_lowercase().as_str() {
            "hex" => Ok(Encoding::Hex),
            "utf8" => Ok(Encoding::Utf8),
            "ascii" => Ok(Encoding::Ascii),
            "base64" => Ok(Encoding::Base64),
            _ => {
                let known = "Supported formats are 'hex', 'utf8', 'ascii', and 'base64'.";
                Err(format!("Unknown encoding type '{name}'. {known}").into())
            }
        }
    }

    /// The bytes of a text.
    ///
    /// # Errors
    /// The text is not hexadecimal, with an even number of digits, or not base64. The other two never fail.
    pub(super) fn read(self, text: &str) -> Result<Vec<u8>, Fault> {
        match self {
            Encoding::Hex => hex_bytes(text).ok_or_else(|| format!("'{text}' is no hexadecimal text").into()),
            Encoding::Utf8 => Ok(text.as_bytes().to_vec()),
            Encoding::Ascii => Ok(text.chars().map(|c| if c.is_ascii() { c as u8 } else { b'?' }).collect()),
            Encoding::Base64 => base64_bytes(text).ok_or_else(|| format!("'{text}' is no base64 text").into()),
        }
    }

    /// The text of bytes.
    ///
    /// Never fails.
    pub(super) fn print(self, bytes: &[u8]) -> String {
        match self {
            Encoding::Hex => bytes.iter().map(|b| format!("{b:02X}")).collect(),
            Encoding::Utf8 => utf8(bytes),
            Encoding::Ascii => bytes.iter().map(|b| if b.is_ascii() { *b as char } else { '\u{FFFD}' }).collect(),
            Encoding::Base64 => base64_text(bytes),
        }
    }
}

/// The text of UTF-8 bytes; what is none becomes U+FFFD, and so does half of a surrogate pair as a whole.
///
/// Rust's chunks give three invalid pieces for the three bytes of an encoded surrogate; Java's decoder gives one
/// replacement for all three.
fn utf8(bytes: &[u8]) -> String {
    let is_surrogate = |at: usize| matches!(bytes[at..], [0xED, 0xA0..=0xBF, 0x80..=0xBF, ..]);
    let mut text = String::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(chunk) = rest.utf8_chunks().next() {
        text.push_str(chunk.valid());
        let at = bytes.len() - rest.len() + chunk.valid().len();
        let skipped = match chunk.invalid().len() {
            0 => 0,
            _ if is_surrogate(at) => 3,
            length => length,
        };
        if skipped > 0 {
            text.push('\u{FFFD}');
        }
        rest = &bytes[at + skipped..];
    }
    text
}

/// `None` for an odd number of digits or any other character.
fn hex_bytes(text: &str) -> Option<Vec<u8>> {
    if text.len() % 2 == 1 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}
