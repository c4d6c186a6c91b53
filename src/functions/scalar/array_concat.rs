//! `ARRAY_CONCAT`: the items of two arrays.

use crate::functions::fault::check_items;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::Value;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "ARRAY_CONCAT",
    shown: "array_concat",
    category: "ARRAY",
    summary: "The items of both arrays; a NULL array counts as an empty one.",
    examples: &[("ARRAY_CONCAT(ARRAY[1], ARRAY[2, 1])", "[1, 2, 1]")],
    overloads: &[Overload {
        params: &[param("left", T::Array(&T::Any('T'))), param("right", T::Array(&T::Any('T')))],
        returns: Returns::By(|args, _| Ok(args[0].clone())),
        body: |call| {
            call.values(|args| {
                if args.iter().all(Value::is_null) {
                    return Ok(None);
                }
                let (left, right) = (items(&args[0]), items(&args[1]));
                check_items(left.len() + right.len())?;
                Ok(Some(Value::Array([left, right].concat())))
            })
        },
    }],
};

/// The items of an array, none for NULL.
fn items(value: &Value) -> &[Value] {
    if let Value::Array(items) = value { items } else { &[] }
}
