//! Columns that grow and are read row by row: what state keeps of rows, in few bytes and ready to be gathered.
//!
//! A column is appended to from Arrow arrays and gathered into Arrow arrays, a whole column at a time, so that the type is
//! looked at once per batch and not once per value.
//!
//! Values of a fixed width lie one after the other without gaps, so that many rows of a batch are copied at once. Text
//! and bytes lie in one buffer with their ends beside it. Nested values are bytes of [`crate::types::row`] and are
//! built again only when they are gathered. A NULL of a fixed width takes its width too.

use std::sync::Arc;

use arrow::array::{Array, ArrayData, ArrayRef, AsArray, make_array};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow::datatypes::DataType;

use crate::error::{Error, Result};
use crate::types::row::{self, Input, put_varint};
use crate::types::{Builder, SqlType, View, grow};

/// The values of one column of many rows.
///
/// Rows are only added; what is not needed any more is dropped with the whole column.
pub struct Column {
    sql_type: SqlType,
    values: Values,
    /// A bit for each row that is not NULL; absent while no row is NULL.
    ///
    /// Bit `r % 64` of word `r / 64` is that of row `r`. Bits after the last row are 0.
    valid: Option<Vec<u64>>,
    rows: usize,
}

enum Values {
    /// Values of so many bytes each; BOOLEAN takes one.
    ///
    /// INTEGER, DATE and TIME take 4 bytes, BIGINT, TIMESTAMP and DOUBLE 8, DECIMAL 16 or 32, in the order of the
    /// machine.
    Fixed(usize, Vec<u8>),
    /// Where each value ends, and the values: text, bytes, or rows of [`crate::types::row`] for nested types.
    ///
    /// The value of row `r` is from the end of row `r − 1` (0 for the first) to its own end.
    Varying(Vec<u64>, Vec<u8>),
}

/// Where a gathered value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A row of a stored column: which of the given columns, and the row in it.
    ///
    /// Both count from 0.
    Stored(u32, u32),
    /// A row of the array at hand.
    Given(u32),
    /// There is no value: NULL.
    None,
}

/// The bytes of a value; `None` for text, bytes and nested types.
fn width(sql_type: &SqlType) -> Option<usize> {
    match sql_type {
        SqlType::Boolean => Some(1),
        SqlType::String | SqlType::Bytes => None,
        nested if nested.is_nested() => None,
        fixed => fixed.arrow().primitive_width(),
    }
}

impl Column {
    /// An empty column of this type.
    pub fn new(sql_type: &SqlType) -> Self {
        let values = match width(sql_type) {
            Some(width) => Values::Fixed(width, Vec::new()),
            None => Values::Varying(Vec::new(), Vec::new()),
        };
        Column { sql_type: sql_type.clone(), values, valid: None, rows: 0 }
    }

