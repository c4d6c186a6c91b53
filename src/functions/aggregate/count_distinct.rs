//! `COUNT_DISTINCT`: how many different values there are.

use super::collection::{Collect, Collection};
use super::fold::Folds;
use super::{Aggregate, AggregateOverload};
use crate::functions::signature::{T, param};
use crate::types::{SqlType, Value};

pub const FUNCTION: Aggregate = Aggregate {
    name: "COUNT_DISTINCT",
    shown: "COUNT_DISTINCT",
    summary: "The number of different values that are not NULL.",
    examples: &[("2, NULL, 1, 2", "2")],
    undo: false,
    limit: None,
    overloads: &[AggregateOverload {
        params: &[param("val", T::Any('T'))],
        constants: &[],
        returns: |_, _| Ok(SqlType::Bigint),
        create: |args, _| Folds::boxed(Collection { collect: Distinct, item: args[0].clone() }, args),
    }],
};

struct Distinct;

impl Collect for Distinct {
    fn add(&self, list: &mut Vec<Value>, value: Value) {
        if !value.is_null() && !list.contains(&value) {
            list.push(value);
        }
    }

    fn result(&self, list: &[Value]) -> Value {
        Value::Bigint(list.len() as i64)
    }
}
