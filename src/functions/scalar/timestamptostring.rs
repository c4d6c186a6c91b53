//! `TIMESTAMPTOSTRING`: milliseconds as the text of an instant.
//!
//! The older form of FORMAT_TIMESTAMP, for milliseconds since the epoch.

use crate::functions::call::{rows2, rows3};
use crate::functions::meaning::Meaning;
use crate::functions::patterns;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "TIMESTAMPTOSTRING",
    shown: "timestamptostring",
    category: "DATE / TIME",
    summary: "Milliseconds since the epoch as the text of an instant, by a pattern in the letters of Java.",
    examples: &[("TIMESTAMPTOSTRING(0, 'yyyy-MM-dd HH:mm')", "1970-01-01 00:00")],
    overloads: &[
        Overload {
            params: &[
                param("epochMilli", T::Bigint),
                param("formatPattern", T::String).meaning(Meaning::InstantPattern),
            ],
            returns: Returns::Is(SqlType::String),
            body: |call| rows2(call, |ms: i64, pattern: &str| patterns::print_instant(pattern, ms, "UTC")),
        },
        Overload {
            params: &[
                param("epochMilli", T::Bigint),
                param("formatPattern", T::String).meaning(Meaning::InstantPattern),
                param("timeZone", T::String).meaning(Meaning::Zone),
            ],
            returns: Returns::Is(SqlType::String),
            body: |call| rows3(call, |ms: i64, pattern: &str, zone: &str| patterns::print_instant(pattern, ms, zone)),
        },
    ],
};