    /// Drops all rows and keeps the room that they took, as [`grow::clear`] does.
    pub fn clear(&mut self) {
        match &mut self.values {
            Values::Fixed(_, bytes) => grow::clear(bytes),
            Values::Varying(ends, bytes) => {
                grow::clear(ends);
                grow::clear(bytes);
            }
        }
        (self.valid, self.rows) = (None, 0);
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The bytes of memory that the column takes.
    pub fn memory(&self) -> usize {
        let values = match &self.values {
            Values::Fixed(_, bytes) => bytes.capacity(),
            Values::Varying(ends, bytes) => ends.capacity() * size_of::<u64>() + bytes.capacity(),
        };
        values + self.valid.as_ref().map_or(0, |valid| valid.capacity() * size_of::<u64>())
    }

    /// Appends the given rows of an array of the column's type.
    ///
    /// `rows` are places in the array, in any order, and each as often as it is to be appended. Costs O(rows).
    ///
    /// # Panics
    /// The array has another type, or a place is beyond its end.
    pub fn append(&mut self, array: &dyn Array, rows: &[u32]) {
        self.append_validity(array, rows);
        match &mut self.values {
            Values::Fixed(width, bytes) => {
                grow::reserve(bytes, rows.len() * *width);
                append_fixed(*width, array, rows, bytes);
            }
            Values::Varying(ends, bytes) => {
                grow::reserve(ends, rows.len());
                append_varying(&self.sql_type, array, rows, ends, bytes);
            }
        }
    }

    /// Appends which rows are NULL. The first NULL makes the bits, for all rows before it too.
    fn append_validity(&mut self, array: &dyn Array, rows: &[u32]) {
        let before = self.rows;
        self.rows += rows.len();
        let words = self.rows.div_ceil(64);
        match (&mut self.valid, array.nulls()) {
            (None, None) => {}
            (Some(valid), None) => {
                valid.resize(words, 0);
                (before..self.rows).for_each(|row| valid[row / 64] |= 1 << (row % 64));
            }
            (valid, Some(nulls)) => {
                if rows.iter().all(|row| nulls.is_valid(*row as usize)) && valid.is_none() {
                    return;
                }
                let valid = valid.get_or_insert_with(|| all_valid(before));
                valid.resize(words, 0);
                for (row, from) in (before..).zip(rows) {
                    valid[row / 64] |= u64::from(nulls.is_valid(*from as usize)) << (row % 64);
                }
            }
        }
    }

    #[inline]
    fn is_valid(&self, row: usize) -> bool {
        self.valid.as_ref().is_none_or(|valid| valid[row / 64] >> (row % 64) & 1 == 1)
    }

    fn fixed(&self) -> &[u8] {
        match &self.values {
            Values::Fixed(_, bytes) => bytes,
            Values::Varying(..) => unreachable!("columns of one type have the same kind of values"),
        }
    }

    fn varying(&self, row: usize) -> &[u8] {
        match &self.values {
            Values::Varying(ends, bytes) => {
                let start = if row == 0 { 0 } else { ends[row - 1] as usize };
                &bytes[start..ends[row] as usize]
            }
            Values::Fixed(..) => unreachable!("columns of one type have the same kind of values"),
        }
    }

    /// Appends the rows from `from` to `to` as bytes, for [`Column::load`].
    ///
    /// `to` is outside. The layout:
    ///
    /// ```text
    /// 1 byte         1 if some row is NULL, else 0
    /// bits           only if that is 1: ⌈rows / 8⌉ bytes; bit i of byte b is set where row 8b + i is not NULL
    /// fixed width    the values one after the other, NULLs too
    /// else           the length of each value as a varint, then all values one after the other
    /// ```
    ///
    /// # Panics
    /// `to` is beyond the last row.
    pub fn save(&self, from: usize, to: usize, out: &mut Vec<u8>) {
        let nulls = self.valid.is_some() && (from..to).any(|row| !self.is_valid(row));
        out.push(u8::from(nulls));
        if nulls {
            for start in (from..to).step_by(8) {
                let bit = |i: usize| u8::from(self.is_valid(start + i)) << i;
                out.push((0..(to - start).min(8)).map(bit).sum());
            }
        }
        match &self.values {
            Values::Fixed(width, bytes) => out.extend_from_slice(&bytes[from * width..to * width]),
            Values::Varying(..) => {
                for row in from..to {
                    put_varint(out, self.varying(row).len() as u64);
                }
                for row in from..to {
                    out.extend_from_slice(self.varying(row));
                }
            }
        }
    }

    /// Appends `count` rows that [`Column::save`] wrote.
    ///
    /// # Errors
    /// The bytes are too short, or what should be text is not UTF-8. The column is then unusable.
    pub fn load(&mut self, count: usize, input: &mut Input) -> Result<()> {
        let bits = if input.byte()? == 1 { Some(input.take(count.div_ceil(8))?.to_vec()) } else { None };
        let is_valid = |row: usize| bits.as_ref().is_none_or(|bits| bits[row / 8] >> (row % 8) & 1 == 1);
        let before = self.rows;
        self.rows += count;
        if bits.is_some() || self.valid.is_some() {
            let valid = self.valid.get_or_insert_with(|| all_valid(before));
            valid.resize(self.rows.div_ceil(64), 0);
            for (from, row) in (before..self.rows).enumerate() {
                valid[row / 64] |= u64::from(is_valid(from)) << (row % 64);
            }
        }
        match &mut self.values {
            Values::Fixed(width, bytes) => bytes.extend_from_slice(input.take(count * *width)?),
            Values::Varying(ends, bytes) => {
                let lengths = (0..count).map(|_| input.varint()).collect::<Result<Vec<_>>>()?;
                for length in lengths {
                    let value = input.take(length as usize)?;
                    if self.sql_type == SqlType::String && simdutf8::basic::from_utf8(value).is_err() {
                        return Err(Error::bug("stored text is not UTF-8"));
                    }
                    bytes.extend_from_slice(value);
                    ends.push(bytes.len() as u64);
                }
            }
        }
        Ok(())
    }
}

/// The bits of rows none of which is NULL.
fn all_valid(rows: usize) -> Vec<u64> {
    let mut bits = vec![u64::MAX; rows.div_ceil(64)];
    if let (Some(last), used @ 1..) = (bits.last_mut(), rows % 64) {
        *last = (1 << used) - 1;
    }
    bits
}

/// The bytes of the values of a fixed-width array, which is not BOOLEAN.
fn fixed_bytes(array: &dyn Array, width: usize) -> Buffer {
    let data = array.to_data();
    let start = data.offset() * width;
    data.buffers()[0].slice_with_length(start, array.len() * width)
}

/// Appends values of a fixed width. Neighbouring rows, the usual case, are one copy.
fn append_fixed(width: usize, array: &dyn Array, rows: &[u32], bytes: &mut Vec<u8>) {
    if array.data_type() == &DataType::Boolean {
        let values = array.as_boolean().values();
        return bytes.extend(rows.iter().map(|row| u8::from(values.value(*row as usize))));
    }
    let values = fixed_bytes(array, width);
    let contiguous = rows.len() > 1 && rows[rows.len() - 1] as usize - rows[0] as usize + 1 == rows.len();
    match width {
        _ if contiguous => {
            let start = rows[0] as usize * width;
            bytes.extend_from_slice(&values[start..start + rows.len() * width]);
        }
        4 => rows.iter().for_each(|row| bytes.extend_from_slice(at::<4>(&values, *row))),
        8 => rows.iter().for_each(|row| bytes.extend_from_slice(at::<8>(&values, *row))),
        _ => rows.iter().for_each(|row| bytes.extend_from_slice(&values[*row as usize * width..][..width])),
    }
}

#[inline]
fn at<const N: usize>(values: &[u8], row: u32) -> &[u8] {
    &values[row as usize * N..][..N]
}

fn append_varying(sql_type: &SqlType, array: &dyn Array, rows: &[u32], ends: &mut Vec<u64>, bytes: &mut Vec<u8>) {
    match sql_type {
        SqlType::String => {
            let texts = array.as_string::<i32>();
            for row in rows {
                bytes.extend_from_slice(texts.value(*row as usize).as_bytes());
                ends.push(bytes.len() as u64);
            }
        }
        SqlType::Bytes => {
            let values = array.as_binary::<i32>();
            for row in rows {
                bytes.extend_from_slice(values.value(*row as usize));
                ends.push(bytes.len() as u64);
            }
        }
        nested => {
            let view = [View::new(array, nested)];
            for row in rows {
                row::encode(&view, *row as usize, bytes);
                ends.push(bytes.len() as u64);
            }
        }
    }
}

/// The values at `origins`, as an array of `sql_type`: from `stored` columns of that type, or from the array `given`.
///
/// The array has one entry for each origin, in their order. Where `given` is `None`, a [`Origin::Given`] is NULL. Costs
/// O(origins), with one look at the type for all of them.
///
/// # Errors
/// A bug: the values of a text column have more than 2 GiB together (Arrow's offsets have 32 bits), or stored nested
/// values are damaged.
///
/// # Panics
/// A column of another type is among `stored`, or an origin lies beyond the end of its column.
pub fn gather(
    sql_type: &SqlType,
    stored: &[&Column],
    given: Option<&ArrayRef>,
    origins: &[Origin],
) -> Result<ArrayRef> {
    let is_valid = |origin: &Origin| match origin {
        Origin::Stored(column, row) => stored[*column as usize].is_valid(*row as usize),
        Origin::Given(row) => given.is_some_and(|array| array.is_valid(*row as usize)),
        Origin::None => false,
    };
    let any_null = origins.contains(&Origin::None)
        || stored.iter().any(|column| column.valid.is_some())
        || given.is_some_and(|array| array.null_count() > 0);
    let nulls = any_null.then(|| BooleanBuffer::collect_bool(origins.len(), |i| is_valid(&origins[i])));
    match width(sql_type) {
        Some(width) => gather_fixed(sql_type, width, &Sources { stored, given }, origins, nulls),
        None if sql_type.is_nested() => gather_nested(sql_type, &Sources { stored, given }, origins),
        None => gather_text(sql_type, &Sources { stored, given }, origins, nulls),
    }
}

struct Sources<'a> {
    stored: &'a [&'a Column],
    given: Option<&'a ArrayRef>,
}

