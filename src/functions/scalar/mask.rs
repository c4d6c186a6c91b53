//! `MASK`: a string made unreadable, of which the kinds of characters still show.

use crate::functions::mask;
use crate::functions::meaning::Meaning;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "MASK",
    shown: "mask",
    category: "STRING",
    summary: "A string with X for upper-case letters, x for lower-case ones, n for digits and - for all else, or with other \
              characters in their place; NULL keeps a kind as it is.",
    examples: &[("MASK('My Secret 7')", "Xx-Xxxxxx-n"), ("MASK('My Secret 7', '*', NULL, NULL, '1')", "*y1*ecret17")],
    overloads: &[
        Overload { params: &[param("input", T::String)], returns: Returns::Is(SqlType::String), body: mask::whole },
        Overload {
            params: &[
                param("input", T::String),
                param("upper", T::String).meaning(Meaning::Mask),
                param("lower", T::String).meaning(Meaning::Mask),
                param("digit", T::String).meaning(Meaning::Mask),
                param("other", T::String).meaning(Meaning::Mask),
            ],
            returns: Returns::Is(SqlType::String),
            body: mask::whole,
        },
    ],
};
