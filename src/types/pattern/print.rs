//! Moments by a pattern, as text: in English, with weeks that start on Sunday.

use super::zone::Zone;
use super::{Field, Item, OffsetForm, Part, Pattern, Sign, Style};
use crate::types::calendar::Date;
use crate::types::parse::DAY_MS;

/// What a text is made of: a date, a time, both, and perhaps a zone.
///
/// At least one of date and time is there. A zone is there only if both are.
#[derive(Clone, Debug)]
pub struct Moment {
    date: Option<Date>,
    /// Nanoseconds of the day.
    time: Option<i64>,
    /// The zone, its offset in seconds, and the instant.
    zone: Option<(Zone, i32, i64)>,
}

const SECOND_NS: i64 = 1_000_000_000;

impl Moment {
    /// An instant as the clocks of a zone show it.
    pub fn instant(ms: i64, zone: Zone) -> Moment {
        let offset = zone.offset_at(ms);
        let local = ms.saturating_add(i64::from(offset) * 1000);
        Moment {
            date: Some(Date::of(local.div_euclid(DAY_MS))),
            time: Some(local.rem_euclid(DAY_MS) * 1_000_000),
            zone: Some((zone, offset, ms)),
        }
    }

    /// A date without a time.
    pub fn date(days: i32) -> Moment {
        Moment { date: Some(Date::of(i64::from(days))), time: None, zone: None }
    }

    /// A time without a date.
    pub fn time(ms: i32) -> Moment {
        Moment { date: None, time: Some(i64::from(ms) * 1_000_000), zone: None }
    }

    fn get(&self, field: Field) -> Option<i64> {
        self.of_date(field).or_else(|| self.of_time(field))
    }

    fn of_date(&self, field: Field) -> Option<i64> {
        let date = self.date?;
        Some(match field {
            Field::Era => i64::from(date.year > 0),
            Field::Year => date.year,
            Field::YearOfEra => {
                if date.year > 0 {
                    date.year
                } else {
                    1 - date.year
                }
            }
            Field::WeekBasedYear => week_of_year(date).0,
            Field::Quarter => i64::from((date.month - 1) / 3 + 1),
            Field::Month => i64::from(date.month),
            Field::WeekOfYear => i64::from(week_of_year(date).1),
            Field::WeekOfMonth => i64::from(week(date, date.day)),
            Field::DayOfMonth => i64::from(date.day),
            Field::DayOfYear => i64::from(date.day_of_year()),
            Field::AlignedDayOfWeek => i64::from((date.day - 1) % 7 + 1),
            Field::DayOfWeek => i64::from(date.day_of_week()),
            Field::LocalDayOfWeek => i64::from(from_sunday(date)) + 1,
            Field::JulianDay => date.epoch_day + 40_587,
            _ => return None,
        })
    }

    fn of_time(&self, field: Field) -> Option<i64> {
        let time = self.time?;
        let hour = time / (3600 * SECOND_NS);
        Some(match field {
            Field::HalfOfDay => hour / 12,
            Field::DayPeriod => time / (60 * SECOND_NS),
            Field::Hour => hour,
            Field::ClockHour => (hour + 23) % 24 + 1,
            Field::HourOfHalf => hour % 12,
            Field::ClockHourOfHalf => (hour + 11) % 12 + 1,
            Field::Minute => time / (60 * SECOND_NS) % 60,
            Field::Second => time / SECOND_NS % 60,
            Field::MilliOfDay => time / 1_000_000,
            Field::Nano => time % SECOND_NS,
            Field::NanoOfDay => time,
            _ => return None,
        })
    }
}

/// How many days a date's week has behind it, counted from Sunday.
fn from_sunday(date: Date) -> u32 {
    date.day_of_week() % 7
}

/// The week that a day lies in, of those that start on Sunday, the first being the one with day 1.
fn week(date: Date, day: u32) -> u32 {
    let start = (day as i32 - from_sunday(date) as i32 - 1).rem_euclid(7);
    let offset = if start > 0 { 7 - start } else { 0 };
    (7 + offset as u32 + day - 1) / 7
}

