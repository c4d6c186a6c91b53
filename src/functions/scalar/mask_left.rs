//! `MASK_LEFT`: a string with a part of it made unreadable.

use crate::functions::mask::{self, Part};
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub const FUNCTION: Scalar = Scalar {
    name: "MASK_LEFT",
    shown: "mask_left",
    category: "STRING",
    summary: "A string with its first characters masked, as MASK masks them.",
    examples: &[("MASK_LEFT('My Secret 7', 4)", "Xx-Xecret 7")],
    overloads: &[
        Overload {
            params: &[param("input", T::String), param("numChars", T::Int)],
            returns: Returns::Is(SqlType::String),
            body: |call| mask::part(call, Part::Left),
        },
        Overload {
            params: &[
                param("input", T::String),
                param("numChars", T::Int),
                param("upper", T::String),
                param("lower", T::String),
                param("digit", T::String),
                param("other", T::String),
            ],
            returns: Returns::Is(SqlType::String),
            body: |call| mask::part(call, Part::Left),
        },
    ],
};
