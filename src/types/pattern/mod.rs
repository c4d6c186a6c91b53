//! Patterns of dates and times in the letters of Java's `DateTimeFormatter`: `yyyy-MM-dd HH:mm`.
//!
//! A [`Pattern`] is parsed once and then prints a [`Moment`] or reads a text to a [`Resolved`]. Letters, their
//! numbers and the refusals are those of `DateTimeFormatterBuilder.appendPattern` in Java 17, and the messages are
//! Java's where it has one.
//!
//! | part | meaning |
//! |---|---|
//! | a run of one letter | a field; the number of letters decides width or style |
//! | `'text'` | the text; two quotes are one quote |
//! | `[…]` | optional: left out if it cannot be printed or read |
//! | `ppH` | padded with blanks to two characters |
//! | `{`, `}`, `#` | refused, reserved by Java |
//! | anything else | itself |
//!
//! Whether a pattern fits a type shows only when it is used: `HH` is a good pattern, and printing a DATE by it is the
//! error.

mod print;
mod read;
mod resolve;
pub mod zone;

pub use print::Moment;
pub use read::Names;
pub use resolve::Resolved;

/// A pattern, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// As it was written.
    text: String,
    items: Vec<Item>,
}

/// A part of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    Literal(String),
    Number {
        field: Field,
        min: usize,
        max: usize,
        sign: Sign,
    },
    /// The last two digits of a year.
    TwoDigits(Field),
    /// So many digits of the second's fraction.
    Fraction(usize),
    Text(Field, Style),
    ZoneId,
    ZoneName(Style),
    Offset {
        form: OffsetForm,
        zero: &'static str,
    },
    /// `GMT+8`, or `GMT+08:00` in full.
    LocalizedOffset(Style),
    Padded(usize, Box<Item>),
    /// What is left out if it cannot be printed.
    Optional(Vec<Item>),
}

/// What a number or a text says of a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Field {
    Era,
    Year,
    YearOfEra,
    WeekBasedYear,
    Quarter,
    Month,
    WeekOfYear,
    WeekOfMonth,
    DayOfMonth,
    DayOfYear,
    AlignedDayOfWeek,
    DayOfWeek,
    /// Counted from Sunday.
    LocalDayOfWeek,
    JulianDay,
    HalfOfDay,
    DayPeriod,
    Hour,
    /// From 1 to 24.
    ClockHour,
    HourOfHalf,
    /// From 1 to 12.
    ClockHourOfHalf,
    Minute,
    Second,
    MilliOfDay,
    Nano,
    NanoOfDay,
}

/// Which sign a number has, and how many digits it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    /// Only a minus.
    Normal,
    /// A plus where there are more digits than the pattern has letters.
    ExceedsPad,
    /// None.
    Never,
}

/// How long a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    Short,
    Full,
    Narrow,
}

/// How an offset from UTC is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OffsetForm {
    colon: bool,
    minutes: Part,
    seconds: Part,
}

/// Whether a part of an offset is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Always,
    IfNotZero,
    Never,
}

/// How deep optional parts may be nested.
const MOST_NESTED: usize = 64;

/// Java prints numbers of up to so many digits.
const MOST_DIGITS: usize = 19;

