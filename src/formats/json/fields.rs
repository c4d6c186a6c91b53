//! The fields of an object, whatever their order, and which of them count: the objects of records and of STRUCTs.

use std::collections::BTreeMap;

use super::names::{Meaning, NONE, Names};
use super::places::{MOST_FIELDS, Place, Places};
use super::read::Reader;
use super::scan::{Reason, Scan, Scanned};
use crate::types::{Builder, SqlType};

/// A reader of objects with these fields.
///
/// The name that came next in the last object is tried first; any other is found by its hash.
pub(super) struct Fields {
    names: Names,
    fields: Vec<Field>,
    /// Which fields of the object have been found, and how well their names fit.
    found: Vec<Fit>,
    /// The fields whose value could not be read, and why. A later value of the same field may take its place.
    failed: BTreeMap<usize, Reason>,
    /// Where the values of an object stand, for objects whose fields come in ever new orders.
    places: Option<Box<Places>>,
    /// How many objects are not looked through for the places of their values, since one before was not flat and plain.
    rests: u32,
    /// A bit for each of the first fields that is not built and takes any string.
    takes_any_string: u64,
    /// Whether the reason of a failure names the field.
    tells_path: bool,
}

struct Field {
    name: String,
    reader: Reader,
    /// The place among the columns that are built, if the field is one of them.
    built: Option<usize>,
}

/// What is done with the value of a field, which comes next. If it is known to be a string of plain characters, the third
/// argument says where it ends.
trait Take: FnMut(&mut Field, &mut Scan, Option<usize>) -> Scanned<()> {}

impl<F: FnMut(&mut Field, &mut Scan, Option<usize>) -> Scanned<()>> Take for F {}

#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Fit {
    Missing,
    UpperCased,
    Exact,
}

impl Field {
    /// Whether nothing is to be seen of a value that is a string.
    fn takes_any_string(&self) -> bool {
        self.built.is_none() && self.reader.is_of_strings()
    }
}

/// So many objects are not looked through for the places of their values after one that was not flat and plain.
const RESTS: u32 = 256;

