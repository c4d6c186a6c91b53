//! Columns while they are filled, one value after the other, of any type and with a way back.
//!
//! A value is appended in two steps: its parts to [`Builder::values`], then [`Builder::valid`]. A decoder that finds
//! a mistake half-way through a row calls [`Builder::truncate`] on every column, which also forgets the parts of a
//! value that was never marked. Nested columns are builders of their own.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, BooleanBufferBuilder, ListArray, NullBufferBuilder, PrimitiveArray,
    StringArray, StructArray,
};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes as at;
use arrow::datatypes::{ArrowPrimitiveType, DataType, Field, Fields, i256};

use super::sql_type::{entries_field, entry_fields, item_field, struct_fields};
use super::{Decimal, NARROW_PRECISION, SqlType, Value};

/// A column under construction.
///
/// `nulls.len` is the number of complete values. Between two values every part of `values` has as many entries.
pub struct Builder {
    values: Values,
    nulls: Nulls,
}

/// The values of a column under construction; NULLs have a place in all of them.
pub enum Values {
    /// One bit for each row.
    Boolean(BooleanBufferBuilder),
    /// 32-bit integers, one for each row.
    Integer(Vec<i32>),
    /// 64-bit integers, one for each row.
    Bigint(Vec<i64>),
    /// Floating-point numbers of 64 bits, one for each row.
    Double(Vec<f64>),
    /// Unscaled numbers, then the precision (38 at most) and the scale.
    Decimal128(Vec<i128>, u8, u8),
    /// Unscaled numbers, then the precision (more than 38) and the scale.
    Decimal256(Vec<i256>, u8, u8),
    /// The texts of all rows.
    String(Texts),
    /// The byte strings of all rows.
    Bytes(Blobs),
    /// Days since 1970-01-01, one number for each row.
    Date(Vec<i32>),
    /// Milliseconds of the day, one number for each row.
    Time(Vec<i32>),
    /// Milliseconds since 1970-01-01T00:00:00Z, one number for each row.
    Timestamp(Vec<i64>),
    /// A list of items for each row.
    Array {
        /// Where each row's items begin and end.
        offsets: Offsets,
        /// The items of all rows.
        items: Box<Builder>,
        /// The Arrow field of the items.
        field: Arc<Field>,
    },
    /// A list of entries for each row.
    Map {
        /// Where each row's entries begin and end.
        offsets: Offsets,
        /// The keys of all rows.
        keys: Box<Builder>,
        /// The values of all rows, one for each key.
        values: Box<Builder>,
        /// The Arrow field of the entries, a struct of key and value.
        field: Arc<Field>,
        /// The Arrow fields of the key and of the value.
        entries: Fields,
    },
    /// One column for each field.
    Struct {
        /// The columns, in the order of the type's fields.
        fields: Vec<Builder>,
        /// The Arrow fields of the columns.
        types: Fields,
    },
}

/// Texts one after the other. What is appended is a `str`, so that the column cannot hold anything but UTF-8.
///
/// `offsets` has one entry more than there are texts, the first being 0. A piece that is not sealed yet stands after
/// the last offset.
pub struct Texts {
    offsets: Offsets,
    text: String,
}

/// Byte strings one after the other.
pub struct Blobs {
    offsets: Offsets,
    bytes: Vec<u8>,
}

/// Where the entries of a column begin and end in what they are parts of: bytes of text, or items.
pub struct Offsets(Vec<i32>);

/// Which places are NULL; costs nothing until one is.
struct Nulls {
    bits: Option<NullBufferBuilder>,
    len: usize,
}

impl Nulls {
    #[inline(always)]
    fn valid(&mut self) {
        self.len += 1;
        if let Some(bits) = &mut self.bits {
            bits.append_non_null();
        }
    }

