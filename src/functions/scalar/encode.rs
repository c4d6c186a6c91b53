//! `ENCODE`: a text in another encoding.

use crate::functions::call::rows3;
use crate::functions::encoding::Encoding;
use crate::functions::meaning::Meaning;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::{SqlType, text};

pub(super) const FUNCTION: Scalar = Scalar {
    name: "ENCODE",
    shown: "encode",
    category: "STRING",
    summary: "A text from one encoding to another: hex, utf8, ascii or base64.",
    examples: &[("ENCODE('a', 'utf8', 'hex')", "61"), ("ENCODE('0x4D4', 'hex', 'ascii')", "\u{4}\u{FFFD}")],
    overloads: &[Overload {
        params: &[
            param("str", T::String),
            param("inputEncoding", T::String).meaning(Meaning::Encoding),
            param("outputEncoding", T::String).meaning(Meaning::OtherEncoding),
        ],
        returns: Returns::Is(SqlType::String),
        body: |call| {
            rows3(call, |input: &str, from: &str, to: &str| {
                let (from, to) = (Encoding::find(from)?, Encoding::find(to)?);
                if from == to {
                    return Err("Supported input and output encodings are: hex, utf8, ascii and base64".into());
                }
                let bytes = match from {
                    Encoding::Hex => Encoding::Hex.read(&digits(input))?,
                    Encoding::Base64 => lenient_base64(input),
                    other => other.read(input)?,
                };
                Ok(Some(if to == Encoding::Hex { text::hex(&bytes) } else { to.print(&bytes) }))
            })
        },
    }],
};

/// The digits of a hexadecimal text as SQL dialects write it: `0x4D`, `X'4D'`, `4D`.
///
/// A missing digit after `0x` is taken for a zero before the others: `0x4D4` is `04D4`.
fn digits(text: &str) -> String {
    if let Some(digits) = text.strip_prefix("0x") {
        return if digits.len() % 2 == 1 { format!("0{digits}") } else { digits.to_owned() };
    }
    let quoted = text.strip_prefix("X'").or_else(|| text.strip_prefix("x'")).and_then(|t| t.strip_suffix('\''));
    quoted.unwrap_or(text).to_owned()
}

/// Base64 in which other characters are passed over, and `-` and `_` stand for `+` and `/`.
///
/// As Apache Commons' `Base64` reads: it stops at the first `=`. A last group of two characters gives one byte, of
/// three two bytes, of one none.
fn lenient_base64(text: &str) -> Vec<u8> {
    let value = |c: u8| match c {
        b'A'..=b'Z' => Some(c - b'A'),
        b'a'..=b'z' => Some(c - b'a' + 26),
        b'0'..=b'9' => Some(c - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    };
    let sextets: Vec<u8> = text.bytes().take_while(|c| *c != b'=').filter_map(value).collect();
    let mut bytes = Vec::with_capacity(sextets.len());
    for four in sextets.chunks(4) {
        let bits = four.iter().fold(0u32, |bits, sextet| bits << 6 | u32::from(*sextet)) << (6 * (4 - four.len()));
        bytes.extend_from_slice(&bits.to_be_bytes()[1..four.len()]);
    }
    bytes
}
