//! `ARRAY_INTERSECT`: the items that both arrays have.

use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::Value;

pub const FUNCTION: Scalar = Scalar {
    name: "ARRAY_INTERSECT",
    shown: "array_intersect",
    category: "ARRAY",
    summary: "The items that both arrays have, each once, in the order in which they first stand.",
    examples: &[("ARRAY_INTERSECT(ARRAY[3, 1, 2], ARRAY[2, 3])", "[3, 2]")],
    overloads: &[Overload {
        params: &[param("left", T::Array(&T::Any('T'))), param("right", T::Array(&T::Any('T')))],
        returns: Returns::By(|args, _| Ok(args[0].clone())),
        body: |call| {
            call.values(|args| {
                let (Value::Array(l), Value::Array(r)) = (&args[0], &args[1]) else { return Ok(None) };
                Ok(Some(distinct(l.iter().filter(|i| r.contains(i)).cloned())))
            })
        },
    }],
};

fn distinct(items: impl Iterator<Item = Value>) -> Value {
    let mut kept: Vec<Value> = Vec::new();
    for item in items {
        if !kept.contains(&item) {
            kept.push(item);
        }
    }
    Value::Array(kept)
}
