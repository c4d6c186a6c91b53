//! `URL_EXTRACT_PATH`: the path of a URL.

use crate::functions::call::rows1;
use crate::functions::signature::{T, param};
use crate::functions::uri::Uri;
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "URL_EXTRACT_PATH",
    shown: "url_extract_path",
    category: "URL",
    summary: "The path of a URL, empty if it has none.",
    examples: &[("URL_EXTRACT_PATH('https://user@ksql.io:8080/a%20b?x=1&y=#frag')", "/a b")],
    overloads: &[Overload {
        params: &[param("input", T::String)],
        returns: Returns::Is(SqlType::String),
        body: |call| rows1(call, |url: &str| Ok(Uri::parse(url)?.path)),
    }],
};
