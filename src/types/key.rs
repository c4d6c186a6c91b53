//! Keys as bytes that sort as the keys do, and back.
//!
//! A value is one byte that says whether it is there (NULL comes first), then its bytes: numbers big-endian with the sign
//! turned round, strings with every zero byte followed by 0xFF and two zero bytes at the end. So a key that is a prefix
//! of another comes before it, and something appended to all keys does not disturb their order.
//!
//! | value | bytes after the byte 1 |
//! |---|---|
//! | BOOLEAN | 0 or 1 |
//! | INTEGER, DATE, TIME; BIGINT, TIMESTAMP | 4 or 8 bytes, big-endian, the sign bit flipped |
//! | DOUBLE | 8 bytes: the sign bit of positive numbers is flipped, all bits of negative ones |
//! | DECIMAL | 16 or 32 bytes, big-endian, the sign bit flipped; only numbers of one scale compare |
//! | STRING, BYTES | the bytes, 0 written as `00 FF`, then `00 00` |
//! | ARRAY | 1 before each item, 0 at the end |
//! | MAP | 1 before each entry, 0 at the end, in the order in which the entries are stored |
//! | STRUCT | each field with its own first byte |
//!
//! NULL is the single byte 0. So INTEGER -1 is `01 7F FF FF FF` and 0 is `01 80 00 00 00`; the text `a` is `01 61 00
//! 00` and sorts before `ab`, `01 61 62 00 00`. Strings sort by their UTF-8 bytes here, not by UTF-16 units as in
//! comparisons.
//!
//! Two keys are equal if their bytes are. Maps with the same entries in another order are therefore two keys.

use std::borrow::Cow;

use arrow::datatypes::i256;

use super::build::Values;
use super::row::{Input, utf8};
use super::view::ViewValues;
use super::{Builder, View};
use crate::error::{Error, Result};

const ABSENT: u8 = 0;
const PRESENT: u8 = 1;
/// Ends a collection; less than [`ABSENT`]'s place would be ambiguous, so items are marked apart.
const END: u8 = 0;
const ITEM: u8 = 1;

/// Appends the key in row `row` of `columns` to `out`.
///
/// A key of several columns is their encodings one after the other, so it sorts by the first column, then by the
/// second.
pub fn encode(columns: &[View<'_>], row: usize, out: &mut Vec<u8>) {
    for column in columns {
        encode_value(column, row, out);
    }
}

fn encode_value(column: &View<'_>, row: usize, out: &mut Vec<u8>) {
    if column.is_null(row) {
        return out.push(ABSENT);
    }
    out.push(PRESENT);
    match &column.values {
        ViewValues::Boolean(bits) => out.push(u8::from(bits.value(row))),
        ViewValues::Integer(v) | ViewValues::Date(v) | ViewValues::Time(v) => {
            out.extend_from_slice(&((v[row] as u32) ^ (1 << 31)).to_be_bytes());
        }
        ViewValues::Bigint(v) | ViewValues::Timestamp(v) => out.extend_from_slice(&ordered(v[row])),
        ViewValues::Double(v) => out.extend_from_slice(&ordered_double(v[row]).to_be_bytes()),
        ViewValues::Decimal128(v, _) => out.extend_from_slice(&((v[row] as u128) ^ (1 << 127)).to_be_bytes()),
        ViewValues::Decimal256(v, _) => {
            let mut bytes = v[row].to_be_bytes();
            bytes[0] ^= 0x80;
            out.extend_from_slice(&bytes);
        }
        ViewValues::String(texts) => put_escaped(out, texts.get(row)),
        ViewValues::Bytes(slices) => put_escaped(out, slices.get(row)),
        ViewValues::Array { offsets, items } => {
            for i in offsets[row] as usize..offsets[row + 1] as usize {
                out.push(ITEM);
                encode_value(items, i, out);
            }
            out.push(END);
        }
        ViewValues::Map { offsets, keys, values } => {
            for i in offsets[row] as usize..offsets[row + 1] as usize {
                out.push(ITEM);
                encode_value(keys, i, out);
                encode_value(values, i, out);
            }
            out.push(END);
        }
        ViewValues::Struct(fields) => fields.iter().for_each(|field| encode_value(field, row, out)),
    }
}

/// A 64-bit number as bytes that sort as the number does.
pub fn ordered(value: i64) -> [u8; 8] {
    ((value as u64) ^ (1 << 63)).to_be_bytes()
}

/// The number that [`ordered`] made these bytes of.
pub fn from_ordered(bytes: [u8; 8]) -> i64 {
    (u64::from_be_bytes(bytes) ^ (1 << 63)) as i64
}

/// All NaNs are one key; `-0.0` and `0.0` are two.
fn ordered_double(value: f64) -> u64 {
    let bits = if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() };
    if bits >> 63 == 0 { bits ^ (1 << 63) } else { !bits }
}

fn from_ordered_double(bits: u64) -> f64 {
    f64::from_bits(if bits >> 63 == 1 { bits ^ (1 << 63) } else { !bits })
}

/// A zero byte inside is followed by FF and the end by another zero, so that a prefix sorts first.
fn put_escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    let mut rest = bytes;
    while let Some(zero) = memchr::memchr(0, rest) {
        out.extend_from_slice(&rest[..=zero]);
        out.push(0xFF);
        rest = &rest[zero + 1..];
    }
    out.extend_from_slice(rest);
    out.extend_from_slice(&[0, 0]);
}

/// Appends the values of the key at the front of `input` to `columns`.
///
/// What follows the key in `input` stays there, for example the start of a window.
///
/// # Errors
/// A bug: the bytes break off or were not written by [`encode`].
pub fn decode(input: &mut Input<'_>, columns: &mut [Builder]) -> Result<()> {
    columns.iter_mut().try_for_each(|column| decode_value(input, column))
}

