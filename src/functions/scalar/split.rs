//! `SPLIT`: the pieces between delimiters.

use crate::functions::call::rows2;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::{SqlType, Value};

pub(super) const FUNCTION: Scalar = Scalar {
    name: "SPLIT",
    shown: "split",
    category: "STRING",
    summary: "The pieces of a string or of bytes between delimiters; an empty delimiter splits everywhere.",
    examples: &[("SPLIT('a-b-', '-')", "[a, b, ]"), ("SPLIT('abc', '')", "[a, b, c]")],
    overloads: &[
        Overload {
            params: &[param("string", T::String), param("delimiter", T::String)],
            returns: Returns::By(|_, _| Ok(SqlType::array(SqlType::String))),
            body: |call| {
                rows2(call, |text: &str, delimiter: &str| {
                    let piece = |piece: &str| Value::String(piece.to_owned());
                    Ok(Some(Value::Array(match delimiter {
                        "" if text.is_empty() => vec![piece("")],
                        "" => {
                            text.encode_utf16().map(|unit| Value::String(String::from_utf16_lossy(&[unit]))).collect()
                        }
                        _ => text.split(delimiter).map(piece).collect(),
                    })))
                })
            },
        },
        Overload {
            params: &[param("bytes", T::Bytes), param("delimiter", T::Bytes)],
            returns: Returns::By(|_, _| Ok(SqlType::array(SqlType::Bytes))),
            body: |call| rows2(call, |bytes: &[u8], delimiter: &[u8]| Ok(Some(Value::Array(pieces(bytes, delimiter))))),
        },
    ],
};

/// There is always at least one piece. Two delimiters in a row have an empty piece between them.
fn pieces(bytes: &[u8], delimiter: &[u8]) -> Vec<Value> {
    if delimiter.is_empty() {
        return match bytes {
            [] => vec![Value::Bytes(Vec::new())],
            _ => bytes.iter().map(|b| Value::Bytes(vec![*b])).collect(),
        };
    }
    let mut pieces = Vec::new();
    let mut start = 0;
    for at in memchr::memmem::find_iter(bytes, delimiter) {
        pieces.push(Value::Bytes(bytes[start..at].to_vec()));
        start = at + delimiter.len();
    }
    pieces.push(Value::Bytes(bytes[start..].to_vec()));
    pieces
}
