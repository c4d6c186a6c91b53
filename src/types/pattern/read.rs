//! Texts by a pattern, as moments: strictly by its widths, and with Java's SMART way of making a date of what was read.

use std::collections::BTreeMap;

use super::resolve::Resolved;
use super::zone::{Zone, offset_seconds};
use super::{Field, Item, OffsetForm, Part, Pattern, Sign, Style};
use crate::types::text::shortened;

/// In which language the names of months and days are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// Java's English locale, in which long names are written out.
    English,
    /// Java's root locale, in which long names are the short ones too.
    Root,
}

/// What was read.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields {
    pub values: BTreeMap<Field, i64>,
    pub zone: Option<Zone>,
}

/// A text that is read from the front.
struct Reading<'a> {
    text: &'a [char],
    at: usize,
    names: Names,
    fields: Fields,
}

/// How many digits a number may leave to the numbers right after it, or that it takes exactly its own.
#[derive(Clone, Copy, PartialEq)]
enum Adjacent {
    /// So many digits belong to the numbers after it.
    Before(usize),
    /// Between other numbers: as wide as the pattern says.
    Within,
}

impl Pattern {
    /// What a text says by this pattern.
    ///
    /// # Errors
    /// Why it does not fit, in a sentence that shows the text, the pattern and the character, counted from 1.
    pub fn read(&self, text: &str, names: Names) -> Result<Resolved, String> {
        let chars: Vec<char> = text.chars().collect();
        let mut reading = Reading { text: &chars, at: 0, names, fields: Fields::default() };
        let misfit = |at: usize| {
            let pattern = &self.text;
            format!("text '{}' does not fit the pattern {pattern} at character {}", shortened(text), at + 1)
        };
        reading.all(&self.items).ok_or_else(|| misfit(reading.at))?;
        if reading.at < chars.len() {
            return Err(misfit(reading.at));
        }
        let misread = |why| format!("text '{}' read by the pattern {}: {why}", shortened(text), self.text);
        Resolved::of(reading.fields).map_err(misread)
    }
}

/// The width of an item that is a number, and whether it is fixed.
fn width(item: &Item) -> Option<(usize, bool)> {
    match item {
        Item::Number { min, max, sign, .. } => Some((*max, min == max && *sign == Sign::Never)),
        Item::TwoDigits(_) => Some((2, true)),
        Item::Fraction(digits) => Some((*digits, true)),
        _ => None,
    }
}

/// For each item how it stands to the numbers around it: the first of a row of numbers leaves room for those of a fixed width.
///
/// In `yyyyMMdd` the year leaves room for four digits: the months and days have fixed widths. So `20200131` is read
/// as 2020, 01 and 31. Java calls this adjacent value parsing.
fn adjacency(items: &[Item]) -> Vec<Adjacent> {
    let mut found = vec![Adjacent::Before(0); items.len()];
    let mut first: Option<usize> = None;
    for (at, item) in items.iter().enumerate() {
        let Some((digits, fixed)) = width(item) else {
            first = None;
            continue;
        };
        match (first, fixed) {
            (Some(base), true) => {
                if let Adjacent::Before(room) = &mut found[base] {
                    *room += digits;
                }
                found[at] = Adjacent::Within;
            }
            (Some(base), false) => {
                found[base] = Adjacent::Within;
                first = Some(at);
            }
            (None, _) => first = Some(at),
        }
    }
    found
}

