//! `UCASE`: a string in upper case.

use crate::functions::call::rows1;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "UCASE",
    shown: "ucase",
    category: "STRING",
    summary: "The string in upper case, by Unicode's full mapping.",
    examples: &[("UCASE('straße')", "STRASSE")],
    overloads: &[Overload {
        params: &[param("input", T::String)],
        returns: Returns::Is(SqlType::String),
        body: |call| rows1(call, |text: &str| Ok(Some(text.to_uppercase()))),
    }],
};