    fn null(&mut self) {
        let len = self.len;
        let bits = self.bits.get_or_insert_with(|| {
            let mut bits = NullBufferBuilder::new(len + 64);
            bits.append_n_non_nulls(len);
            bits
        });
        bits.append_null();
        self.len += 1;
    }

    fn truncate(&mut self, len: usize) {
        self.len = len;
        if let Some(bits) = &mut self.bits {
            bits.truncate(len);
        }
    }
}

impl Offsets {
    fn new(capacity: usize) -> Self {
        let mut offsets = Vec::with_capacity(capacity + 1);
        offsets.push(0);
        Offsets(offsets)
    }

    /// Ends an entry at `end`.
    ///
    /// # Panics
    /// If `end` is beyond what 32 bits hold, which would mix up the entries. Whoever fills columns keeps batches smaller.
    ///
    /// Ends never fall.
    #[inline(always)]
    pub fn push(&mut self, end: usize) {
        match i32::try_from(end) {
            Ok(end) => self.0.push(end),
            Err(_) => too_large(end),
        }
    }

    /// The end of the last entry.
    pub fn last(&self) -> usize {
        self.0.last().map_or(0, |end| *end as usize)
    }

    /// Forgets all entries after the first `len`; the end of those that stay.
    fn truncate(&mut self, len: usize) -> usize {
        self.0.truncate(len + 1);
        self.last()
    }

    fn finish(self) -> OffsetBuffer<i32> {
        OffsetBuffer::new(ScalarBuffer::from(self.0))
    }
}

#[cold]
fn too_large(end: usize) -> ! {
    panic!("a column would hold {end} bytes or items in one batch, and at most {} fit", i32::MAX)
}

impl Texts {
    fn new(capacity: usize) -> Self {
        Texts { offsets: Offsets::new(capacity), text: String::new() }
    }

    /// Adds a text.
    #[inline]
    pub fn push(&mut self, text: &str) {
        self.append(text);
        self.seal();
    }

    /// Adds a piece to the next entry, which [`Texts::seal`] ends.
    #[inline]
    pub fn append(&mut self, piece: &str) {
        self.text.push_str(piece);
    }

    /// Ends the entry whose pieces were appended; without any it is empty.
    #[inline(always)]
    pub fn seal(&mut self) {
        self.offsets.push(self.text.len());
    }

    fn truncate(&mut self, len: usize) {
        let end = self.offsets.truncate(len);
        self.text.truncate(end);
    }
}

impl Blobs {
    fn new(capacity: usize) -> Self {
        Blobs { offsets: Offsets::new(capacity), bytes: Vec::new() }
    }

    /// Adds a byte string.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.seal();
    }

    /// Ends a byte string; one to which nothing was appended is empty.
    fn seal(&mut self) {
        self.offsets.push(self.bytes.len());
    }

    fn truncate(&mut self, len: usize) {
        let end = self.offsets.truncate(len);
        self.bytes.truncate(end);
    }
}

impl Builder {
    /// The bytes of the strings of the column; 0 if it has none.
    pub fn text_bytes(&self) -> usize {
        match &self.values {
            Values::String(texts) => texts.text.len(),
            Values::Bytes(blobs) => blobs.bytes.len(),
            _ => 0,
        }
    }

    /// Makes room for so many bytes of strings.
    ///
    /// Does nothing for columns of other types.
    pub fn reserve_text(&mut self, bytes: usize) {
        match &mut self.values {
            Values::String(texts) => texts.text.reserve(bytes),
            Values::Bytes(blobs) => blobs.bytes.reserve(bytes),
            _ => {}
        }
    }

