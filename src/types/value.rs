//! Single values: constants, keys to look up, rows to show; and the way between them and arrays.
//!
//! A value owns what it holds, so reading one from an array copies texts and collections. Loops over many rows use a
//! [`View`](super::View) or Arrow's kernels instead.
//!
//! There are two notions of equality and one of order, all of them Java's:
//!
//! | | NaN and NaN | 0.0 and -0.0 | 1.0 and 1.00 (DECIMAL) |
//! |---|---|---|---|
//! | `==` and hashes | equal | differ | differ |
//! | [`Value::compare`] | equal | -0.0 is less | equal |

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt::Write;
use std::hash::{BuildHasher, Hash, Hasher};

use arrow::array::{Array, AsArray};
use arrow::datatypes as arrow_types;

use super::{Decimal, SqlType, text};

/// One value of any type. Maps are equal whatever the order of their entries is.
#[derive(Clone, Debug)]
pub enum Value {
    /// The missing value, which every type has.
    Null,
    /// True or false.
    Boolean(bool),
    /// A 32-bit integer.
    Integer(i32),
    /// A 64-bit integer.
    Bigint(i64),
    /// A floating-point number of 64 bits.
    Double(f64),
    /// An exact number, with its own scale.
    Decimal(Decimal),
    /// A text.
    String(String),
    /// Any bytes.
    Bytes(Vec<u8>),
    /// Days since 1970-01-01.
    Date(i32),
    /// Milliseconds of the day.
    Time(i32),
    /// Milliseconds since 1970-01-01T00:00:00Z.
    Timestamp(i64),
    /// The items in their order.
    Array(Vec<Value>),
    /// The entries, each with its key and value.
    Map(Vec<(Value, Value)>),
    /// The fields' values, in the order of the type.
    Struct(Vec<(String, Value)>),
}

/// As Java's `equals` has it: NaN equals NaN, `-0.0` does not equal `0.0`, and decimals of other scales differ.
///
/// Values of two types are never equal: INTEGER 1 is not BIGINT 1. Callers bring both sides to one type first.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Value::Null, Value::Null) => true,
            (Value::Boolean(a), Value::Boolean(b)) => a == b,
            (Value::Integer(a), Value::Integer(b)) => a == b,
            (Value::Bigint(a), Value::Bigint(b)) => a == b,
            (Value::Double(a), Value::Double(b)) => identity(*a) == identity(*b),
            (Value::Decimal(a), Value::Decimal(b)) => a == b,
            (Value::String(a), Value::String(b)) => a == b,
            (Value::Bytes(a), Value::Bytes(b)) => a == b,
            (Value::Date(a), Value::Date(b)) | (Value::Time(a), Value::Time(b)) => a == b,
            (Value::Timestamp(a), Value::Timestamp(b)) => a == b,
            (Value::Array(a), Value::Array(b)) => a == b,
            (Value::Map(a), Value::Map(b)) => same_entries(a, b),
            (Value::Struct(a), Value::Struct(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Value {}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        match self {
            Value::Null => {}
            Value::Boolean(v) => v.hash(state),
            Value::Integer(v) | Value::Date(v) | Value::Time(v) => v.hash(state),
            Value::Bigint(v) | Value::Timestamp(v) => v.hash(state),
            Value::Double(v) => identity(*v).hash(state),
            Value::Decimal(v) => v.hash(state),
            Value::String(v) => v.hash(state),
            Value::Bytes(v) => v.hash(state),
            Value::Array(v) => v.hash(state),
            // Whatever the order of the entries is.
            Value::Map(v) => v.iter().map(hash_of).fold(0u64, u64::wrapping_add).hash(state),
            Value::Struct(v) => v.hash(state),
        }
    }
}

/// The bits of a double by which it is equal to others: all NaNs are one.
fn identity(value: f64) -> u64 {
    if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() }
}

fn hash_of(entry: &(Value, Value)) -> u64 {
    foldhash::fast::FixedState::default().hash_one(entry)
}

/// A map has each key once, so that equal numbers of entries and a hit for each are enough. O(entries), or less where
/// the order is the same.
fn same_entries(a: &[(Value, Value)], b: &[(Value, Value)]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    if a == b {
        return true;
    }
    let known: HashMap<&Value, &Value> = b.iter().map(|(k, v)| (k, v)).collect();
    a.iter().all(|(k, v)| known.get(k) == Some(&v))
}

impl Value {
    /// Whether this is NULL.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// Whether this holds other values.
    pub fn is_nested(&self) -> bool {
        matches!(self, Value::Array(_) | Value::Map(_) | Value::Struct(_))
    }

