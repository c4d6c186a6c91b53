//! Values as text, as Java prints them: ksqlDB's output is compared byte for byte.
//!
//! The other direction is in [`parse`](super::parse) for CAST and comparisons, and in [`pattern`](super::pattern)
//! where a statement gives a pattern.

use std::borrow::Cow;
use std::fmt::Write;

use chrono::{NaiveTime, Timelike};

use super::calendar::Date;
use super::parse::DAY_MS;

/// The decimal value of a digit of any script, as Java's `Character.digit` gives it.
pub fn digit(c: char) -> Option<u8> {
    if let Some(d) = c.to_digit(10) {
        return Some(d as u8);
    }
    if c.is_ascii() {
        return None;
    }
    // Unicode's decimal digits come in runs of ten; these are the starts of the runs in the basic plane.
    const ZEROS: [u32; 22] = [
        0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6, 0xC66, 0xCE6, 0xD66, 0xDE6, 0xE50, 0xED0, 0xF20,
        0x1040, 0x17E0, 0x1810, 0x1946, 0x19D0, 0xFF10,
    ];
    let code = c as u32;
    ZEROS.iter().find(|zero| (**zero..**zero + 10).contains(&code)).map(|zero| (code - zero) as u8)
}

/// A whole number as Java's `Long.parseLong` reads it: an optional sign and digits of any script.
///
/// `None` for an empty text, blanks, or a number out of range. The common case of ASCII digits is left to the
/// standard library.
pub fn parse_i64(text: &str) -> Option<i64> {
    if let Ok(value) = text.parse() {
        return Some(value);
    }
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let mut value = 0i64;
    for c in digits.chars() {
        let d = i64::from(digit(c)?);
        value = value.checked_mul(10)?;
        value = if negative { value.checked_sub(d)? } else { value.checked_add(d)? };
    }
    (!digits.is_empty()).then_some(value)
}

/// [`parse_i64`] for 32 bits.
pub fn parse_i32(text: &str) -> Option<i32> {
    parse_i64(text).and_then(|v| i32::try_from(v).ok())
}

/// A double as Java's `Double.parseDouble` reads it: blanks around, a suffix `d` or `f`, `NaN`, `Infinity`.
///
/// A number too large gives an infinity. Hexadecimal floats, which Java reads too, are `None`.
pub fn parse_f64(text: &str) -> Option<f64> {
    let text = text.trim_matches(|c: char| c <= ' ');
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    match unsigned {
        "NaN" => return Some(f64::NAN),
        "Infinity" => return Some(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY }),
        _ => {}
    }
    let body = unsigned.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(unsigned);
    if body.starts_with(['+', '-'])
        || !body.bytes().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'))
    {
        return None;
    }
    let value: f64 = body.parse().ok()?;
    Some(if text.starts_with('-') { -value } else { value })
}

/// Java's `Double.toString`: `1.0`, `1.0E10`, `1.0E-4`, `NaN`, `-Infinity`.
pub fn double(value: f64) -> String {
    with_double(value, str::to_owned)
}

/// Appends [`double`] to `out`.
pub fn write_double(out: &mut String, value: f64) {
    with_double(value, |text| out.push_str(text));
}

/// Gives [`double`] to `take`.
///
/// From 10^-3 up to, but without, 10^7 a number prints without an exponent, others with one: 1.0E7, 1.0E-4. The
/// digits are the shortest that read back as the same double (JDK 19 and later do the same).
pub fn with_double<T>(value: f64, take: impl FnOnce(&str) -> T) -> T {
    if value.is_nan() {
        return take("NaN");
    }
    if value.is_infinite() {
        return take(if value > 0.0 { "Infinity" } else { "-Infinity" });
    }
    if value == 0.0 {
        return take(if value.is_sign_negative() { "-0.0" } else { "0.0" });
    }
    let magnitude = value.abs();
    if (1e-3..1e7).contains(&magnitude) {
        // In this range there is no exponent, and always a fraction.
        return take(zmij::Buffer::new().format_finite(value));
    }
    // Java prints two digits at least, and of those the nearest: the smallest double is 4.9E-324, not 5.0E-324.
    let mut text = format!("{magnitude:e}");
    let two = format!("{magnitude:.1e}");
    if !text.contains('.') && two.parse() == Ok(magnitude) {
        text = two;
    }
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let sign = if value < 0.0 { "-" } else { "" };
    let point = if mantissa.contains('.') { "" } else { ".0" };
    take(&format!("{sign}{mantissa}{point}E{exponent}"))
}

/// ISO date: `2020-01-31`, `-0001-12-31`, `+10000-01-01`.
pub fn date(days: i32) -> String {
    let date = Date::of(i64::from(days));
    format!("{}-{:02}-{:02}", iso_year(date.year), date.month, date.day)
}