impl Pattern {
    /// Parses a pattern.
    ///
    /// # Errors
    /// Why the text is not a pattern, in a sentence.
    ///
    /// An optional part that is not closed ends with the pattern.
    pub fn parse(text: &str) -> Result<Pattern, String> {
        let mut open: Vec<Vec<Item>> = vec![Vec::new()];
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let mut taken = c.len_utf8();
            let last = open.len() - 1;
            match c {
                'A'..='Z' | 'a'..='z' => {
                    let (item, length) = letters(rest, c)?;
                    open[last].push(item);
                    taken = length;
                }
                '\'' => {
                    let (literal, length) = quoted(&rest[1..])?;
                    open[last].push(Item::Literal(literal));
                    taken = 1 + length;
                }
                '[' if last == MOST_NESTED => return Err(format!("Pattern has more than {MOST_NESTED} nested [")),
                '[' => open.push(Vec::new()),
                ']' if last == 0 => return Err("Pattern invalid as it contains ] without previous [".to_owned()),
                ']' => close(&mut open),
                '{' | '}' | '#' => return Err(format!("Pattern includes reserved character: '{c}'")),
                other => open[last].push(Item::Literal(other.to_string())),
            }
            rest = &rest[taken..];
        }
        while open.len() > 1 {
            close(&mut open);
        }
        Ok(Pattern { text: text.to_owned(), items: open.remove(0) })
    }

    /// The pattern that was probably meant by a text that is not one: the letters that mean nothing are quoted. `None` if the
    /// result is not a pattern either.
    ///
    /// For `yyyy-MM-ddTHH:mm` it is `yyyy-MM-dd'T'HH:mm`.
    pub fn quoting(text: &str) -> Option<String> {
        let mut corrected = String::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let length = match c {
                '\'' => 1 + quoted(&rest[1..]).ok()?.1,
                _ => rest.chars().take_while(|next| *next == c).count() * c.len_utf8(),
            };
            let (run, behind) = rest.split_at(length);
            let means_nothing = c.is_ascii_alphabetic() && c != 'p' && letters(run, c).is_err();
            match means_nothing || matches!(c, '{' | '}' | '#') {
                true => corrected.extend(["'", run, "'"]),
                false => corrected.push_str(run),
            }
            rest = behind;
        }
        (corrected != text && Pattern::parse(&corrected).is_ok()).then_some(corrected)
    }

    /// Whether a whole time can be read by the pattern: it names an hour and nothing of a date.
    pub fn reads_time(&self) -> bool {
        let fields = fields_of(&self.items);
        fields.iter().all(|field| *field >= Field::HalfOfDay) && !fields.is_empty()
    }
}

/// What the items of a pattern name, those in optional parts included.
fn fields_of(items: &[Item]) -> Vec<Field> {
    let of_item = |item: &Item| match item {
        Item::Number { field, .. } | Item::TwoDigits(field) | Item::Text(field, _) => vec![*field],
        Item::Fraction(_) => vec![Field::Nano],
        Item::Padded(_, item) => fields_of(std::slice::from_ref(item)),
        Item::Optional(items) => fields_of(items),
        _ => Vec::new(),
    };
    items.iter().flat_map(of_item).collect()
}

/// Ends the innermost optional part.
fn close(open: &mut Vec<Vec<Item>>) {
    if let Some(items) = open.pop()
        && let Some(outer) = open.last_mut()
    {
        outer.push(Item::Optional(items));
    }
}

/// A literal whose opening quote was taken, and its length with the closing one.
fn quoted(text: &str) -> Result<(String, usize), String> {
    if text.starts_with('\'') {
        return Ok(("'".to_owned(), 1));
    }
    let mut literal = String::new();
    let mut at = 0;
    loop {
        let end = text[at..].find('\'').ok_or("Pattern ends with an incomplete string literal")?;
        literal.push_str(&text[at..at + end]);
        at += end + 1;
        if !text[at..].starts_with('\'') {
            return Ok((literal, at));
        }
        literal.push('\'');
        at += 1;
    }
}

/// The item that a run of one letter at the front means, and its length; `p` goes with the run after it.
fn letters(text: &str, letter: char) -> Result<(Item, usize), String> {
    let count = text.chars().take_while(|c| *c == letter).count();
    if letter != 'p' {
        return item(letter, count).map(|item| (item, count));
    }
    match text[count..].chars().next().filter(char::is_ascii_alphabetic) {
        Some(next) => {
            let (item, length) = letters(&text[count..], next)?;
            Ok((Item::Padded(count, Box::new(item)), count + length))
        }
        None => Err(format!("Pad letter 'p' must be followed by valid pad pattern: {text}")),
    }
}

