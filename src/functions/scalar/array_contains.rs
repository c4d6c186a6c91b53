//! `ARRAY_CONTAINS`: whether an array has an item.
//!
//! FALSE for a NULL array, not NULL. A NULL item is found by NULL. Equality is that of Java's `equals`: NaN is found,
//! and `-0.0` is not `0.0`.

use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::{SqlType, Value};

pub(super) const FUNCTION: Scalar = Scalar {
    name: "ARRAY_CONTAINS",
    shown: "array_contains",
    category: "ARRAY",
    summary: "Whether the array has the value; false for a NULL array.",
    examples: &[("ARRAY_CONTAINS(ARRAY[1, 2], 2)", "true")],
    overloads: &[Overload {
        params: &[param("array", T::Array(&T::Any('T'))), param("value", T::Any('T'))],
        returns: Returns::Is(SqlType::Boolean),
        body: |call| {
            call.values(|args| {
                Ok(Some(Value::Boolean(matches!(&args[0], Value::Array(items) if items.contains(&args[1])))))
            })
        },
    }],
};
