//! A row's columns as bytes and back: for join buffers, state, and whatever else is kept or sent outside of arrays.
//!
//! A value is one byte that says whether it is there, then its bytes: numbers little-endian and as wide as their type,
//! strings with their length as a varint, collections with their count. The schema is not in the bytes.
//!
//! | value | bytes after the byte 1 |
//! |---|---|
//! | BOOLEAN | 1 byte, 0 or 1 |
//! | INTEGER, DATE, TIME | 4 bytes, two's complement |
//! | BIGINT, TIMESTAMP | 8 bytes, two's complement |
//! | DOUBLE | 8 bytes, IEEE 754; every NaN has the same bits |
//! | DECIMAL of up to 38 digits | 16 bytes, the unscaled number; the scale is in the type |
//! | DECIMAL of more digits | 32 bytes, the unscaled number |
//! | STRING, BYTES | length in bytes as a varint, then the bytes |
//! | ARRAY | number of items as a varint, then each item with its own first byte |
//! | MAP | number of entries as a varint, then key and value of each |
//! | STRUCT | each field with its own first byte |
//!
//! NULL is the single byte 0. A varint has seven bits a byte, the lowest first, and the upper bit set in all but its
//! last byte, as Protobuf writes unsigned numbers: 300 is `AC 02`. The order of the bytes says nothing about the
//! order of the values; for that there is [`key`](super::key).
//!
//! Reading checks that the bytes are whole and texts are UTF-8, and nothing else: a checksum is the business of the
//! file or the message that holds the bytes.

use arrow::datatypes::i256;

use super::build::Values;
use super::view::ViewValues;
use super::{Builder, View};
use crate::error::{Error, Result};

const ABSENT: u8 = 0;
const PRESENT: u8 = 1;

/// Appends row `row` of `columns` to `out`.
///
/// Values follow each other without a separator. `row` is the place in every column.
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
            out.extend_from_slice(&v[row].to_le_bytes());
        }
        ViewValues::Bigint(v) | ViewValues::Timestamp(v) => out.extend_from_slice(&v[row].to_le_bytes()),
        // All NaNs are one value.
        ViewValues::Double(v) => {
            let value = if v[row].is_nan() { f64::NAN } else { v[row] };
            out.extend_from_slice(&value.to_le_bytes());
        }
        ViewValues::Decimal128(v, _) => out.extend_from_slice(&v[row].to_le_bytes()),
        ViewValues::Decimal256(v, _) => out.extend_from_slice(&v[row].to_le_bytes()),
        ViewValues::String(texts) => put_bytes(out, texts.get(row)),
        ViewValues::Bytes(slices) => put_bytes(out, slices.get(row)),
        ViewValues::Array { offsets, items } => {
            let range = offsets[row] as usize..offsets[row + 1] as usize;
            put_varint(out, range.len() as u64);
            range.for_each(|i| encode_value(items, i, out));
        }
        ViewValues::Map { offsets, keys, values } => {
            let range = offsets[row] as usize..offsets[row + 1] as usize;
            put_varint(out, range.len() as u64);
            for i in range {
                encode_value(keys, i, out);
                encode_value(values, i, out);
            }
        }
        ViewValues::Struct(fields) => fields.iter().for_each(|field| encode_value(field, row, out)),
    }
}