/// # Errors
/// With Java's messages: the letter means nothing, or not so often.
fn item(letter: char, count: usize) -> Result<Item, String> {
    let too_many = || Err(format!("Too many pattern letters: {letter}"));
    let number = |field, min, max, sign| Ok(Item::Number { field, min, max, sign });
    let small = |field| match count {
        1 => number(field, 1, MOST_DIGITS, Sign::Normal),
        2 => number(field, 2, 2, Sign::Never),
        _ => too_many(),
    };
    let style = |from: usize| match count + 3 - from {
        3 => Ok(Style::Short),
        4 => Ok(Style::Full),
        5 => Ok(Style::Narrow),
        _ => Err(format!("Too many pattern letters: {letter}")),
    };
    match letter {
        'u' => year(Field::Year, count),
        'y' => year(Field::YearOfEra, count),
        'Y' => year(Field::WeekBasedYear, count),
        'G' if count <= 3 => Ok(Item::Text(Field::Era, Style::Short)),
        'G' => Ok(Item::Text(Field::Era, style(3)?)),
        'Q' | 'q' if count <= 2 => small(Field::Quarter),
        'Q' | 'q' => Ok(Item::Text(Field::Quarter, style(3)?)),
        'M' | 'L' if count <= 2 => small(Field::Month),
        'M' | 'L' => Ok(Item::Text(Field::Month, style(3)?)),
        'E' if count <= 3 => Ok(Item::Text(Field::DayOfWeek, Style::Short)),
        'E' => Ok(Item::Text(Field::DayOfWeek, style(3)?)),
        'c' if count == 2 => Err("Invalid pattern \"cc\"".to_owned()),
        'e' | 'c' if count <= 2 => small(Field::LocalDayOfWeek),
        'e' | 'c' => Ok(Item::Text(Field::DayOfWeek, style(3)?)),
        'w' => small(Field::WeekOfYear),
        'W' if count == 1 => small(Field::WeekOfMonth),
        'd' => small(Field::DayOfMonth),
        'D' if count == 1 => small(Field::DayOfYear),
        'D' if count <= 3 => number(Field::DayOfYear, count, 3, Sign::Never),
        'F' if count == 1 => small(Field::AlignedDayOfWeek),
        'g' => number(Field::JulianDay, count, MOST_DIGITS, Sign::Normal),
        'a' if count == 1 => Ok(Item::Text(Field::HalfOfDay, Style::Short)),
        'B' if [1, 4, 5].contains(&count) => Ok(Item::Text(Field::DayPeriod, Style::Full)),
        'H' => small(Field::Hour),
        'k' => small(Field::ClockHour),
        'K' => small(Field::HourOfHalf),
        'h' => small(Field::ClockHourOfHalf),
        'm' => small(Field::Minute),
        's' => small(Field::Second),
        'S' if count <= 9 => Ok(Item::Fraction(count)),
        'A' => number(Field::MilliOfDay, count, MOST_DIGITS, Sign::Never),
        'n' => number(Field::Nano, count, MOST_DIGITS, Sign::Never),
        'N' => number(Field::NanoOfDay, count, MOST_DIGITS, Sign::Never),
        'V' if count == 2 => Ok(Item::ZoneId),
        'V' => Err(format!("Pattern letter count must be 2: {letter}")),
        'v' if count == 1 => Ok(Item::ZoneName(Style::Short)),
        'v' if count == 4 => Ok(Item::ZoneName(Style::Full)),
        'z' if count <= 3 => Ok(Item::ZoneName(Style::Short)),
        'z' if count == 4 => Ok(Item::ZoneName(Style::Full)),
        'O' if count == 1 => Ok(Item::LocalizedOffset(Style::Short)),
        'O' if count == 4 => Ok(Item::LocalizedOffset(Style::Full)),
        'Z' if count == 4 => Ok(Item::LocalizedOffset(Style::Full)),
        'X' | 'x' | 'Z' if count <= 5 => Ok(offset(letter, count)),
        'W' | 'D' | 'F' | 'a' | 'B' | 'S' | 'v' | 'z' | 'O' | 'X' | 'x' | 'Z' => too_many(),
        _ => Err(format!("Unknown pattern letter: {letter}")),
    }
}

fn year(field: Field, count: usize) -> Result<Item, String> {
    Ok(match count {
        2 => Item::TwoDigits(field),
        1 | 3 => Item::Number { field, min: count, max: MOST_DIGITS, sign: Sign::Normal },
        _ if count > MOST_DIGITS => return Err("Too many pattern letters for a year".to_owned()),
        _ => Item::Number { field, min: count, max: MOST_DIGITS, sign: Sign::ExceedsPad },
    })
}

/// The item of `X`, `x` and `Z`: an offset, and what stands for none.
fn offset(letter: char, count: usize) -> Item {
    let count = if letter == 'Z' && count < 4 { 2 } else { count };
    let form = OffsetForm {
        colon: count == 3 || count == 5,
        minutes: if count == 1 { Part::IfNotZero } else { Part::Always },
        seconds: if count >= 4 { Part::IfNotZero } else { Part::Never },
    };
    let zero = match (letter, count) {
        ('X', _) | ('Z', 5) => "Z",
        (_, 1) => "+00",
        (_, 3 | 5) => "+00:00",
        _ => "+0000",
    };
    Item::Offset { form, zero }
}

#[cfg(test)]
mod tests {
    use super::zone::Zone;
    use super::*;

