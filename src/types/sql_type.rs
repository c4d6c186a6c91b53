//! The SQL types, how they are printed, and the Arrow type that holds each.
//!
//! | type | Arrow |
//! |---|---|
//! | BOOLEAN | Boolean |
//! | INTEGER, BIGINT, DOUBLE | Int32, Int64, Float64 |
//! | DECIMAL of up to 38 digits, of more | Decimal128, Decimal256 |
//! | STRING, BYTES | Utf8, Binary, with 32-bit offsets |
//! | DATE, TIME, TIMESTAMP | Date32, Time32 and Timestamp in milliseconds, without a zone |
//! | ARRAY, MAP | List; a map is a list of structs of key and value |
//! | STRUCT | Struct |

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, TimeUnit};

/// A type of the language. Every value may be NULL.
///
/// Two types are equal if they are the same in every parameter: DECIMAL(4, 2) and DECIMAL(5, 2) are two types, and so
/// are structs whose fields stand in another order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SqlType {
    /// True or false.
    Boolean,
    /// 32 bits, wraps around.
    Integer,
    /// 64 bits, wraps around.
    Bigint,
    /// 64 bits of floating point, as IEEE 754 has them.
    Double,
    /// An exact number of `precision` digits, `scale` of them behind the point.
    Decimal {
        /// The number of all digits, from 1 to [`MAX_PRECISION`].
        precision: u8,
        /// The number of digits after the point, at most `precision`.
        scale: u8,
    },
    /// Text in UTF-8.
    String,
    /// Any bytes.
    Bytes,
    /// Days since 1970-01-01.
    Date,
    /// Milliseconds of a day.
    Time,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    Timestamp,
    /// Any number of items of this type.
    Array(Box<SqlType>),
    /// Entries with keys of the first type and values of the second.
    Map(Box<SqlType>, Box<SqlType>),
    /// The fields, in the order in which they were declared.
    Struct(Vec<StructField>),
}

/// A field of a STRUCT.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StructField {
    /// As it is kept: in upper case unless it was quoted.
    pub name: String,
    /// The type of the field's values.
    pub sql_type: SqlType,
}

/// The most digits that a DECIMAL can have here: those of Arrow's widest decimal.
///
/// ksqlDB has no such limit; a DECIMAL of more digits is refused when it is declared.
pub const MAX_PRECISION: u8 = 76;

/// The precision up to which a DECIMAL is held in 128 bits.
pub const NARROW_PRECISION: u8 = 38;

impl SqlType {
    /// DECIMAL(precision, scale).
    ///
    /// Does not check the numbers. They are checked where a statement names a type.
    pub fn decimal(precision: u8, scale: u8) -> SqlType {
        SqlType::Decimal { precision, scale }
    }

    /// The type of all headers of a record.
    ///
    /// `ARRAY<STRUCT<KEY STRING, VALUE BYTES>>`.
    pub fn headers() -> SqlType {
        SqlType::array(SqlType::structure([("KEY", SqlType::String), ("VALUE", SqlType::Bytes)]))
    }

    /// ARRAY of `item`.
    pub fn array(item: SqlType) -> SqlType {
        SqlType::Array(Box::new(item))
    }

    /// MAP from `key` to `value`.
    pub fn map(key: SqlType, value: SqlType) -> SqlType {
        SqlType::Map(Box::new(key), Box::new(value))
    }

    /// STRUCT of named fields.
    pub fn structure(fields: impl IntoIterator<Item = (impl Into<String>, SqlType)>) -> SqlType {
        SqlType::Struct(
            fields.into_iter().map(|(name, sql_type)| StructField { name: name.into(), sql_type }).collect(),
        )
    }

    /// Whether this is INTEGER, BIGINT, DECIMAL or DOUBLE.
    pub fn is_numeric(&self) -> bool {
        matches!(self, SqlType::Integer | SqlType::Bigint | SqlType::Decimal { .. } | SqlType::Double)
    }

    /// Whether this is DATE, TIME or TIMESTAMP.
    pub fn is_temporal(&self) -> bool {
        matches!(self, SqlType::Date | SqlType::Time | SqlType::Timestamp)
    }

    /// Whether this is ARRAY, MAP or STRUCT.
    pub fn is_nested(&self) -> bool {
        matches!(self, SqlType::Array(_) | SqlType::Map(..) | SqlType::Struct(_))
    }

