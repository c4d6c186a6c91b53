//! `URL_EXTRACT_PORT`: the port of a URL.
//!
//! A scheme's usual port is not filled in: `http://a/` has none.

use crate::functions::call::rows1;
use crate::functions::signature::{T, param};
use crate::functions::uri::Uri;
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "URL_EXTRACT_PORT",
    shown: "url_extract_port",
    category: "URL",
    summary: "The port of a URL, NULL if it says none.",
    examples: &[("URL_EXTRACT_PORT('https://user@ksql.io:8080/a%20b?x=1&y=#frag')", "8080")],
    overloads: &[Overload {
        params: &[param("input", T::String)],
        returns: Returns::Is(SqlType::Integer),
        body: |call| rows1(call, |url: &str| Ok(Uri::parse(url)?.port)),
    }],
};
