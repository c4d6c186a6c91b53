//! `ARRAY_MAX`: the largest item of an array.
//!
//! NULLs do not count; NULL if nothing else is there. Texts compare by UTF-16 unit, and NaN is the largest double.

use std::cmp::Ordering;

use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar, extreme};

pub(super) const FUNCTION: Scalar = Scalar {
    name: "ARRAY_MAX",
    shown: "array_max",
    category: "ARRAY",
    summary: "The largest item that is not NULL.",
    examples: &[("ARRAY_MAX(ARRAY[2, 3, 1])", "3")],
    overloads: &[Overload {
        params: &[param("array", T::Array(&T::Any('T')))],
        returns: Returns::Any('T'),
        body: |call| extreme::of_items(call, Ordering::Greater),
    }],
};
