//! Where the values of a flat object stand, found before any of them is read.
//!
//! Values that are read in the order of the declaration take the same branches for every record, whatever the order of
//! the text. Where the fields come in ever new orders that saves more than a second look at the text costs.

use super::marks::{BLOCK, Marks};
use super::names::{Meaning, NONE, Names};
use super::scan::Short;

/// The most declared fields whose places are found.
pub(super) const MOST_FIELDS: usize = 64;

/// The most separators of an object that is looked through.
const MOST_SEPARATORS: usize = 4 * MOST_FIELDS;

/// So many separators are written down at once.
const AT_ONCE: usize = 8;

/// The places of the values of an object.
pub(super) struct Places {
    /// The text of the object, with blanks after it up to the end of a block and one block more.
    text: Vec<u8>,
    /// Where separators stand outside of strings.
    separators: [u32; MOST_SEPARATORS],
    /// How many of them there are.
    count: usize,
    /// How many quotes the text has.
    quotes: u32,
    /// Start and end of the value of each declared field, counted from the object's first name; of those that are present.
    values: [(u32, u32); MOST_FIELDS],
    /// A bit for each declared field that the object has.
    present: u64,
    /// The same for those of them whose value is a string of plain characters.
    plain: u64,
    /// The values of fields that are not declared and are no strings of plain characters.
    others: Vec<(u32, u32)>,
    /// The end of the object.
    end: usize,
}

impl Places {
    pub(super) fn new() -> Self {
        Places {
            text: Vec::new(),
            separators: [0; MOST_SEPARATORS],
            count: 0,
            quotes: 0,
            values: [(0, 0); MOST_FIELDS],
            present: 0,
            plain: 0,
            others: Vec::new(),
            end: 0,
        }
    }

    /// Finds the values of the object whose first name is the front of `text`.
    ///
    /// Gives up, with `false`, on what is not flat and plain: collections, escapes, names that come twice, that are long
    /// or were not met before, more blanks than one between two tokens. What it finds is not yet checked: a value may
    /// turn out to be none.
    #[inline]
    pub(super) fn find(&mut self, text: &[u8], names: &mut Names) -> bool {
        if !self.separate(text) {
            return false;
        }
        (self.present, self.plain) = (0, 0);
        self.others.clear();
        let (mut at, mut previous, mut strings) = (0, NONE, 0);
        for pair in 0..self.count / 2 {
            let (colon, end) = (self.separators[2 * pair] as usize, self.separators[2 * pair + 1] as usize);
            let Some(name) = self.name(at, colon) else { return false };
            let Some(number) = names.number(&name) else { return false };
            let start = colon + 1 + usize::from(self.text[colon + 1] == b' ');
            let is_string = self.text[start] == b'"';
            // Without a branch: which fields are strings is in another order each time.
            let is_whole = !is_string | (self.text[end - 1] == b'"');
            if !is_whole || !self.note(names.meaning(number), (start as u32, end as u32), is_string) {
                return false;
            }
            strings += 1 + u32::from(is_string);
            names.met(previous, number);
            previous = number;
            match self.text[end] {
                b',' => at = end + 1 + usize::from(self.text[end + 1] == b' '),
                b'}' => {
                    self.end = end;
                    // Each name and each string has two quotes at least: then they have no more, and nothing else has any.
                    return self.quotes == 2 * strings;
                }
                _ => return false,
            }
        }
        false
    }

    /// Finds the separators outside of strings; `false` if there are too many, or escapes or control characters.
    #[inline(always)]
    fn separate(&mut self, text: &[u8]) -> bool {
        self.text.clear();
        self.text.extend_from_slice(text);
        self.text.resize(text.len().next_multiple_of(BLOCK) + BLOCK, b' ');
        let (blocks, _) = self.text.as_chunks::<BLOCK>();
        let (mut in_string, mut odd) = (false, 0);
        (self.count, self.quotes) = (0, 0);
        for (number, block) in blocks[..blocks.len() - 1].iter().enumerate() {
            let marks = Marks::of(block);
            let mut outside = marks.outside(&mut in_string);
            odd |= marks.odd;
            self.quotes += marks.quotes.count_ones();
            if self.count + BLOCK > MOST_SEPARATORS {
                return false;
            }
            let (found, count) = (&mut self.separators[self.count..self.count + BLOCK], outside.count_ones() as usize);
            // So many at once whether they are there or not: a branch for each would often be guessed wrong.
            for some in found[..count.next_multiple_of(AT_ONCE)].chunks_exact_mut(AT_ONCE) {
                for place in some {
                    *place = number as u32 * BLOCK as u32 + outside.trailing_zeros();
                    outside &= outside.wrapping_sub(1);
                }
            }
            self.count += count;
        }
        odd == 0
    }

    /// The name that stands between a place and a colon.
    #[inline(always)]
    fn name(&self, at: usize, colon: usize) -> Option<Short> {
        let length = colon.checked_sub(at + 2).filter(|length| *length < 16)?;
        let bytes = self.text.get(at + 1..)?.first_chunk()?;
        let is_name = self.text[at] == b'"' && self.text[colon - 1] == b'"' && self.text[colon] == b':';
        is_name.then(|| Short::new(bytes, length))
    }

    /// Notes a value; `false` if the declared field has one already, or is not the only one that is meant.
    #[inline(always)]
    fn note(&mut self, meaning: Option<Meaning>, value: (u32, u32), is_string: bool) -> bool {
        let Some(meaning) = meaning else {
            if !is_string {
                self.others.push(value);
            }
            return true;
        };
        let bit = 1 << meaning.place;
        let is_new = self.present & bit == 0 && meaning.upper.is_none();
        self.present |= bit;
        self.plain |= u64::from(is_string) << meaning.place;
        self.values[meaning.place as usize] = value;
        is_new
    }

