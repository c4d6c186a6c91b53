//! MAPs: objects with keys of their own. Of entries with the same key the last counts, as in Jackson's trees.

use std::borrow::Cow;
use std::collections::hash_map::Entry;

use foldhash::{HashMap, HashMapExt, HashSet, HashSetExt};

use super::read::{Reader, is_object};
use super::scan::{Scan, Scanned};
use crate::types::Builder;
use crate::types::build::Values;

/// A reader of the entries of MAPs.
///
/// Entries are read as they come. Only if a key comes twice, or a value cannot be read that a later one may replace, the map
/// is read again in two passes: first the places of the values that count, then these. All further maps of the same text are
/// read in two passes at once, so that maps in maps do not multiply the work.
pub(super) struct Entries {
    item: Reader,
}

/// Up to so many keys are compared with each other; more are hashed.
const FEW_KEYS: usize = 8;

impl Entries {
    /// A reader of maps with values of this type.
    pub(super) fn new(item: &crate::types::SqlType) -> Self {
        Entries { item: Reader::new(item) }
    }

    /// Appends the entries of the map that comes next to `keys` and `values`. If it fails, the caller truncates them.
    pub(super) fn read(&mut self, scan: &mut Scan, keys: &mut Builder, values: &mut Builder) -> Scanned<()> {
        is_object(scan, "MAP")?;
        let (start, length) = (scan.at(), keys.len());
        if !scan.has_duplicates && self.read_once(scan, keys, values)? {
            return Ok(());
        }
        scan.has_duplicates = true;
        scan.back_to(start);
        keys.truncate(length);
        values.truncate(length);
        let entries = last_entries(scan)?;
        let end = scan.at();
        for (key, place) in entries {
            push_key(&key, keys)?;
            scan.back_to(place);
            self.item.read(scan, values)?;
        }
        scan.back_to(end);
        Ok(())
    }

    /// Reads the entries as they come; whether they can stay as they are.
    fn read_once(&mut self, scan: &mut Scan, keys: &mut Builder, values: &mut Builder) -> Scanned<bool> {
        let mut seen: Vec<Cow<str>> = Vec::new();
        let mut is_read = true;
        each_entry(scan, |scan, key| {
            push_key(&key, keys)?;
            seen.push(key);
            let start = scan.at();
            if is_read && self.item.read(scan, values).is_err() {
                // Whether this matters is known at the end; wrong syntax does in any case.
                is_read = false;
                scan.back_to(start);
            } else if is_read {
                return Ok(());
            }
            scan.skip()
        })?;
        Ok(is_read && are_distinct(&seen))
    }

    /// Checks the entries of the map that comes next, and builds nothing.
    pub(super) fn check(&mut self, scan: &mut Scan) -> Scanned<()> {
        is_object(scan, "MAP")?;
        let start = scan.at();
        if !scan.has_duplicates && each_entry(scan, |scan, _| self.item.check(scan)).is_ok() {
            return Ok(());
        }
        scan.has_duplicates = true;
        scan.back_to(start);
        let entries = last_entries(scan)?;
        let end = scan.at();
        for (_, place) in entries {
            scan.back_to(place);
            self.item.check(scan)?;
        }
        scan.back_to(end);
        Ok(())
    }
}

fn push_key(key: &str, keys: &mut Builder) -> Scanned<()> {
    let Values::String(texts) = keys.values() else { return Err("the key of a MAP is a STRING".into()) };
    texts.push(key);
    keys.valid();
    Ok(())
}

fn are_distinct(keys: &[Cow<str>]) -> bool {
    if keys.len() <= FEW_KEYS {
        return keys.iter().enumerate().all(|(at, key)| !keys[..at].contains(key));
    }
    let mut seen = HashSet::with_capacity(keys.len());
    keys.iter().all(|key| seen.insert(key.as_ref()))
}

/// Steps over an object: its keys, each once and in the order in which they first came, and where their last values stand.
fn last_entries<'a>(scan: &mut Scan<'a>) -> Scanned<Vec<(Cow<'a, str>, usize)>> {
    let mut entries: Vec<(Cow<str>, usize)> = Vec::new();
    let mut places: HashMap<Cow<str>, usize> = HashMap::new();
    each_entry(scan, |scan, key| {
        let at = scan.at();
        match places.entry(key) {
            Entry::Occupied(place) => entries[*place.get()].1 = at,
            Entry::Vacant(place) => {
                entries.push((place.key().clone(), at));
                place.insert(entries.len() - 1);
            }
        }
        scan.skip()
    })?;
    Ok(entries)
}

/// Calls `entry` with the key of each entry of the object that comes next, before its value.
fn each_entry<'a>(
    scan: &mut Scan<'a>,
    mut entry: impl FnMut(&mut Scan<'a>, Cow<'a, str>) -> Scanned<()>,
) -> Scanned<()> {
    scan.expect(b'{')?;
    if scan.take(b'}') {
        return Ok(());
    }
    loop {
        let key = scan.string()?.text();
        scan.expect(b':')?;
        entry(scan, key)?;
        if !scan.take(b',') {
            return scan.expect(b'}');
        }
    }
}
