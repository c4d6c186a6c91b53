//! What a parameter of a function is for, so that a constant that can never be right is refused with the statement.
//!
//! A parameter may say what its argument stands for: a pattern, a time zone, a regular expression. If the argument is
//! a constant, it is checked once when the statement is bound, instead of failing every row for months. What varies
//! from row to row is checked by the function's body, and a bad value fails its row only.
//!
//! There are two outcomes. A statement that ksqlDB accepts, although the call is NULL in every row, runs here as
//! well, with a warning: such statements exist and must go on running. Every other misuse refuses the statement.
//!
//! | meaning | a bad constant is |
//! |---|---|
//! | patterns that read, zones that read, expressions, JSON paths, lengths, steps | refused |
//! | patterns that print an instant or a date or a time, zones that print or convert | warned of |
//! | encodings, byte orders, distances, masks, counts, groups | warned of |
//!
//! NULL is never a misuse: what it does is up to the function.

use super::encoding::Encoding;
use super::fault::{MOST_CHARACTERS, shown};
use super::json_path::{self, Path};
use super::{distance, mask, pattern_cache, patterns};
use crate::types::Value;
use crate::types::pattern::zone::Zone;
use crate::types::pattern::{Moment, Pattern};

/// What an argument stands for.
///
/// A variant says nothing of the type: a constant of another type than the meaning expects passes, since the choice
/// of the overload has checked it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// A value of which nothing more is known.
    Any,
    /// A pattern by which an instant is printed.
    InstantPattern,
    /// A pattern by which an instant or a date is read.
    ReadPattern,
    /// A pattern by which a DATE is printed.
    DatePattern,
    /// A pattern by which a TIME is printed.
    TimePattern,
    /// A pattern by which a TIME is read.
    ///
    /// It must name an hour or another part of the time, and nothing of a date: else every reading fails.
    ReadTimePattern,
    /// A time zone in which an instant is printed, or between which it is moved.
    Zone,
    /// A time zone in which an instant is read.
    ReadZone,
    /// A regular expression, written as in Java.
    Regex,
    /// The number of a group of a regular expression.
    Group,
    /// A path into a JSON text, such as `$.a[0]`.
    JsonPath,
    /// The name of an encoding.
    Encoding,
    /// The name of an encoding other than that of the argument before.
    ///
    /// ENCODE from an encoding to the same one is accepted and warned of.
    OtherEncoding,
    /// The order of the bytes of a number.
    ByteOrder,
    /// A unit of distances.
    Distance,
    /// A character that stands for others.
    Mask,
    /// How many characters are masked or kept.
    Count,
    /// The length of a text that is made.
    Length,
    /// The step of a series.
    Step,
}

/// Why a constant can never be right, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misuse {
    /// The cause, without the name of the function.
    pub message: String,
    /// The remedy, shown after the message.
    pub hint: String,
    /// Whether the statement is refused. If not, it runs as in ksqlDB, which accepts such calls, and the user is warned.
    pub refused: bool,
}

fn refused(message: impl Into<String>, hint: impl Into<String>) -> Result<(), Misuse> {
    Err(Misuse { message: message.into(), hint: hint.into(), refused: true })
}

fn warned(message: impl Into<String>, hint: impl Into<String>) -> Result<(), Misuse> {
    Err(Misuse { message: message.into(), hint: hint.into(), refused: false })
}

/// What ksqlDB accepts, so that the statement is not refused for it.
fn accepted(misuse: Misuse) -> Misuse {
    Misuse { refused: false, ..misuse }
}

impl Meaning {
    /// Checks a constant argument; `before` is the argument before it, if that is a constant too.
    ///
    /// # Errors
    /// Why every call with it would fail.
    ///
    /// A pattern is tried on a moment of the type that it will print: `HH` is a good pattern, but not for a DATE.
    pub fn check(self, value: &Value, before: Option<&Value>) -> Result<(), Misuse> {
        match (self, value) {
            (_, Value::Null) | (Meaning::Any, _) => Ok(()),
            (Meaning::ReadPattern, Value::String(text)) => pattern(text, &instant()),
            (Meaning::InstantPattern, Value::String(text)) => pattern(text, &instant()).map_err(accepted),
            (Meaning::DatePattern, Value::String(text)) => pattern(text, &Moment::date(0)).map_err(accepted),
            (Meaning::TimePattern, Value::String(text)) => pattern(text, &Moment::time(0)).map_err(accepted),
            (Meaning::ReadTimePattern, Value::String(text)) => read_time(text),
            (Meaning::ReadZone, Value::String(text)) => zone(text),
            (Meaning::Zone, Value::String(text)) => zone(text).map_err(accepted),
            (Meaning::Regex, Value::String(text)) => match pattern_cache::compiled(text) {
                Ok(_) => Ok(()),
                Err(fault) => refused(fault.text(), "the expressions are those of Java's java.util.regex"),
            },
            (Meaning::JsonPath, Value::String(text)) => match Path::parse(text) {
                Some(_) => Ok(()),
                None => refused(format!("Invalid JSON path: {}", shown(value)), json_path::FORM),
            },
            (Meaning::Encoding | Meaning::OtherEncoding, Value::String(text)) => encoding(self, text, before),
            (Meaning::ByteOrder, Value::String(text)) => {
                let known = ["BIG_ENDIAN", "LITTLE_ENDIAN"].iter().any(|order| order.eq_ignore_ascii_case(text));
                let unknown =
                    || warned(format!("{} is not a byte order", shown(value)), "use BIG_ENDIAN or LITTLE_ENDIAN");
                if known { Ok(()) } else { unknown() }
            }
            (Meaning::Distance, Value::String(text)) => match distance::radius(text) {
                Some(_) => Ok(()),
                None => warned(format!("{} is not a unit of distance", shown(value)), "use 'miles' or 'kilometers'"),
            },
            (Meaning::Mask, Value::String(text)) => match mask::character(text) {
                Ok(_) => Ok(()),
                Err(fault) => warned(fault.text(), "give one character, or NULL to keep what it would stand for"),
            },
            (meaning, value) => number(meaning, value),
        }
    }
}

