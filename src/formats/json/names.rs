//! What the names of an object's fields mean: found by hash as they stand in the text, however many fields are declared.

use std::num::NonZeroU32;

use foldhash::HashMap;

use super::scan::RawString;
use super::short::Short;

/// The declared field that a name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Meaning {
    /// The field's place in the declaration.
    pub place: u32,
    /// Whether the name is the field's own; else its upper case is.
    pub is_exact: bool,
    /// One more than the place of another field, whose name is the upper case of this one: ``(`x` INT, X INT)``.
    pub upper: Option<NonZeroU32>,
}

/// The names of declared fields, and those that texts had for them.
pub(super) struct Names {
    declared: HashMap<String, u32>,
    /// Names as they stood in texts. The first is none: it stands before the first field of an object, and for all names
    /// that are not kept.
    seen: Vec<Seen>,
    /// The short names by their hashes. The length is a power of two.
    short: Vec<Slot>,
    /// The numbers of the long names, and of those that found no slot.
    other: HashMap<Box<[u8]>, u32>,
    /// How many of `seen` were there from the start.
    given: usize,
    /// How often the expected name did not come lately.
    misses: u32,
}

/// A short name with its number and what it means; free if the number is [`NONE`].
#[derive(Clone, Copy, Default)]
struct Slot {
    name: Short,
    number: u32,
    meaning: Option<Meaning>,
}

/// A name that was seen.
#[derive(Clone, Default)]
struct Seen {
    /// The name with quotes and colon.
    label: Box<str>,
    meaning: Option<Meaning>,
    /// The number of the name that came next, the last time.
    next: u32,
}

/// The number that stands for no name.
pub(super) const NONE: u32 = 0;
/// How many names are kept besides those that are declared.
const MOST_SEEN: usize = 256;
/// The longest name that is kept, in bytes.
const MOST_BYTES: usize = 255;
/// With more misses than this names are not in order.
const MOST_MISSES: u32 = 32;
/// How many slots are tried for a name; texts that were made to collide cost no more than this.
const MOST_TRIES: usize = 8;

