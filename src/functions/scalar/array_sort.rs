//! `ARRAY_SORT`: the items of an array in order.

use arrow::array::ArrayRef;

use crate::functions::call::Call;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::Value;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "ARRAY_SORT",
    shown: "array_sort",
    category: "ARRAY",
    summary: "The items in rising order, or in falling order for DESC; NULLs come last.",
    examples: &[("ARRAY_SORT(ARRAY[2, 3, 1])", "[1, 2, 3]"), ("ARRAY_SORT(ARRAY[2, 3, 1], 'desc')", "[3, 2, 1]")],
    overloads: &[
        Overload {
            params: &[param("array", T::Array(&T::Any('T')))],
            returns: Returns::By(|args, _| Ok(args[0].clone())),
            body: sorted,
        },
        Overload {
            params: &[param("array", T::Array(&T::Any('T'))), param("direction", T::String)],
            returns: Returns::By(|args, _| Ok(args[0].clone())),
            body: sorted,
        },
    ],
};

/// Takes O(n log n); equal items keep their order. NULL for an unknown direction.
///
/// # Errors
/// Two or more items that are arrays, maps or structs fail the row.
fn sorted(call: &mut Call) -> ArrayRef {
    call.values(|args| {
        let Value::Array(items) = &args[0] else { return Ok(None) };
        let falls = match args.get(1) {
            None => false,
            Some(Value::String(direction)) => match direction.to_uppercase().as_str() {
                "ASC" | "ASCENDING" => false,
                "DESC" | "DESCENDING" => true,
                _ => return Ok(None),
            },
            Some(_) => return Ok(None),
        };
        let (nulls, mut items): (Vec<Value>, Vec<Value>) = items.iter().cloned().partition(Value::is_null);
        if items.len() > 1 && items.iter().any(Value::is_nested) {
            return Err("arrays, maps and structs have no order".into());
        }
        items.sort_by(|a, b| if falls { b.compare(a) } else { a.compare(b) });
        items.extend(nulls);
        Ok(Some(Value::Array(items)))
    })
}
