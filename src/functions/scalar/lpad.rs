//! `LPAD`: a string made longer or shorter.

use crate::functions::call::{rows3};
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::{SqlType};

pub const FUNCTION: Scalar = Scalar {
    name: "LPAD",
    shown: "LPad",
    category: "STRING",
    summary: "The string or bytes filled up at the left to a length, or cut to it.",
    examples: &[("LPAD('ab', 4, 'xy')", "xyab"), ("LPAD('abc', 2, 'x')", "ab")],
    overloads: &[
        Overload {
            params: &[param("input", T::String), param("targetLen", T::Int), param("padding", T::String)],
            returns: Returns::Is(SqlType::String),
            body: |call| {
                rows3(call, |text: &str, length: i32, padding: &str| {
                    let units = |text: &str| text.encode_utf16().collect::<Vec<u16>>();
                    Ok(padded(&units(text), length, &units(padding)).map(|u| String::from_utf16_lossy(&u)))
                })
            },
        },
        Overload {
            params: &[param("input", T::Bytes), param("targetLen", T::Int), param("padding", T::Bytes)],
            returns: Returns::Is(SqlType::Bytes),
            body: |call| rows3(call, |bytes: &[u8], length: i32, padding: &[u8]| Ok(padded(bytes, length, padding))),
        },
    ],
};

fn padded<U: Copy>(given: &[U], length: i32, padding: &[U]) -> Option<Vec<U>> {
    let length = usize::try_from(length).ok().filter(|_| !padding.is_empty())?;
    let given = &given[..given.len().min(length)];
    let fill: Vec<U> = padding.iter().copied().cycle().take(length - given.len()).collect();
    let fill = fill.as_slice();
    Some([fill, given].concat())
}
