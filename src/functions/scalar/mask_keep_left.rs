//! `MASK_KEEP_LEFT`: a string with a part of it made unreadable.

use crate::functions::mask::{self, Part};
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub const FUNCTION: Scalar = Scalar {
    name: "MASK_KEEP_LEFT",
    shown: "mask_keep_left",
    category: "STRING",
    summary: "A string of which only the first characters are not masked.",
    examples: &[("MASK_KEEP_LEFT('My Secret 7', 4)", "My Sxxxxx-n")],
    overloads: &[
        Overload {
            params: &[param("input", T::String), param("numChars", T::Int)],
            returns: Returns::Is(SqlType::String),
            body: |call| mask::part(call, Part::ButLeft),
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
            body: |call| mask::part(call, Part::ButLeft),
        },
    ],
};
