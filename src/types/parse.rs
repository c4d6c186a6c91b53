//! Text to dates, times, instants and bytes, as ksqlDB reads them in CAST, comparisons and INSERT VALUES.
//!
//! | function | accepts | for example |
//! |---|---|---|
//! | [`timestamp`] | a date, complete or not; a date, time and offset | `2020`, `2020-05-26T23:59:58.123+0200` |
//! | [`date`] | a date, complete or not | `2020`, `2020-05-26` |
//! | [`time`] | a time of day with at least hour and minute | `23:59`, `23:59:58.123` |
//! | [`base64_bytes`] | base64 with or without padding | `YQ==`, `YQ` |
//!
//! All give `None` for anything else, and the caller makes the message. Blanks around are not accepted.

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use chrono::{Datelike, NaiveDate};

/// Milliseconds of a day.
pub const DAY_MS: i64 = 86_400_000;

/// Base64 as Java's decoder takes it: padding may be missing, unused bits may be set.
pub const LENIENT_BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The text as base64.
pub fn base64_text(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The bytes of a base64 text.
pub fn base64_bytes(text: &str) -> Option<Vec<u8>> {
    LENIENT_BASE64.decode(text).ok()
}

/// Days since the epoch of a year, month and day, as Java's SMART resolver takes them: a day up to 31 that the month does
/// not have is its last.
///
/// 30 February is 28 or 29 February; day 32 is `None`.
fn smart_day(year: i32, month: u32, day: u32) -> Option<i64> {
    if !(1..=31).contains(&day) {
        return None;
    }
    let date = (28..=day).rev().find_map(|d| NaiveDate::from_ymd_opt(year, month, d.min(day)));
    let date = date.or_else(|| NaiveDate::from_ymd_opt(year, month, day))?;
    Some(i64::from(date.num_days_from_ce()) - 719_163)
}

fn number(text: &str, digits: usize) -> Option<u32> {
    (text.len() == digits && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

/// `yyyy`, `yyyy-MM` or `yyyy-MM-dd`, in days since the epoch. A year of more than four digits has a plus sign.
fn partial_date(text: &str, complete: bool) -> Option<i64> {
    let mut parts = text.split('-');
    let year = parts.next()?;
    let year = match year.strip_prefix('+') {
        Some(digits) if (5..=9).contains(&digits.len()) => number(digits, digits.len())?,
        Some(_) => return None,
        None => number(year, 4)?,
    };
    let month = parts.next();
    let day = parts.next();
    if parts.next().is_some() || year == 0 || (complete && day.is_none()) {
        return None;
    }
    let month = month.map_or(Some(1), |m| number(m, 2))?;
    smart_day(year as i32, month, day.map_or(Some(1), |d| number(d, 2))?)
}

/// An instant: a date, complete or partial, or a complete date with a time, complete or partial, and a zone.
/// Milliseconds since the epoch.
///
/// `2020-02-30` is 2020-02-29T00:00. 24:00 is midnight at the end of the day. Without an offset the text is in UTC.
pub fn timestamp(text: &str) -> Option<i64> {
    let Some((date, rest)) = text.split_once('T') else {
        return partial_date(text, false).map(|days| days * DAY_MS);
    };
    let days = partial_date(date, true)?;
    let rest = rest.strip_suffix('Z').unwrap_or(rest);
    let (time, zone) = match rest.find(['+', '-']) {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let offset_ms = if zone.is_empty() { 0 } else { zone_offset_ms(zone)? };
    Some(days * DAY_MS + completed_time(time)? - offset_ms)
}

/// A time of day that may break off anywhere: what is missing is taken from `00:00:00.000`. A fraction may have up to nine
/// digits, of which the first three count.
fn completed_time(text: &str) -> Option<i64> {
    const ZERO: &str = "00:00:00.000";
    if !text.is_ascii() {
        return None;
    }
    let finer = text.get(ZERO.len()..).unwrap_or_default();
    if finer.len() > 6 || !finer.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let text = &text[..text.len() - finer.len()];
    let full = format!("{text}{}", &ZERO[text.len()..]);
    let bytes = full.as_bytes();
    if bytes[2] != b':' || bytes[5] != b':' || bytes[8] != b'.' {
        return None;
    }
    let (hour, minute) = (number(&full[..2], 2)?, number(&full[3..5], 2)?);
    let (second, ms) = (number(&full[6..8], 2)?, number(&full[9..], 3)?);
    let end_of_day = (hour, minute, second, ms) == (24, 0, 0, 0);
    let valid = (hour < 24 || end_of_day) && minute < 60 && second < 60;
    valid.then(|| i64::from(((hour * 60 + minute) * 60 + second) * 1000 + ms))
}

/// `+1`, `-08`, `+0200`, `+02:00`: the offset from UTC in milliseconds, at most 18 hours.
fn zone_offset_ms(zone: &str) -> Option<i64> {
    if !zone.is_ascii() {
        return None;
    }
    let (sign, digits) = (zone.as_bytes()[0], &zone[1..]);
    let compact = digits.replace(':', "");
    let (hours, minutes) = match (compact.len(), digits.len()) {
        (1 | 2, 1 | 2) => (compact.as_str(), "00"),
        (4, 4 | 5) => compact.split_at(2),
        _ => return None,
    };
    let minutes: i64 = number(hours, hours.len())? as i64 * 60 + i64::from(number(minutes, 2)?);
    let offset = minutes * 60_000;
    (offset <= 18 * 3_600_000).then_some(if sign == b'-' { -offset } else { offset })
}

/// An ISO date, or `yyyy` or `yyyy-MM`: days since the epoch.
///
/// Strict, unlike [`timestamp`]: 30 February is `None`.
pub fn date(text: &str) -> Option<i32> {
    let (negative, body) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if body.len() < text.len() && body.bytes().filter(|b| *b == b'-').count() != 2 {
        // Only a date without a sign may break off.
        return None;
    }
    let mut parts = body.split('-');
    let year = parts.next().filter(|y| y.len() >= 4 && y.len() <= 9 && y.bytes().all(|b| b.is_ascii_digit()))?;
    let year: i32 = year.parse().ok()?;
    let month = parts.next().map_or(Some(1), |m| number(m, 2))?;
    let day = parts.next().map_or(Some(1), |d| number(d, 2))?;
    if parts.next().is_some() || (text.starts_with('+') == (year <= 9999) && !negative) {
        return None;
    }
    let date = NaiveDate::from_ymd_opt(if negative { -year } else { year }, month, day)?;
    Some(date.num_days_from_ce() - 719_163)
}

/// An ISO time, `HH:mm[:ss[.fraction]]`: milliseconds of the day.
///
/// Digits after the third of the fraction are cut off. 24:00 is `None`.
pub fn time(text: &str) -> Option<i32> {
    let (clock, fraction) = match text.split_once('.') {
        Some((clock, fraction)) => (clock, Some(fraction)),
        None => (text, None),
    };
    let mut parts = clock.split(':');
    let hour = number(parts.next()?, 2)?;
    let minute = number(parts.next()?, 2)?;
    let second = parts.next();
    if parts.next().is_some() || (fraction.is_some() && second.is_none()) {
        return None;
    }
    let second = second.map_or(Some(0), |s| number(s, 2))?;
    let ms = match fraction {
        Some(f) if f.len() > 9 || !f.bytes().all(|b| b.is_ascii_digit()) => return None,
        Some(f) => format!("{f:0<3}")[..3].parse().ok()?,
        None => 0,
    };
    let valid = hour < 24 && minute < 60 && second < 60;
    valid.then_some((((hour * 60 + minute) * 60 + second) * 1000 + ms) as i32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::text;

    #[test]
    fn instants_may_break_off() {
        let show = |s| timestamp(s).map(text::timestamp);
        for (given, meant) in [
            ("2020", "2020-01-01T00:00:00.000"),
            ("2020-05", "2020-05-01T00:00:00.000"),
            ("2021-02-29", "2021-02-28T00:00:00.000"),
            ("2020-05-01T03:4", "2020-05-01T03:40:00.000"),
            ("2020-05-01T", "2020-05-01T00:00:00.000"),
            ("2020-05-01T24:00:00", "2020-05-02T00:00:00.000"),
            ("2020-05-01T10:00:00.5+02:00", "2020-05-01T08:00:00.500"),
            ("2020-05-01T10:00Z", "2020-05-01T10:00:00.000"),
            ("2022-02-09T13:27:17.165116Z", "2022-02-09T13:27:17.165"),
            ("2022-02-09T13:27:17.165999999+01:00", "2022-02-09T12:27:17.165"),
        ] {
            assert_eq!(show(given).as_deref(), Some(meant), "{given}");
        }
        for wrong in [
            "2020-05T10:00",
            "2020-05-01T3",
            "0000-01-01",
            "2020-05-01T10:00:00.123x",
            "2020-05-01T10:00:00.1234567890",
            "2020-05-01T10+19",
            "2020-05-01T10:00+aéb",
            "",
        ] {
            assert_eq!(timestamp(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn dates_and_times_are_iso() {
        assert_eq!(date("2020-01-01"), Some(18_262));
        assert_eq!(date("2021-02-29"), None);
        assert_eq!(date("+10000-01-01").map(text::date).as_deref(), Some("+10000-01-01"));
        assert_eq!(date("-0001-12-31").map(text::date).as_deref(), Some("-0001-12-31"));
        assert_eq!(time("10:20"), Some(37_200_000));
        assert_eq!(time("10:20:30.1239"), Some(37_230_123));
        assert_eq!(time("1:20"), None);
    }
}
