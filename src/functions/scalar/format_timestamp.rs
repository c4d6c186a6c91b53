//! `FORMAT_TIMESTAMP`: an instant as text.
//!
//! Without a zone the text is that of GMT, whatever the zone of the machine is.

use crate::functions::call::{rows2, rows3};
use crate::functions::meaning::Meaning;
use crate::functions::patterns;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "FORMAT_TIMESTAMP",
    shown: "format_timestamp",
    category: "DATE / TIME",
    summary: "An instant as text in a time zone, GMT unless one is given, by a pattern in the letters of Java.",
    examples: &[("FORMAT_TIMESTAMP(FROM_UNIXTIME(0), 'yyyy-MM-dd HH:mm', 'Asia/Tokyo')", "1970-01-01 09:00")],
    overloads: &[
        Overload {
            params: &[
                param("timestamp", T::Timestamp),
                param("formatPattern", T::String).meaning(Meaning::InstantPattern),
            ],
            returns: Returns::Is(SqlType::String),
            body: |call| rows2(call, |ms: i64, pattern: &str| patterns::print_instant(pattern, ms, "GMT")),
        },
        Overload {
            params: &[
                param("timestamp", T::Timestamp),
                param("formatPattern", T::String).meaning(Meaning::InstantPattern),
                param("timeZone", T::String).meaning(Meaning::Zone),
            ],
            returns: Returns::Is(SqlType::String),
            body: |call| rows3(call, |ms: i64, pattern: &str, zone: &str| patterns::print_instant(pattern, ms, zone)),
        },
    ],
};
