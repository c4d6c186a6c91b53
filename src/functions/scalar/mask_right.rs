//! `MASK_RIGHT`: a string with a part of it made unreadable.

use crate::functions::Scalar;
use crate::functions::mask::{self, Part};

pub(super) const FUNCTION: Scalar = Scalar {
    name: "MASK_RIGHT",
    shown: "mask_right",
    category: "STRING",
    summary: "A string with its last characters masked, as MASK masks them.",
    examples: &[("MASK_RIGHT('My Secret 7', 3)", "My Secrex-n")],
    overloads: &mask::overloads(|call| mask::part(call, Part::Right)),
};
