//! CAST: a value as one of another type. A value that cannot be cast is an error and gives NULL.
//!
//! | from | to | result |
//! |---|---|---|
//! | a number | an integer type | its integer part; an error if the type cannot hold it |
//! | a number | DECIMAL | rounded half up; an error if it has too many digits before the point |
//! | a number | DOUBLE | the nearest double |
//! | a text | a number | blanks around it are ignored; an error if it is none, or out of range |
//! | a text | BOOLEAN | true for every beginning of `true` and `yes`, in any case; else false |
//! | a text | a time | see [`parse`]; an error if it is none |
//! | a text | BYTES | base64 |
//! | TIMESTAMP | DATE, TIME | its day, its time of day, in UTC |
//! | DATE | TIMESTAMP | its midnight in UTC |
//! | anything | STRING | its text as Java prints it |
//! | ARRAY, MAP, STRUCT | one of the same kind | item by item, fields by name |
//!
//! NULL stays NULL. Which pairs are allowed is decided when the expression is bound: see
//! [`can_cast`](super::coerce::can_cast).

use arrow::array::ArrayRef;
use arrow::compute;
use arrow::datatypes::DataType;

use super::bits;
use super::compiled::{Compiled, Step};
use super::datum::{Datum, Out};
use super::rows::{Evaluated, Rows};
use super::size;
use crate::error::Result;
use crate::functions::fault::shown;
use crate::types::{Builder, Decimal, Rounding, SqlType, Value, arrow_error, double_to_i64, parse, text};

/// A CAST: a catch point, from which every row goes on.
pub struct Cast {
    /// The operand, whose own type decides which rule of the table applies.
    pub value: Compiled,
    /// The type of the result.
    pub to: SqlType,
}

impl Step for Cast {
    fn eval(&self, rows: &mut Rows) -> Evaluated<Out> {
        let out = self.value.out(rows)?;
        let to = &self.to;
        let Some(from) = self.value.sql_type() else {
            return Ok(Out::column(arrow::array::new_null_array(&to.arrow(), rows.count), None));
        };
        if from == to {
            return if out.ended.is_none() { Ok(out) } else { Ok(Out::column(out.or_null(rows)?, None)) };
        }
        if out.ended.is_none()
            && let Some(widened) = widen(out.values.array(), to)?
        {
            let values = if out.values.is_constant() { Datum::Constant(widened) } else { Datum::Column(widened) };
            return Ok(Out { values, ended: None });
        }
        let column = out.or_null(rows)?;
        let mut result = Builder::new(to, rows.count);
        let mut failed = vec![false; rows.count];
        let mut bytes = 0;
        for (row, failed) in failed.iter_mut().enumerate() {
            if !rows.is_reached(row) {
                result.null();
                continue;
            }
            let mut cut = None;
            match cast_counting(&Value::at(column.as_ref(), row, from), to, &mut cut) {
                Ok(value) => {
                    *failed = cut.is_some();
                    bytes += value.size();
                    size::check(rows, bytes)?;
                    result.push(&value);
                }
                Err(_) => {
                    *failed = true;
                    result.null();
                }
            }
        }
        rows.fault(&bits::marked(failed), |row| {
            let why = cast(&Value::at(column.as_ref(), row, from), to).err();
            format!("CAST: {}", why.unwrap_or_default())
        });
        Ok(Out::column(result.finish(), None))
    }
}

/// Casts that lose nothing, done by Arrow at once.
fn widen(array: &ArrayRef, to: &SqlType) -> Result<Option<ArrayRef>> {
    let widens = matches!(
        (array.data_type(), to),
        (DataType::Int32, SqlType::Bigint | SqlType::Double) | (DataType::Int64, SqlType::Double)
    );
    if widens { compute::cast(array, &to.arrow()).map(Some).map_err(arrow_error) } else { Ok(None) }
}

/// The value as one of type `to`.
///
/// # Errors
/// Why it cannot be one, in a sentence that shows the value.
///
/// Whether the types allow it at all is not asked here: see [`can_cast`](super::coerce::can_cast).
pub fn cast(value: &Value, to: &SqlType) -> Result<Value, String> {
    let mut cut = None;
    let cast = cast_counting(value, to, &mut cut)?;
    cut.map_or(Ok(cast), Err)
}

/// The same, but an integer that does not fit an item of a collection keeps what fits, as ksqlDB's own test cases have it.
/// That is an error all the same: `cut` gets the reason of the first.
fn cast_counting(value: &Value, to: &SqlType, cut: &mut Option<String>) -> Result<Value, String> {
    let mut item = |value: &Value, to: &SqlType| match cast_counting(value, to, cut) {
        Err(why) if is_integer(to) => match cut_integer(value, to) {
            Some(kept) => {
                cut.get_or_insert(why);
                Ok(kept)
            }
            None => Err(why),
        },
        result => result,
    };
    match (value, to) {
        (Value::Null, _) => Ok(Value::Null),
        (Value::Array(items), SqlType::Array(to)) => {
            items.iter().map(|v| item(v, to)).collect::<Result<_, _>>().map(Value::Array)
        }
        (Value::Map(entries), SqlType::Map(key, to)) => {
            let mut all = Vec::with_capacity(entries.len());
            for (k, v) in entries {
                all.push((item(k, key)?, item(v, to)?));
            }
            Ok(Value::Map(all))
        }
        (Value::Struct(fields), SqlType::Struct(to)) => {
            let mut all = Vec::with_capacity(to.len());
            for field in to {
                let found = fields.iter().find(|(name, _)| *name == field.name);
                let value = found.map_or(Ok(Value::Null), |(_, v)| item(v, &field.sql_type))?;
                all.push((field.name.clone(), value));
            }
            Ok(Value::Struct(all))
        }
        (value, SqlType::String) => Ok(Value::String(value.to_text())),
        (Value::String(text), to) => {
            from_text(text, to).ok_or_else(|| format!("{} is not {}", shown(value), named(to)))
        }
        (value, to) => scalar(value, to).ok_or_else(|| format!("{} is out of the range of {to}", shown(value))),
    }
}

