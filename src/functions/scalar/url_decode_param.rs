//! `URL_DECODE_PARAM`: a parameter of a URL as text.

use crate::functions::call::{Fault, rows1};
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "URL_DECODE_PARAM",
    shown: "url_decode_param",
    category: "URL",
    summary: "The text that a parameter of a URL stands for.",
    examples: &[("URL_DECODE_PARAM('a+b%26c')", "a b&c")],
    overloads: &[Overload {
        params: &[param("input", T::String)],
        returns: Returns::Is(SqlType::String),
        body: |call| rows1(call, |text: &str| decoded(text).map(Some)),
    }],
};

/// As `java.net.URLDecoder` with UTF-8: `+` is a blank, bytes that are not UTF-8 become U+FFFD.
///
/// # Errors
/// A `%` without two hexadecimal digits after it.
fn decoded(text: &str) -> Result<String, Fault> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        rest = behind;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits = behind.get(..2).and_then(|d| std::str::from_utf8(d).ok());
                let byte = digits.and_then(|d| u8::from_str_radix(d, 16).ok());
                bytes.push(byte.ok_or("an incomplete or illegal %-escape stands in the text")?);
                rest = &behind[2..];
            }
            other => bytes.push(*other),
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
