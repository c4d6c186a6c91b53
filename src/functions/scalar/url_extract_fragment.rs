//! `URL_EXTRACT_FRAGMENT`: the fragment of a URL.

use crate::functions::call::rows1;
use crate::functions::signature::{T, param};
use crate::functions::uri::Uri;
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "URL_EXTRACT_FRAGMENT",
    shown: "url_extract_fragment",
    category: "URL",
    summary: "The part of a URL after the #.",
    examples: &[("URL_EXTRACT_FRAGMENT('https://user@ksql.io:8080/a%20b?x=1&y=#frag')", "frag")],
    overloads: &[Overload {
        params: &[param("input", T::String)],
        returns: Returns::Is(SqlType::String),
        body: |call| rows1(call, |url: &str| Ok(Uri::parse(url)?.fragment)),
    }],
};
