//! `REPLACE`: a text in place of another.

use crate::functions::call::rows3;
use crate::functions::fault::check_size;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "REPLACE",
    shown: "replace",
    category: "STRING",
    summary: "The string with every occurrence of a text replaced by another.",
    examples: &[("REPLACE('foo bar foo', 'foo', 'bar')", "bar bar bar")],
    overloads: &[Overload {
        params: &[param("str", T::String), param("oldStr", T::String), param("newStr", T::String)],
        returns: Returns::Is(SqlType::String),
        body: |call| {
            rows3(call, |text: &str, old: &str, new: &str| {
                if new.len() > old.len() {
                    let longer = text.matches(old).count().saturating_mul(new.len() - old.len());
                    check_size(text.len().saturating_add(longer))?;
                }
                Ok(Some(text.replace(old, new)))
            })
        },
    }],
};