/// The constants that are numbers.
///
/// Only INTEGER constants are judged.
fn number(meaning: Meaning, value: &Value) -> Result<(), Misuse> {
    let Value::Integer(number) = *value else { return Ok(()) };
    match meaning {
        Meaning::Group if number < 0 => warned(format!("{number} is not a group"), "a group has a number from 0 on"),
        Meaning::Count if number < 0 => warned(format!("{number} is not a number of characters"), "give 0 or more"),
        Meaning::Length if number > MOST_CHARACTERS as i32 => {
            let hint = format!("the limit is {MOST_CHARACTERS} characters");
            refused(format!("a length of {number} is too much"), hint)
        }
        Meaning::Step if number == 0 => refused("GENERATE_SERIES step cannot be zero", "give a step other than 0"),
        _ => Ok(()),
    }
}

/// An instant to try patterns with.
fn instant() -> Moment {
    Moment::instant(0, Zone::utc("UTC"))
}

/// A pattern that must be able to print a moment.
///
/// Patterns with letters for what the moment lacks are found by printing it once. An optional part in brackets never
/// fails.
fn pattern(text: &str, moment: &Moment) -> Result<(), Misuse> {
    let parsed = Pattern::parse(text).or_else(|why| no_pattern(text, &why))?;
    match parsed.print(moment) {
        Ok(_) => Ok(()),
        Err(why) => refused(
            format!("the pattern {} does not fit the type of the value: {why}", shown(&Value::String(text.to_owned()))),
            "a DATE has only the letters of dates, a TIME only those of times",
        ),
    }
}

/// The hint quotes the letters that mean nothing, if that makes a pattern of the text: for `yyyy-MM-ddTHH:mm` it
/// proposes `yyyy-MM-dd''T''HH:mm`.
fn no_pattern(text: &str, why: &str) -> Result<Pattern, Misuse> {
    let hint = match Pattern::quoting(text) {
        Some(corrected) => format!(
            "letters that stand for themselves are quoted, inside of a text with two quotes each: '{}'",
            corrected.replace('\'', "''")
        ),
        None => "the letters are those of Java's DateTimeFormatter, for example 'yyyy-MM-dd HH:mm:ss'".to_owned(),
    };
    Err(Misuse { message: patterns::no_pattern(text, why), hint, refused: true })
}

fn read_time(text: &str) -> Result<(), Misuse> {
    let parsed = Pattern::parse(text).or_else(|why| no_pattern(text, &why))?;
    match parsed.reads_time() {
        true => Ok(()),
        false => refused(
            format!(
                "the pattern {} does not read a time of day: it has no letter of times, or one of dates",
                shown(&Value::String(text.to_owned()))
            ),
            "use the letters of times only, with one for the hour: 'HH:mm'",
        ),
    }
}

/// Names are those of Java's `ZoneId`, in which case matters: `europe/paris` is refused with the right spelling as
/// the hint.
fn zone(name: &str) -> Result<(), Misuse> {
    if Zone::parse(name).is_some() {
        return Ok(());
    }
    let shown = shown(&Value::String(name.to_owned()));
    let hint = match Zone::nearest(name) {
        Some(near) if near.eq_ignore_ascii_case(name) => format!("it is '{near}': upper and lower case matter"),
        Some(near) => format!("did you mean '{near}'?"),
        None => "use a name like 'Europe/Paris', or an offset like '+02:00'".to_owned(),
    };
    refused(format!("Unknown time-zone ID: {shown}"), hint)
}

fn encoding(meaning: Meaning, name: &str, before: Option<&Value>) -> Result<(), Misuse> {
    let found = match Encoding::find(name) {
        Ok(found) => found,
        Err(fault) => return warned(fault.text(), "use 'hex', 'utf8', 'ascii' or 'base64'"),
    };
    let Some(Value::String(before)) = before.filter(|_| meaning == Meaning::OtherEncoding) else { return Ok(()) };
    if Encoding::find(before) != Ok(found) {
        return Ok(());
    }
    warned(format!("the input and the output are both {name}"), "give two encodings that differ")
}
