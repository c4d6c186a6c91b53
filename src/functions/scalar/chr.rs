//! `CHR`: a character by its number.

use crate::functions::call::rows1;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "CHR",
    shown: "Chr",
    category: "STRING",
    summary: "The character with a number in Unicode, or those of escapes like \\u0041.",
    examples: &[("CHR(75)", "K")],
    overloads: &[
        Overload {
            params: &[param("decimalCode", T::Int)],
            returns: Returns::Is(SqlType::String),
            body: |call| {
                rows1(call, |code: i32| Ok(u32::try_from(code).ok().and_then(char::from_u32).map(String::from)))
            },
        },
        Overload {
            params: &[param("utf8Code", T::String)],
            returns: Returns::Is(SqlType::String),
            body: |call| rows1(call, |text: &str| Ok(escaped(text))),
        },
    ],
};

/// The characters of escapes as Java writes them.
///
/// `\u0041` is `A`, and two escapes may be a surrogate pair. Several `u` may stand after the backslash, as in Java's
/// source code. `None` if the text does not begin with an escape, an escape has no four hexadecimal digits, or half
/// of a pair is left alone.
fn escaped(text: &str) -> Option<String> {
    if text.len() < 6 || !text.starts_with("\\u") {
        return None;
    }
    let mut units: Vec<u16> = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some(escape) = rest.strip_prefix("\\u").map(|escape| escape.trim_start_matches('u')) {
            units.push(u16::from_str_radix(escape.get(..4)?, 16).ok()?);
            rest = &escape[4..];
        } else {
            units.extend(first.encode_utf16(&mut [0; 2]).iter());
            rest = &rest[first.len_utf8()..];
        }
    }
    String::from_utf16(&units).ok()
}
