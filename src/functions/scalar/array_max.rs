//! `ARRAY_MAX`: the largest item of an array.

use std::cmp::Ordering;

use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::Value;

pub const FUNCTION: Scalar = Scalar {
    name: "ARRAY_MAX",
    shown: "array_max",
    category: "ARRAY",
    summary: "The largest item that is not NULL.",
    examples: &[("ARRAY_MAX(ARRAY[2, 3, 1])", "3")],
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
                        if best.is_none_or(|best| item.compare(best) == Ordering::Greater) {
                            best = Some(item);
                        }
                    }
                    Ok(best.cloned())
                })
            },
        },
    ],
};