/// The year that a date's week belongs to, and the week's number in it.
///
/// 29 December 2024 is a Sunday and begins the week of 1 January 2025, so it is in week 1 of 2025.
fn week_of_year(date: Date) -> (i64, u32) {
    // The week of next January's first day belongs to the next year as a whole.
    let next = Date::first_of(date.year + 1);
    let belongs = next.epoch_day - date.epoch_day <= i64::from(from_sunday(next));
    if belongs { (next.year, 1) } else { (date.year, week(date, date.day_of_year())) }
}

impl Pattern {
    /// The text of a moment; why there is none, if the moment has not what the pattern asks for.
    ///
    /// # Errors
    /// With Java's messages: the moment lacks a field, or a number has more digits than its letters allow.
    pub fn print(&self, moment: &Moment) -> Result<String, String> {
        let mut out = String::new();
        print_all(&self.items, moment, &mut out)?;
        Ok(out)
    }
}

fn print_all(items: &[Item], moment: &Moment, out: &mut String) -> Result<(), String> {
    items.iter().try_for_each(|item| print(item, moment, out))
}

fn print(item: &Item, moment: &Moment, out: &mut String) -> Result<(), String> {
    let get = |field: &Field| moment.get(*field).ok_or_else(|| format!("Unsupported field: {field:?}"));
    let zone = || moment.zone.as_ref().ok_or_else(|| "Unable to extract a zone".to_owned());
    match item {
        Item::Literal(text) => out.push_str(text),
        Item::Number { field, min, max, sign } => out.push_str(&number(get(field)?, *min, *max, *sign)?),
        Item::TwoDigits(field) => out.push_str(&format!("{:02}", two_digits(get(field)?))),
        Item::Fraction(digits) => out.push_str(&format!("{:09}", get(&Field::Nano)?)[..*digits]),
        Item::Text(field, style) => out.push_str(&text(*field, get(field)?, *style)),
        Item::ZoneId => out.push_str(&zone()?.0.id),
        Item::ZoneName(style) => {
            let (zone, _, ms) = zone()?;
            out.push_str(&zone_name(zone, *ms, *style));
        }
        Item::Offset { form, zero } => out.push_str(&offset(zone()?.1, *form, zero)),
        Item::LocalizedOffset(style) => out.push_str(&localized_offset(zone()?.1, *style)),
        Item::Padded(width, item) => {
            let mut text = String::new();
            print(item, moment, &mut text)?;
            let length = text.chars().count();
            if length > *width {
                return Err(format!("Cannot print as output of {length} characters exceeds pad width of {width}"));
            }
            out.extend(std::iter::repeat_n(' ', width - length));
            out.push_str(&text);
        }
        Item::Optional(items) => {
            let before = out.len();
            if print_all(items, moment, out).is_err() {
                out.truncate(before);
            }
        }
    }
    Ok(())
}

/// The last two digits of a year from 2000 on, or of the distance from it.
fn two_digits(year: i64) -> i64 {
    year.abs() % 100
}

fn number(value: i64, min: usize, max: usize, sign: Sign) -> Result<String, String> {
    let digits = value.unsigned_abs().to_string();
    let exceeds = || format!("{value} exceeds the maximum print width of {max}");
    if digits.len() > max {
        return Err(exceeds());
    }
    let sign = match (value < 0, sign) {
        (true, Sign::Never) => return Err(format!("{value} cannot be negative")),
        (true, _) => "-",
        (false, Sign::ExceedsPad) if digits.len() > min => "+",
        (false, _) => "",
    };
    Ok(format!("{sign}{digits:0>min$}"))
}

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub(super) const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

