//! `LCASE`: a string in lower case.

use crate::functions::call::rows1;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "LCASE",
    shown: "lcase",
    category: "STRING",
    summary: "The string in lower case.",
    examples: &[("LCASE('ABC')", "abc")],
    overloads: &[Overload {
        params: &[param("input", T::String)],
        returns: Returns::Is(SqlType::String),
        body: |call| rows1(call, |text: &str| Ok(Some(text.to_lowercase()))),
    }],
};
