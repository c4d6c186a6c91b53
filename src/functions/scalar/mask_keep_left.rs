//! `MASK_KEEP_LEFT`: a string with a part of it made unreadable.

use crate::functions::Scalar;
use crate::functions::mask::{self, Part};

pub(super) const FUNCTION: Scalar = Scalar {
    name: "MASK_KEEP_LEFT",
    shown: "mask_keep_left",
    category: "STRING",
    summary: "A string of which only the first characters are not masked.",
    examples: &[("MASK_KEEP_LEFT('My Secret 7', 4)", "My Sxxxxx-n")],
    overloads: &mask::overloads(|call| mask::part(call, Part::ButLeft)),
};
