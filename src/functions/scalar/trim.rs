//! `TRIM`: a string without blanks around it.
//!
//! As Java's `String.trim`: control characters go, but a no-break space, U+00A0, stays.

use crate::functions::call::rows1;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "TRIM",
    shown: "trim",
    category: "STRING",
    summary: "The string without the characters up to U+0020 at both ends.",
    examples: &[("TRIM('  a b ')", "a b")],
    overloads: &[Overload {
        params: &[param("input", T::String)],
        returns: Returns::Is(SqlType::String),
        body: |call| rows1(call, |text: &str| Ok(Some(text.trim_matches(|c| c <= ' ')))),
    }],
};
