//! `ARRAY_DISTINCT`: the different items of an array.
//!
//! Each item stands where it came first; several NULLs become one.

use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar, sets};
use crate::types::Value;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "ARRAY_DISTINCT",
    shown: "array_distinct",
    category: "ARRAY",
    summary: "Every item once, in the order of first occurrence.",
    examples: &[("ARRAY_DISTINCT(ARRAY[2, 1, 2])", "[2, 1]")],
    overloads: &[Overload {
        params: &[param("array", T::Array(&T::Any('T')))],
        returns: Returns::By(|args, _| Ok(args[0].clone())),
        body: |call| {
            call.values(|args| {
                Ok(if let Value::Array(items) = &args[0] { Some(sets::distinct(items.iter().cloned())) } else { None })
            })
        },
    }],
};
