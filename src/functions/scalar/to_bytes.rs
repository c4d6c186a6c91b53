//! `TO_BYTES`: the bytes that a text stands for.
//!
//! A text that is not in the encoding fails the row.

use crate::functions::call::rows2;
use crate::functions::encoding::Encoding;
use crate::functions::meaning::Meaning;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "TO_BYTES",
    shown: "to_bytes",
    category: "STRING",
    summary: "The bytes that a text in an encoding stands for: hex, utf8, ascii or base64.",
    examples: &[("FROM_BYTES(TO_BYTES('61', 'hex'), 'utf8')", "a")],
    overloads: &[Overload {
        params: &[param("value", T::String), param("encoding", T::String).meaning(Meaning::Encoding)],
        returns: Returns::Is(SqlType::Bytes),
        body: |call| rows2(call, |text: &str, encoding: &str| Encoding::find(encoding)?.read(text).map(Some)),
    }],
};
