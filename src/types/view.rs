//! A column borrowed with its type, so that a loop over rows asks for the type once and not in every row.
//!
//! Making a view costs a match on the type, once per batch and column, and no copying. Access to a row is then an
//! index into a slice. Views of collections hold views of their items, so that nested values are read without
//! building arrays.

use arrow::array::{Array, AsArray, StringArray};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes as at;
use arrow::datatypes::i256;

use super::{Decimal, SqlType, Value};

/// A borrowed column.
pub struct View<'a> {
    nulls: Option<&'a NullBuffer>,
    /// One value for each row, also where the row is NULL.
    pub values: ViewValues<'a>,
}

/// The values of a borrowed column; what stands at the place of a NULL means nothing.
pub enum ViewValues<'a> {
    /// One bit for each row.
    Boolean(&'a BooleanBuffer),
    /// 32-bit integers, one for each row.
    Integer(&'a [i32]),
    /// 64-bit integers, one for each row.
    Bigint(&'a [i64]),
    /// Floating-point numbers of 64 bits, one for each row.
    Double(&'a [f64]),
    /// Unscaled numbers of up to 38 digits, then their scale.
    Decimal128(&'a [i128], u8),
    /// Unscaled numbers of up to 76 digits, then their scale.
    Decimal256(&'a [i256], u8),
    /// The texts of all rows.
    String(Texts<'a>),
    /// The byte strings of all rows.
    Bytes(Slices<'a>),
    /// Days since 1970-01-01, one number for each row.
    Date(&'a [i32]),
    /// Milliseconds of the day, one number for each row.
    Time(&'a [i32]),
    /// Milliseconds since 1970-01-01T00:00:00Z, one number for each row.
    Timestamp(&'a [i64]),
    /// A list of items for each row.
    Array {
        /// Row `r` has the items from `offsets[r]` up to, but without, `offsets[r + 1]`.
        offsets: &'a [i32],
        /// The items of all rows.
        items: Box<View<'a>>,
    },
    /// A list of entries for each row.
    Map {
        /// Row `r` has the entries from `offsets[r]` up to, but without, `offsets[r + 1]`.
        offsets: &'a [i32],
        /// The keys of all rows.
        keys: Box<View<'a>>,
        /// The values of all rows, one for each key.
        values: Box<View<'a>>,
    },
    /// One view for each field, in the order of the type.
    Struct(Vec<View<'a>>),
}

/// Byte strings one after the other.
#[derive(Clone, Copy)]
pub struct Slices<'a> {
    offsets: &'a [i32],
    bytes: &'a [u8],
}

impl<'a> Slices<'a> {
    /// The byte string in a row.
    #[inline]
    pub fn get(&self, row: usize) -> &'a [u8] {
        &self.bytes[self.offsets[row] as usize..self.offsets[row + 1] as usize]
    }
}

/// Texts one after the other, which can only be made of a column of strings.
#[derive(Clone, Copy)]
pub struct Texts<'a>(Slices<'a>);

impl<'a> Texts<'a> {
    /// The texts of a column of strings.
    pub fn new(strings: &'a StringArray) -> Self {
        Texts(Slices { offsets: strings.value_offsets(), bytes: strings.value_data() })
    }

    /// The bytes of the text in a row.
    #[inline]
    pub fn get(&self, row: usize) -> &'a [u8] {
        self.0.get(row)
    }

    /// The text in a row.
    #[inline]
    pub fn text(&self, row: usize) -> &'a str {
        // SAFETY: the offsets and bytes are those of a string array, whose entries are valid UTF-8.
        unsafe { std::str::from_utf8_unchecked(self.get(row)) }
    }
}

impl<'a> View<'a> {
    /// A view of `array`, which holds values of `sql_type`.
    ///
    /// # Panics
    /// If the array is not the one that [`SqlType::arrow`] names for the type.
    pub fn new(array: &'a dyn Array, sql_type: &SqlType) -> View<'a> {
        let values = match sql_type {
            SqlType::Boolean => ViewValues::Boolean(array.as_boolean().values()),
            SqlType::Integer => ViewValues::Integer(array.as_primitive::<at::Int32Type>().values()),
            SqlType::Bigint => ViewValues::Bigint(array.as_primitive::<at::Int64Type>().values()),
            SqlType::Double => ViewValues::Double(array.as_primitive::<at::Float64Type>().values()),
            SqlType::Decimal { scale, .. } => match array.as_primitive_opt::<at::Decimal128Type>() {
                Some(narrow) => ViewValues::Decimal128(narrow.values(), *scale),
                None => ViewValues::Decimal256(array.as_primitive::<at::Decimal256Type>().values(), *scale),
            },
            SqlType::String => ViewValues::String(Texts::new(array.as_string::<i32>())),
            SqlType::Bytes => {
                let binaries = array.as_binary::<i32>();
                ViewValues::Bytes(Slices { offsets: binaries.value_offsets(), bytes: binaries.value_data() })
            }
            SqlType::Date => ViewValues::Date(array.as_primitive::<at::Date32Type>().values()),
            SqlType::Time => ViewValues::Time(array.as_primitive::<at::Time32MillisecondType>().values()),
            SqlType::Timestamp => ViewValues::Timestamp(array.as_primitive::<at::TimestampMillisecondType>().values()),
            SqlType::Array(item) => {
                let list = array.as_list::<i32>();
                let items = Box::new(View::new(list.values().as_ref(), item));
                ViewValues::Array { offsets: list.value_offsets(), items }
            }
            SqlType::Map(key, value) => {
                let list = array.as_list::<i32>();
                let entries = list.values().as_struct();
                let keys = Box::new(View::new(entries.column(0).as_ref(), key));
                let values = Box::new(View::new(entries.column(1).as_ref(), value));
                ViewValues::Map { offsets: list.value_offsets(), keys, values }
            }
            SqlType::Struct(fields) => {
                let columns = array.as_struct().columns();
                ViewValues::Struct(
                    fields.iter().zip(columns).map(|(f, c)| View::new(c.as_ref(), &f.sql_type)).collect(),
                )
            }
        };
        View { nulls: array.nulls(), values }
    }

    /// The value in a row, which is of `sql_type`.
    ///
    /// Copies texts and collections.
    ///
    /// # Panics
    /// If the row is beyond the column, or the type is not that of the view.
    pub fn value(&self, row: usize, sql_type: &SqlType) -> Value {
        if self.is_null(row) {
            return Value::Null;
        }
        let items = |view: &View, item: &SqlType, range: std::ops::Range<usize>| -> Vec<Value> {
            range.map(|at| view.value(at, item)).collect()
        };
        match (&self.values, sql_type) {
            (ViewValues::Boolean(bits), _) => Value::Boolean(bits.value(row)),
            (ViewValues::Integer(v), _) => Value::Integer(v[row]),
            (ViewValues::Bigint(v), _) => Value::Bigint(v[row]),
            (ViewValues::Double(v), _) => Value::Double(v[row]),
            (ViewValues::Decimal128(v, scale), _) => {
                Value::Decimal(Decimal::new(i256::from_i128(v[row]), i32::from(*scale)))
            }
            (ViewValues::Decimal256(v, scale), _) => Value::Decimal(Decimal::new(v[row], i32::from(*scale))),
            (ViewValues::String(texts), _) => Value::String(texts.text(row).to_owned()),
            (ViewValues::Bytes(bytes), _) => Value::Bytes(bytes.get(row).to_vec()),
            (ViewValues::Date(v), _) => Value::Date(v[row]),
            (ViewValues::Time(v), _) => Value::Time(v[row]),
            (ViewValues::Timestamp(v), _) => Value::Timestamp(v[row]),
            (ViewValues::Array { offsets, items: view }, SqlType::Array(item)) => {
                Value::Array(items(view, item, offsets[row] as usize..offsets[row + 1] as usize))
            }
            (ViewValues::Map { offsets, keys, values }, SqlType::Map(key, value)) => {
                let range = offsets[row] as usize..offsets[row + 1] as usize;
                Value::Map(items(keys, key, range.clone()).into_iter().zip(items(values, value, range)).collect())
            }
            (ViewValues::Struct(views), SqlType::Struct(fields)) => {
                let pairs = fields.iter().zip(views);
                Value::Struct(pairs.map(|(f, v)| (f.name.clone(), v.value(row, &f.sql_type))).collect())
            }
            _ => unreachable!("a view is made for the type of its column"),
        }
    }

    /// Whether the value in a row is NULL.
    #[inline]
    pub fn is_null(&self, row: usize) -> bool {
        self.nulls.is_some_and(|nulls| nulls.is_null(row))
    }

    /// The NULLs, if there are any.
    ///
    /// A buffer without a single NULL is possible.
    pub fn nulls(&self) -> Option<&'a NullBuffer> {
        self.nulls
    }
}
