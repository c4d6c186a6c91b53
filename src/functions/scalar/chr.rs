//! `CHR`: a character by its number.

use crate::functions::call::{rows1};
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::{SqlType};

pub const FUNCTION: Scalar = Scalar {
    name: "CHR",
    shown: "Chr",
    category: "STRING",
    summary: "The character with a number in Unicode, or those of escapes like \\u0041.",
    examples: &[("CHR(75)", "K")],
    overloads: &[
        Overload {
            params: &[param("decimalCode", T::Int)],
            returns: Returns::Is(SqlType::String),
            body: |call| rows1(call, |code: i32| Ok(u32::try_from(code).ok().and_then(char::from_u32).map(String::from))),
        },
        Overload {
            params: &[param("utf8Code", T::String)],
            returns: Returns::Is(SqlType::String),
            body: |call| rows1(call, |text: &str| Ok(escaped(text))),
        },
    ],
};

/// The characters of escapes as Java writes them.
fn escaped(text: &str) -> Option<String> {
    if text.len() < 6 || !text.starts_with("\\u") {
        return None;
    }
    let units: Option<Vec<u16>> =
        text.split("\\u").skip(1).map(|digits| u16::from_str_radix(digits.get(..4)?, 16).ok()).collect();
    String::from_utf16(&units?).ok()
}
