//! What was read by a pattern made into dates, times and instants, by the rules of Java's SMART resolver.
//!
//! SMART means: fields must be in range, but a day up to 31 that its month does not have becomes the month's last
//! day. Fields that say the same thing twice must agree. A date is found by year, month and day first, then by year
//! and day of the year, then by weeks.

use super::Field;
use super::read::Fields;
use super::zone::Zone;
use crate::types::calendar::Date;
use crate::types::parse::DAY_MS;

/// A date, a time or both, as far as they were read.
#[derive(Clone, Debug)]
pub struct Resolved {
    fields: Fields,
    /// The whole date, if it was read.
    date: Option<Date>,
    /// Nanoseconds of the day, of what was read of the time.
    time: i64,
    /// Whether the time is one by itself.
    has_time: bool,
    /// Whether it was 24:00.
    next_day: bool,
}

const SECOND_NS: i64 = 1_000_000_000;
const DAY_NS: i64 = 86_400 * SECOND_NS;
/// The farthest year that Java knows.
const MOST_YEARS: i64 = 999_999_999;

impl Resolved {
    /// # Errors
    /// A field is out of range, or two contradict each other; a sentence for the message.
    pub(super) fn of(mut fields: Fields) -> Result<Resolved, String> {
        resolve_year(&mut fields)?;
        resolve_day_of_week(&mut fields)?;
        let (time, has_time, next_day) = time(&fields)?;
        let date = match date(&fields)? {
            None => date_of_week(&fields)?,
            found => found,
        };
        if let (Some(date), Some(day)) = (date, fields.values.get(&Field::DayOfWeek))
            && i64::from(date.day_of_week()) != *day
        {
            return Err(format!("the day of the week is {day}, that of the date another"));
        }
        Ok(Resolved { fields, date, time, has_time, next_day })
    }

    /// Milliseconds since the epoch: what was not read is that of 1970-01-01T00:00, in the zone that was read, or in `zone`.
    ///
    /// # Errors
    /// The instant does not fit 64 bits of milliseconds, or a part of a date is impossible, such as 29 February
    /// without a year.
    pub fn instant(&self, zone: &Zone) -> Result<i64, String> {
        let date = match self.date {
            Some(date) => Date::of(date.epoch_day + i64::from(self.next_day)),
            None => self.partial_date()?,
        };
        let local = date.epoch_day.checked_mul(DAY_MS).and_then(|ms| ms.checked_add(self.time / 1_000_000));
        // The zone looks at the days around.
        let local = local.filter(|ms| ms.checked_sub(2 * DAY_MS).is_some() && ms.checked_add(2 * DAY_MS).is_some());
        let local = local.ok_or("the instant is out of range")?;
        Ok(self.fields.zone.as_ref().unwrap_or(zone).instant(local))
    }

    /// Days since the epoch of a date that was read as a whole.
    ///
    /// # Errors
    /// The text has no whole date, or the date is beyond 32 bits of days.
    pub fn date(&self) -> Result<i32, String> {
        let date = self.date.ok_or("the text has no whole date")?;
        i32::try_from(date.epoch_day).map_err(|_| "the date is too far away".to_owned())
    }

    /// Milliseconds of the day of a time that was read with its hour, and without a date.
    ///
    /// # Errors
    /// The pattern also read a part of a date, or no hour. A fraction finer than a millisecond is cut off.
    pub fn time(&self) -> Result<i32, String> {
        if self.fields.values.keys().any(|field| *field < Field::HalfOfDay) {
            return Err("Time format contains date field.".to_owned());
        }
        if !self.has_time {
            return Err("the text has no whole time".to_owned());
        }
        Ok((self.time / 1_000_000) as i32)
    }