fn decode_value(input: &mut Input<'_>, column: &mut Builder) -> Result<()> {
    if input.byte()? == ABSENT {
        column.null();
        return Ok(());
    }
    match column.values() {
        Values::Boolean(bits) => bits.append(input.byte()? != 0),
        Values::Integer(v) | Values::Date(v) | Values::Time(v) => {
            v.push((u32::from_be_bytes(input.array()?) ^ (1 << 31)) as i32);
        }
        Values::Bigint(v) | Values::Timestamp(v) => v.push(from_ordered(input.array()?)),
        Values::Double(v) => v.push(from_ordered_double(u64::from_be_bytes(input.array()?))),
        Values::Decimal128(v, ..) => v.push((u128::from_be_bytes(input.array()?) ^ (1 << 127)) as i128),
        Values::Decimal256(v, ..) => {
            let mut bytes: [u8; 32] = input.array()?;
            bytes[0] ^= 0x80;
            v.push(i256::from_be_bytes(bytes));
        }
        Values::String(texts) => texts.push(utf8(&take_escaped(input)?)?),
        Values::Bytes(blobs) => blobs.push(&take_escaped(input)?),
        Values::Array { offsets, items, .. } => {
            while input.byte()? == ITEM {
                decode_value(input, items)?;
            }
            offsets.push(items.len());
        }
        Values::Map { offsets, keys, values, .. } => {
            while input.byte()? == ITEM {
                decode_value(input, keys)?;
                decode_value(input, values)?;
            }
            offsets.push(keys.len());
        }
        Values::Struct { fields, .. } => {
            for field in fields {
                decode_value(input, field)?;
            }
        }
    }
    column.valid();
    Ok(())
}

/// The byte string at the front; only one with zero bytes in it is copied.
///
/// # Errors
/// A bug: the end mark is missing, or a zero byte has another byte than 0 or FF after it.
fn take_escaped<'a>(input: &mut Input<'a>) -> Result<Cow<'a, [u8]>> {
    let mut out = Cow::Borrowed(&[][..]);
    loop {
        let zero = memchr::memchr(0, input.0).ok_or_else(|| Error::bug("an encoded string has no end"))?;
        let piece = input.take(zero)?;
        if out.is_empty() {
            out = Cow::Borrowed(piece);
        } else {
            out.to_mut().extend_from_slice(piece);
        }
        match input.array::<2>()? {
            [0, 0] => return Ok(out),
            [0, 0xFF] => out.to_mut().push(0),
            _ => return Err(Error::bug("an encoded string has a bare zero byte")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Decimal, SqlType, Value, array_of};

    /// Encodes values that are given in ascending order, checks the order of the bytes, and reads them back.
    fn check(sql_type: &SqlType, ascending: &[Value]) {
        let array = array_of(ascending, sql_type);
        let view = [View::new(&array, sql_type)];
        let keys: Vec<Vec<u8>> = (0..ascending.len())
            .map(|row| {
                let mut key = Vec::new();
                encode(&view, row, &mut key);
                key.push(7);
                key
            })
            .collect();
        assert!(keys.is_sorted(), "{sql_type}: {keys:?}");
        let mut builder = [Builder::new(sql_type, keys.len())];
        for key in &keys {
            let mut input = Input(key);
            decode(&mut input, &mut builder).expect("a whole key");
            assert_eq!(input.0, [7]);
        }
        let [builder] = builder;
        let back = builder.finish();
        for (row, value) in ascending.iter().enumerate() {
            assert_eq!(Value::at(&back, row, sql_type), *value);
        }
    }

    #[test]
    fn a_key_with_bytes_that_are_no_text_is_refused() {
        let bytes = [PRESENT, 0xC3, 0, 0];
        assert!(decode(&mut Input(&bytes), &mut [Builder::new(&SqlType::String, 1)]).is_err());
        decode(&mut Input(&bytes), &mut [Builder::new(&SqlType::Bytes, 1)]).expect("any bytes");
    }

    #[test]
    fn every_nan_is_the_same_key() {
        let key = |value: f64| {
            let array = array_of(&[Value::Double(value)], &SqlType::Double);
            let mut key = Vec::new();
            encode(&[View::new(&array, &SqlType::Double)], 0, &mut key);
            key
        };
        assert_eq!(key(f64::NAN), key(-f64::NAN));
        assert_eq!(key(f64::NAN), key(f64::from_bits(f64::NAN.to_bits() | 1)));
        assert_ne!(key(-0.0), key(0.0));
    }

    #[test]
    fn keys_sort_as_their_values() {
        let string = |s: &str| Value::String(s.into());
        check(&SqlType::String, &[Value::Null, string(""), string("\0"), string("\0\0"), string("a"), string("ab")]);
        check(&SqlType::Integer, &[i32::MIN, -1, 0, 1, i32::MAX].map(Value::Integer));
        check(&SqlType::Bigint, &[i64::MIN, -1, 0, i64::MAX].map(Value::Bigint));
        check(&SqlType::Double, &[f64::NEG_INFINITY, -1.5, -0.0, 0.0, 1e-300, 2.0, f64::NAN].map(Value::Double));
        let number = |t| Value::Decimal(Decimal::parse(t).expect("a number"));
        check(&SqlType::decimal(45, 1), &[number("-100.5"), number("-0.1"), number("0.0"), number("99.9")]);
        let list = |items: &[i32]| Value::Array(items.iter().map(|i| Value::Integer(*i)).collect());
        check(&SqlType::array(SqlType::Integer), &[list(&[]), list(&[1]), list(&[1, 0]), list(&[2])]);
    }
}
