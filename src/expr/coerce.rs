//! Rules of types: what widens to what, what can be cast, and the type that a list of expressions has in common.
//!
//! Numbers widen without a CAST in one direction: INTEGER, BIGINT, DECIMAL, DOUBLE. An INTEGER counts as DECIMAL(10, 0), a
//! BIGINT as DECIMAL(19, 0), and a DECIMAL widens to another one that has room for all its digits. A text widens to a time and
//! to BYTES.
//!
//! All functions here look at types alone, never at values: what is allowed does not depend on data.

use crate::types::{MAX_PRECISION, SqlType, StructField};

/// Whether a value of `from` may stand where `to` is expected, without a CAST.
///
/// Reflexive, but not for nested types with different items: an ARRAY of INTEGER does not widen to one of BIGINT.
pub fn widens(from: &SqlType, to: &SqlType) -> bool {
    match (from, to) {
        (from, to) if from == to => true,
        (SqlType::Integer, SqlType::Bigint | SqlType::Double) | (SqlType::Bigint, SqlType::Double) => true,
        (SqlType::Decimal { .. }, SqlType::Double) => true,
        (SqlType::Integer, to @ SqlType::Decimal { .. }) => holds(to, 10, 0),
        (SqlType::Bigint, to @ SqlType::Decimal { .. }) => holds(to, 19, 0),
        (SqlType::Decimal { precision, scale }, to @ SqlType::Decimal { .. }) => holds(to, *precision, *scale),
        (SqlType::String, SqlType::Date | SqlType::Time | SqlType::Timestamp | SqlType::Bytes) => true,
        _ => false,
    }
}

/// Whether a DECIMAL has room for numbers of this precision and scale.
fn holds(to: &SqlType, precision: u8, scale: u8) -> bool {
    matches!(to, SqlType::Decimal { precision: p, scale: s } if *s >= scale && p - s >= precision - scale)
}

/// Whether CAST takes a value of `from` to `to`.
///
/// A field that the source struct lacks becomes NULL, so it is no obstacle. BYTES cannot become STRING, since the
/// encoding would be a guess: FROM_BYTES names one.
pub fn can_cast(from: &SqlType, to: &SqlType) -> bool {
    use SqlType::{
        Array, Bigint, Boolean, Bytes, Date, Decimal, Double, Integer, Map, String, Struct, Time, Timestamp,
    };
    match (from, to) {
        (from, to) if from == to => true,
        (Integer | Bigint | Decimal { .. } | Double, Integer | Bigint | Decimal { .. } | Double) => true,
        (String, Boolean | Integer | Bigint | Decimal { .. } | Double | Timestamp | Time | Date | Bytes) => true,
        (Timestamp, Time | Date) | (Date, Timestamp) => true,
        (Bytes, String) => false,
        (_, String) => true,
        (Array(from), Array(to)) => can_cast(from, to),
        (Map(from_key, from), Map(to_key, to)) => can_cast(from_key, to_key) && can_cast(from, to),
        (Struct(from), Struct(to)) => {
            to.iter().all(|t| from.iter().find(|f| f.name == t.name).is_none_or(|f| can_cast(&f.sql_type, &t.sql_type)))
        }
        _ => false,
    }
}

/// The type of `left op right` for numbers, or for two texts that are put together; `None` if there is none.
///
/// A DOUBLE makes the result one, two integers an integer of the wider type. Else, with precision `p` and scale `s`:
///
/// | operator | precision | scale |
/// |---|---|---|
/// | `+`, `-` | `max(s1, s2) + max(p1 - s1, p2 - s2) + 1` | `max(s1, s2)` |
/// | `*` | `p1 + p2 + 1` | `s1 + s2` |
/// | `/` | `p1 - s1 + s2 + scale` | `max(6, s1 + p2 + 1)` |
/// | `%` | `min(p1 - s1, p2 - s2) + scale` | `max(s1, s2)` |
///
/// What goes beyond the precision that a DECIMAL can have is taken from the scale.
pub(super) fn arithmetic_type(op: crate::sql::ast::ArithmeticOp, left: &SqlType, right: &SqlType) -> Option<SqlType> {
    use crate::sql::ast::ArithmeticOp as Op;
    match (left, right) {
        (SqlType::String, SqlType::String) if op == Op::Add => return Some(SqlType::String),
        (l, r) if !l.is_numeric() || !r.is_numeric() => return None,
        (SqlType::Double, _) | (_, SqlType::Double) => return Some(SqlType::Double),
        (SqlType::Integer, SqlType::Integer) => return Some(SqlType::Integer),
        (SqlType::Integer | SqlType::Bigint, SqlType::Integer | SqlType::Bigint) => return Some(SqlType::Bigint),
        _ => {}
    }
    let ((p1, s1), (p2, s2)) = (digits(left)?, digits(right)?);
    let (precision, scale) = match op {
        Op::Add | Op::Subtract => (s1.max(s2) + (p1 - s1).max(p2 - s2) + 1, s1.max(s2)),
        Op::Multiply => (p1 + p2 + 1, s1 + s2),
        Op::Divide => {
            let scale = 6.max(s1 + p2 + 1);
            (p1 - s1 + s2 + scale, scale)
        }
        Op::Modulo => ((p1 - s1).min(p2 - s2) + s1.max(s2), s1.max(s2)),
    };
    // Of what 256 bits cannot hold, digits after the point are dropped first.
    let excess = precision.saturating_sub(u32::from(MAX_PRECISION));
    Some(SqlType::decimal((precision - excess) as u8, scale.saturating_sub(excess) as u8))
}

