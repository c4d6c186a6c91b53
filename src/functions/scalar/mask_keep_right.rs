//! `MASK_KEEP_RIGHT`: a string with a part of it made unreadable.

use crate::functions::Scalar;
use crate::functions::mask::{self, Part};

pub(super) const FUNCTION: Scalar = Scalar {
    name: "MASK_KEEP_RIGHT",
    shown: "mask_keep_right",
    category: "STRING",
    summary: "A string of which only the last characters are not masked.",
    examples: &[("MASK_KEEP_RIGHT('My Secret 7', 3)", "Xx-Xxxxxt 7")],
    overloads: &mask::overloads(|call| mask::part(call, Part::ButRight)),
};
