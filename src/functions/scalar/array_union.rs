//! `ARRAY_UNION`: the items that either array has.
//!
//! The items of the first array come first, each item once.

use crate::functions::{Scalar, sets};

pub(super) const FUNCTION: Scalar = Scalar {
    name: "ARRAY_UNION",
    shown: "array_union",
    category: "ARRAY",
    summary: "The items that either array has, each once, in the order of first occurrence.",
    examples: &[("ARRAY_UNION(ARRAY[1, 2], ARRAY[2, 3])", "[1, 2, 3]")],
    overloads: &[sets::overload(|call| sets::combined(call, |left, right| [left, right].concat()))],
};