fn text(field: Field, value: i64, style: Style) -> String {
    let named = |names: &[&str]| {
        let name = names.get(value as usize - 1).copied().unwrap_or_default();
        match style {
            Style::Full => name.to_owned(),
            Style::Short => name[..3.min(name.len())].to_owned(),
            Style::Narrow => name[..1.min(name.len())].to_owned(),
        }
    };
    match (field, style) {
        (Field::Month, _) => named(&MONTHS),
        (Field::DayOfWeek, _) => named(&DAYS),
        (Field::Era, Style::Full) => ["Before Christ", "Anno Domini"][value as usize].to_owned(),
        (Field::Era, Style::Short) => ["BC", "AD"][value as usize].to_owned(),
        (Field::Era, Style::Narrow) => ["B", "A"][value as usize].to_owned(),
        (Field::Quarter, Style::Short) => format!("Q{value}"),
        (Field::Quarter, Style::Full) => format!("{} quarter", ["1st", "2nd", "3rd", "4th"][value as usize - 1]),
        (Field::HalfOfDay, _) => ["AM", "PM"][value as usize].to_owned(),
        (Field::DayPeriod, _) => day_period(value).to_owned(),
        _ => value.to_string(),
    }
}

/// The part of the day that a minute lies in.
fn day_period(minute: i64) -> &'static str {
    match minute {
        0 => "midnight",
        720 => "noon",
        360..=719 => "in the morning",
        721..=1079 => "in the afternoon",
        1080..=1259 => "in the evening",
        _ => "at night",
    }
}

fn offset(seconds: i32, form: OffsetForm, zero: &str) -> String {
    if seconds == 0 {
        return zero.to_owned();
    }
    let total = seconds.abs();
    let (hours, minutes, rest) = (total / 3600, total / 60 % 60, total % 60);
    let colon = if form.colon { ":" } else { "" };
    let mut out = format!("{}{hours:02}", if seconds < 0 { '-' } else { '+' });
    let shows = |part: Part, value: i32| part == Part::Always || part == Part::IfNotZero && value != 0;
    let shows_seconds = shows(form.seconds, rest);
    if shows(form.minutes, minutes) || shows_seconds {
        out.push_str(&format!("{colon}{minutes:02}"));
    }
    if shows_seconds {
        out.push_str(&format!("{colon}{rest:02}"));
    }
    // What is cut off may leave nothing.
    if hours == 0 && minutes == 0 && !shows_seconds { zero.to_owned() } else { out }
}

fn localized_offset(seconds: i32, style: Style) -> String {
    if seconds == 0 {
        return "GMT".to_owned();
    }
    let total = seconds.abs();
    let (sign, hours, minutes, rest) = (if seconds < 0 { '-' } else { '+' }, total / 3600, total / 60 % 60, total % 60);
    let mut out = match style {
        Style::Full => format!("GMT{sign}{hours:02}:{minutes:02}"),
        _ if minutes == 0 && rest == 0 => format!("GMT{sign}{hours}"),
        _ => format!("GMT{sign}{hours}:{minutes:02}"),
    };
    if rest != 0 {
        out.push_str(&format!(":{rest:02}"));
    }
    out
}

/// The full names of the zones that have English ones, by their short names.
const ZONE_NAMES: &[(&str, &str)] = &[
    ("UTC", "Coordinated Universal Time"),
    ("GMT", "Greenwich Mean Time"),
    ("BST", "British Summer Time"),
    ("CET", "Central European Standard Time"),
    ("CEST", "Central European Summer Time"),
    ("EET", "Eastern European Standard Time"),
    ("EEST", "Eastern European Summer Time"),
    ("IST", "India Standard Time"),
    ("JST", "Japan Standard Time"),
    ("EST", "Eastern Standard Time"),
    ("EDT", "Eastern Daylight Time"),
    ("CST", "Central Standard Time"),
    ("CDT", "Central Daylight Time"),
    ("MST", "Mountain Standard Time"),
    ("MDT", "Mountain Daylight Time"),
    ("PST", "Pacific Standard Time"),
    ("PDT", "Pacific Daylight Time"),
];

fn zone_name(zone: &Zone, ms: i64, style: Style) -> String {
    let short = zone.abbreviation(ms).unwrap_or_else(|| localized_offset(zone.offset_at(ms), Style::Full));
    let full = ZONE_NAMES.iter().find(|(name, _)| *name == short).map(|(_, full)| (*full).to_owned());
    if style == Style::Full { full.unwrap_or(short) } else { short }
}
