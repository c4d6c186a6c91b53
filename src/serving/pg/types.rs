//! The types of PostgreSQL, and which of them stands for each of ours.

use crate::types::SqlType;

/// A type of PostgreSQL.
#[derive(Debug, PartialEq)]
pub(super) struct PgType {
    pub oid: u32,
    pub name: &'static str,
    /// How many bytes a value has in binary form; -1 if that varies.
    pub size: i16,
    /// The type of arrays of it; 0 if it is not used in arrays.
    pub array: u32,
    /// The category of the type in `pg_type`.
    pub category: &'static str,
    /// How types are named in standard SQL, where that is another name.
    pub standard: &'static str,
}

macro_rules! types {
    ($($constant:ident $oid:literal $name:literal $size:literal $array:literal $category:literal
      $standard:literal;)*) => {
        $(pub(super) const $constant: u32 = $oid;)*
        /// All types that are known, apart from arrays.
        pub(super) const ALL: &[PgType] = &[$(PgType {
            oid: $oid, name: $name, size: $size, array: $array, category: $category, standard: $standard,
        }),*];
    };
}

types! {
    BOOL 16 "bool" 1 1000 "B" "boolean";
    BYTEA 17 "bytea" -1 1001 "U" "bytea";
    CHAR 18 "char" 1 1002 "Z" "\"char\"";
    NAME 19 "name" 64 1003 "S" "name";
    INT8 20 "int8" 8 1016 "N" "bigint";
    INT2 21 "int2" 2 1005 "N" "smallint";
    INT4 23 "int4" 4 1007 "N" "integer";
    TEXT 25 "text" -1 1009 "S" "text";
    OID 26 "oid" 4 1028 "N" "oid";
    JSON 114 "json" -1 199 "U" "json";
    FLOAT4 700 "float4" 4 1021 "N" "real";
    FLOAT8 701 "float8" 8 1022 "N" "double precision";
    UNKNOWN 705 "unknown" -2 0 "X" "unknown";
    BPCHAR 1042 "bpchar" -1 1014 "S" "character";
    VARCHAR 1043 "varchar" -1 1015 "S" "character varying";
    DATE 1082 "date" 4 1182 "D" "date";
    TIME 1083 "time" 8 1183 "D" "time without time zone";
    TIMESTAMP 1114 "timestamp" 8 1115 "D" "timestamp without time zone";
    TIMESTAMPTZ 1184 "timestamptz" 8 1185 "D" "timestamp with time zone";
    NUMERIC 1700 "numeric" -1 1231 "N" "numeric";
}

/// The type with this number.
pub(super) fn find(oid: u32) -> Option<&'static PgType> {
    ALL.iter().find(|known| known.oid == oid)
}

/// The type of which a type with this number is the array.
pub(super) fn item(oid: u32) -> Option<&'static PgType> {
    ALL.iter().find(|known| known.array == oid && oid != 0)
}

/// The number of the type that stands for one of ours. Collections other than arrays of scalars are JSON.
pub(super) fn of(sql_type: &SqlType) -> u32 {
    match sql_type {
        SqlType::Boolean => BOOL,
        SqlType::Integer => INT4,
        SqlType::Bigint => INT8,
        SqlType::Double => FLOAT8,
        SqlType::Decimal { .. } => NUMERIC,
        SqlType::String => TEXT,
        SqlType::Bytes => BYTEA,
        SqlType::Date => DATE,
        SqlType::Time => TIME,
        SqlType::Timestamp => TIMESTAMP,
        SqlType::Array(item) => {
            find(of(item)).filter(|item| item.oid != JSON && item.array != 0).map_or_else(|| JSON, |item| item.array)
        }
        SqlType::Map(..) | SqlType::Struct(_) => JSON,
    }
}

/// How many digits a type is limited to, as `pg_attribute` and descriptions of rows say it; -1 if it is not.
pub(super) fn modifier(sql_type: &SqlType) -> i32 {
    match sql_type {
        SqlType::Decimal { precision, scale } => ((i32::from(*precision) << 16) | i32::from(*scale)) + 4,
        _ => -1,
    }
}

/// A name as PostgreSQL's clients write it: in lower case if it needs no quotes there and here.
///
/// Ours is kept in upper case unless it was quoted, theirs in lower case.
pub(super) fn folded(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    if name.chars().all(is_plain) { name.to_ascii_lowercase() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_of_scalars_are_arrays_and_all_other_collections_json() {
        assert_eq!(of(&SqlType::array(SqlType::Integer)), 1007);
        assert_eq!(of(&SqlType::array(SqlType::decimal(4, 2))), 1231);
        assert_eq!(of(&SqlType::array(SqlType::array(SqlType::Integer))), JSON);
        assert_eq!(of(&SqlType::array(SqlType::structure([("A", SqlType::String)]))), JSON);
        assert_eq!(item(1007).map(|item| item.name), Some("int4"));
        assert_eq!(item(0), None);
    }

    #[test]
    fn names_are_folded_unless_they_need_quotes() {
        assert_eq!(folded("ORDER_1"), "order_1");
        assert_eq!(folded("Order"), "Order");
        assert_eq!(folded("order"), "order");
    }
}
