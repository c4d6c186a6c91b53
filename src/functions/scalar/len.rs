//! `LEN`: how long a string is, or how many bytes there are.
//!
//! An emoji has the length 2 in a string, as in Java's `String.length`.

use crate::functions::call::rows1;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "LEN",
    shown: "len",
    category: "STRING",
    summary: "The length of a string in UTF-16 code units, or the number of bytes.",
    examples: &[("LEN('häß')", "3"), ("LEN('😀')", "2")],
    overloads: &[
        Overload {
            params: &[param("input", T::String)],
            returns: Returns::Is(SqlType::Integer),
            body: |call| rows1(call, |text: &str| Ok(Some(text.encode_utf16().count() as i32))),
        },
        Overload {
            params: &[param("input", T::Bytes)],
            returns: Returns::Is(SqlType::Integer),
            body: |call| rows1(call, |bytes: &[u8]| Ok(Some(bytes.len() as i32))),
        },
    ],
};