    /// 1970-01-01 with what was read of another date, in Java's order: days of the week, of the month and of the year first.
    fn partial_date(&self) -> Result<Date, String> {
        let get = |field: Field| self.fields.values.get(&field).copied();
        let (year, month, day) = (get(Field::Year), get(Field::Month), get(Field::DayOfMonth));
        let mut date = Date::of(0);
        if let Some(weekday) = get(Field::DayOfWeek) {
            date = Date::of(date.epoch_day + weekday - i64::from(date.day_of_week()));
        }
        if let Some(day) = day {
            date = in_month(date.year, date.month, ranged("day", day, 1, 31)?)?;
        }
        if let Some(day) = get(Field::DayOfYear) {
            if day == 366 {
                return Err("Leap day cannot be parsed without supplying the year field".to_owned());
            }
            date = Date::of(Date::first_of(date.year).epoch_day + ranged("day of the year", day, 1, 366)? - 1);
        }
        if (month, day, year) == (Some(2), Some(29), None) {
            return Err("29 February exists in leap years only; give a year".to_owned());
        }
        if let Some(month) = month {
            date = in_month(date.year, ranged("month", month, 1, 12)? as u32, i64::from(date.day))?;
        }
        match year {
            Some(year) => in_month(year, date.month, i64::from(date.day)),
            None => Ok(date),
        }
    }
}

fn ranged(what: &str, value: i64, least: i64, most: i64) -> Result<i64, String> {
    if (least..=most).contains(&value) { Ok(value) } else { Err(format!("{value} is not a valid {what}")) }
}

/// The day of a month, its last one if it has not so many.
fn in_month(year: i64, month: u32, day: i64) -> Result<Date, String> {
    let first = (0..12).fold(Date::first_of(year), |date, _| match date.month < month {
        true => Date::of(date.epoch_day - i64::from(date.day) + 1 + i64::from(length(date.year, date.month))),
        false => date,
    });
    Ok(Date::of(first.epoch_day + day.min(i64::from(length(year, month))) - 1))
}

fn length(year: i64, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if Date::first_of(year + 1).epoch_day - Date::first_of(year).epoch_day == 366 => 29,
        2 => 28,
        _ => 31,
    }
}

/// The year of the era becomes a year.
fn resolve_year(fields: &mut Fields) -> Result<(), String> {
    if let Some(year) = fields.values.get(&Field::Year) {
        ranged("year", *year, -MOST_YEARS, MOST_YEARS)?;
    }
    let Some(of_era) = fields.values.remove(&Field::YearOfEra) else { return Ok(()) };
    ranged("year of an era", of_era, 1, MOST_YEARS)?;
    let year = if fields.values.get(&Field::Era) == Some(&0) { 1 - of_era } else { of_era };
    match fields.values.insert(Field::Year, year) {
        Some(other) if other != year => Err(format!("the years {other} and {year} contradict each other")),
        _ => Ok(()),
    }
}

/// The day of a week that begins on a Sunday becomes one of a week that begins on a Monday.
fn resolve_day_of_week(fields: &mut Fields) -> Result<(), String> {
    if let Some(day) = fields.values.remove(&Field::LocalDayOfWeek) {
        let day = (ranged("day of the week", day, 1, 7)? + 5) % 7 + 1;
        fields.values.insert(Field::DayOfWeek, day);
    }
    Ok(())
}

/// The date by a week and a day of it, weeks beginning on Sundays and the first one being that of the first day.
fn date_of_week(fields: &Fields) -> Result<Option<Date>, String> {
    let get = |field: Field| fields.values.get(&field).copied();
    let Some(day) = get(Field::DayOfWeek) else { return Ok(None) };
    let from_sunday = ranged("day of the week", day, 1, 7)? % 7;
    let sunday = |date: Date| date.epoch_day - i64::from(date.day_of_week() % 7);
    let (first_week, week) = if let (Some(year), Some(week)) = (get(Field::WeekBasedYear), get(Field::WeekOfYear)) {
        let year = ranged("year", year, -MOST_YEARS, MOST_YEARS)?;
        let (first, next) = (sunday(Date::first_of(year)), sunday(Date::first_of(year + 1)));
        (first, ranged("week of the year", week, 1, 53)?.min((next - first) / 7))
    } else if let (Some(year), Some(month), Some(week)) = (get(Field::Year), get(Field::Month), get(Field::WeekOfMonth))
    {
        let first = in_month(year, ranged("month", month, 1, 12)? as u32, 1)?;
        (sunday(first), ranged("week of the month", week, 0, 6)?)
    } else {
        return Ok(None);
    };
    Ok(Some(Date::of(first_week + (week - 1) * 7 + from_sunday)))
}

