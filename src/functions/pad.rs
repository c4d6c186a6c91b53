//! Strings and bytes brought to a length: what the functions that pad share.

use arrow::array::ArrayRef;

use super::call::{Call, Outcome, rows3};
use super::fault::made_length;
use super::meaning::Meaning;
use super::signature::{T, param};
use super::{Overload, Returns};
use crate::types::SqlType;

/// The end at which padding is added.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum End {
    Left,
    Right,
}

/// Padding of strings and of bytes.
pub(super) const fn overloads(string: fn(&mut Call) -> ArrayRef, bytes: fn(&mut Call) -> ArrayRef) -> [Overload; 2] {
    [
        Overload {
            params: const {
                &[
                    param("input", T::String),
                    param("targetLen", T::Int).meaning(Meaning::Length),
                    param("padding", T::String),
                ]
            },
            returns: Returns::Is(SqlType::String),
            body: string,
        },
        Overload {
            params: const {
                &[
                    param("input", T::Bytes),
                    param("targetLen", T::Int).meaning(Meaning::Length),
                    param("padding", T::Bytes),
                ]
            },
            returns: Returns::Is(SqlType::Bytes),
            body: bytes,
        },
    ]
}

/// Pads strings, whose length is counted in UTF-16 units.
///
/// A cut through a surrogate pair leaves U+FFFD. ASCII texts, where bytes and units are the same, take a shorter way.
pub(super) fn strings(call: &mut Call, end: End) -> ArrayRef {
    rows3(call, |text: &str, length: i32, padding: &str| {
        if text.is_ascii() && padding.is_ascii() {
            let bytes = padded(text.as_bytes(), length, padding.as_bytes(), end)?;
            return Ok(bytes.map(|b| String::from_utf8_lossy(&b).into_owned()));
        }
        let units = |text: &str| text.encode_utf16().collect::<Vec<u16>>();
        Ok(padded(&units(text), length, &units(padding), end)?.map(|u| String::from_utf16_lossy(&u)))
    })
}

/// Pads bytes.
pub(super) fn bytes(call: &mut Call, end: End) -> ArrayRef {
    rows3(call, |bytes: &[u8], length: i32, padding: &[u8]| padded(bytes, length, padding, end))
}

/// NULL for a negative length or an empty padding, as in ksqlDB. A text that is longer than the length is cut at its
/// end, whichever end is padded. The padding is repeated and its last repetition cut: `LPAD('foo', 7, 'Bar')` is
/// `BarBfoo`.
///
/// # Errors
/// The length is beyond the limit of a text that an argument asks for.
fn padded<U: Copy>(given: &[U], length: i32, padding: &[U], end: End) -> Outcome<Vec<U>> {
    let Some(length) = usize::try_from(length).ok().filter(|_| !padding.is_empty()) else { return Ok(None) };
    if length <= given.len() {
        return Ok(Some(given[..length].to_vec()));
    }
    let missing = made_length(length)? - given.len();
    let mut fill = padding.repeat(missing.div_ceil(padding.len()));
    fill.truncate(missing);
    Ok(Some(if end == End::Left { [&fill, given].concat() } else { [given, &fill].concat() }))
}