impl Names {
    /// The names of these fields.
    pub(super) fn new<'a>(fields: impl Iterator<Item = &'a str>) -> Self {
        let names: Vec<&str> = fields.collect();
        let mut declared = HashMap::default();
        for (place, name) in names.iter().enumerate() {
            declared.entry((*name).to_owned()).or_insert(place as u32);
        }
        let slots = ((2 * names.len() + MOST_SEEN) * 2).next_power_of_two();
        let seen = vec![Seen::default()];
        let mut all = Names {
            declared,
            seen,
            short: vec![Slot::default(); slots],
            other: HashMap::default(),
            given: 0,
            misses: 0,
        };
        for name in names {
            for written in [name.to_owned(), name.to_ascii_lowercase()] {
                if all.kept(written.as_bytes()).is_none() && !written.contains(['"', '\\']) {
                    all.keep(&written, all.declared_as(&written));
                }
            }
        }
        all.given = all.seen.len();
        all
    }

    /// The field that a name means: by its exact name, and by the name in upper case.
    fn declared_as(&self, name: &str) -> Option<Meaning> {
        let exact = self.declared.get(name).copied();
        let upper = self.declared.get(&name.to_uppercase()).copied().filter(|upper| Some(*upper) != exact);
        match exact {
            Some(place) => {
                Some(Meaning { place, is_exact: true, upper: upper.and_then(|upper| NonZeroU32::new(upper + 1)) })
            }
            None => upper.map(|place| Meaning { place, is_exact: false, upper: None }),
        }
    }

    /// The name, with quotes and colon, that is expected after the one of this number.
    #[inline]
    pub(super) fn expected(&self, previous: u32) -> (u32, &str) {
        let number = self.seen[previous as usize].next;
        (number, &self.seen[number as usize].label)
    }

    /// Whether names come in about the order of the texts before. Else the expected name is not worth a look: a wrong guess
    /// costs more than a search.
    #[inline(always)]
    pub(super) fn are_ordered(&self) -> bool {
        self.misses <= MOST_MISSES
    }

    /// After the name `previous` came `next`: from now on it is expected there.
    #[inline(always)]
    pub(super) fn met(&mut self, previous: u32, next: u32) {
        let expected = std::mem::replace(&mut self.seen[previous as usize].next, next);
        let (fewer, more) = (self.misses.saturating_sub(1), (self.misses + 3).min(2 * MOST_MISSES));
        self.misses = if expected == next { fewer } else { more };
    }

    /// All names of an object came in this order.
    #[cold]
    pub(super) fn met_all(&mut self, numbers: &[u32]) {
        numbers.iter().fold(NONE, |previous, number| {
            self.met(previous, *number);
            *number
        });
    }

    /// What the name of this number means.
    #[inline]
    pub(super) fn meaning(&self, number: u32) -> Option<Meaning> {
        self.seen[number as usize].meaning
    }

    /// The number of a short name and what it means, if it is kept.
    #[inline(always)]
    pub(super) fn short(&self, name: &Short) -> Option<(u32, Option<Meaning>)> {
        let mask = self.short.len() - 1;
        let start = name.hash();
        for at in 0..MOST_TRIES {
            let slot = &self.short[(start + at) & mask];
            if slot.name == *name {
                return Some((slot.number, slot.meaning));
            }
            if slot.number == NONE {
                return None;
            }
        }
        None
    }

    /// The same for a name of any length, as it stands in a text.
    pub(super) fn kept(&self, name: &[u8]) -> Option<(u32, Option<Meaning>)> {
        let short = || Short::of(name).and_then(|short| self.short(&short));
        short().or_else(|| self.other.get(name).map(|number| (*number, self.meaning(*number))))
    }

    /// The number of a name as it stands in a text, [`NONE`] if it is not kept, and what it means.
    pub(super) fn find(&mut self, name: &RawString) -> (u32, Option<Meaning>) {
        self.kept(name.raw.as_bytes()).unwrap_or_else(|| self.first_seen(name))
    }

    #[cold]
    fn first_seen(&mut self, name: &RawString) -> (u32, Option<Meaning>) {
        let meaning = self.declared_as(&name.text());
        if name.raw.len() > MOST_BYTES || self.seen.len() >= self.given + MOST_SEEN {
            return (NONE, meaning);
        }
        (self.keep(name.raw, meaning), meaning)
    }

    /// Keeps a name; its number.
    fn keep(&mut self, name: &str, meaning: Option<Meaning>) -> u32 {
        let number = self.seen.len() as u32;
        self.seen.push(Seen { label: format!("\"{name}\":").into(), meaning, next: NONE });
        let mask = self.short.len() - 1;
        let slot = Short::of(name.as_bytes()).and_then(|short| {
            let start = short.hash();
            let slots = (0..MOST_TRIES).map(|at| (start + at) & mask);
            Some((short, slots.into_iter().find(|slot| self.short[*slot].number == NONE)?))
        });
        match slot {
            Some((name, slot)) => self.short[slot] = Slot { name, number, meaning },
            None => drop(self.other.insert(name.as_bytes().into(), number)),
        }
        number
    }

    /// Forgets names that are not declared if there are many, since texts have ever new ones. All numbers that were given out
    /// before are void then.
    #[inline]
    pub(super) fn tidy(&mut self) {
        if self.seen.len() >= self.given + MOST_SEEN {
            self.forget();
        }
    }

    #[cold]
    fn forget(&mut self) {
        self.seen.truncate(self.given);
        self.seen.iter_mut().for_each(|seen| seen.next = NONE);
        let given = self.given as u32;
        self.short.iter_mut().filter(|slot| slot.number >= given).for_each(|slot| *slot = Slot::default());
        self.other.retain(|_, number| *number < given);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(name: &str) -> RawString<'_> {
        RawString { raw: name, escaped: name.contains('\\') }
    }

    fn meaning(place: u32, is_exact: bool) -> Option<Meaning> {
        Some(Meaning { place, is_exact, upper: None })
    }

    #[test]
    fn a_name_means_the_field_of_its_exact_name_or_else_of_its_upper_case() {
        let mut names = Names::new(["A", "b", "B", "ÄRGER"].into_iter());
        for _ in 0..2 {
            assert_eq!(names.find(&raw("a")).1, meaning(0, false));
            assert_eq!(names.find(&raw("A")).1, meaning(0, true));
            assert_eq!(names.find(&raw("b")).1, Some(Meaning { place: 1, is_exact: true, upper: NonZeroU32::new(3) }));
            assert_eq!(names.find(&raw("B")).1, meaning(2, true));
            assert_eq!(names.find(&raw("ärger")).1, meaning(3, false));
            assert_eq!(names.find(&raw("\\u0061")).1, meaning(0, false));
            assert_eq!(names.find(&raw("x")).1, None);
        }
    }

    #[test]
    fn names_without_end_are_forgotten_and_the_declared_ones_stay() {
        let declared: Vec<String> = (0..1000).map(|i| format!("COLUMN_{i}")).collect();
        let mut names = Names::new(declared.iter().map(String::as_str));
        for i in 0..10_000 {
            names.tidy();
            let unknown = format!("some_name_that_is_not_declared_{i}");
            assert_eq!(names.find(&raw(&unknown)).1, None);
            assert_eq!(names.find(&raw(&format!("column_{}", i % 1000))).1, meaning(i % 1000, false));
        }
        assert!(names.seen.len() <= 2001 + MOST_SEEN, "{}", names.seen.len());
        let long = "x".repeat(1000);
        assert_eq!(names.find(&raw(&long)), (NONE, None));
    }
}
