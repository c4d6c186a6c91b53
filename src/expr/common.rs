//! Lists of expressions brought to one type: IN, ARRAY and MAP.
//!
//! The first item that has a type begins; each further one widens the type found so far. Constants are taken more freely than
//! other expressions: `1 IN ('1', 2)` compares numbers, `ARRAY['a', 1]` is an array of texts. A constant that cannot be of the
//! common type is refused when the expression is bound.

use super::bind::cast_to;
use super::coerce::common_type;
use super::{Expr, cast};
use crate::error::{Error, Result};
use crate::types::{Decimal, MAX_PRECISION, SqlType, StructField, Value, text};

/// The expressions coerced to the type that they have in common; constants may also change between text and numbers.
///
/// Untyped NULLs take the common type as typed NULLs; if nothing has a type the list comes back as it is. `[1, 2.50]`
/// becomes two DECIMALs, `['2020-01-01', a date]` two DATEs.
///
/// # Errors
/// Invalid: two types have none in common, or a constant cannot be of the common one.
pub(super) fn common(exprs: Vec<Expr>) -> Result<Vec<Expr>> {
    let mut found: Option<SqlType> = None;
    for expr in &exprs {
        let Some(own) = &expr.sql_type else { continue };
        found = Some(match found {
            None => own.clone(),
            Some(earlier) => {
                let lax = || expr.as_constant().and_then(|value| lax(&earlier, own, value));
                common_type(&earlier, own).or_else(lax).ok_or_else(|| nothing_in_common(&earlier, own))?
            }
        });
    }
    let Some(to) = found else { return Ok(exprs) };
    exprs.into_iter().map(|expr| coerce(expr, &to)).collect()
}

/// The refusal of types that have none in common.
fn nothing_in_common(earlier: &SqlType, own: &SqlType) -> Error {
    if earlier.is_numeric() && own.is_numeric() {
        let message = format!("{earlier} and {own} need more than {MAX_PRECISION} digits together");
        return Error::invalid(message).hint("CAST them to types with fewer digits");
    }
    let message = format!("operator does not exist: {earlier} = {own}");
    Error::invalid(message).hint("You might need to add explicit type casts.")
}

/// The type that a constant has in common with `earlier` although its own is another: a text is taken for a number or
/// BOOLEAN, those for a text, also inside of a collection.
///
/// A text that is a number takes the narrowest type that holds it: '1' next to an INTEGER keeps it INTEGER, '1.5'
/// makes it a DECIMAL. A text that is no number keeps the earlier type, and [`coerced`] refuses it.
fn lax(earlier: &SqlType, own: &SqlType, value: &Value) -> Option<SqlType> {
    if let Some(common) = common_type(earlier, own) {
        return Some(common);
    }
    match (earlier, own, value) {
        (SqlType::Boolean, _, Value::String(_)) => Some(SqlType::Boolean),
        (number, _, Value::String(text)) if number.is_numeric() => match Decimal::parse(text) {
            Some(_) if *number == SqlType::Double => Some(SqlType::Double),
            Some(_) if text::parse_i32(text).is_some() => common_type(number, &SqlType::Integer),
            Some(_) if text::parse_i64(text).is_some() => common_type(number, &SqlType::Bigint),
            Some(d) => {
                let scale = u8::try_from(d.scale.max(0)).ok()?;
                let whole = u8::try_from(d.precision() as i32 - d.scale).unwrap_or(0).max(1);
                common_type(number, &SqlType::decimal(whole.checked_add(scale)?, scale))
            }
            None => Some(number.clone()),
        },
        (SqlType::String, own, _) if !own.is_nested() => Some(SqlType::String),
        (SqlType::Array(earlier), SqlType::Array(own), Value::Array(items)) => {
            let common = items.iter().try_fold((**earlier).clone(), |found, item| lax(&found, own, item))?;
            Some(SqlType::array(common))
        }
        (SqlType::Map(key, value), SqlType::Map(own_key, own_value), Value::Map(entries)) => {
            let key = entries.iter().try_fold((**key).clone(), |found, (k, _)| lax(&found, own_key, k))?;
            let value = entries.iter().try_fold((**value).clone(), |found, (_, v)| lax(&found, own_value, v))?;
            Some(SqlType::map(key, value))
        }
        (SqlType::Struct(fields), SqlType::Struct(own), Value::Struct(values)) => {
            let adapted: Vec<StructField> = own
                .iter()
                .zip(values)
                .map(|(field, (_, value))| {
                    let earlier = fields.iter().find(|f| f.name == field.name);
                    let sql_type = match earlier {
                        Some(earlier) => lax(&earlier.sql_type, &field.sql_type, value)?,
                        None => field.sql_type.clone(),
                    };
                    Some(StructField { name: field.name.clone(), sql_type })
                })
                .collect::<Option<_>>()?;
            common_type(earlier, &SqlType::Struct(adapted))
        }
        _ => None,
    }
}

/// An expression as one of the common type: a constant at once, everything else by a CAST.
fn coerce(expr: Expr, to: &SqlType) -> Result<Expr> {
    match (expr.as_constant(), &expr.sql_type) {
        (Some(value), Some(own)) if own != to => Ok(Expr::constant(coerced(value, own, to)?, to.clone())),
        _ => Ok(cast_to(expr, to.clone())),
    }
}

/// A constant as one of the common type, items of collections included.
///
/// # Errors
/// If a text cannot be such a value, with the type and the text.
fn coerced(value: &Value, own: &SqlType, to: &SqlType) -> Result<Value> {
    match (value, own, to) {
        (Value::Null, ..) => Ok(Value::Null),
        (value, own, to) if own == to => Ok(value.clone()),
        (Value::Array(items), SqlType::Array(own), SqlType::Array(to)) => {
            items.iter().map(|item| coerced(item, own, to)).collect::<Result<_>>().map(Value::Array)
        }
        (Value::Map(entries), SqlType::Map(own_key, own_value), SqlType::Map(key, to)) => {
            let entry = |(k, v): &(Value, Value)| Ok((coerced(k, own_key, key)?, coerced(v, own_value, to)?));
            entries.iter().map(entry).collect::<Result<_>>().map(Value::Map)
        }
        (Value::Struct(values), SqlType::Struct(own), SqlType::Struct(to)) => {
            let field = |wanted: &StructField| {
                let given = own.iter().zip(values).find(|(f, _)| f.name == wanted.name);
                let value = given.map_or(Ok(Value::Null), |(f, (_, v))| coerced(v, &f.sql_type, &wanted.sql_type))?;
                Ok((wanted.name.clone(), value))
            };
            to.iter().map(field).collect::<Result<_>>().map(Value::Struct)
        }
        (Value::String(text), _, SqlType::Boolean) => {
            boolean_word(text).map(Value::Boolean).ok_or_else(|| no_input(text, to))
        }
        (Value::String(text), _, to) => cast::cast(value, to).map_err(|_| no_input(text, to)),
        (value, _, to) => cast::cast(value, to).map_err(|why| Error::invalid(why.to_string())),
    }
}

/// The refusal of a text that cannot be a value of the common type.
fn no_input(text: &str, to: &SqlType) -> Error {
    Error::invalid(format!("invalid input syntax for type {to}: \"{text}\"."))
}

/// A prefix of true, yes, false or no, in any case.
fn boolean_word(text: &str) -> Option<bool> {
    let lower = text.to_lowercase();
    let starts = |word: &str| !lower.is_empty() && word.starts_with(&lower);
    if starts("true") || starts("yes") {
        Some(true)
    } else if starts("false") || starts("no") {
        Some(false)
    } else {
        None
    }
}
