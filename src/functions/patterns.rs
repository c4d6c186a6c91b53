//! Patterns of dates and times, read once.

use std::cell::RefCell;
use std::rc::Rc;

use super::call::{Fault, Outcome};
use crate::types::pattern::zone::Zone;
use crate::types::pattern::{Moment, Names, Pattern, Resolved};

thread_local! {
    /// The patterns that were used last, the latest at the end. Queries use a few constant ones.
    static CACHE: RefCell<Vec<(String, Rc<Pattern>)>> = const { RefCell::new(Vec::new()) };
}

const MOST_KEPT: usize = 16;

fn pattern(text: &str) -> Result<Rc<Pattern>, Fault> {
    CACHE.with_borrow_mut(|cache| {
        if let Some(at) = cache.iter().position(|(known, _)| known == text) {
            let found = cache.remove(at);
            cache.push(found.clone());
            return Ok(found.1);
        }
        let pattern = Rc::new(Pattern::parse(text)?);
        if cache.len() == MOST_KEPT {
            cache.remove(0);
        }
        cache.push((text.to_owned(), pattern.clone()));
        Ok(pattern)
    })
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