impl Fields {
    /// A reader of records whose columns these are; the needed ones are built.
    pub(super) fn of_record<'a>(columns: impl Iterator<Item = (&'a str, &'a SqlType, bool)>) -> Self {
        let mut next = 0..;
        let mut built = |is_needed: bool| if is_needed { next.next() } else { None };
        let field = |(name, sql_type, is_needed): (&str, &SqlType, bool)| Field {
            name: name.to_owned(),
            reader: Reader::new(sql_type),
            built: built(is_needed),
        };
        Fields::new(columns.map(field).collect(), true)
    }

    /// A reader of a STRUCT's values.
    pub(super) fn of_struct<'a>(fields: impl Iterator<Item = (&'a str, &'a SqlType)>) -> Self {
        let field = |(place, (name, sql_type)): (usize, (&str, &SqlType))| Field {
            name: name.to_owned(),
            reader: Reader::new(sql_type),
            built: Some(place),
        };
        Fields::new(fields.enumerate().map(field).collect(), false)
    }

    fn new(fields: Vec<Field>, tells_path: bool) -> Self {
        let takes_any = fields.iter().take(MOST_FIELDS).enumerate().filter(|(_, field)| field.takes_any_string());
        Fields {
            names: Names::new(fields.iter().map(|field| field.name.as_str())),
            found: vec![Fit::Missing; fields.len()],
            takes_any_string: takes_any.fold(0, |bits, (place, _)| bits | 1 << place),
            places: None,
            rests: 0,
            fields,
            failed: BTreeMap::new(),
            tells_path,
        }
    }

    /// Appends a value of the object that comes next to each of the built columns, which have `row` values before. If it
    /// fails, the caller truncates them.
    pub(super) fn read(&mut self, scan: &mut Scan, row: usize, columns: &mut [Builder]) -> Scanned<()> {
        self.each(scan, |field, scan, plain| match field.built {
            Some(built) => {
                let column = &mut columns[built];
                column.truncate_to(row);
                let read = match plain {
                    Some(end) => field.reader.read_plain(scan, end, column),
                    None => field.reader.read(scan, column),
                };
                if read.is_err() {
                    column.truncate(row);
                }
                read
            }
            None => field.reader.check(scan),
        })?;
        columns.iter_mut().filter(|column| column.len() == row).for_each(Builder::null);
        Ok(())
    }

    /// Checks the object that comes next, and builds nothing.
    pub(super) fn check(&mut self, scan: &mut Scan) -> Scanned<()> {
        self.each(scan, |field, scan, _| field.reader.check(scan))
    }

    /// Calls `value` before the value of each field that counts at that point of the object.
    #[inline(always)]
    fn each(&mut self, scan: &mut Scan, mut value: impl Take) -> Scanned<()> {
        scan.expect(b'{')?;
        self.found.fill(Fit::Missing);
        if !self.failed.is_empty() {
            self.failed.clear();
        }
        self.names.tidy();
        if scan.take(b'}') {
            return Ok(());
        }
        if !self.names.are_ordered() && self.fields.len() <= MOST_FIELDS && self.in_declared_order(scan, &mut value) {
            return Ok(());
        }
        let mut name = NONE;
        loop {
            let (number, meaning) = self.name(scan, name)?;
            name = number;
            match meaning {
                Some(meaning) => {
                    if let Some(upper) = meaning.upper {
                        self.upper_value(scan, upper.get() as usize - 1, &mut value)?;
                    }
                    let fit = if meaning.is_exact { Fit::Exact } else { Fit::UpperCased };
                    self.value(scan, (meaning.place as usize, fit), &mut value)?;
                }
                None => scan.skip()?,
            }
            if !scan.take(b',') {
                break;
            }
        }
        scan.expect(b'}')?;
        if self.failed.is_empty() { Ok(()) } else { self.failure() }
    }

    /// Calls `value` before the value of each field, in the order of the declaration, and steps over the object.
    ///
    /// Gives up, with `false` and the scan where it was, on an object that is not flat and plain and on one that cannot
    /// be read; then the caller takes its values as they come.
    fn in_declared_order(&mut self, scan: &mut Scan, value: &mut impl Take) -> bool {
        if self.rests > 0 {
            self.rests -= 1;
            return false;
        }
        let mut places = self.places.take().unwrap_or_else(|| Box::new(Places::new()));
        scan.peek();
        let start = scan.at();
        let is_read = places.find(scan.rest(), &mut self.names) && {
            let stands_at = |scan: &mut Scan, end: usize| {
                scan.peek();
                scan.at() == end
            };
            let in_text = |(from, to): Place| (start + from as usize, start + to as usize);
            places.declared(self.takes_any_string).all(|(field, place, is_plain)| {
                let (from, to) = in_text(place);
                scan.back_to(from);
                value(&mut self.fields[field], scan, is_plain.then_some(to)).is_ok() && stands_at(scan, to)
            }) && places.others().iter().all(|place| {
                let (from, to) = in_text(*place);
                scan.back_to(from);
                scan.skip().is_ok() && stands_at(scan, to)
            })
        };
        scan.back_to(if is_read { start + places.end() + 1 } else { start });
        self.places = Some(places);
        self.rests = if is_read { 0 } else { RESTS };
        is_read
    }

    /// Reads the value that comes next for a field whose name is the upper case of what stands there, and goes back.
    #[cold]
    fn upper_value(&mut self, scan: &mut Scan, place: usize, value: &mut impl Take) -> Scanned<()> {
        let start = scan.at();
        self.value(scan, (place, Fit::UpperCased), value)?;
        scan.back_to(start);
        Ok(())
    }

    /// Calls `value` before the value of a field if it counts, else steps over it.
    #[inline(always)]
    fn value(&mut self, scan: &mut Scan, (place, fit): (usize, Fit), value: &mut impl Take) -> Scanned<()> {
        if !self.counts(place, fit) {
            return scan.skip();
        }
        let start = scan.at();
        match value(&mut self.fields[place], scan, None) {
            Ok(()) => Ok(()),
            Err(reason) => self.set_aside(scan, start, place, reason),
        }
    }

    /// Steps over the name of the next field and its colon: the name's number, and what it means. `previous` is the number of
    /// the name before.
    #[inline(always)]
    fn name(&mut self, scan: &mut Scan, previous: u32) -> Scanned<(u32, Option<Meaning>)> {
        scan.peek();
        if self.names.are_ordered() {
            let (number, label) = self.names.expected(previous);
            if scan.take_label(label) {
                self.names.met(previous, number);
                return Ok((number, self.names.meaning(number)));
            }
        }
        self.searched_name(scan, previous)
    }

    /// The same for a name that was not expected.
    #[inline(always)]
    fn searched_name(&mut self, scan: &mut Scan, previous: u32) -> Scanned<(u32, Option<Meaning>)> {
        let start = scan.at();
        let known = scan.short_string().and_then(|name| self.names.short(&name));
        let (number, meaning) = match known {
            Some(known) => known,
            None => {
                scan.back_to(start);
                self.names.find(&scan.string()?)
            }
        };
        scan.expect(b':')?;
        self.names.met(previous, number);
        Ok((number, meaning))
    }

    /// Whether a field's value counts: a later one replaces an earlier, but the exact name wins wherever it stands.
    #[inline(always)]
    fn counts(&mut self, place: usize, fit: Fit) -> bool {
        let found = &mut self.found[place];
        let counts = fit >= *found;
        if counts {
            *found = fit;
            if !self.failed.is_empty() {
                self.failed.remove(&place);
            }
        }
        counts
    }

    /// Steps over a value that cannot be read and keeps the reason, in case that no other value replaces it.
    #[cold]
    fn set_aside(&mut self, scan: &mut Scan, start: usize, place: usize, reason: Reason) -> Scanned<()> {
        let reason = match self.tells_path {
            true => format!("{reason}, path: $.{}", self.fields[place].name).into(),
            false => reason,
        };
        scan.back_to(start);
        // Where the syntax is wrong, the reason that was found first tells more.
        if scan.skip().is_err() {
            return Err(reason);
        }
        self.failed.insert(place, reason);
        Ok(())
    }

    /// The reason of the first field that has failed.
    #[cold]
    fn failure(&mut self) -> Scanned<()> {
        self.failed.pop_first().map_or(Ok(()), |(_, reason)| Err(reason))
    }
}
