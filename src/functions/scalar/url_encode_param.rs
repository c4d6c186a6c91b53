//! `URL_ENCODE_PARAM`: a text as a parameter of a URL.

use crate::functions::call::rows1;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "URL_ENCODE_PARAM",
    shown: "url_encode_param",
    category: "URL",
    summary: "A text in the form that parameters of URLs have.",
    examples: &[("URL_ENCODE_PARAM('a b&c')", "a+b%26c")],
    overloads: &[Overload {
        params: &[param("input", T::String)],
        returns: Returns::Is(SqlType::String),
        body: |call| rows1(call, |text: &str| Ok(Some(encoded(text)))),
    }],
};

/// As Guava's form escaper: letters, digits, `-`, `_`, `.` and `*` stay, a blank becomes `+`, and everything else is
/// percent-encoded byte by byte in UTF-8.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'_' | b'.' | b'*' => out.push(byte as char),
            b' ' => out.push('+'),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}
