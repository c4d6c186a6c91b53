//! `MD5`: the hash of a string.

use md5::Digest;

use crate::functions::call::rows1;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::{SqlType, text};

pub(super) const FUNCTION: Scalar = Scalar {
    name: "MD5",
    shown: "md5",
    category: "STRING",
    summary: "The MD5 hash of the UTF-8 bytes of a string, in hexadecimal digits.",
    examples: &[("MD5('a')", "0cc175b9c0f1b6a831c399e269772661")],
    overloads: &[Overload {
        params: &[param("s", T::String)],
        returns: Returns::Is(SqlType::String),
        body: |call| rows1(call, |s: &str| Ok(Some(text::hex(&md5::Md5::digest(s.as_bytes()))))),
    }],
};
