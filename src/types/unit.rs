//! The units in which lengths of time are written.

/// A unit of durations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeUnit {
    /// The smallest unit.
    Milliseconds,
    /// 1,000 milliseconds each.
    Seconds,
    /// 60 seconds each.
    Minutes,
    /// 60 minutes each.
    Hours,
    /// 24 hours each, whatever the time zone.
    Days,
}

impl TimeUnit {
    /// All units, the smallest first.
    pub const ALL: [TimeUnit; 5] =
        [TimeUnit::Milliseconds, TimeUnit::Seconds, TimeUnit::Minutes, TimeUnit::Hours, TimeUnit::Days];

    /// The name in the plural, as it is printed.
    pub fn name(self) -> &'static str {
        match self {
            TimeUnit::Milliseconds => "MILLISECONDS",
            TimeUnit::Seconds => "SECONDS",
            TimeUnit::Minutes => "MINUTES",
            TimeUnit::Hours => "HOURS",
            TimeUnit::Days => "DAYS",
        }
    }

    /// The length in milliseconds.
    pub fn ms(self) -> i64 {
        match self {
            TimeUnit::Milliseconds => 1,
            TimeUnit::Seconds => 1_000,
            TimeUnit::Minutes => 60_000,
            TimeUnit::Hours => 3_600_000,
            TimeUnit::Days => 86_400_000,
        }
    }

    /// The unit that `word` names in the singular or the plural, in any case.
    ///
    /// There are no months and years: their length is not fixed.
    pub fn parse(word: &str) -> Option<TimeUnit> {
        TimeUnit::ALL.into_iter().find(|unit| {
            let plural = unit.name();
            word.eq_ignore_ascii_case(plural) || word.eq_ignore_ascii_case(&plural[..plural.len() - 1])
        })
    }
}