    /// About how many bytes the value has in a column, its items included.
    ///
    /// Offsets of 4 bytes are counted, NULL bits are not. A DECIMAL counts 16 bytes, whatever its precision.
    pub fn size(&self) -> usize {
        match self {
            Value::String(text) => text.len() + 4,
            Value::Bytes(bytes) => bytes.len() + 4,
            Value::Array(items) => 4 + items.iter().map(Value::size).sum::<usize>(),
            Value::Map(entries) => 4 + entries.iter().map(|(k, v)| k.size() + v.size()).sum::<usize>(),
            Value::Struct(fields) => fields.iter().map(|(_, v)| v.size()).sum(),
            Value::Decimal(_) => size_of::<i128>(),
            _ => size_of::<i64>(),
        }
    }

    /// The value in row `row` of an array that holds values of `sql_type`.
    ///
    /// # Panics
    /// If the row is beyond the array, or the array does not hold `sql_type`.
    pub fn at(array: &dyn Array, row: usize, sql_type: &SqlType) -> Value {
        if array.is_null(row) {
            return Value::Null;
        }
        match sql_type {
            SqlType::Boolean => Value::Boolean(array.as_boolean().value(row)),
            SqlType::Integer => Value::Integer(array.as_primitive::<arrow_types::Int32Type>().value(row)),
            SqlType::Bigint => Value::Bigint(array.as_primitive::<arrow_types::Int64Type>().value(row)),
            SqlType::Double => Value::Double(array.as_primitive::<arrow_types::Float64Type>().value(row)),
            SqlType::Decimal { scale, .. } => Value::Decimal(decimal_at(array, row, *scale)),
            SqlType::String => Value::String(array.as_string::<i32>().value(row).to_owned()),
            SqlType::Bytes => Value::Bytes(array.as_binary::<i32>().value(row).to_vec()),
            SqlType::Date => Value::Date(array.as_primitive::<arrow_types::Date32Type>().value(row)),
            SqlType::Time => Value::Time(array.as_primitive::<arrow_types::Time32MillisecondType>().value(row)),
            SqlType::Timestamp => {
                Value::Timestamp(array.as_primitive::<arrow_types::TimestampMillisecondType>().value(row))
            }
            SqlType::Array(item) => {
                let items = array.as_list::<i32>().value(row);
                Value::Array((0..items.len()).map(|i| Value::at(&items, i, item)).collect())
            }
            SqlType::Map(key, value) => {
                let entries = array.as_list::<i32>().value(row);
                let (keys, values) = (entries.as_struct().column(0), entries.as_struct().column(1));
                let entry = |i| (Value::at(keys, i, key), Value::at(values, i, value));
                Value::Map((0..entries.len()).map(entry).collect())
            }
            SqlType::Struct(fields) => {
                let columns = array.as_struct().columns();
                let pairs = fields.iter().zip(columns);
                Value::Struct(pairs.map(|(f, c)| (f.name.clone(), Value::at(c, row, &f.sql_type))).collect())
            }
        }
    }

    /// The value as ksqlDB casts it to STRING: `1.0`, `[1, null]`, `{k=v}`, `Struct{A=1}`. NULL gives `null`.
    ///
    /// TIME is cut to whole seconds, and a TIMESTAMP always has three digits of milliseconds. Inside of a collection
    /// both print as Java's `java.sql.Time` and `java.sql.Timestamp` do. Entries of a map come in the order of a
    /// `java.util.HashMap`, and NULL fields of a struct are left out.
    pub fn to_text(&self) -> String {
        self.java_text(false)
    }

    /// Java's text; inside a collection times print otherwise than alone.
    fn java_text(&self, nested: bool) -> String {
        match self {
            Value::Null => "null".to_owned(),
            Value::Boolean(v) => v.to_string(),
            Value::Integer(v) => v.to_string(),
            Value::Bigint(v) => v.to_string(),
            Value::Double(v) => text::double(*v),
            Value::Decimal(v) => v.plain(),
            Value::String(v) => v.clone(),
            Value::Bytes(v) => format!("java.nio.HeapByteBuffer[pos=0 lim={0} cap={0}]", v.len()),
            Value::Date(v) => text::date(*v),
            Value::Time(v) if nested => java_sql_time(*v),
            Value::Time(v) => text::time(v - v % 1000),
            Value::Timestamp(v) if nested => java_sql_timestamp(*v),
            Value::Timestamp(v) => text::timestamp(*v),
            Value::Array(items) => {
                let items: Vec<String> = items.iter().map(|v| v.java_text(true)).collect();
                format!("[{}]", items.join(", "))
            }
            Value::Map(entries) => {
                let keys: Vec<String> = entries.iter().map(|(k, _)| k.java_text(true)).collect();
                let order = text::hash_map_order(keys.iter().map(String::as_str));
                let entry = |i: &usize| format!("{}={}", keys[*i], entries[*i].1.java_text(true));
                format!("{{{}}}", order.iter().map(entry).collect::<Vec<_>>().join(", "))
            }
            Value::Struct(fields) => {
                let mut out = String::from("Struct{");
                for (i, (name, value)) in fields.iter().filter(|(_, v)| !v.is_null()).enumerate() {
                    let comma = if i > 0 { "," } else { "" };
                    let _ = write!(out, "{comma}{name}={}", value.java_text(true));
                }
                out + "}"
            }
        }
    }

