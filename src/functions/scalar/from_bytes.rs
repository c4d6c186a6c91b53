//! `FROM_BYTES`: bytes as text.
//!
//! No bytes fail: what has no text in the encoding is replaced by U+FFFD.

use crate::functions::call::rows2;
use crate::functions::encoding::Encoding;
use crate::functions::meaning::Meaning;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "FROM_BYTES",
    shown: "from_bytes",
    category: "STRING",
    summary: "Bytes as a text in an encoding: hex, utf8, ascii or base64.",
    examples: &[("FROM_BYTES(TO_BYTES('a', 'utf8'), 'hex')", "61")],
    overloads: &[Overload {
        params: &[param("value", T::Bytes), param("encoding", T::String).meaning(Meaning::Encoding)],
        returns: Returns::Is(SqlType::String),
        body: |call| rows2(call, |bytes: &[u8], encoding: &str| Ok(Some(Encoding::find(encoding)?.print(bytes)))),
    }],
};
