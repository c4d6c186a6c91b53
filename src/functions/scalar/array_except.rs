//! `ARRAY_EXCEPT`: the items that only the first array has.
//!
//! Takes O(left + right). Every item once, in the order of the first array; NULL counts as an item.

use crate::functions::{Scalar, sets};

pub(super) const FUNCTION: Scalar = Scalar {
    name: "ARRAY_EXCEPT",
    shown: "array_except",
    category: "ARRAY",
    summary: "The items that only the first array has, each once, in the order of first occurrence.",
    examples: &[("ARRAY_EXCEPT(ARRAY[1, 2, 1], ARRAY[2])", "[1]")],
    overloads: &[sets::overload(|call| {
        sets::combined(call, |left, right| {
            let right = sets::set_of(right);
            left.iter().filter(|i| !right.contains(i)).cloned().collect()
        })
    })],
};
