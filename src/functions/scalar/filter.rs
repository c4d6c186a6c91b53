//! `FILTER`: the entries of a collection for which a lambda is true.

use arrow::array::ArrayRef;

use crate::functions::call::{Call, Fault};
use crate::functions::entries::{Applied, Entries};
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::{SqlType, Value};

pub(super) const FUNCTION: Scalar = Scalar {
    name: "FILTER",
    shown: "filter",
    category: "LAMBDA",
    summary: "The items of an array, or the entries of a map, for which a lambda is true.",
    examples: &[
        ("FILTER(ARRAY[1, 2, 3], x => x > 1)", "[2, 3]"),
        ("FILTER(MAP('a' := 1, 'b' := 2), (k, v) => v > 1)", "{b=2}"),
    ],
    overloads: &[
        Overload {
            params: &[param("array", T::Array(&T::Any('T'))), param("lambda", T::Lambda(&[T::Any('T')], &T::Boolean))],
            returns: Returns::By(|args, _| Ok(args[0].clone())),
            body: filtered,
        },
        Overload {
            params: &[
                param("map", T::Map(&T::Any('K'), &T::Any('V'))),
                param("lambda", T::Lambda(&[T::Any('K'), T::Any('V')], &T::Boolean)),
            ],
            returns: Returns::By(|args, _| Ok(args[0].clone())),
            body: filtered,
        },
    ],
};

/// The order of the items stays.
///
/// # Errors
/// The lambda gives NULL, or a map keeps an entry whose value is NULL.
fn filtered(call: &mut Call) -> ArrayRef {
    let entries = Entries::of(call);
    let kept = entries.apply(call, 0);
    let arg = call.args[0].clone();
    call.rows(|row| {
        let Some(range) = entries.ranges[row].clone() else { return Ok(None) };
        let keeps: Vec<bool> = range.map(|at| is_true(&kept, at)).collect::<Result<_, _>>()?;
        let collection = Value::at(arg.array.as_ref(), if arg.constant { 0 } else { row }, &arg.sql_type);
        Ok(Some(match collection {
            Value::Array(items) => Value::Array(chosen(items, &keeps)),
            Value::Map(entries) => {
                let kept = chosen(entries, &keeps);
                // A map of Java's streams has no NULLs.
                if kept.iter().any(|(_, value)| value.is_null()) {
                    return Err("a value that is kept is NULL".into());
                }
                Value::Map(kept)
            }
            other => other,
        }))
    })
}

fn is_true(kept: &Applied, at: usize) -> Result<bool, Fault> {
    match kept.get(at, &SqlType::Boolean)? {
        Value::Boolean(keeps) => Ok(keeps),
        _ => Err("the lambda gives NULL, neither true nor false".into()),
    }
}

fn chosen<V>(entries: Vec<V>, keeps: &[bool]) -> Vec<V> {
    entries.into_iter().zip(keeps).filter(|(_, keeps)| **keeps).map(|(entry, _)| entry).collect()
}