fn iso_year(year: i64) -> String {
    match year {
        0..=9999 => format!("{year:04}"),
        10_000.. => format!("+{year}"),
        _ => format!("-{:04}", year.unsigned_abs()),
    }
}

/// ISO time of day, as short as it can be: `10:20`, `10:20:30`, `10:20:30.123`.
///
/// `LocalTime.toString`. A number outside of a day prints as the number.
pub fn time(ms: i32) -> String {
    let Some(t) = NaiveTime::from_num_seconds_from_midnight_opt((ms / 1000) as u32, (ms % 1000) as u32 * 1_000_000)
    else {
        return ms.to_string();
    };
    let millis = t.nanosecond() / 1_000_000;
    match (t.second(), millis) {
        (0, 0) => format!("{:02}:{:02}", t.hour(), t.minute()),
        (second, 0) => format!("{:02}:{:02}:{second:02}", t.hour(), t.minute()),
        (second, millis) => format!("{:02}:{:02}:{second:02}.{millis:03}", t.hour(), t.minute()),
    }
}

/// `2020-01-31T10:20:30.123`, in UTC, with the year of the era as CAST prints it: year 0 is `0001`.
pub fn timestamp(ms: i64) -> String {
    let (date, clock) = (Date::of(ms.div_euclid(DAY_MS)), ms.rem_euclid(DAY_MS));
    let year = if date.year > 0 { date.year } else { 1 - date.year };
    let (second, millis) = (clock / 1000, clock % 1000);
    let clock = format!("{:02}:{:02}:{:02}.{millis:03}", second / 3600, second / 60 % 60, second % 60);
    format!("{}-{:02}-{:02}T{clock}", iso_year(year), date.month, date.day)
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, b| {
        let _ = write!(text, "{b:02x}");
        text
    })
}

/// How many characters of a value a message shows.
pub const MOST_SHOWN: usize = 200;

/// The text, cut where it is longer than a message shows.
pub fn shortened(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(MOST_SHOWN) {
        Some((at, _)) => Cow::Owned(format!("{}…", &text[..at])),
        None => Cow::Borrowed(text),
    }
}

/// The order in which a `java.util.HashMap` that got these keys, one after the other, walks over them.
///
/// Follows the source of OpenJDK 17: 16 buckets, doubled when more than three quarters are in; a bucket keeps the order of
/// insertion, and doubling keeps it too. Buckets of eight and more keys become trees there; their order is not followed.
///
/// The result has the places of the keys in the order in which they are walked over.
pub fn hash_map_order<'a>(keys: impl ExactSizeIterator<Item = &'a str>) -> Vec<usize> {
    let mut capacity = keys.len().max(1).next_power_of_two();
    while keys.len() * 4 > capacity * 3 {
        capacity *= 2;
    }
    let mut order: Vec<(usize, usize)> = keys
        .enumerate()
        .map(|(i, key)| {
            let hash = key.encode_utf16().fold(0u32, |h, unit| h.wrapping_mul(31).wrapping_add(u32::from(unit)));
            ((hash ^ (hash >> 16)) as usize & (capacity - 1), i)
        })
        .collect();
    order.sort();
    order.into_iter().map(|(_, i)| i).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_print_as_java_prints_them() {
        let cases = [
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (0.001, "0.001"),
            (1e-4, "1.0E-4"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (12_345_678.9, "1.23456789E7"),
            (4.9e-324, "4.9E-324"),
            (2e-10, "2.0E-10"),
            (1e10, "1.0E10"),
            (-1.5e300, "-1.5E300"),
        ];
        for (value, text) in cases {
            assert_eq!(double(value), text);
        }
    }

    #[test]
    fn numbers_are_read_as_java_reads_them() {
        assert_eq!(parse_i64("+12"), Some(12));
        assert_eq!(parse_i64("٣"), Some(3));
        assert_eq!(parse_i64(" 1"), None);
        assert_eq!(parse_i32("2147483648"), None);
        assert_eq!(parse_f64(" 1d "), Some(1.0));
        assert_eq!(parse_f64("-Infinity"), Some(f64::NEG_INFINITY));
        assert_eq!(parse_f64("inf"), None);
    }

    #[test]
    fn times_print_as_iso() {
        assert_eq!(date(-719_163), "0000-12-31");
        assert_eq!(time(37_230_123), "10:20:30.123");
        assert_eq!(time(37_200_000), "10:20");
        assert_eq!(timestamp(1_580_465_230_123), "2020-01-31T10:07:10.123");
    }

    #[test]
    fn maps_are_walked_as_java_walks_them() {
        let keys = ["banana", "apple", "cherry"];
        let order = hash_map_order(keys.iter().copied());
        assert_eq!(order.iter().map(|i| keys[*i]).collect::<Vec<_>>(), ["banana", "apple", "cherry"]);
    }
}