    /// An empty column with room for `capacity` values.
    pub fn new(sql_type: &SqlType, capacity: usize) -> Self {
        let values = match sql_type {
            SqlType::Boolean => Values::Boolean(BooleanBufferBuilder::new(capacity)),
            SqlType::Integer => Values::Integer(Vec::with_capacity(capacity)),
            SqlType::Bigint => Values::Bigint(Vec::with_capacity(capacity)),
            SqlType::Double => Values::Double(Vec::with_capacity(capacity)),
            SqlType::Decimal { precision, scale } if *precision <= NARROW_PRECISION => {
                Values::Decimal128(Vec::with_capacity(capacity), *precision, *scale)
            }
            SqlType::Decimal { precision, scale } => {
                Values::Decimal256(Vec::with_capacity(capacity), *precision, *scale)
            }
            SqlType::String => Values::String(Texts::new(capacity)),
            SqlType::Bytes => Values::Bytes(Blobs::new(capacity)),
            SqlType::Date => Values::Date(Vec::with_capacity(capacity)),
            SqlType::Time => Values::Time(Vec::with_capacity(capacity)),
            SqlType::Timestamp => Values::Timestamp(Vec::with_capacity(capacity)),
            SqlType::Array(item) => Values::Array {
                offsets: Offsets::new(capacity),
                items: Box::new(Builder::new(item, capacity)),
                field: item_field(item),
            },
            SqlType::Map(key, value) => Values::Map {
                offsets: Offsets::new(capacity),
                keys: Box::new(Builder::new(key, capacity)),
                values: Box::new(Builder::new(value, capacity)),
                field: entries_field(key, value),
                entries: entry_fields(key, value),
            },
            SqlType::Struct(fields) => Values::Struct {
                fields: fields.iter().map(|f| Builder::new(&f.sql_type, capacity)).collect(),
                types: struct_fields(fields),
            },
        };
        Builder { values, nulls: Nulls { bits: None, len: 0 } }
    }

