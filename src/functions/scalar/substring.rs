//! `SUBSTRING`: a part of a string or of bytes.
//!
//! | call | result |
//! |---|---|
//! | `SUBSTRING('stream', 2)` | `tream` |
//! | `SUBSTRING('stream', -3)` | `eam`: from the third unit from the end |
//! | `SUBSTRING('stream', 2, 3)` | `tre` |
//! | `SUBSTRING('stream', 0)` | `stream`: 0 is taken for 1 |
//! | `SUBSTRING('stream', 9)` | empty |

use crate::functions::call::{rows2, rows3};
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "SUBSTRING",
    shown: "substring",
    category: "STRING",
    summary: "The part from a position, counted from 1 or from the end if it is negative, of at most a given length.",
    examples: &[
        ("SUBSTRING('stream', 2, 3)", "tre"),
        ("SUBSTRING('stream', -4)", "ream"),
        ("SUBSTRING('stream', 9)", ""),
    ],
    overloads: &[
        Overload {
            params: &[param("str", T::String), param("pos", T::Int), param("length", T::Int)],
            returns: Returns::Is(SqlType::String),
            body: |call| rows3(call, |text: &str, pos: i32, len: i32| Ok(Some(text_part(text, pos, Some(len))))),
        },
        Overload {
            params: &[param("bytes", T::Bytes), param("pos", T::Int), param("length", T::Int)],
            returns: Returns::Is(SqlType::Bytes),
            body: |call| rows3(call, |bytes: &[u8], pos: i32, len: i32| Ok(Some(part(bytes, pos, Some(len)).to_vec()))),
        },
        Overload {
            params: &[param("bytes", T::Bytes), param("pos", T::Int)],
            returns: Returns::Is(SqlType::Bytes),
            body: |call| rows2(call, |bytes: &[u8], pos: i32| Ok(Some(part(bytes, pos, None).to_vec()))),
        },
        Overload {
            params: &[param("str", T::String), param("pos", T::Int)],
            returns: Returns::Is(SqlType::String),
            body: |call| rows2(call, |text: &str, pos: i32| Ok(Some(text_part(text, pos, None)))),
        },
    ],
};

/// The part of a string, counted in UTF-16 code units; ASCII, where a unit is a byte, is cut without decoding.
///
/// A cut through a surrogate pair leaves U+FFFD.
fn text_part(text: &str, pos: i32, len: Option<i32>) -> String {
    if text.is_ascii() {
        return String::from_utf8_lossy(part(text.as_bytes(), pos, len)).into_owned();
    }
    let units: Vec<u16> = text.encode_utf16().collect();
    String::from_utf16_lossy(part(&units, pos, len))
}

/// `pos` counts from 1. `len` of `None` goes to the end; a negative one gives nothing.
fn part<U>(all: &[U], pos: i32, len: Option<i32>) -> &[U] {
    let size = all.len() as i32;
    let start = if pos > 0 {
        (pos - 1).min(size)
    } else if pos < 0 {
        size.saturating_add(pos).max(0)
    } else {
        0
    };
    // The end is computed in 32 bits, as ksqlDB does: a length that overflows it gives nothing.
    let end = len.map_or(size, |len| start.wrapping_add(len).clamp(start, size.max(start)));
    &all[start as usize..end as usize]
}
