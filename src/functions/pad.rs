//! Strings and bytes made longer or shorter: what the functions that pad have in common.

use arrow::array::ArrayRef;

use super::call::{Call, rows3};
use super::signature::{T, param};
use super::{Overload, Returns};
use crate::types::SqlType;

/// Where what is missing is filled in.
#[derive(Clone, Copy, PartialEq)]
pub enum End {
    Left,
    Right,
}

/// Padding of strings and of bytes.
pub const fn overloads(string: fn(&mut Call) -> ArrayRef, bytes: fn(&mut Call) -> ArrayRef) -> [Overload; 2] {
    [
        Overload {
            params: const { &[param("input", T::String), param("targetLen", T::Int), param("padding", T::String)] },
            returns: Returns::Is(SqlType::String),
            body: string,
        },
        Overload {
            params: const { &[param("input", T::Bytes), param("targetLen", T::Int), param("padding", T::Bytes)] },
            returns: Returns::Is(SqlType::Bytes),
            body: bytes,
        },
    ]
}

/// Pads strings, whose length is counted in UTF-16 units.
pub fn strings(call: &mut Call, end: End) -> ArrayRef {
    rows3(call, |text: &str, length: i32, padding: &str| {
        let units = |text: &str| text.encode_utf16().collect::<Vec<u16>>();
        Ok(padded(&units(text), length, &units(padding), end).map(|u| String::from_utf16_lossy(&u)))
    })
}

/// Pads bytes.
pub fn bytes(call: &mut Call, end: End) -> ArrayRef {
    rows3(call, |bytes: &[u8], length: i32, padding: &[u8]| Ok(padded(bytes, length, padding, end)))
}

fn padded<U: Copy>(given: &[U], length: i32, padding: &[U], end: End) -> Option<Vec<U>> {
    let length = usize::try_from(length).ok().filter(|_| !padding.is_empty())?;
    let given = &given[..given.len().min(length)];
    let fill: Vec<U> = padding.iter().copied().cycle().take(length - given.len()).collect();
    Some(if end == End::Left { [&fill, given].concat() } else { [given, &fill].concat() })
}
