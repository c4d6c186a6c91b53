//! `URL_EXTRACT_HOST`: the host of a URL.
//!
//! NULL for a relative or opaque URL, and for an authority that is no host name, such as one with an underscore. An
//! IPv6 address keeps its brackets.

use crate::functions::call::rows1;
use crate::functions::signature::{T, param};
use crate::functions::uri::Uri;
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "URL_EXTRACT_HOST",
    shown: "url_extract_host",
    category: "URL",
    summary: "The host of a URL.",
    examples: &[("URL_EXTRACT_HOST('https://user@ksql.io:8080/a%20b?x=1&y=#frag')", "ksql.io")],
    overloads: &[Overload {
        params: &[param("input", T::String)],
        returns: Returns::Is(SqlType::String),
        body: |call| rows1(call, |url: &str| Ok(Uri::parse(url)?.host)),
    }],
};
