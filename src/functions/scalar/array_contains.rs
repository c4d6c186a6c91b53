//! `ARRAY_CONTAINS`: whether an array has an item.

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
