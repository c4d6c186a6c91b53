//! The calendar: Gregorian in both directions, without an end.
//!
//! Days before 1582 are Gregorian too (proleptic), as in Java's `LocalDate` and ISO 8601. All functions take constant
//! time. The year zero exists: it is 1 BC.

/// A day of the calendar.
///
/// The four fields always describe the same day; a date is made by [`Date::of`] or [`Date::first_of`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    /// The year; 0 is the year before year 1.
    pub year: i64,
    /// From 1 to 12.
    pub month: u32,
    /// The day of the month, from 1 to 31.
    pub day: u32,
    /// Days since 1970-01-01.
    pub epoch_day: i64,
}

/// Days of 400 years, after which the calendar repeats itself.
const ERA_DAYS: i64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01: years are counted from March, so that a leap day is a year's last.
const MARCH_DAYS: i64 = 719_468;

impl Date {
    /// The day so many days after 1970-01-01.
    ///
    /// 0 is 1970-01-01 and -1 is 1969-12-31. Exact for all years that Java knows, and far beyond.
    pub fn of(epoch_day: i64) -> Date {
        let shifted = epoch_day + MARCH_DAYS;
        let (era, day) = (shifted.div_euclid(ERA_DAYS), shifted.rem_euclid(ERA_DAYS));
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day_of_year = day - (365 * year + year / 4 - year / 100);
        let march_month = (5 * day_of_year + 2) / 153;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        Date {
            year: year + era * 400 + i64::from(month <= 2),
            month: month as u32,
            day: (day_of_year - (153 * march_month + 2) / 5 + 1) as u32,
            epoch_day,
        }
    }

    /// The first day of a year.
    ///
    /// 1 January.
    pub fn first_of(year: i64) -> Date {
        let before = year - 1;
        let epoch_day = before * 365 + before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400) - 719_162;
        Date { year, month: 1, day: 1, epoch_day }
    }

    /// The day of the year, counted from 1.
    ///
    /// Up to 366.
    pub fn day_of_year(&self) -> u32 {
        (self.epoch_day - Date::first_of(self.year).epoch_day + 1) as u32
    }

    /// The day of the week, Monday being 1 and Sunday 7.
    pub fn day_of_week(&self) -> u32 {
        (self.epoch_day + 3).rem_euclid(7) as u32 + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_found_far_from_here() {
        let show = |days: i64| {
            let date = Date::of(days);
            format!("{}-{}-{} {} {}", date.year, date.month, date.day, date.day_of_year(), date.day_of_week())
        };
        assert_eq!(show(0), "1970-1-1 1 4");
        assert_eq!(show(18_321), "2020-2-29 60 6");
        assert_eq!(show(-719_528), "0-1-1 1 6");
        assert_eq!(show(i64::from(i32::MAX)), "5881580-7-11 193 5");
        assert_eq!(Date::first_of(2021).epoch_day, 18_628);
        assert_eq!(Date::first_of(-1).epoch_day, -719_893);
    }
}