/// Gathers values of a fixed width. What stands at a NULL is zero bytes or the stored ones; nobody looks at it.
fn gather_fixed(
    sql_type: &SqlType,
    width: usize,
    sources: &Sources,
    origins: &[Origin],
    nulls: Option<BooleanBuffer>,
) -> Result<ArrayRef> {
    if *sql_type == SqlType::Boolean {
        let value = |origin: &Origin| match origin {
            Origin::Stored(column, row) => sources.stored[*column as usize].fixed()[*row as usize] != 0,
            Origin::Given(row) => sources.given.is_some_and(|array| array.as_boolean().value(*row as usize)),
            Origin::None => false,
        };
        let values = BooleanBuffer::collect_bool(origins.len(), |i| value(&origins[i]));
        return Ok(Arc::new(arrow::array::BooleanArray::new(values, nulls.map(NullBuffer::new))));
    }
    let given = sources.given.map(|array| fixed_bytes(array.as_ref(), width));
    let stored: Vec<&[u8]> = sources.stored.iter().map(|column| column.fixed()).collect();
    let given = given.as_deref().unwrap_or_default();
    let bytes = match width {
        4 => pick::<4>(&stored, given, origins),
        8 => pick::<8>(&stored, given, origins),
        16 => pick::<16>(&stored, given, origins),
        _ => pick::<32>(&stored, given, origins),
    };
    let data = ArrayData::builder(sql_type.arrow()).len(origins.len()).add_buffer(Buffer::from_vec(bytes));
    let data = data.nulls(nulls.map(NullBuffer::new)).align_buffers(true);
    Ok(make_array(data.build().map_err(crate::types::arrow_error)?))
}

