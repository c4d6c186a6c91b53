//! Patterns of dates and times, each parsed once.
//!
//! Like regular expressions, patterns are kept per thread by their text, so that a constant pattern is parsed once
//! per thread and not once per row.

use std::rc::Rc;

use super::call::{Fault, Outcome};
use super::fault::shortened;
use super::recent::Recent;
use crate::types::pattern::zone::Zone;
use crate::types::pattern::{Moment, Names, Pattern, Resolved};

thread_local! {
    static RECENT: Recent<Pattern> = const { Recent::new() };
}

fn pattern(text: &str) -> Result<Rc<Pattern>, Fault> {
    let parse = |text: &str| Pattern::parse(text).map_err(|why| Fault::Shown(no_pattern(text, &why)));
    RECENT.with(|recent| recent.get(text, parse))
}

/// Why a text is not a pattern, in a sentence.
pub(super) fn no_pattern(text: &str, why: &str) -> String {
    format!("'{}' is not a date-time pattern: {why}", shortened(text))
}

/// The text of a moment.
///
/// # Errors
/// The pattern is none, or asks for something that the moment lacks.
pub(super) fn print(format: &str, moment: &Moment) -> Outcome<String> {
    Ok(Some(pattern(format)?.print(moment)?))
}

/// The text of an instant in the zone of this name.
///
/// `ms` counts from the epoch in UTC.
///
/// # Errors
/// The zone is unknown, or as in [`print()`].
pub(super) fn print_instant(format: &str, ms: i64, zone: &str) -> Outcome<String> {
    let zone = Zone::parse(zone).ok_or_else(|| Fault::shown(format!("Unknown time-zone ID: {}", shortened(zone))))?;
    print(format, &Moment::instant(ms, zone))
}

/// What a text says.
///
/// `names` is the language of the names of months and days.
///
/// # Errors
/// The pattern is none, the text does not fit, or its parts contradict each other. The reason shows text and pattern.
pub(super) fn read(format: &str, text: &str, names: Names) -> Result<Resolved, Fault> {
    pattern(format)?.read(text, names).map_err(Fault::Shown)
}

/// The instant that a text says, in the zone of this name if the text has none.
///
/// Milliseconds since the epoch. A zone in the text wins over the one that is given.
pub(super) fn read_instant(format: &str, text: &str, zone: &str) -> Outcome<i64> {
    let zone = Zone::parse(zone).ok_or_else(|| Fault::shown(format!("Unknown time-zone ID: {}", shortened(zone))))?;
    Ok(Some(read(format, text, Names::Root)?.instant(&zone)?))
}
