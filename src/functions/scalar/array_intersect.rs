//! `ARRAY_INTERSECT`: the items that both arrays have.
//!
//! Takes O(left + right). Every item once, in the order of the first array; NULL counts as an item.

use crate::functions::{Scalar, sets};

pub(super) const FUNCTION: Scalar = Scalar {
    name: "ARRAY_INTERSECT",
    shown: "array_intersect",
    category: "ARRAY",
    summary: "The items that both arrays have, each once, in the order of first occurrence.",
    examples: &[("ARRAY_INTERSECT(ARRAY[3, 1, 2], ARRAY[2, 3])", "[3, 2]")],
    overloads: &[sets::overload(|call| {
        sets::combined(call, |left, right| {
            let right = sets::set_of(right);
            left.iter().filter(|i| right.contains(i)).cloned().collect()
        })
    })],
};
