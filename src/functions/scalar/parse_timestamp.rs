//! `PARSE_TIMESTAMP`: a text as an instant.
//!
//! What the text does not say is that of 1970-01-01T00:00. A text that does not fit fails the row, with the character
//! at which it does not.

use crate::functions::call::{rows2, rows3};
use crate::functions::meaning::Meaning;
use crate::functions::patterns;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "PARSE_TIMESTAMP",
    shown: "parse_timestamp",
    category: "DATE / TIME",
    summary: "The instant that a text says by a pattern in the letters of Java, in a time zone, GMT unless one is given.",
    examples: &[("PARSE_TIMESTAMP('2020-01-01 09:00', 'yyyy-MM-dd HH:mm', 'Asia/Tokyo')", "2020-01-01T00:00:00.000")],
    overloads: &[
        Overload {
            params: &[
                param("formattedTimestamp", T::String),
                param("formatPattern", T::String).meaning(Meaning::ReadPattern),
            ],
            returns: Returns::Is(SqlType::Timestamp),
            body: |call| rows2(call, |text: &str, pattern: &str| patterns::read_instant(pattern, text, "GMT")),
        },
        Overload {
            params: &[
                param("formattedTimestamp", T::String),
                param("formatPattern", T::String).meaning(Meaning::ReadPattern),
                param("timeZone", T::String).meaning(Meaning::ReadZone),
            ],
            returns: Returns::Is(SqlType::Timestamp),
            body: |call| {
                rows3(call, |text: &str, pattern: &str, zone: &str| patterns::read_instant(pattern, text, zone))
            },
        },
    ],
};