    /// The number of values so far.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.nulls.len
    }

    /// Whether there is no value yet.
    pub fn is_empty(&self) -> bool {
        self.nulls.len == 0
    }

    /// The values, to append exactly one and then call [`Builder::valid`].
    ///
    /// A value without its mark makes the column invalid, and [`Builder::finish`] panics.
    #[inline(always)]
    pub fn values(&mut self) -> &mut Values {
        &mut self.values
    }

    /// Marks the value that was appended to [`Builder::values`] as not NULL.
    #[inline(always)]
    pub fn valid(&mut self) {
        self.nulls.valid();
    }

    /// Marks so many values that were appended to [`Builder::values`] as not NULL.
    pub fn valid_rows(&mut self, count: usize) {
        match &mut self.nulls.bits {
            Some(_) => (0..count).for_each(|_| self.nulls.valid()),
            None => self.nulls.len += count,
        }
    }

    /// Appends NULL.
    pub fn null(&mut self) {
        match &mut self.values {
            Values::Boolean(bits) => bits.append(false),
            Values::Integer(v) | Values::Date(v) | Values::Time(v) => v.push(0),
            Values::Bigint(v) | Values::Timestamp(v) => v.push(0),
            Values::Double(v) => v.push(0.0),
            Values::Decimal128(v, ..) => v.push(0),
            Values::Decimal256(v, ..) => v.push(i256::ZERO),
            Values::String(texts) => texts.seal(),
            Values::Bytes(blobs) => blobs.seal(),
            Values::Array { offsets, items, .. } => offsets.push(items.len()),
            Values::Map { offsets, keys, .. } => offsets.push(keys.len()),
            Values::Struct { fields, .. } => fields.iter_mut().for_each(Builder::null),
        }
        self.nulls.null();
    }

    /// Forgets all values after the first `len`, and what was appended of a further one.
    pub fn truncate(&mut self, len: usize) {
        match &mut self.values {
            Values::Boolean(bits) => bits.truncate(len),
            Values::Integer(v) | Values::Date(v) | Values::Time(v) => v.truncate(len),
            Values::Bigint(v) | Values::Timestamp(v) => v.truncate(len),
            Values::Double(v) => v.truncate(len),
            Values::Decimal128(v, ..) => v.truncate(len),
            Values::Decimal256(v, ..) => v.truncate(len),
            Values::String(texts) => texts.truncate(len),
            Values::Bytes(blobs) => blobs.truncate(len),
            Values::Array { offsets, items, .. } => {
                let end = offsets.truncate(len);
                items.truncate(end);
            }
            Values::Map { offsets, keys, values, .. } => {
                let end = offsets.truncate(len);
                keys.truncate(end);
                values.truncate(end);
            }
            Values::Struct { fields, .. } => fields.iter_mut().for_each(|f| f.truncate(len)),
        }
        self.nulls.truncate(len);
    }

    /// [`Builder::truncate`], at no cost where there is nothing to forget.
    #[inline]
    pub fn truncate_to(&mut self, len: usize) {
        if self.nulls.len > len {
            self.truncate(len);
        }
    }

    /// Appends a value of the column's type.
    ///
    /// # Panics
    /// If the value is of another type: whoever calls has checked it.
    pub fn push(&mut self, value: &Value) {
        match (&mut self.values, value) {
            (_, Value::Null) => return self.null(),
            (Values::Boolean(bits), Value::Boolean(v)) => bits.append(*v),
            (Values::Integer(to), Value::Integer(v)) => to.push(*v),
            (Values::Bigint(to), Value::Bigint(v)) => to.push(*v),
            (Values::Double(to), Value::Double(v)) => to.push(*v),
            (Values::Decimal128(to, _, scale), Value::Decimal(v)) => {
                to.push(at_scale(v, *scale).to_i128().expect("a decimal of at most 38 digits"));
            }
            (Values::Decimal256(to, _, scale), Value::Decimal(v)) => to.push(at_scale(v, *scale)),
            (Values::String(texts), Value::String(v)) => texts.push(v),
            (Values::Bytes(blobs), Value::Bytes(v)) => blobs.push(v),
            (Values::Date(to), Value::Date(v)) | (Values::Time(to), Value::Time(v)) => to.push(*v),
            (Values::Timestamp(to), Value::Timestamp(v)) => to.push(*v),
            (Values::Array { offsets, items, .. }, Value::Array(v)) => {
                v.iter().for_each(|item| items.push(item));
                offsets.push(items.len());
            }
            (Values::Map { offsets, keys, values, .. }, Value::Map(v)) => {
                for (key, value) in v {
                    keys.push(key);
                    values.push(value);
                }
                offsets.push(keys.len());
            }
            (Values::Struct { fields, .. }, Value::Struct(v)) => {
                debug_assert_eq!(fields.len(), v.len());
                fields.iter_mut().zip(v).for_each(|(field, (_, value))| field.push(value));
            }
            (_, value) => panic!("a value of another type than the column's: {value:?}"),
        }
        self.nulls.valid();
    }

    /// The finished column.
    ///
    /// # Panics
    /// If a value was appended and not marked, or the parts of a struct differ in length.
    pub fn finish(self) -> ArrayRef {
        let nulls = self.nulls.bits.and_then(NullBufferBuilder::build);
        match self.values {
            Values::Boolean(mut bits) => Arc::new(BooleanArray::new(bits.finish(), nulls)),
            Values::Integer(v) => primitive::<at::Int32Type>(v, nulls),
            Values::Bigint(v) => primitive::<at::Int64Type>(v, nulls),
            Values::Double(v) => primitive::<at::Float64Type>(v, nulls),
            Values::Decimal128(v, precision, scale) => {
                let data_type = DataType::Decimal128(precision, scale as i8);
                Arc::new(PrimitiveArray::<at::Decimal128Type>::new(v.into(), nulls).with_data_type(data_type))
            }
            Values::Decimal256(v, precision, scale) => {
                let data_type = DataType::Decimal256(precision, scale as i8);
                Arc::new(PrimitiveArray::<at::Decimal256Type>::new(v.into(), nulls).with_data_type(data_type))
            }
            Values::String(Texts { offsets, text }) => {
                assert_eq!(offsets.0.len(), self.nulls.len + 1, "every text is marked as valid or NULL");
                let bytes = Buffer::from_vec(text.into_bytes());
                // SAFETY: the bytes were a `String`, and an entry begins and ends where the text was a `String` too: after
                // an append, or at a length that `String::truncate` has accepted.
                Arc::new(unsafe { StringArray::new_unchecked(offsets.finish(), bytes, nulls) })
            }
            Values::Bytes(Blobs { offsets, bytes }) => {
                Arc::new(BinaryArray::new(offsets.finish(), Buffer::from_vec(bytes), nulls))
            }
            Values::Date(v) => primitive::<at::Date32Type>(v, nulls),
            Values::Time(v) => primitive::<at::Time32MillisecondType>(v, nulls),
            Values::Timestamp(v) => primitive::<at::TimestampMillisecondType>(v, nulls),
            Values::Array { offsets, items, field } => {
                Arc::new(ListArray::new(field, offsets.finish(), items.finish(), nulls))
            }
            Values::Map { offsets, keys, values, field, entries } => {
                let entries = StructArray::new(entries, vec![keys.finish(), values.finish()], None);
                Arc::new(ListArray::new(field, offsets.finish(), Arc::new(entries), nulls))
            }
            Values::Struct { fields, .. } if fields.is_empty() => {
                Arc::new(StructArray::new_empty_fields(self.nulls.len, nulls))
            }
            Values::Struct { fields, types } => {
                let columns = fields.into_iter().map(Builder::finish).collect();
                Arc::new(StructArray::new(types, columns, nulls))
            }
        }
    }
}