/// Whether a type is one of whole numbers.
fn is_integer(sql_type: &SqlType) -> bool {
    matches!(sql_type, SqlType::Integer | SqlType::Bigint)
}

/// What an integer type keeps of a number that is too large for it: the low bits of an exact number, the nearest one of a
/// double.
///
/// `None` where nothing is kept: for texts, which then fail the whole collection.
fn cut_integer(value: &Value, to: &SqlType) -> Option<Value> {
    Some(match (value, to) {
        (Value::Bigint(v), SqlType::Integer) => Value::Integer(*v as i32),
        (Value::Decimal(v), SqlType::Integer) => Value::Integer(v.to_i64_wrapping() as i32),
        (Value::Decimal(v), SqlType::Bigint) => Value::Bigint(v.to_i64_wrapping()),
        (Value::Double(v), SqlType::Integer) => Value::Integer(*v as i32),
        (Value::Double(v), SqlType::Bigint) => Value::Bigint(*v as i64),
        _ => return None,
    })
}

/// The type with its article.
fn named(sql_type: &SqlType) -> String {
    let article = if *sql_type == SqlType::Integer { "an" } else { "a" };
    format!("{article} {sql_type}")
}

/// A text as a value of another type; `None` if it is none.
fn from_text(text: &str, to: &SqlType) -> Option<Value> {
    let trimmed = text.trim_matches(|c: char| c <= ' ');
    Some(match to {
        SqlType::Boolean => {
            let lower = trimmed.to_lowercase();
            Value::Boolean(!lower.is_empty() && ("true".starts_with(&lower) || "yes".starts_with(&lower)))
        }
        SqlType::Integer => Value::Integer(text::parse_i32(trimmed)?),
        SqlType::Bigint => Value::Bigint(text::parse_i64(trimmed)?),
        SqlType::Double => Value::Double(text::parse_f64(trimmed).filter(|v| v.is_finite())?),
        SqlType::Decimal { precision, scale } => Value::Decimal(Decimal::parse(trimmed)?.fit(*precision, *scale)?),
        SqlType::Timestamp => Value::Timestamp(parse::timestamp(trimmed)?),
        SqlType::Time => Value::Time(parse::time(trimmed)?),
        SqlType::Date => Value::Date(parse::date(trimmed)?),
        SqlType::Bytes => Value::Bytes(parse::base64_bytes(text)?),
        _ => return None,
    })
}

/// A value that is neither a text nor a collection as one of another type; `None` if that cannot hold it.
fn scalar(value: &Value, to: &SqlType) -> Option<Value> {
    Some(match (value, to) {
        (Value::Integer(v), SqlType::Bigint) => Value::Bigint(i64::from(*v)),
        (Value::Integer(v), SqlType::Double) => Value::Double(f64::from(*v)),
        (Value::Integer(v), SqlType::Decimal { .. }) => integer_to_decimal(i64::from(*v), to)?,
        (Value::Bigint(v), SqlType::Integer) => Value::Integer(i32::try_from(*v).ok()?),
        (Value::Bigint(v), SqlType::Double) => Value::Double(*v as f64),
        (Value::Bigint(v), SqlType::Decimal { .. }) => integer_to_decimal(*v, to)?,
        (Value::Decimal(v), SqlType::Integer) => Value::Integer(i32::try_from(v.to_i64()?).ok()?),
        (Value::Decimal(v), SqlType::Bigint) => Value::Bigint(v.to_i64()?),
        (Value::Decimal(v), SqlType::Double) => Value::Double(v.to_f64()),
        (Value::Decimal(v), SqlType::Decimal { precision, scale }) => Value::Decimal(v.fit(*precision, *scale)?),
        (Value::Double(v), SqlType::Integer) => Value::Integer(i32::try_from(double_to_i64(*v)?).ok()?),
        (Value::Double(v), SqlType::Bigint) => Value::Bigint(double_to_i64(*v)?),
        (Value::Double(v), SqlType::Decimal { precision, scale }) => {
            Value::Decimal(Decimal::from_f64_exact(*v, u32::from(*precision))?.fit(*precision, *scale)?)
        }
        (Value::Timestamp(v), SqlType::Date) => Value::Date(i32::try_from(v.div_euclid(parse::DAY_MS)).ok()?),
        (Value::Timestamp(v), SqlType::Time) => Value::Time(v.rem_euclid(parse::DAY_MS) as i32),
        (Value::Date(v), SqlType::Timestamp) => Value::Timestamp(i64::from(*v) * parse::DAY_MS),
        (same, _) => same.clone(),
    })
}

/// Rounded to the digits of the type first, as Java's MathContext does, then judged.
///
/// 12345 as DECIMAL(3, 0) is rounded to three digits, 12300, and has too many digits all the same: `None`.
fn integer_to_decimal(value: i64, to: &SqlType) -> Option<Value> {
    let SqlType::Decimal { precision, scale } = to else { return None };
    let rounded = Decimal::from_i64(value).round_to_precision(u32::from(*precision), Rounding::HalfUp)?;
    rounded.fit(*precision, *scale).map(Value::Decimal)
}
