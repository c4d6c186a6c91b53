//! Time zones by the names that Java's `ZoneId` knows.
//!
//! A zone is a region of the IANA database or a fixed offset. Names are checked with their case, as Java does. The
//! database is compiled into the program, so results do not depend on the machine.

use std::str::FromStr;

use chrono::{DateTime, Offset, TimeZone};
use chrono_tz::{OffsetComponents, OffsetName, Tz};

use crate::error::nearest;

/// A zone: a region with its rules, or a fixed offset from UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// The name as Java prints it.
    pub id: String,
    rules: Rules,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Rules {
    Region(Tz),
    /// Seconds east of UTC.
    Fixed(i32),
}

/// Names of the zone database that Java's does not have.
const UNKNOWN_TO_JAVA: [&str; 4] = ["EST", "HST", "MST", "ROC"];

/// The farthest that an offset goes.
const MOST_SECONDS: i32 = 18 * 3600;

impl Zone {
    /// Universal time under this name.
    pub fn utc(id: &str) -> Zone {
        Zone { id: id.to_owned(), rules: Rules::Fixed(0) }
    }

    /// The zone of this name; `None` if Java knows none.
    ///
    /// `Europe/Paris`, `UTC`, `+02:00`, `UTC+2` and `GMT-03:30` are zones; `CEST` and `europe/paris` are not.
    pub fn parse(name: &str) -> Option<Zone> {
        if matches!(name, "Z" | "UTC" | "GMT" | "UT") {
            return Some(Zone::utc(name));
        }
        if name.starts_with(['+', '-']) {
            let seconds = offset_seconds(name)?;
            return Some(Zone { id: offset_id(seconds), rules: Rules::Fixed(seconds) });
        }
        for prefix in ["UTC", "GMT", "UT"] {
            if let Some(offset) = name.strip_prefix(prefix).filter(|rest| rest.starts_with(['+', '-'])) {
                let seconds = offset_seconds(offset)?;
                let id = if seconds == 0 { prefix.to_owned() } else { format!("{prefix}{}", offset_id(seconds)) };
                return Some(Zone { id, rules: Rules::Fixed(seconds) });
            }
        }
        let region = Tz::from_str(name).ok().filter(|_| !UNKNOWN_TO_JAVA.contains(&name))?;
        Some(Zone { id: name.to_owned(), rules: Rules::Region(region) })
    }

    /// The name that was probably meant by one that is none: in another case, misspelt, or short for a region.
    pub fn nearest(name: &str) -> Option<&'static str> {
        let known =
            chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()).filter(|zone| !UNKNOWN_TO_JAVA.contains(zone));
        let short = super::read::NAMED.iter().find(|(short, _)| short.eq_ignore_ascii_case(name));
        let short = short.map(|(_, region)| *region);
        short.or_else(|| known.clone().find(|zone| zone.eq_ignore_ascii_case(name))).or_else(|| nearest(name, known))
    }

    /// Seconds east of UTC at an instant.
    pub fn offset_at(&self, ms: i64) -> i32 {
        match &self.rules {
            Rules::Fixed(seconds) => *seconds,
            Rules::Region(region) => match DateTime::from_timestamp_millis(ms) {
                Some(utc) => region.offset_from_utc_datetime(&utc.naive_utc()).fix().local_minus_utc(),
                None => 0,
            },
        }
    }

    /// Seconds east of UTC as Java's older zones have them, which know no changes before 1900.
    pub fn older_offset_at(&self, ms: i64) -> i32 {
        match &self.rules {
            Rules::Region(region) if ms < FIRST_OLDER_CHANGE_MS => usual(*region, false).fix().local_minus_utc(),
            _ => self.offset_at(ms),
        }
    }

    /// The short name of the zone at an instant, as it is today: `EST`, or the id of a fixed offset; `None` if a region has
    /// none.
    pub fn abbreviation(&self, ms: i64) -> Option<String> {
        let Rules::Region(region) = &self.rules else { return Some(self.id.clone()) };
        let saves = !at(*region, ms).dst_offset().is_zero();
        usual(*region, saves).abbreviation().filter(|name| !name.starts_with(['+', '-'])).map(str::to_owned)
    }

    /// The instant at which the clocks of the zone show `local` milliseconds: the earlier one if there are two; where clocks
    /// are put forward, as if they had not been.
    ///
    /// In Paris on 31 March 2024 clocks go from 02:00 to 03:00: 02:30 is taken with the offset before the change and
    /// is the instant that clocks show as 03:30. On 27 October 2024 02:30 comes twice; the first is meant. This is
    /// what Java's `ZonedDateTime.of` does.
    pub fn instant(&self, local: i64) -> i64 {
        // The offset of a day before is the one that a change may end.
        let before = self.offset_at(local - 86_400_000);
        let instant = local - i64::from(before) * 1000;
        let after = self.offset_at(instant);
        if after == before {
            return instant;
        }
        let changed = local - i64::from(after) * 1000;
        // Shown only before the change, or in its gap, unless the new offset shows it too.
        if self.offset_at(changed) == after { changed } else { instant }
    }
}

