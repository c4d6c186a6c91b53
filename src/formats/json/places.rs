//! Where the values of a flat object stand, found before any of them is read.
//!
//! Values that are read in the order of the declaration take the same branches for every record, whatever the order of
//! the text. Where the fields come in ever new orders that saves more than a second look at the text costs.

use super::marks::{BLOCK, MOST_SEPARATORS, Separators};
use super::names::{Meaning, NONE, Names};
use super::short::{Short, sixteen};

/// The most declared fields whose places are found.
pub(super) const MOST_FIELDS: usize = 64;

/// The most names of an object that is looked through: each has two separators.
const MOST_NAMES: usize = MOST_SEPARATORS / 2;

/// The places of the values of an object.
pub(super) struct Places {
    /// Room for a text that is shorter than this, with blanks behind it.
    padded: [u8; BLOCK],
    separators: Separators,
    /// The numbers of the names of the object before, and behind them what earlier ones had there.
    order: [u32; MOST_NAMES],
    /// How many names the object before had.
    names: usize,
    values: Values,
    /// Where the closing brace stands.
    end: usize,
}

/// Where a value begins and ends, counted from the object's first name.
pub(super) type Place = (u32, u32);

/// The values of an object.
struct Values {
    /// The values of declared fields, by their places; of those that are present.
    declared: [Place; MOST_FIELDS],
    /// A bit for each declared field that the object has.
    present: u64,
    /// The same for those of them whose value is a plain string.
    plain: u64,
    /// The values of fields that are not declared and are no plain strings.
    others: Vec<Place>,
}

impl Places {
    pub(super) fn new() -> Self {
        let declared = [(0, 0); MOST_FIELDS];
        Places {
            padded: [0; BLOCK],
            separators: Separators::new(),
            order: [NONE; MOST_NAMES],
            names: 0,
            values: Values { declared, present: 0, plain: 0, others: Vec::new() },
            end: 0,
        }
    }

    /// Finds the values of the object whose first name is the front of `text`.
    ///
    /// Gives up, with `false`, on what is not flat and plain: collections, escapes, names that come twice or were not met
    /// before, more blanks than one between two tokens. What it finds is not yet checked: a value may turn out to be none.
    #[inline]
    pub(super) fn find(&mut self, text: &[u8], names: &mut Names) -> bool {
        let text = match text.len() < BLOCK {
            true => {
                self.padded = [b' '; BLOCK];
                self.padded[..text.len()].copy_from_slice(text);
                &self.padded
            }
            false => text,
        };
        if !self.separators.find(text) {
            return false;
        }
        let values = &mut self.values;
        values.others.clear();
        let (mut present, mut plain, mut other_strings) = (0, 0, 0);
        let (mut at, mut is_as_before) = (0, true);
        for ((field, [colon, end]), before) in self.separators.pairs().iter().enumerate().zip(&mut self.order) {
            let (colon, end) = (*colon as usize, *end as usize);
            let known = short_name(text, at, colon).and_then(|name| names.short(&name));
            let Some((number, meaning)) = known.or_else(|| long_name(text, at, colon, names)) else { return false };
            is_as_before &= std::mem::replace(before, number) == number;
            let start = colon + 1 + usize::from(text[colon + 1] == b' ');
            // Without a branch: which fields are strings is in another order each time.
            let is_string = text[start] == b'"';
            if is_string & (text[end - 1] != b'"') {
                return false;
            }
            match meaning {
                Some(Meaning { place, upper: None, .. }) if present & 1 << place == 0 => {
                    present |= 1 << place;
                    plain |= u64::from(is_string) << place;
                    values.declared[place as usize % MOST_FIELDS] = (start as u32, end as u32);
                }
                Some(_) => return false,
                None if is_string => other_strings += 1,
                None => values.others.push((start as u32, end as u32)),
            }
            match text[end] {
                b',' => at = end + 1 + usize::from(text.get(end + 1) == Some(&b' ')),
                b'}' => {
                    (values.present, values.plain, self.end) = (present, plain, end);
                    is_as_before &= std::mem::replace(&mut self.names, field + 1) == field + 1;
                    if is_as_before {
                        names.met_all(&self.order[..=field]);
                    }
                    // Each name and each string has two quotes at least. If that is all, they have no more, and nothing else
                    // has any.
                    return self.separators.quotes == 2 * (field as u32 + 1 + plain.count_ones() + other_strings);
                }
                _ => return false,
            }
        }
        false
    }

    /// The declared fields that the object has, less those whose values are plain strings and are among `settled`; in
    /// the order of the declaration, each with its value's place and whether that is a plain string.
    #[inline(always)]
    pub(super) fn declared(&self, settled: u64) -> impl Iterator<Item = (usize, Place, bool)> {
        let mut left = self.values.present & !(self.values.plain & settled);
        std::iter::from_fn(move || {
            let place = left.trailing_zeros() as usize;
            let value = *self.values.declared.get(place)?;
            left &= left - 1;
            Some((place, value, self.values.plain >> place & 1 == 1))
        })
    }

    /// The values of fields that are not declared, as far as they must be looked at.
    pub(super) fn others(&self) -> &[Place] {
        &self.values.others
    }

    /// Where the closing brace stands.
    pub(super) fn end(&self) -> usize {
        self.end
    }
}

/// What stands between a place and a colon, which is a name in its quotes if it is equal to one.
#[inline(always)]
fn short_name(text: &[u8], at: usize, colon: usize) -> Option<Short> {
    let bytes = sixteen(text, at).filter(|_| text[colon] == b':')?;
    Short::new(bytes, colon.wrapping_sub(at))
}

/// The number and the meaning of a name between a place and a colon that is not kept among the short ones.
#[cold]
fn long_name(text: &[u8], at: usize, colon: usize, names: &Names) -> Option<(u32, Option<Meaning>)> {
    let quoted = text.get(at..colon).filter(|_| text[colon] == b':')?;
    names.kept(quoted.strip_prefix(b"\"")?.strip_suffix(b"\"")?)
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
            "\"x\"\"y\"",
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
        let names = [
            "a",
            "A",
            "b",
            "c",
            "a_name_of_25_characters__",
            "e",
            "other",
            "o2",
            "D",
            "\\u0061",
            "an undeclared long name",
            "",
        ];
        let mut below = |bound: usize| random.below(bound as u64) as usize;
        let usual = below(4) > 0;
        let mut fields: Vec<String> = (0..below(9))
            .map(|_| {
                let name = names[below(if usual { 8 } else { names.len() })];
                let value = values[below(if usual { 10 } else { values.len() })];
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
            ("A_NAME_OF_25_CHARACTERS__", SqlType::Double),
        ];
        let columns: Vec<Column> = types.iter().map(|(name, t)| Column::value(*name, t.clone())).collect();
        let mut random = Random::new(7);
        for needed in [[true; 6], [true, false, true, false, true, true], [false, true, false, false, false, false]] {
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
