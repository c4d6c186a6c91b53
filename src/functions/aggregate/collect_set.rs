//! `COLLECT_SET`: every value once, as an array.

use super::collection::{Collect, Collection, limit};
use super::fold::Folds;
use super::{Aggregate, AggregateOverload};
use crate::functions::signature::{T, param};
use crate::types::{SqlType, Value};

pub const FUNCTION: Aggregate = Aggregate {
    name: "COLLECT_SET",
    shown: "collect_set",
    summary: "Every value once, NULL too, in the order in which they first came.",
    examples: &[("2, NULL, 1, 2", "[2, null, 1]")],
    undo: false,
    limit: Some("ksql.functions.collect_set.limit"),
    overloads: &[AggregateOverload {
        params: &[param("val", T::Any('T'))],
        constants: &[],
        returns: |args, _| Ok(SqlType::array(args[0].clone())),
        create: |args, constants| {
            Folds::boxed(Collection { collect: Set { most: limit(constants) }, item: args[0].clone() }, args)
        },
    }],
};

struct Set {
    most: usize,
}

impl Collect for Set {
    fn add(&self, list: &mut Vec<Value>, value: Value) {
        if list.len() < self.most && !list.contains(&value) {
            list.push(value);
        }
    }
}
