//! Patterns of dates and times, read once.

use std::rc::Rc;

use super::call::{Fault, Outcome};
use super::recent::Recent;
use crate::types::pattern::zone::Zone;
use crate::types::pattern::{Moment, Names, Pattern, Resolved};

thread_local! {
    static RECENT: Recent<Pattern> = const { Recent::new() };
}

fn pattern(text: &str) -> Result<Rc<Pattern>, Fault> {
    RECENT.with(|recent| Ok(recent.get(text, Pattern::parse)?))
}

/// The text of a moment.
pub fn print(format: &str, moment: &Moment) -> Outcome<String> {
    Ok(Some(pattern(format)?.print(moment)?))
}

/// The text of an instant in the zone of this name.
pub fn print_instant(format: &str, ms: i64, zone: &str) -> Outcome<String> {
    let zone = Zone::parse(zone).ok_or_else(|| Fault(format!("Unknown time-zone ID: {zone}")))?;
    print(format, &Moment::instant(ms, zone))
}

/// What a text says.
pub fn read(format: &str, text: &str, names: Names) -> Result<Resolved, Fault> {
    Ok(pattern(format)?.read(text, names)?)
}

/// The instant that a text says, in the zone of this name if the text has none.
pub fn read_instant(format: &str, text: &str, zone: &str) -> Outcome<i64> {
    let zone = Zone::parse(zone).ok_or_else(|| Fault(format!("Unknown time-zone ID: {zone}")))?;
    Ok(Some(read(format, text, Names::Root)?.instant(&zone)?))
}