/// The bytes of the values. `N` is their width, known at compile time so that each copy is a few instructions.
fn pick<const N: usize>(stored: &[&[u8]], given: &[u8], origins: &[Origin]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(origins.len() * N);
    for origin in origins {
        bytes.extend_from_slice(match origin {
            Origin::Stored(column, row) => at::<N>(stored[*column as usize], *row),
            Origin::Given(row) => at::<N>(given, *row),
            Origin::None => &[0; N],
        });
    }
    bytes
}

fn gather_text(
    sql_type: &SqlType,
    sources: &Sources,
    origins: &[Origin],
    nulls: Option<BooleanBuffer>,
) -> Result<ArrayRef> {
    let is_text = *sql_type == SqlType::String;
    let value = |origin: &Origin| -> &[u8] {
        match (origin, sources.given) {
            (Origin::Stored(column, row), _) => sources.stored[*column as usize].varying(*row as usize),
            (Origin::Given(row), Some(array)) if is_text => array.as_string::<i32>().value(*row as usize).as_bytes(),
            (Origin::Given(row), Some(array)) => array.as_binary::<i32>().value(*row as usize),
            (Origin::Given(_) | Origin::None, _) => &[],
        }
    };
    let total: usize = origins.iter().map(|origin| value(origin).len()).sum();
    if i32::try_from(total).is_err() {
        return Err(Error::bug(format!("a column of {total} bytes of text is more than a batch holds")));
    }
    let mut bytes = Vec::with_capacity(total);
    let mut offsets: Vec<i32> = Vec::with_capacity(origins.len() + 1);
    offsets.push(0);
    for origin in origins {
        bytes.extend_from_slice(value(origin));
        offsets.push(bytes.len() as i32);
    }
    let data = ArrayData::builder(sql_type.arrow())
        .len(origins.len())
        .add_buffer(Buffer::from_vec(offsets))
        .add_buffer(Buffer::from_vec(bytes))
        .nulls(nulls.map(NullBuffer::new));
    // SAFETY: offsets start at 0, grow by the length of each value, and end at the length of the bytes. What a text column
    // holds comes from string arrays, or was checked when it was loaded.
    Ok(make_array(unsafe { data.build_unchecked() }))
}