/// Appends a structure that has these columns as fields, as [`encode`] does.
pub fn encode_struct(fields: &[View<'_>], row: usize, out: &mut Vec<u8>) {
    out.push(PRESENT);
    encode(fields, row, out);
}

/// Appends the value in a row as [`encode`] does, but with the entries of maps in the order of their bytes: equal values
/// have equal bytes.
///
/// Used where equality is decided by bytes, such as in sets. Costs an allocation per entry of a map.
pub fn encode_canonical(column: &View<'_>, row: usize, out: &mut Vec<u8>) {
    match &column.values {
        ViewValues::Array { offsets, items } if !column.is_null(row) => {
            let range = offsets[row] as usize..offsets[row + 1] as usize;
            out.push(PRESENT);
            put_varint(out, range.len() as u64);
            range.for_each(|i| encode_canonical(items, i, out));
        }
        ViewValues::Map { offsets, keys, values } if !column.is_null(row) => {
            let range = offsets[row] as usize..offsets[row + 1] as usize;
            out.push(PRESENT);
            put_varint(out, range.len() as u64);
            let entry = |i| {
                let mut entry = Vec::new();
                encode_canonical(keys, i, &mut entry);
                encode_canonical(values, i, &mut entry);
                entry
            };
            let mut entries: Vec<Vec<u8>> = range.map(entry).collect();
            entries.sort_unstable();
            entries.iter().for_each(|entry| out.extend_from_slice(entry));
        }
        ViewValues::Struct(fields) if !column.is_null(row) => {
            out.push(PRESENT);
            fields.iter().for_each(|field| encode_canonical(field, row, out));
        }
        _ => encode_value(column, row, out),
    }
}

/// Appends the values of one encoded row to `columns`.
///
/// The columns must have the types that the row was encoded with; nothing in the bytes tells them.
///
/// # Errors
/// A bug: the bytes break off, are too many, or hold a text that is not UTF-8. The columns then have parts of the row
/// and must be truncated or dropped.
pub fn decode(bytes: &[u8], columns: &mut [Builder]) -> Result<()> {
    let mut input = Input(bytes);
    decode_next(&mut input, columns)?;
    if input.0.is_empty() { Ok(()) } else { Err(Error::bug("bytes are left behind an encoded row")) }
}

/// The same for a row with more bytes behind it.
///
/// # Errors
/// As for [`decode`], but for bytes left over.
pub fn decode_next(input: &mut Input<'_>, columns: &mut [Builder]) -> Result<()> {
    columns.iter_mut().try_for_each(|column| decode_value(input, column))
}

fn decode_value(input: &mut Input<'_>, column: &mut Builder) -> Result<()> {
    if input.byte()? == ABSENT {
        column.null();
        return Ok(());
    }
    match column.values() {
        Values::Boolean(bits) => bits.append(input.byte()? != 0),
        Values::Integer(v) | Values::Date(v) | Values::Time(v) => v.push(i32::from_le_bytes(input.array()?)),
        Values::Bigint(v) | Values::Timestamp(v) => v.push(i64::from_le_bytes(input.array()?)),
        Values::Double(v) => v.push(f64::from_le_bytes(input.array()?)),
        Values::Decimal128(v, ..) => v.push(i128::from_le_bytes(input.array()?)),
        Values::Decimal256(v, ..) => v.push(i256::from_le_bytes(input.array()?)),
        Values::String(texts) => texts.push(input.str()?),
        Values::Bytes(blobs) => blobs.push(input.bytes()?),
        Values::Array { offsets, items, .. } => {
            for _ in 0..input.varint()? {
                decode_value(input, items)?;
            }
            offsets.push(items.len());
        }
        Values::Map { offsets, keys, values, .. } => {
            for _ in 0..input.varint()? {
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

/// Bytes that are read from front to back; everything that asks for more than there is fails.
///
/// The field is what is left. Every `Err` is of the kind bug.
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    /// The next `count` bytes.
    ///
    /// On an error nothing is taken.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(count).ok_or_else(|| Error::bug("encoded bytes break off"))?;
        self.0 = tail;
        Ok(head)
    }

    /// The next bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let bytes = self.take(N)?;
        Ok(bytes.try_into().expect("a slice of that length was taken"))
    }

    /// The next byte.
    pub fn byte(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    /// The next 64 bits as a number, little-endian.
    pub fn i64(&mut self) -> Result<i64> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    /// The next unsigned varint.
    ///
    /// At most ten bytes. Bits beyond the 64th in the tenth byte are lost.
    pub fn varint(&mut self) -> Result<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Error::bug("a varint is longer than 64 bits"))
    }

    /// The next byte string with its length before it.
    pub fn bytes(&mut self) -> Result<&'a [u8]> {
        let length = self.varint()?;
        self.take(length as usize)
    }

    /// The next text with its length before it, where it stands.
    pub fn str(&mut self) -> Result<&'a str> {
        utf8(self.bytes()?)
    }

    /// The next text with its length before it.
    pub fn text(&mut self) -> Result<String> {
        self.str().map(str::to_owned)
    }
}

/// Encoded bytes as text.
///
/// # Errors
/// A bug: the bytes were not written by [`encode`].
pub fn utf8(bytes: &[u8]) -> Result<&str> {
    simdutf8::basic::from_utf8(bytes).map_err(|_| Error::bug("encoded text is not UTF-8"))
}

/// Appends an unsigned varint.
///
/// One byte up to 127, two up to 16,383, ten for the largest.
#[inline]
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A number that is small where the given one is near 0 on either side: 0, −1, 1, −2 … become 0, 1, 2, 3 …
#[inline]
pub fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

/// The number of which [`zigzag`] made this one.
#[inline]
pub fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Appends a byte string with its length before it.
#[inline]
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Decimal, SqlType, Value, array_of};

    #[test]
    fn rows_survive_the_way_through_bytes() {
        let types = [
            SqlType::String,
            SqlType::decimal(50, 1),
            SqlType::map(SqlType::String, SqlType::array(SqlType::Double)),
            SqlType::structure([("A", SqlType::Boolean), ("B", SqlType::Timestamp)]),
        ];
        let map = Value::Map(vec![(Value::String("k".into()), Value::Array(vec![Value::Double(-0.5), Value::Null]))]);
        let number = Value::Decimal(Decimal::parse("-1.5").expect("a number"));
        let structure = Value::Struct(vec![("A".into(), Value::Boolean(true)), ("B".into(), Value::Timestamp(7))]);
        let rows = [[Value::String("é".into()), number, map, structure], [const { Value::Null }; 4]];
        let arrays: Vec<_> = (0..4).map(|c| array_of(rows.iter().map(|row| &row[c]), &types[c])).collect();
        let views: Vec<_> = arrays.iter().zip(&types).map(|(a, t)| View::new(a, t)).collect();
        let mut builders: Vec<_> = types.iter().map(|t| Builder::new(t, 2)).collect();
        for row in [1, 0] {
            let mut bytes = Vec::new();
            encode(&views, row, &mut bytes);
            decode(&bytes, &mut builders).expect("whole rows");
        }
        for (column, builder) in builders.into_iter().enumerate() {
            let array = builder.finish();
            assert_eq!(Value::at(&array, 1, &types[column]), rows[0][column]);
            assert!(Value::at(&array, 0, &types[column]).is_null());
        }
        assert!(decode(&[PRESENT, 3, b'a'], &mut [Builder::new(&SqlType::String, 1)]).is_err());
        assert!(decode(&[PRESENT, 1, 0xFF], &mut [Builder::new(&SqlType::String, 1)]).is_err());
        decode(&[PRESENT, 1, 0xFF], &mut [Builder::new(&SqlType::Bytes, 1)]).expect("any bytes");
    }
}