    /// Compares two values of one type as ksqlDB does; NULL comes first.
    ///
    /// Collections and values of two types have no order and count as equal here; the binder refuses such comparisons
    /// before.
    pub fn compare(&self, other: &Value) -> Ordering {
        match (self, other) {
            (Value::Boolean(a), Value::Boolean(b)) => a.cmp(b),
            (Value::Integer(a), Value::Integer(b)) => a.cmp(b),
            (Value::Bigint(a), Value::Bigint(b)) => a.cmp(b),
            (Value::Double(a), Value::Double(b)) => compare_doubles(*a, *b),
            (Value::Decimal(a), Value::Decimal(b)) => a.compare(b),
            (Value::String(a), Value::String(b)) => compare_utf16(a, b),
            (Value::Bytes(a), Value::Bytes(b)) => compare_signed_bytes(a, b),
            (Value::Date(a), Value::Date(b)) | (Value::Time(a), Value::Time(b)) => a.cmp(b),
            (Value::Timestamp(a), Value::Timestamp(b)) => a.cmp(b),
            (Value::Null, Value::Null) => Ordering::Equal,
            (Value::Null, _) => Ordering::Less,
            (_, Value::Null) => Ordering::Greater,
            _ => Ordering::Equal,
        }
    }
}

/// The decimal in a row of an array of 128 or 256 bits.
///
/// # Panics
/// If the array has no decimals.
pub fn decimal_at(array: &dyn Array, row: usize, scale: u8) -> Decimal {
    let unscaled = match array.as_primitive_opt::<arrow_types::Decimal128Type>() {
        Some(narrow) => arrow_types::i256::from_i128(narrow.value(row)),
        None => array.as_primitive::<arrow_types::Decimal256Type>().value(row),
    };
    Decimal::new(unscaled, i32::from(scale))
}

/// The integer part of a double; `None` for NaN and for a number that 64 bits do not hold.
///
/// `-0.9` gives 0, 2^63 gives `None`, -2^63 is the smallest BIGINT.
pub fn double_to_i64(value: f64) -> Option<i64> {
    // 2^63 is a double, and one more than the largest BIGINT.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    (-LIMIT..LIMIT).contains(&value).then_some(value as i64)
}

/// Java's order of doubles: `-0.0` before `0.0`, NaN last.
///
/// `Double.compareTo`: all NaNs are equal to each other and above positive infinity.
pub fn compare_doubles(a: f64, b: f64) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (false, false) => a.total_cmp(&b),
        (a, b) => a.cmp(&b),
    }
}

/// Java's order of strings: by UTF-16 code unit, which differs from the order of bytes only beyond U+D7FF.
///
/// `String.compareTo`. Texts without a byte of 0xED or above, which is nearly all, are compared as bytes.
pub fn compare_utf16(a: &str, b: &str) -> Ordering {
    if a.bytes().chain(b.bytes()).all(|byte| byte < 0xED) { a.cmp(b) } else { a.encode_utf16().cmp(b.encode_utf16()) }
}

/// Java's order of byte buffers: bytes are signed.
pub fn compare_signed_bytes(a: &[u8], b: &[u8]) -> Ordering {
    a.iter().map(|b| *b as i8).cmp(b.iter().map(|b| *b as i8))
}

/// `java.sql.Time.toString`, without milliseconds: `10:20:30`.
fn java_sql_time(ms: i32) -> String {
    let second = ms / 1000;
    format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
}

/// `java.sql.Timestamp.toString`: a blank instead of the `T`, and zeros at the end of the fraction left out but for
/// one: `2020-01-31 10:20:30.0`.
fn java_sql_timestamp(ms: i64) -> String {
    let text = text::timestamp(ms).replace('T', " ");
    let trimmed = text.trim_end_matches('0');
    if trimmed.ends_with('.') { format!("{trimmed}0") } else { trimmed.to_owned() }
}
