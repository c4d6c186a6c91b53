//! `COLLECT_LIST`: all values as an array.

use super::collection::{Collect, Collection, limit};
use super::fold::Folds;
use super::{Aggregate, AggregateOverload};
use crate::functions::signature::{T, param};
use crate::types::{SqlType, Value};

pub const FUNCTION: Aggregate = Aggregate {
    name: "COLLECT_LIST",
    shown: "COLLECT_LIST",
    summary: "All values, NULLs too, in the order in which they came.",
    examples: &[("1, NULL, 1", "[1, null, 1]")],
    undo: true,
    limit: Some("ksql.functions.collect_list.limit"),
    overloads: &[AggregateOverload {
        params: &[param("val", T::Any('T'))],
        constants: &[],
        returns: |args, _| Ok(SqlType::array(args[0].clone())),
        create: |args, constants| {
            Folds::boxed(Collection { collect: List { most: limit(constants) }, item: args[0].clone() }, args)
        },
    }],
};

struct List {
    most: usize,
}

impl Collect for List {
    fn add(&self, list: &mut Vec<Value>, value: Value) {
        if list.len() < self.most {
            list.push(value);
        }
    }
}