fn gather_nested(sql_type: &SqlType, sources: &Sources, origins: &[Origin]) -> Result<ArrayRef> {
    let mut column = [Builder::new(sql_type, origins.len())];
    let view = sources.given.map(|array| [View::new(array.as_ref(), sql_type)]);
    let mut scratch = Vec::new();
    for origin in origins {
        match (origin, &view) {
            (Origin::Stored(at, row), _) => {
                row::decode(sources.stored[*at as usize].varying(*row as usize), &mut column)?;
            }
            (Origin::Given(row), Some(view)) => {
                scratch.clear();
                row::encode(view, *row as usize, &mut scratch);
                row::decode(&scratch, &mut column)?;
            }
            (Origin::Given(_) | Origin::None, _) => column[0].null(),
        }
    }
    let [column] = column;
    Ok(column.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Decimal, Value, array_of};

    fn values(sql_type: &SqlType) -> Vec<Value> {
        let number = |text: &str| Value::Decimal(Decimal::parse(text).expect("a number"));
        match sql_type {
            SqlType::Boolean => vec![Value::Boolean(true), Value::Null, Value::Boolean(false)],
            SqlType::Integer => vec![Value::Integer(-1), Value::Null, Value::Integer(7)],
            SqlType::Double => vec![Value::Double(1.5), Value::Null, Value::Double(-2.0)],
            SqlType::Decimal { .. } => vec![number("1.5"), Value::Null, number("-2.5")],
            SqlType::String => vec![Value::String("ä".into()), Value::Null, Value::String(String::new())],
            SqlType::Bytes => vec![Value::Bytes(vec![0xFF, 0]), Value::Null, Value::Bytes(vec![])],
            _ => vec![Value::Array(vec![Value::Integer(1), Value::Null]), Value::Null, Value::Array(vec![])],
        }
    }

    #[test]
    fn every_type_is_stored_saved_loaded_and_gathered() {
        for sql_type in [
            SqlType::Boolean,
            SqlType::Integer,
            SqlType::Double,
            SqlType::decimal(10, 1),
            SqlType::decimal(50, 1),
            SqlType::String,
            SqlType::Bytes,
            SqlType::array(SqlType::Integer),
        ] {
            let values = values(&sql_type);
            let array = array_of(&values, &sql_type);
            let mut column = Column::new(&sql_type);
            column.append(array.slice(2, 1).as_ref(), &[0]);
            column.append(array.as_ref(), &[0, 1, 2]);
            column.append(array.as_ref(), &[2]);
            let mut saved = Vec::new();
            column.save(2, 5, &mut saved);
            let mut copy = Column::new(&sql_type);
            copy.append(array.as_ref(), &[0]);
            copy.load(3, &mut Input(&saved)).expect("whole");
            assert_eq!(copy.len(), 4);
            let origins =
                [Origin::Stored(0, 1), Origin::Stored(1, 0), Origin::None, Origin::Given(2), Origin::Stored(1, 1)];
            let gathered = gather(&sql_type, &[&column, &copy], Some(&array), &origins).expect("gathered");
            let found: Vec<Value> = (0..5).map(|row| Value::at(gathered.as_ref(), row, &sql_type)).collect();
            let expected = [&values[0], &values[0], &Value::Null, &values[2], &values[1]].map(Value::clone);
            assert_eq!(found, expected, "{sql_type}");
        }
    }
}