/// The date, if all of it was read.
fn date(fields: &Fields) -> Result<Option<Date>, String> {
    let get = |field: Field| fields.values.get(&field).copied();
    let Some(year) = get(Field::Year) else { return Ok(None) };
    if let (Some(month), Some(day)) = (get(Field::Month), get(Field::DayOfMonth)) {
        let (month, day) = (ranged("month", month, 1, 12)?, ranged("day", day, 1, 31)?);
        return in_month(year, month as u32, day).map(Some);
    }
    let Some(day) = get(Field::DayOfYear) else { return Ok(None) };
    let first = Date::first_of(year);
    let last = Date::first_of(year + 1).epoch_day - first.epoch_day;
    Ok(Some(Date::of(first.epoch_day + ranged("day of the year", day, 1, last)? - 1)))
}

/// Nanoseconds of the day, whether they are a whole time, and whether it was 24:00.
fn time(fields: &Fields) -> Result<(i64, bool, bool), String> {
    let get = |field: Field| fields.values.get(&field).copied();
    if let Some(nanos) = get(Field::NanoOfDay).or(get(Field::MilliOfDay).map(|ms| ms.saturating_mul(1_000_000))) {
        return Ok((ranged("time of day", nanos, 0, DAY_NS - 1)?, true, false));
    }
    let hour = hour(fields)?;
    let part = |field, what: &str, most| get(field).map(|v| ranged(what, v, 0, most)).transpose();
    let minute = part(Field::Minute, "minute", 59)?;
    let second = part(Field::Second, "second", 59)?;
    let nano = part(Field::Nano, "nanosecond", SECOND_NS - 1)?;
    let (m, s, n) = (minute.unwrap_or(0), second.unwrap_or(0), nano.unwrap_or(0));
    if hour == Some(24) && (m, s, n) == (0, 0, 0) {
        return Ok((0, true, true));
    }
    let of_half = hour_of_half(fields)?;
    let h = ranged("hour", hour.or(of_half).unwrap_or(0), 0, 23)?;
    // A part is only missing if all smaller ones are.
    let whole = hour.is_some() && (minute.is_some() || second.is_none()) && (second.is_some() || nano.is_none());
    Ok((((h * 60 + m) * 60 + s) * SECOND_NS + n, whole, false))
}

/// The hour of a half of the day, which is the first one if nothing says which.
fn hour_of_half(fields: &Fields) -> Result<Option<i64>, String> {
    let get = |field: Field| fields.values.get(&field).copied();
    match (get(Field::HourOfHalf), get(Field::ClockHourOfHalf)) {
        (Some(hour), _) => ranged("hour of a half day", hour, 0, 11).map(Some),
        (None, Some(hour)) => Ok(Some(ranged("hour of a half day", hour, 1, 12)? % 12)),
        (None, None) => Ok(None),
    }
}

fn hour(fields: &Fields) -> Result<Option<i64>, String> {
    let get = |field: Field| fields.values.get(&field).copied();
    let (half, of_half) = (get(Field::HalfOfDay), hour_of_half(fields)?);
    let hour = match get(Field::ClockHour) {
        Some(hour) => Some(ranged("hour", hour, 1, 24)? % 24),
        None => get(Field::Hour),
    };
    Ok(match (hour, half, of_half) {
        (None, Some(half), Some(hour)) => Some(half * 12 + hour),
        // The middle of the half day.
        (None, Some(half), None) => Some(half * 12 + 6),
        (hour, ..) => hour,
    })
}
