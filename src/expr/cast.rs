//! CAST: a value as one of another type; what cannot be becomes NULL and is counted.

use arrow::array::ArrayRef;
use arrow::buffer::BooleanBuffer;
use arrow::compute;
use arrow::datatypes::DataType;

use super::{Datum, Expr, Out, Rows};
use crate::error::Result;
use crate::types::{Builder, Decimal, Rounding, SqlType, Value, arrow_error, parse, text};

/// Evaluates a CAST: a catch point, in which no row fails.
pub fn eval(value: &Expr, to: &SqlType, rows: &mut Rows) -> Result<Out> {
    let out = value.eval(rows)?;
    rows.caught.add(&out.failed, || "a value to cast could not be computed".to_owned());
    let Some(from) = value.sql_type.as_ref().filter(|from| *from != to) else {
        if value.sql_type.is_some() && out.failed.is_none() {
            return Ok(out);
        }
        let column = match &value.sql_type {
            Some(_) => out.or_null(rows.count)?,
            None => arrow::array::new_null_array(&to.arrow(), rows.count),
        };
        return Ok(Out::column(column, None));
    };
    if out.failed.is_none()
        && let Some(widened) = widen(out.values.array(), to)?
    {
        let values = if out.values.is_constant() { Datum::Constant(widened) } else { Datum::Column(widened) };
        return Ok(Out { values, failed: None });
    }
    let column = out.or_null(rows.count)?;
    let mut result = Builder::new(to, rows.count);
    let mut failed = vec![false; rows.count];
    let mut first = None;
    for (row, failed) in failed.iter_mut().enumerate() {
        match cast(&Value::at(column.as_ref(), row, from), to) {
            Ok(value) => result.push(&value),
            Err(why) => {
                *failed = true;
                first.get_or_insert(why);
                result.null();
            }
        }
    }
    if let Some(first) = first {
        rows.caught.add(&Some(BooleanBuffer::from(failed)), || first);
    }
    Ok(Out::column(result.finish(), None))
}

/// Casts that lose nothing, done by Arrow at once.
fn widen(array: &ArrayRef, to: &SqlType) -> Result<Option<ArrayRef>> {
    let widens = matches!(
        (array.data_type(), to),
        (DataType::Int32, SqlType::Bigint | SqlType::Double) | (DataType::Int64, SqlType::Double)
    );
    if widens { compute::cast(array, &to.arrow()).map(Some).map_err(arrow_error) } else { Ok(None) }
}

/// The value as one of type `to`; why not, if it cannot be.
pub fn cast(value: &Value, to: &SqlType) -> Result<Value, String> {
    match (value, to) {
        (Value::Null, _) => Ok(Value::Null),
        (Value::Array(items), SqlType::Array(item)) => {
            items.iter().map(|v| cast(v, item)).collect::<Result<_, _>>().map(Value::Array)
        }
        (Value::Map(entries), SqlType::Map(key, item)) => {
            let entry = |(k, v): &(Value, Value)| Ok((cast(k, key)?, cast(v, item)?));
            entries.iter().map(entry).collect::<Result<_, String>>().map(Value::Map)
        }
        (Value::Struct(fields), SqlType::Struct(to)) => {
            let field = |t: &crate::types::StructField| {
                let found = fields.iter().find(|(name, _)| *name == t.name);
                Ok((t.name.clone(), found.map_or(Ok(Value::Null), |(_, v)| cast(v, &t.sql_type))?))
            };
            to.iter().map(field).collect::<Result<_, String>>().map(Value::Struct)
        }
        (value, SqlType::String) => Ok(Value::String(value.to_text())),
        (Value::String(text), to) => from_text(text, to).ok_or_else(|| format!("'{text}' is no {to}")),
        (value, to) => scalar(value, to).ok_or_else(|| format!("{} does not fit {to}", value.to_text())),
    }
}

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

fn scalar(value: &Value, to: &SqlType) -> Option<Value> {
    Some(match (value, to) {
        (Value::Integer(v), SqlType::Bigint) => Value::Bigint(i64::from(*v)),
        (Value::Integer(v), SqlType::Double) => Value::Double(f64::from(*v)),
        (Value::Integer(v), SqlType::Decimal { .. }) => integer_to_decimal(i64::from(*v), to)?,
        (Value::Bigint(v), SqlType::Integer) => Value::Integer(*v as i32),
        (Value::Bigint(v), SqlType::Double) => Value::Double(*v as f64),
        (Value::Bigint(v), SqlType::Decimal { .. }) => integer_to_decimal(*v, to)?,
        (Value::Decimal(v), SqlType::Integer) => Value::Integer(v.to_i64_wrapping() as i32),
        (Value::Decimal(v), SqlType::Bigint) => Value::Bigint(v.to_i64_wrapping()),
        (Value::Decimal(v), SqlType::Double) => Value::Double(v.to_f64()),
        (Value::Decimal(v), SqlType::Decimal { precision, scale }) => Value::Decimal(v.fit(*precision, *scale)?),
        // Rust's `as` saturates and takes NaN for 0, as Java's casts do.
        (Value::Double(v), SqlType::Integer) => Value::Integer(*v as i32),
        (Value::Double(v), SqlType::Bigint) => Value::Bigint(*v as i64),
        (Value::Double(v), SqlType::Decimal { precision, scale }) => {
            Value::Decimal(Decimal::from_f64_exact(*v, u32::from(*precision))?.fit(*precision, *scale)?)
        }
        (Value::Timestamp(v), SqlType::Date) => Value::Date(v.div_euclid(parse::DAY_MS) as i32),
        (Value::Timestamp(v), SqlType::Time) => Value::Time(v.rem_euclid(parse::DAY_MS) as i32),
        (Value::Date(v), SqlType::Timestamp) => Value::Timestamp(i64::from(*v) * parse::DAY_MS),
        (same, _) => same.clone(),
    })
}

/// Rounded to the digits of the type first, as Java's MathContext does, then judged.
fn integer_to_decimal(value: i64, to: &SqlType) -> Option<Value> {
    let SqlType::Decimal { precision, scale } = to else { return None };
    let rounded = Decimal::from_i64(value).round_to_precision(u32::from(*precision), Rounding::HalfUp)?;
    rounded.fit(*precision, *scale).map(Value::Decimal)
}
