//! `ATTR`: the value that all rows of a group have in common.

use super::collection::Collect;
use super::collection::Collection;
use super::fold::Folds;
use super::{Aggregate, AggregateOverload};
use crate::functions::signature::{T, param};
use crate::types::Value;

pub const FUNCTION: Aggregate = Aggregate {
    name: "ATTR",
    shown: "ATTR",
    summary: "The value that all rows have; NULL if there are several, a NULL being one.",
    examples: &[("2, 2", "2"), ("2, NULL", "null")],
    undo: true,
    limit: None,
    overloads: &[AggregateOverload {
        params: &[param("val", T::Any('T'))],
        constants: &[],
        returns: |args, _| Ok(args[0].clone()),
        create: |args, _| Folds::boxed(Collection { collect: Common, item: args[0].clone() }, args),
    }],
};

/// Keeps all values, so that rows can be taken back.
struct Common;

impl Collect for Common {
    fn add(&self, list: &mut Vec<Value>, value: Value) {
        list.push(value);
    }

    fn result(&self, list: &[Value]) -> Value {
        match list {
            [first, rest @ ..] if rest.iter().all(|v| v == first) => first.clone(),
            _ => Value::Null,
        }
    }
}