    /// Whether a MAP occurs anywhere in the type.
    pub fn contains_map(&self) -> bool {
        match self {
            SqlType::Map(..) => true,
            SqlType::Array(item) => item.contains_map(),
            SqlType::Struct(fields) => fields.iter().any(|f| f.sql_type.contains_map()),
            _ => false,
        }
    }

    /// The name without parameters: `DECIMAL`, `ARRAY`, `STRING` …
    pub fn base_name(&self) -> &'static str {
        match self {
            SqlType::Boolean => "BOOLEAN",
            SqlType::Integer => "INTEGER",
            SqlType::Bigint => "BIGINT",
            SqlType::Double => "DOUBLE",
            SqlType::Decimal { .. } => "DECIMAL",
            SqlType::String => "STRING",
            SqlType::Bytes => "BYTES",
            SqlType::Date => "DATE",
            SqlType::Time => "TIME",
            SqlType::Timestamp => "TIMESTAMP",
            SqlType::Array(_) => "ARRAY",
            SqlType::Map(..) => "MAP",
            SqlType::Struct(_) => "STRUCT",
        }
    }

    /// The Arrow type whose arrays hold values of this type.
    pub fn arrow(&self) -> DataType {
        match self {
            SqlType::Boolean => DataType::Boolean,
            SqlType::Integer => DataType::Int32,
            SqlType::Bigint => DataType::Int64,
            SqlType::Double => DataType::Float64,
            SqlType::Decimal { precision, scale } if *precision <= NARROW_PRECISION => {
                DataType::Decimal128(*precision, *scale as i8)
            }
            SqlType::Decimal { precision, scale } => DataType::Decimal256(*precision, *scale as i8),
            SqlType::String => DataType::Utf8,
            SqlType::Bytes => DataType::Binary,
            SqlType::Date => DataType::Date32,
            SqlType::Time => DataType::Time32(TimeUnit::Millisecond),
            SqlType::Timestamp => DataType::Timestamp(TimeUnit::Millisecond, None),
            SqlType::Array(item) => DataType::List(item_field(item)),
            // Arrow's own maps cannot have NULL for a key, ksqlDB's can: a map is the list of its entries.
            SqlType::Map(key, value) => DataType::List(entries_field(key, value)),
            SqlType::Struct(fields) => DataType::Struct(struct_fields(fields)),
        }
    }
}

/// The field of a list's items.
pub fn item_field(item: &SqlType) -> Arc<Field> {
    Arc::new(Field::new("item", item.arrow(), true))
}

/// The field of a map's entries: a struct of `key` and `value`, which may both be NULL.
pub fn entries_field(key: &SqlType, value: &SqlType) -> Arc<Field> {
    Arc::new(Field::new("entries", DataType::Struct(entry_fields(key, value)), false))
}

/// The two fields of a map's entry.
pub fn entry_fields(key: &SqlType, value: &SqlType) -> Fields {
    vec![Field::new("key", key.arrow(), true), Field::new("value", value.arrow(), true)].into()
}

/// The Arrow fields of a STRUCT.
pub fn struct_fields(fields: &[StructField]) -> Fields {
    fields.iter().map(|f| Field::new(&f.name, f.sql_type.arrow(), true)).collect()
}

impl fmt::Display for SqlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SqlType::Decimal { precision, scale } => write!(f, "DECIMAL({precision}, {scale})"),
            SqlType::Array(item) => write!(f, "ARRAY<{item}>"),
            SqlType::Map(key, value) => write!(f, "MAP<{key}, {value}>"),
            SqlType::Struct(fields) => {
                f.write_str("STRUCT<")?;
                for (i, field) in fields.iter().enumerate() {
                    let comma = if i > 0 { ", " } else { "" };
                    write!(f, "{comma}`{}` {}", field.name.replace('`', "``"), field.sql_type)?;
                }
                f.write_str(">")
            }
            simple => f.write_str(simple.base_name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_print_as_ksqldb_prints_them() {
        let nested = SqlType::structure([
            ("A", SqlType::decimal(4, 2)),
            ("b`c", SqlType::map(SqlType::String, SqlType::array(SqlType::Integer))),
        ]);
        assert_eq!(nested.to_string(), "STRUCT<`A` DECIMAL(4, 2), `b``c` MAP<STRING, ARRAY<INTEGER>>>");
    }
}
