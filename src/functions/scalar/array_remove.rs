//! `ARRAY_REMOVE`: an array without an item.
//!
//! All items that equal the second argument go. NULL removes the NULLs.

use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::Value;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "ARRAY_REMOVE",
    shown: "array_remove",
    category: "ARRAY",
    summary: "The array without the items that equal the value.",
    examples: &[("ARRAY_REMOVE(ARRAY[1, 2, 1], 1)", "[2]")],
    overloads: &[Overload {
        params: &[param("array", T::Array(&T::Any('T'))), param("victim", T::Any('T'))],
        returns: Returns::By(|args, _| Ok(args[0].clone())),
        body: |call| {
            call.values(|args| {
                let Value::Array(items) = &args[0] else { return Ok(None) };
                Ok(Some(Value::Array(items.iter().filter(|i| **i != args[1]).cloned().collect())))
            })
        },
    }],
};