impl Reading<'_> {
    fn all(&mut self, items: &[Item]) -> Option<()> {
        let adjacent = adjacency(items);
        items.iter().zip(adjacent).try_for_each(|(item, adjacent)| self.item(item, adjacent))
    }

    fn item(&mut self, item: &Item, adjacent: Adjacent) -> Option<()> {
        match item {
            Item::Literal(text) => self.literal(text),
            Item::Number { field, min, max, sign } => {
                let value = self.number(*min, *max, *sign, adjacent)?;
                self.set(*field, value)
            }
            Item::TwoDigits(field) => {
                let value = self.number(2, 2, Sign::Never, adjacent)?;
                self.set(*field, 2000 + value)
            }
            Item::Fraction(digits) => {
                let value = self.number(*digits, *digits, Sign::Never, adjacent)?;
                self.set(Field::Nano, value * 10i64.pow(9 - *digits as u32))
            }
            Item::Text(field, style) => self.name(*field, *style),
            Item::ZoneId | Item::ZoneName(_) => self.zone(),
            Item::Offset { form, zero } => self.offset(*form, zero),
            Item::LocalizedOffset(_) => {
                self.literal("GMT")?;
                if self.text.get(self.at).is_none_or(|c| !matches!(c, '+' | '-')) {
                    return self.set_zone(Zone::parse("Z")?);
                }
                self.zone()
            }
            Item::Padded(width, item) => {
                let blanks = self.text[self.at..].iter().take(*width).take_while(|c| **c == ' ').count();
                self.at += blanks.min(width.saturating_sub(1));
                self.item(item, Adjacent::Before(0))
            }
            Item::Optional(items) => {
                let (at, fields) = (self.at, self.fields.clone());
                if self.all(items).is_none() {
                    (self.at, self.fields) = (at, fields);
                }
                Some(())
            }
        }
    }

    /// Notes a value; another one for the same field is a contradiction.
    fn set(&mut self, field: Field, value: i64) -> Option<()> {
        (*self.fields.values.entry(field).or_insert(value) == value).then_some(())
    }

    fn set_zone(&mut self, zone: Zone) -> Option<()> {
        self.fields.zone = Some(zone);
        Some(())
    }

    fn literal(&mut self, text: &str) -> Option<()> {
        for expected in text.chars() {
            let found = self.text.get(self.at)?;
            if !found.to_lowercase().eq(expected.to_lowercase()) {
                return None;
            }
            self.at += 1;
        }
        Some(())
    }

    /// `None` if fewer digits than `min` stand here, or a sign that the field does not allow. Nothing is taken then.
    fn number(&mut self, min: usize, max: usize, sign: Sign, adjacent: Adjacent) -> Option<i64> {
        let start = self.at;
        let written = self.text.get(self.at).copied().filter(|c| matches!(c, '+' | '-'));
        match (written, sign) {
            (Some('+'), Sign::ExceedsPad) | (Some('-'), Sign::Normal | Sign::ExceedsPad) => self.at += 1,
            (Some(_), _) => return None,
            (None, _) => {}
        }
        let room = if let Adjacent::Before(room) = adjacent { room } else { 0 };
        let digits = self.text[self.at..].iter().take(max + room).take_while(|c| c.is_ascii_digit()).count();
        // The numbers after it get their digits first.
        let count = if room > 0 { min.max(digits.saturating_sub(room)).min(max.max(min)) } else { digits };
        if count < min || count == 0 || count > digits {
            self.at = start;
            return None;
        }
        let text: String = self.text[self.at..self.at + count].iter().collect();
        let value: i64 = text.parse().ok()?;
        let exceeds = sign == Sign::ExceedsPad;
        let padded = match written {
            Some('-') => value != 0,
            Some(_) => !exceeds || count > min,
            None => !exceeds || count <= min,
        };
        if !padded {
            self.at = start;
            return None;
        }
        self.at += count;
        Some(if written == Some('-') { -value } else { value })
    }

    /// A name in any case; the longest that fits.
    fn name(&mut self, field: Field, style: Style) -> Option<()> {
        let mut names = names_of(field, style, self.names);
        names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        for (name, value) in names {
            let start = self.at;
            if self.literal(&name).is_some() {
                return self.set(field, value);
            }
            self.at = start;
        }
        None
    }

    /// A zone by its id or by a name; the longest that fits.
    ///
    /// Tries lengths from the longest run of characters that a name can have, so `Europe/Paris` is not cut at
    /// `Europe`.
    fn zone(&mut self) -> Option<()> {
        let is_name = |c: &&char| c.is_alphanumeric() || matches!(c, '+' | '-' | '/' | '_' | ':' | '~' | '.');
        let longest = self.text[self.at..].iter().take_while(is_name).count();
        for length in (1..=longest).rev() {
            let text: String = self.text[self.at..self.at + length].iter().collect();
            let named = NAMED.iter().find(|(name, _)| name.eq_ignore_ascii_case(&text)).map(|(_, region)| *region);
            if let Some(zone) = Zone::parse(named.unwrap_or(&text)) {
                self.at += length;
                return self.set_zone(zone);
            }
        }
        None
    }

    fn offset(&mut self, form: OffsetForm, zero: &str) -> Option<()> {
        let start = self.at;
        if self.literal(zero).is_some() {
            return self.set_zone(Zone::parse("Z")?);
        }
        self.at = start;
        let sign = self.text.get(self.at).filter(|c| matches!(c, '+' | '-'))?;
        self.at += 1;
        let mut text = format!("{sign}{}", self.two_digits()?);
        for part in [form.minutes, form.seconds] {
            let before = self.at;
            let found = (part != Part::Never).then(|| {
                if form.colon {
                    self.literal(":")?;
                }
                self.two_digits()
            });
            match found.flatten() {
                Some(digits) => text.push_str(&digits),
                None if part == Part::Always => return None,
                None => {
                    self.at = before;
                    break;
                }
            }
        }
        offset_seconds(&text)?;
        self.set_zone(Zone::parse(&text)?)
    }

    fn two_digits(&mut self) -> Option<String> {
        let digits: String = self.text.get(self.at..self.at + 2)?.iter().collect();
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| {
            self.at += 2;
            digits
        })
    }
}

/// Short names of zones that are no ids, with the regions that Java takes them for.
pub(super) const NAMED: &[(&str, &str)] = &[
    ("EST", "America/New_York"),
    ("EDT", "America/New_York"),
    ("CST", "America/Chicago"),
    ("CDT", "America/Chicago"),
    ("MST", "America/Denver"),
    ("MDT", "America/Denver"),
    ("PST", "America/Los_Angeles"),
    ("PDT", "America/Los_Angeles"),
    ("CET", "Europe/Paris"),
    ("CEST", "Europe/Paris"),
    ("BST", "Europe/London"),
];

fn names_of(field: Field, style: Style, names: Names) -> Vec<(String, i64)> {
    let numbered = |names: &[String]| names.iter().cloned().zip(1..).collect();
    let cut = |all: &[&str]| -> Vec<String> {
        let long = style == Style::Full && names == Names::English;
        all.iter().map(|name| if long { (*name).to_owned() } else { name[..3].to_owned() }).collect()
    };
    match (field, style) {
        // Two names begin with the same letter, so that none can be read.
        (Field::Month | Field::DayOfWeek, Style::Narrow) => Vec::new(),
        (Field::Month, _) => numbered(&cut(&super::print::MONTHS)),
        (Field::DayOfWeek, _) => numbered(&cut(&super::print::DAYS)),
        (Field::HalfOfDay, _) => vec![("AM".to_owned(), 0), ("PM".to_owned(), 1)],
        (Field::Era, _) => vec![("BC".to_owned(), 0), ("AD".to_owned(), 1)],
        (Field::Quarter, Style::Short) => (1..=4).map(|q| (format!("Q{q}"), q)).collect(),
        _ => Vec::new(),
    }
}
