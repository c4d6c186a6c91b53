//! `URL_EXTRACT_PARAMETER`: a parameter of a URL.
//!
//! The query is decoded before it is taken apart, so an encoded `&` ends a value. NULL if there is no query or no
//! such parameter. Names are compared with their case.

use crate::functions::call::rows2;
use crate::functions::signature::{T, param};
use crate::functions::uri::Uri;
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "URL_EXTRACT_PARAMETER",
    shown: "url_extract_parameter",
    category: "URL",
    summary: "The value of the first parameter of this name in the query of a URL; empty if it has none.",
    examples: &[("URL_EXTRACT_PARAMETER('https://x.io?a=1&b=2', 'b')", "2")],
    overloads: &[Overload {
        params: &[param("input", T::String), param("paramToFind", T::String)],
        returns: Returns::Is(SqlType::String),
        body: |call| {
            rows2(call, |url: &str, name: &str| {
                let Some(query) = Uri::parse(url)?.query else { return Ok(None) };
                let mut pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
                Ok(pairs.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned()))
            })
        },
    }],
};
