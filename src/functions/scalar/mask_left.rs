//! `MASK_LEFT`: a string with a part of it made unreadable.

use crate::functions::Scalar;
use crate::functions::mask::{self, Part};

pub(super) const FUNCTION: Scalar = Scalar {
    name: "MASK_LEFT",
    shown: "mask_left",
    category: "STRING",
    summary: "A string with its first characters masked, as MASK masks them.",
    examples: &[("MASK_LEFT('My Secret 7', 4)", "Xx-Xecret 7")],
    overloads: &mask::overloads(|call| mask::part(call, Part::Left)),
};
