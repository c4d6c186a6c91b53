//! `MASK_KEEP_RIGHT`: a string with a part of it made unreadable.

use crate::functions::mask::{self, Part};
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub const FUNCTION: Scalar = Scalar {
    name: "MASK_KEEP_RIGHT",
    shown: "mask_keep_right",
    category: "STRING",
    summary: "A string of which only the last characters are not masked.",
    examples: &[("MASK_KEEP_RIGHT('My Secret 7', 3)", "Xx-Xxxxxt 7")],
    overloads: &[
        Overload {
            params: &[param("input", T::String), param("numChars", T::Int)],
            returns: Returns::Is(SqlType::String),
            body: |call| mask::part(call, Part::ButRight),
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
            body: |call| mask::part(call, Part::ButRight),
        },
    ],
};
