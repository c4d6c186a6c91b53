//! `TRANSFORM`: the entries of a collection made into others.

use std::collections::HashSet;

use arrow::array::ArrayRef;

use crate::functions::call::{Call, Fault};
use crate::functions::entries::Entries;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar, fault};
use crate::types::{SqlType, Value};

const ITEM: T = T::Lambda(&[T::Any('T')], &T::Any('R'));
const KEY: T = T::Lambda(&[T::Any('K'), T::Any('V')], &T::Any('R'));
const VALUE: T = T::Lambda(&[T::Any('K'), T::Any('V')], &T::Any('U'));

pub(super) const FUNCTION: Scalar = Scalar {
    name: "TRANSFORM",
    shown: "transform",
    category: "LAMBDA",
    summary: "What a lambda makes of each item of an array, or two of each key and each value of a map.",
    examples: &[
        ("TRANSFORM(ARRAY[1, 2], x => x * 10)", "[10, 20]"),
        ("TRANSFORM(MAP('a' := 1), (k, v) => UCASE(k), (k, v) => v + 1)", "{A=2}"),
    ],
    overloads: &[
        Overload {
            params: &[param("array", T::Array(&T::Any('T'))), param("lambda", ITEM)],
            returns: Returns::By(|args, _| Ok(SqlType::array(args[1].clone()))),
            body: items,
        },
        Overload {
            params: &[param("map", T::Map(&T::Any('K'), &T::Any('V'))), param("key", KEY), param("value", VALUE)],
            returns: Returns::By(|args, _| Ok(SqlType::map(args[1].clone(), args[2].clone()))),
            body: entries,
        },
    ],
};

fn items(call: &mut Call) -> ArrayRef {
    let entries = Entries::of(call);
    let made = entries.apply(call, 0);
    let item = call.args[1].sql_type.clone();
    call.rows(|row| {
        let Some(range) = entries.ranges[row].clone() else { return Ok(None) };
        range.map(|at| made.get(at, &item)).collect::<Result<_, _>>().map(|items| Some(Value::Array(items)))
    })
}

/// # Errors
/// Two keys that become equal, or a value that becomes NULL, fail the row: Java's `Collectors.toMap`, which ksqlDB
/// uses, takes neither.
fn entries(call: &mut Call) -> ArrayRef {
    let entries = Entries::of(call);
    let (keys, values) = (entries.apply(call, 0), entries.apply(call, 1));
    let (key_type, value_type) = (call.args[1].sql_type.clone(), call.args[2].sql_type.clone());
    call.rows(|row| {
        let Some(range) = entries.ranges[row].clone() else { return Ok(None) };
        let mut made: Vec<(Value, Value)> = Vec::with_capacity(range.len());
        let mut keys_made = HashSet::new();
        for at in range {
            let (key, value) = (keys.get(at, &key_type)?, values.get(at, &value_type)?);
            if value.is_null() {
                return Err(Fault::shown(format!("the value for the key {} is NULL", fault::shown(&key))));
            }
            if !keys_made.insert(key.clone()) {
                return Err(Fault::shown(format!("two entries have the same key {}", fault::shown(&key))));
            }
            made.push((key, value));
        }
        Ok(Some(Value::Map(made)))
    })
}
