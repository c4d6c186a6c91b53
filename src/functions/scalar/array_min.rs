//! `ARRAY_MIN`: the smallest item of an array.
//!
//! NULLs do not count; NULL if nothing else is there.

use std::cmp::Ordering;

use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar, extreme};

pub(super) const FUNCTION: Scalar = Scalar {
    name: "ARRAY_MIN",
    shown: "array_min",
    category: "ARRAY",
    summary: "The smallest item that is not NULL.",
    examples: &[("ARRAY_MIN(ARRAY[2, 3, 1])", "1")],
    overloads: &[Overload {
        params: &[param("array", T::Array(&T::Any('T')))],
        returns: Returns::Any('T'),
        body: |call| extreme::of_items(call, Ordering::Less),
    }],
};
