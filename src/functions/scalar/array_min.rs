//! `ARRAY_MIN`: the smallest item of an array.

use std::cmp::Ordering;

use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::Value;

pub const FUNCTION: Scalar = Scalar {
    name: "ARRAY_MIN",
    shown: "array_min",
    category: "ARRAY",
    summary: "The smallest item that is not NULL.",
    examples: &[("ARRAY_MIN(ARRAY[2, 3, 1])", "1")],
    overloads: &[
        Overload {
            params: &[param("array", T::Array(&T::Any('T')))],
            returns: Returns::Any('T'),
            body: |call| {
                call.values(|args| {
                    let Value::Array(items) = &args[0] else { return Ok(None) };
                    if items.iter().any(Value::is_nested) {
                        return Err("its items have no order".into());
                    }
                    let mut best: Option<&Value> = None;
                    for item in items.iter().filter(|i| !i.is_null()) {
                        if best.is_none_or(|best| item.compare(best) == Ordering::Less) {
                            best = Some(item);
                        }
                    }
                    Ok(best.cloned())
                })
            },
        },
    ],
};
