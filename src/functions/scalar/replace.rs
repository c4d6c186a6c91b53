//! `REPLACE`: a text in place of another.

use crate::functions::call::rows3;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub const FUNCTION: Scalar = Scalar {
    name: "REPLACE",
    shown: "replace",
    category: "STRING",
    summary: "The string with every occurrence of a text replaced by another.",
    examples: &[("REPLACE('foo bar foo', 'foo', 'bar')", "bar bar bar")],
    overloads: &[Overload {
        params: &[param("str", T::String), param("oldStr", T::String), param("newStr", T::String)],
        returns: Returns::Is(SqlType::String),
        body: |call| rows3(call, |text: &str, old: &str, new: &str| Ok(Some(text.replace(old, new)))),
    }],
};