fn primitive<T: ArrowPrimitiveType>(values: Vec<T::Native>, nulls: Option<arrow::buffer::NullBuffer>) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::new(values.into(), nulls))
}

fn at_scale(value: &Decimal, scale: u8) -> i256 {
    let scaled = value.rescale(i32::from(scale), super::Rounding::Exact);
    scaled.expect("a decimal of the column's scale").unscaled
}

/// A column of these values.
pub fn array_of<'a>(values: impl IntoIterator<Item = &'a Value>, sql_type: &SqlType) -> ArrayRef {
    let values = values.into_iter();
    let mut builder = Builder::new(sql_type, values.size_hint().0);
    values.for_each(|value| builder.push(value));
    builder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested() -> SqlType {
        SqlType::structure([
            ("A", SqlType::array(SqlType::decimal(40, 2))),
            ("M", SqlType::map(SqlType::String, SqlType::Boolean)),
        ])
    }

    fn value(text: &str) -> Value {
        Value::Struct(vec![
            ("A".into(), Value::Array(vec![Value::Decimal(Decimal::parse("1.50").expect("a number")), Value::Null])),
            ("M".into(), Value::Map(vec![(Value::String(text.into()), Value::Boolean(true))])),
        ])
    }

    #[test]
    fn values_survive_the_way_through_an_array() {
        let array = array_of(&[value("x"), Value::Null, value("y")], &nested());
        assert_eq!(Value::at(&array, 0, &nested()), value("x"));
        assert_eq!(Value::at(&array, 1, &nested()), Value::Null);
        assert_eq!(Value::at(&array, 2, &nested()).to_text(), "Struct{A=[1.50, null],M={y=true}}");
    }

    #[test]
    fn truncating_forgets_half_a_row() {
        let mut builder = Builder::new(&nested(), 4);
        builder.push(&value("x"));
        let Values::Struct { fields, .. } = builder.values() else { panic!("a struct") };
        let Values::Array { items, .. } = fields[0].values() else { panic!("an array") };
        items.null();
        builder.truncate(1);
        builder.push(&value("z"));
        let array = builder.finish();
        assert_eq!(array.len(), 2);
        assert_eq!(Value::at(&array, 1, &nested()), value("z"));
    }
}
