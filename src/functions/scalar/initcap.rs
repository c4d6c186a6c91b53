//! `INITCAP`: a string with capitals.

use crate::functions::call::rows1;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "INITCAP",
    shown: "initcap",
    category: "STRING",
    summary: "The string with every word in lower case but for its first letter.",
    examples: &[("INITCAP('the QUICK fox')", "The Quick Fox")],
    overloads: &[Overload {
        params: &[param("str", T::String)],
        returns: Returns::Is(SqlType::String),
        body: |call| rows1(call, |text: &str| Ok(Some(capitalized(text)))),
    }],
};

/// Blanks before the first word are dropped, as ksqlDB does.
///
/// Every letter after the first of a word becomes lower case, so `iPHONE 5S` becomes `Iphone 5s`.
fn capitalized(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut starts = true;
    for c in text.trim_start_matches(is_blank).to_lowercase().chars() {
        match (is_blank(c), starts) {
            (false, true) => out.extend(c.to_uppercase()),
            _ => out.push(c),
        }
        starts = is_blank(c);
    }
    out
}

/// What `\s` matches in a regular expression of Java.
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\x0B' | '\x0C' | '\r')
}
