//! `STRINGTOTIMESTAMP`: a text as an instant.
//!
//! The older form of PARSE_TIMESTAMP, with a BIGINT as its result. A text without a zone is read in UTC, or in the
//! zone that is given.

use crate::functions::call::{rows2, rows3};
use crate::functions::meaning::Meaning;
use crate::functions::patterns;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "STRINGTOTIMESTAMP",
    shown: "stringtotimestamp",
    category: "DATE / TIME",
    summary: "The milliseconds since the epoch of an instant that a text says by a pattern in the letters of Java.",
    examples: &[("STRINGTOTIMESTAMP('1970-01-01 00:00:01', 'yyyy-MM-dd HH:mm:ss')", "1000")],
    overloads: &[
        Overload {
            params: &[
                param("formattedTimestamp", T::String),
                param("formatPattern", T::String).meaning(Meaning::ReadPattern),
            ],
            returns: Returns::Is(SqlType::Bigint),
            body: |call| rows2(call, |text: &str, pattern: &str| patterns::read_instant(pattern, text, "UTC")),
        },
        Overload {
            params: &[
                param("formattedTimestamp", T::String),
                param("formatPattern", T::String).meaning(Meaning::ReadPattern),
                param("timeZone", T::String).meaning(Meaning::ReadZone),
            ],
            returns: Returns::Is(SqlType::Bigint),
            body: |call| {
                rows3(call, |text: &str, pattern: &str, zone: &str| patterns::read_instant(pattern, text, zone))
            },
        },
    ],
};
