//! `SLICE`: a part of an array.

use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::Value;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "SLICE",
    shown: "slice",
    category: "ARRAY",
    summary: "The items between two places, both counted from 1 and both included; NULL for a place leaves the end open.",
    examples: &[("SLICE(ARRAY[1, 2, 3, 4], 2, 3)", "[2, 3]")],
    overloads: &[Overload {
        params: &[param("array", T::Array(&T::Any('T'))), param("from", T::Int), param("to", T::Int)],
        returns: Returns::By(|args, _| Ok(args[0].clone())),
        body: |call| {
            call.values(|args| {
                let Value::Array(items) = &args[0] else { return Ok(None) };
                let place = |at: usize, open: i32| if let Value::Integer(n) = args[at] { n } else { open };
                let (from, to) = (place(1, 1).checked_sub(1), place(2, items.len() as i32));
                let range = from.and_then(|from| usize::try_from(from).ok()).zip(usize::try_from(to).ok());
                let part = range.and_then(|(from, to)| items.get(from..to));
                Ok(part.map(|part| Value::Array(part.to_vec())))
            })
        },
    }],
};
