//! What the MASK functions share: which characters are masked, and by what.
//!
//! Characters are UTF-16 units, as in Java, so a character beyond U+FFFF counts as two and each half is masked for
//! itself.
//!
//! | characters | Unicode category | mask unless given |
//! |---|---|---|
//! | upper-case letters | Lu | `X` |
//! | lower-case letters | Ll | `x` |
//! | digits | Nd | `n` |
//! | all others, blanks too | | `-` |
//!
//! A NULL for a mask keeps the characters that it would stand for. `MASK('My Test $123')` is `Xx-Xxxx--nnn`.

use arrow::array::ArrayRef;

use super::call::{Call, Fault, Reader};
use super::fault::shortened;
use super::meaning::Meaning;
use super::pattern_cache::compiled;
use super::signature::{T, param};
use super::{Overload, Returns};
use crate::types::SqlType;

/// The part of a string that is masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The first characters.
    Left,
    /// The last characters.
    Right,
    /// All but the first characters.
    ButLeft,
    /// All but the last characters.
    ButRight,
}

/// The characters that stand for upper-case letters, lower-case letters, digits and all else; `None` keeps them.
type Masks = [Option<u16>; 4];

const DEFAULT: Masks = [Some('X' as u16), Some('x' as u16), Some('n' as u16), Some('-' as u16)];

/// MASK: the string, and perhaps four masks.
pub(super) fn whole(call: &mut Call) -> ArrayRef {
    let args: Vec<Reader> = call.readers();
    call.rows(|row| {
        let masks = masks(&args[1..], row)?;
        Ok(args[0].get::<&str>(row).map(|text| masked(text, &masks, |_, _| true)))
    })
}

/// MASK_LEFT and its kin: the string, a number of characters, and perhaps four masks.
///
/// A negative or NULL number of characters fails the row. A number beyond the length masks all, or nothing for the
/// kinds that keep.
pub(super) fn part(call: &mut Call, part: Part) -> ArrayRef {
    let args: Vec<Reader> = call.readers();
    call.rows(|row| {
        let masks = masks(&args[2..], row)?;
        let count = args[1].get::<i32>(row).ok_or("the number of characters is NULL")?;
        let count = usize::try_from(count)
            .map_err(|_| "a non-negative number of characters to mask or skip is required".to_owned())?;
        let within = |at: usize, length: usize| match part {
            Part::Left => at < count,
            Part::Right => at + count >= length,
            Part::ButLeft => at >= count,
            Part::ButRight => at + count < length,
        };
        Ok(args[0].get::<&str>(row).map(|text| masked(text, &masks, within)))
    })
}

/// Masks that the call does not have keep their defaults.
///
/// # Errors
/// A mask is not exactly one UTF-16 unit.
fn masks(args: &[Reader], row: usize) -> Result<Masks, Fault> {
    let mut masks = DEFAULT;
    for (arg, mask) in args.iter().zip(&mut masks) {
        *mask = match arg.get::<&str>(row) {
            None => None,
            Some(text) => Some(character(text)?),
        };
    }
    Ok(masks)
}

/// The character that a text is.
///
/// # Errors
/// If it is not one UTF-16 unit.
pub(super) fn character(text: &str) -> Result<u16, Fault> {
    let mut units = text.encode_utf16();
    match (units.next(), units.next()) {
        (Some(unit), None) => Ok(unit),
        _ => Err(Fault::shown(format!("Invalid mask character: '{}' is not one character", shortened(text)))),
    }
}

/// The string with the characters masked for which `within` says so, given their place and the length in UTF-16 units.
fn masked(text: &str, masks: &Masks, within: impl Fn(usize, usize) -> bool) -> String {
    let units: Vec<u16> = text.encode_utf16().collect();
    let mask = |(at, unit): (usize, &u16)| match within(at, units.len()) {
        true => masks[kind(*unit)].unwrap_or(*unit),
        false => *unit,
    };
    String::from_utf16_lossy(&units.iter().enumerate().map(mask).collect::<Vec<u16>>())
}

/// Which mask belongs to a character, by the categories Lu, Ll and Nd of Unicode exactly.
///
/// An index into the masks. Half of a surrogate pair has no category and counts as other.
fn kind(unit: u16) -> usize {
    let Some(c) = char::from_u32(u32::from(unit)) else { return 3 };
    if c.is_ascii() {
        return match c {
            'A'..='Z' => 0,
            'a'..='z' => 1,
            '0'..='9' => 2,
            _ => 3,
        };
    }
    let text = c.to_string();
    let is_in = |class: &str| compiled(class).is_ok_and(|regex| regex.is_match(&text).unwrap_or(false));
    ["\\p{Lu}", "\\p{Ll}", "\\p{Nd}"].iter().position(|class| is_in(class)).unwrap_or(3)
}

/// A string and a number of characters, and then the characters that stand for those that are masked.
pub(super) const fn overloads(body: fn(&mut Call) -> ArrayRef) -> [Overload; 2] {
    [
        Overload {
            params: const { &[param("input", T::String), param("numChars", T::Int).meaning(Meaning::Count)] },
            returns: Returns::Is(SqlType::String),
            body,
        },
        Overload {
            params: const {
                &[
                    param("input", T::String),
                    param("numChars", T::Int).meaning(Meaning::Count),
                    param("upper", T::String).meaning(Meaning::Mask),
                    param("lower", T::String).meaning(Meaning::Mask),
                    param("digit", T::String).meaning(Meaning::Mask),
                    param("other", T::String).meaning(Meaning::Mask),
                ]
            },
            returns: Returns::Is(SqlType::String),
            body,
        },
    ]
}
