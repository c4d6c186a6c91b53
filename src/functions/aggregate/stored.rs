//! Values as [`crate::types::row`] encodes them, compared without being decoded.
//!
//! Sorting and comparing kept values happens once per row, so decoding both sides into values would cost an
//! allocation for each text. Here both are read in place. The order is the same as that of
//! [`Value::compare`](crate::types::Value::compare); a test holds the two together.

use std::cmp::Ordering;

use arrow::datatypes::i256;

use crate::error::Result;
use crate::types::row::Input;
use crate::types::{NARROW_PRECISION, SqlType, compare_doubles, compare_signed_bytes};

/// Compares two values of a type that is not nested; neither is NULL.
///
/// Bytes after the value are ignored, so that items with something appended can be given as they are.
///
/// # Panics
/// If the bytes are not whole values of the type.
pub(super) fn compare(a: &[u8], b: &[u8], sql_type: &SqlType) -> Ordering {
    // The first byte says that the value is there.
    let (mut a, mut b) = (Input(&a[1..]), Input(&b[1..]));
    let ordered = match sql_type {
        SqlType::Boolean => pair(&mut a, &mut b, |input| input.byte()).map(|(a, b)| a.cmp(&b)),
        SqlType::Integer | SqlType::Date | SqlType::Time => {
            pair(&mut a, &mut b, |input| Ok(i32::from_le_bytes(input.array()?))).map(|(a, b)| a.cmp(&b))
        }
        SqlType::Bigint | SqlType::Timestamp => pair(&mut a, &mut b, |input| input.i64()).map(|(a, b)| a.cmp(&b)),
        SqlType::Double => {
            let double = |input: &mut Input| Ok(f64::from_le_bytes(input.array()?));
            pair(&mut a, &mut b, double).map(|(a, b)| compare_doubles(a, b))
        }
        SqlType::Decimal { precision, .. } if *precision <= NARROW_PRECISION => {
            pair(&mut a, &mut b, |input| Ok(i128::from_le_bytes(input.array()?))).map(|(a, b)| a.cmp(&b))
        }
        SqlType::Decimal { .. } => {
            pair(&mut a, &mut b, |input| Ok(i256::from_le_bytes(input.array()?))).map(|(a, b)| a.cmp(&b))
        }
        SqlType::String => texts(&mut a, &mut b).map(|(a, b)| compare_texts(a, b)),
        _ => texts(&mut a, &mut b).map(|(a, b)| compare_signed_bytes(a, b)),
    };
    ordered.expect("stored values are whole: they were checked when they were loaded")
}

fn pair<T>(a: &mut Input, b: &mut Input, read: impl Fn(&mut Input) -> Result<T>) -> Result<(T, T)> {
    Ok((read(a)?, read(b)?))
}

/// Strings and bytes have the same layout: a length as a varint, then the bytes.
fn texts<'a>(a: &mut Input<'a>, b: &mut Input<'a>) -> Result<(&'a [u8], &'a [u8])> {
    Ok((a.bytes()?, b.bytes()?))
}

/// Java's order of strings, by UTF-16 code unit: characters beyond U+FFFF are two units, which come before U+E000. In UTF-8
/// the first byte that differs tells.
///
/// The two orders differ only between U+E000–U+FFFF (first byte 0xEE or 0xEF) and characters beyond U+FFFF (first
/// byte 0xF0 to 0xF4): as UTF-16 the latter start with a surrogate, 0xD800 to 0xDBFF. So the ranks of these first
/// bytes are exchanged, and all other bytes keep theirs.
fn compare_texts(a: &[u8], b: &[u8]) -> Ordering {
    let rank = |byte: u8| match byte {
        0xEE | 0xEF => byte + 5,
        0xF0..=0xF4 => byte - 2,
        _ => byte,
    };
    match a.iter().zip(b).find(|(a, b)| a != b) {
        Some((a, b)) => rank(*a).cmp(&rank(*b)),
        None => a.len().cmp(&b.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Decimal, Value, View, array_of, row};

    #[test]
    fn stored_values_compare_as_values_do() {
        let text = |t: &str| Value::String(t.into());
        let number = |t: &str| Value::Decimal(Decimal::parse(t).expect("a number"));
        for (sql_type, values) in [
            (SqlType::Boolean, vec![Value::Boolean(false), Value::Boolean(true)]),
            (SqlType::Integer, [i32::MIN, -1, 0, 1, i32::MAX].map(Value::Integer).to_vec()),
            (SqlType::Bigint, [i64::MIN, -1, 0, i64::MAX].map(Value::Bigint).to_vec()),
            (SqlType::Timestamp, [-1, 0, 1].map(Value::Timestamp).to_vec()),
            (SqlType::Double, [f64::NEG_INFINITY, -0.0, 0.0, 1.5, f64::NAN, -f64::NAN].map(Value::Double).to_vec()),
            (SqlType::decimal(10, 1), vec![number("-1.5"), number("0.0"), number("2.0")]),
            (SqlType::decimal(60, 1), vec![number("-1.5"), number("0.0"), number("2.0")]),
            (
                SqlType::String,
                ["", "a", "ab", "b", "ä", "\u{D7FF}", "\u{E000}", "\u{FFFF}", "\u{10000}", "😀x"].map(text).to_vec(),
            ),
            (
                SqlType::Bytes,
                vec![Value::Bytes(vec![]), Value::Bytes(vec![0x80]), Value::Bytes(vec![1]), Value::Bytes(vec![1, 0])],
            ),
        ] {
            let array = array_of(&values, &sql_type);
            let view = [View::new(array.as_ref(), &sql_type)];
            let stored = |at: usize| {
                let mut bytes = Vec::new();
                row::encode(&view, at, &mut bytes);
                bytes
            };
            for (i, a) in values.iter().enumerate() {
                for (j, b) in values.iter().enumerate() {
                    assert_eq!(compare(&stored(i), &stored(j), &sql_type), a.compare(b), "{a:?} {b:?}");
                }
            }
        }
    }
}