    /// The declared fields that the object has, less those whose values are plain strings and are among `settled`; in
    /// the order of the declaration, with start and end.
    #[inline(always)]
    pub(super) fn declared(&self, settled: u64) -> impl Iterator<Item = (usize, (usize, usize))> {
        let mut left = self.present & !(self.plain & settled);
        std::iter::from_fn(move || {
            let place = left.trailing_zeros() as usize;
            let (start, end) = *self.values.get(place)?;
            left &= left - 1;
            Some((place, (start as usize, end as usize)))
        })
    }

    /// The values of fields that are not declared, as far as they must be looked at.
    pub(super) fn others(&self) -> impl Iterator<Item = (usize, usize)> {
        self.others.iter().map(|(start, end)| (*start as usize, *end as usize))
    }

    /// Where the closing brace stands.
    pub(super) fn end(&self) -> usize {
        self.end
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::disk::double::Random;
    use crate::formats::Decoder;
    use crate::formats::json::decode::ObjectDecoder;
    use crate::types::{Column, SqlType, Value};

    /// The values of the needed columns of each text, or why it is not read.
    fn decode(decoder: &mut ObjectDecoder, built: &[Column], texts: &[String]) -> Vec<Result<Vec<Value>, String>> {
        let payloads: Vec<Option<&[u8]>> = texts.iter().map(|text| Some(text.as_bytes())).collect();
        let decoded = decoder.decode(&payloads);
        let failed: BTreeMap<usize, String> =
            decoded.failed.into_iter().map(|(row, why)| (row as usize, why)).collect();
        let values =
            |row| built.iter().zip(&decoded.columns).map(move |(c, a)| Value::at(a, row, &c.sql_type)).collect();
        (0..texts.len()).map(|row| failed.get(&row).cloned().map_or_else(|| Ok(values(row)), Err)).collect()
    }

    /// An object whose fields come in any order, with all that can be in one.
    fn object(random: &mut Random) -> String {
        let values = [
            "1",
            "-2.5",
            "1e3",
            "12345678901234567890",
            "null",
            "true",
            "\"x\"",
            "\"\"",
            "\"12\"",
            "[1, 2]",
            "[]",
            "{}",
            "{\"a\":1,\"B\":\"}\"}",
            "\"a,b}c\"",
            "\"\\u0041\\\"\"",
            "\"ünïcode that is longer than sixteen bytes\"",
            "\"exactly 16 bytes\"",
            "tru",
            "1 2",
            "1]",
            "01",
            "\"no end",
            "",
            "\"tab\there\"",
            "1.5.",
            "nullx",
        ];
        let names = ["a", "A", "b", "c", "D", "e", "other", "o2", "\\u0061", "a name that is longer than sixteen", ""];
        let mut below = |bound: usize| random.below(bound as u64) as usize;
        let usual = below(4) > 0;
        let mut fields: Vec<String> = (0..below(9))
            .map(|_| {
                let name = names[below(if usual { 8 } else { names.len() })];
                let value = values[below(if usual { 9 } else { values.len() })];
                let mut gap = || [" ", "  ", "\n", ""][if usual { 3 } else { below(10).min(3) }];
                let [first, second, third] = [gap(), gap(), gap()];
                format!("{first}\"{name}\":{second}{value}{third}")
            })
            .collect();
        if below(3) > 0 {
            fields.sort_by_key(|field| field.split(':').next().map(str::to_owned));
            fields.dedup_by_key(|field| field.split(':').next().map(|name| name.trim().to_lowercase()));
            let count = fields.len().max(1);
            fields.rotate_left(below(count));
        }
        let end = ["", "}", "]", ",}"][if below(8) > 0 { 1 } else { below(4) }];
        format!("{{{}{end}", fields.join(","))
    }

    #[test]
    fn fields_in_any_order_give_what_they_give_when_they_are_taken_as_they_come() {
        let types = [
            ("A", SqlType::Integer),
            ("B", SqlType::String),
            ("C", SqlType::String),
            ("D", SqlType::Double),
            ("E", SqlType::array(SqlType::Bigint)),
        ];
        let columns: Vec<Column> = types.iter().map(|(name, t)| Column::value(*name, t.clone())).collect();
        let mut random = Random::new(7);
        for needed in [[true; 5], [true, false, true, false, true], [false, true, false, false, false]] {
            let built: Vec<Column> =
                columns.iter().zip(needed).filter(|(_, needed)| *needed).map(|(column, _)| column.clone()).collect();
            let mut read = 0;
            for _ in 0..4000 {
                // Flat objects in new orders come first, so that the places of values are looked for.
                let (one, other) = (r#"{"a":1,"b":"x","c":"y"}"#, r#"{"c":"y","b":"x","a":1}"#);
                let mut texts: Vec<String> = [one, other].repeat(12).into_iter().map(str::to_owned).collect();
                texts.push(object(&mut random));
                let text = &texts[24..];
                let found = decode(&mut ObjectDecoder::new(&columns, &needed), &built, &texts).split_off(24);
                let alone = decode(&mut ObjectDecoder::new(&columns, &needed), &built, text);
                assert_eq!(found, alone, "{}", text[0]);
                read += usize::from(alone[0].is_ok());
            }
            assert!(read > 1000, "{read} objects were read");
        }
    }
}