/// 1900-01-01.
const FIRST_OLDER_CHANGE_MS: i64 = -2_208_988_800_000;

fn at(region: Tz, ms: i64) -> <Tz as TimeZone>::Offset {
    let utc = DateTime::from_timestamp_millis(ms).unwrap_or_default();
    region.offset_from_utc_datetime(&utc.naive_utc())
}

/// The offset of winter, or of summer if that `saves` daylight, in 2020.
fn usual(region: Tz, saves: bool) -> <Tz as TimeZone>::Offset {
    const JANUARY_MS: i64 = 1_577_836_800_000;
    const JULY_MS: i64 = 1_593_561_600_000;
    let (january, july) = (at(region, JANUARY_MS), at(region, JULY_MS));
    if january.dst_offset().is_zero() != saves { january } else { july }
}

/// `+2`, `+02`, `+0230`, `+02:30`, `+02:30:15`, `+023015`: seconds east of UTC.
///
/// At most 18 hours in either direction, as `ZoneOffset` allows. `None` for other shapes.
pub fn offset_seconds(text: &str) -> Option<i32> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let body = text.get(1..).filter(|_| text.starts_with(['+', '-']))?;
    let digits = body.replace(':', "");
    let shape = match (body.len(), digits.len()) {
        (1, 1) | (2, 2) | (4, 4) | (6, 6) => true,
        (5, 4) => body.as_bytes()[2] == b':',
        (8, 6) => body.as_bytes()[2] == b':' && body.as_bytes()[5] == b':',
        _ => false,
    };
    if !shape || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let hours_end = digits.len().min(2);
    let part = |range: std::ops::Range<usize>| digits.get(range).map_or(Some(0), |d| d.parse::<i32>().ok());
    let (hours, minutes, seconds) = (part(0..hours_end)?, part(2..4)?, part(4..6)?);
    let total = hours * 3600 + minutes * 60 + seconds;
    (minutes < 60 && seconds < 60 && total <= MOST_SECONDS).then_some(sign * total)
}

/// An offset as Java names it: `Z`, `+02:00`, `+02:00:30`.
fn offset_id(seconds: i32) -> String {
    if seconds == 0 {
        return "Z".to_owned();
    }
    let (sign, total) = (if seconds < 0 { '-' } else { '+' }, seconds.abs());
    let text = format!("{sign}{:02}:{:02}", total / 3600, total / 60 % 60);
    if total % 60 == 0 { text } else { format!("{text}:{:02}", total % 60) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_java() {
        for name in ["Europe/London", "UTC", "+2", "+0530", "+02:00:30", "GMT+3", "UTC-5", "UT", "CET", "EST5EDT", "Z"]
        {
            assert!(Zone::parse(name).is_some(), "{name}");
        }
        for name in ["", " ", "Nope/Zone", "+19:00", "EST", "PST", "america/new_york"] {
            assert_eq!(Zone::parse(name), None, "{name}");
        }
        assert_eq!(Zone::parse("UTC-5").expect("a zone").id, "UTC-05:00");
        assert_eq!(Zone::parse("Europe/London").expect("a zone").offset_at(1_593_561_600_000), 3600);
    }
}