    fn print(pattern: &str, zone: &str) -> String {
        // Thursday, 2 January 2020, 03:04:05.678 UTC.
        let zone = Zone::parse(zone).expect("a zone");
        let printed = Pattern::parse(pattern).and_then(|p| p.print(&Moment::instant(1_577_934_245_678, zone)));
        printed.unwrap_or_else(|why| format!("! {why}"))
    }

    #[test]
    fn letters_print_as_in_java() {
        for (pattern, text) in [
            ("yyyy-MM-dd HH:mm:ss.SSS", "2020-01-02 03:04:05.678"),
            ("yy M d H m s S", "20 1 2 3 4 5 6"),
            ("EEE, d MMM yyyy", "Thu, 2 Jan 2020"),
            ("EEEE MMMM MMMMM", "Thursday January J"),
            ("yyyyy uuuu G GGGG", "02020 2020 AD Anno Domini"),
            ("D DDD Q QQQ QQQQ w W e", "2 002 1 Q1 1st quarter 1 1 5"),
            ("hh a K k B", "03 AM 3 3 at night"),
            ("'it''s' '' [yyyy]", "it's ' 2020"),
            ("ppH A n", " 3 11045678 678000000"),
            ("X XX XXX x xxx Z ZZZZ O", "Z Z Z +00 +00:00 +0000 GMT GMT"),
            ("HHH", "! Too many pattern letters: H"),
            ("T", "! Unknown pattern letter: T"),
            (&"[".repeat(100_000), "! Pattern has more than 64 nested ["),
        ] {
            assert_eq!(print(pattern, "UTC"), text, "{pattern}");
        }
        assert_eq!(print("HH:mm XXX VV z", "America/New_York"), "22:04 -05:00 America/New_York EST");
        assert_eq!(print("HH:mm X OOOO", "+05:30"), "08:34 +0530 GMT+05:30");
    }

    #[test]
    fn texts_are_read_as_in_java() {
        for (pattern, text, printed) in [
            ("yyyy-MM-dd HH:mm", "2020-01-02 03:04", "2020-01-02 03:04"),
            ("MM-dd", "02-28", "1970-02-28 00:00"),
            ("yyyy-MM-dd", "2021-02-31", "2021-02-28 00:00"),
            ("YYYY-'W'ww-e", "2020-W01-1", "2019-12-29 00:00"),
            ("YYYY-'W'ww-EEE", "2020-W53-Sat", "2020-12-26 00:00"),
            ("yyyy-MM W e", "2020-01 2 1", "2020-01-05 00:00"),
            ("yyyy-D", "2020-366", "2020-12-31 00:00"),
            ("yyyy-MM-dd EEE", "2020-01-02 Thu", "2020-01-02 00:00"),
            ("yyyy-MM-dd EEE", "2020-01-02 Fri", "! refused"),
            ("yyyy-MM-dd", "2020-1-2", "! refused"),
            ("yyyy-MM-dd HH", "2020-01-02 24", "2020-01-03 00:00"),
            ("hh:mm a", "03:04 PM", "1970-01-01 15:04"),
        ] {
            let read = |pattern: &str| Pattern::parse(pattern)?.read(text, Names::English)?.instant(&utc());
            let shown = read(pattern).map(|ms| print_at(ms, "yyyy-MM-dd HH:mm"));
            assert_eq!(shown.unwrap_or_else(|_| "! refused".to_owned()), printed, "{pattern} of {text}");
        }
    }

    #[test]
    fn texts_beyond_the_calendar_are_refused() {
        for (pattern, text) in [
            ("uuuu-MM-dd", "+9223372036854775807-01-01"),
            ("uuuu-MM-dd", "-9223372036854775807-01-01"),
            ("uuuu-DDD", "+1000000000-001"),
            ("uuuu-MM W e", "+9223372036854775807-01 1 1"),
            ("YYYY-'W'ww-e", "+9223372036854775807-W01-1"),
            ("uuuu-MM-dd", "+999999999-12-31"),
            ("uuuu", "-999999999"),
        ] {
            let read = Pattern::parse(pattern).expect("a pattern").read(text, Names::Root);
            assert!(read.and_then(|read| read.instant(&utc())).is_err(), "{text}");
        }
    }

    fn utc() -> Zone {
        Zone::parse("UTC").expect("a zone")
    }

    fn print_at(ms: i64, pattern: &str) -> String {
        Pattern::parse(pattern).and_then(|p| p.print(&Moment::instant(ms, utc()))).expect("a text")
    }
}