/// Precision and scale of an exact number.
fn digits(sql_type: &SqlType) -> Option<(u32, u32)> {
    match sql_type {
        SqlType::Integer => Some((10, 0)),
        SqlType::Bigint => Some((19, 0)),
        SqlType::Decimal { precision, scale } => Some((u32::from(*precision), u32::from(*scale))),
        _ => None,
    }
}

/// The type that values of both types can be coerced to without losing anything; `None` if there is none.
///
/// For INTEGER and DECIMAL(4, 2) it is DECIMAL(12, 2). Two DECIMALs that need more digits together than one can have
/// have none in common. Symmetric but for the order of struct fields.
pub fn common_type(a: &SqlType, b: &SqlType) -> Option<SqlType> {
    use SqlType::{Array, Decimal, Double, Map, String, Struct};
    match (a, b) {
        (a, b) if a == b => Some(a.clone()),
        (a, b) if a.is_numeric() && b.is_numeric() => match (a, b) {
            (Double, _) | (_, Double) => Some(Double),
            (Decimal { .. }, _) | (_, Decimal { .. }) => {
                let ((p1, s1), (p2, s2)) = (digits(a)?, digits(b)?);
                let scale = s1.max(s2);
                let precision = scale + (p1 - s1).max(p2 - s2);
                (precision <= MAX_PRECISION.into()).then(|| SqlType::decimal(precision as u8, scale as u8))
            }
            _ => Some(SqlType::Bigint),
        },
        (String, other) | (other, String) if widens(&String, other) => Some(other.clone()),
        (Array(a), Array(b)) => Some(SqlType::array(common_type(a, b)?)),
        (Map(ka, va), Map(kb, vb)) => Some(SqlType::map(common_type(ka, kb)?, common_type(va, vb)?)),
        (Struct(a), Struct(b)) => common_struct(a, b),
        _ => None,
    }
}

/// All fields of both; those that only the later one has come first.
///
/// Every field is in the result, with the common type where both have it.
fn common_struct(a: &[StructField], b: &[StructField]) -> Option<SqlType> {
    let find = |fields: &[StructField], name: &str| fields.iter().find(|f| f.name == name).cloned();
    let mut fields: Vec<StructField> = b.iter().filter(|f| find(a, &f.name).is_none()).cloned().collect();
    for field in a {
        let sql_type = match find(b, &field.name) {
            Some(other) => common_type(&field.sql_type, &other.sql_type)?,
            None => field.sql_type.clone(),
        };
        fields.push(StructField { name: field.name.clone(), sql_type });
    }
    Some(SqlType::Struct(fields))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::ast::ArithmeticOp;

    #[test]
    fn decimals_grow_as_ksqldb_lets_them() {
        let result = |op, a, b| arithmetic_type(op, &a, &b).expect("numbers").to_string();
        let (d42, d63) = (SqlType::decimal(4, 2), SqlType::decimal(6, 3));
        assert_eq!(result(ArithmeticOp::Divide, d42.clone(), d63), "DECIMAL(14, 9)");
        assert_eq!(result(ArithmeticOp::Add, SqlType::decimal(2, 1), SqlType::Integer), "DECIMAL(12, 1)");
        assert_eq!(result(ArithmeticOp::Multiply, d42, SqlType::Double), "DOUBLE");
    }

    #[test]
    fn decimals_have_a_common_type_only_if_it_holds_all_digits() {
        let common = |a: (u8, u8), b: (u8, u8)| common_type(&SqlType::decimal(a.0, a.1), &SqlType::decimal(b.0, b.1));
        assert_eq!(common((70, 0), (10, 6)), Some(SqlType::decimal(76, 6)));
        assert_eq!(common((71, 0), (10, 6)), None);
        assert_eq!(common((76, 0), (76, 76)), None);
        assert_eq!(common_type(&SqlType::Bigint, &SqlType::decimal(76, 70)), None);
    }

    #[test]
    fn the_later_structs_own_fields_come_first() {
        let a = SqlType::structure([("A", SqlType::Integer)]);
        let b = SqlType::structure([("B", SqlType::Integer)]);
        assert_eq!(common_type(&a, &b).expect("a type").to_string(), "STRUCT<`B` INTEGER, `A` INTEGER>");
    }
}
