//! The items that an aggregate keeps for a group, and how one is found among many.
//!
//! Items are byte strings in a [`Sequence`], in the order in which they came. A set must find an item among many: up
//! to eight are compared one by one, beyond that an open-addressing index by hash is made, on the first search. The
//! index holds places, not bytes, so that each item is stored once.
//!
//! | operation | few items | with an index |
//! |---|---|---|
//! | find | O(items) | O(1) expected |
//! | push | O(1) | O(1) amortised; a full index is rebuilt |
//! | remove | O(part) | O(part): the items after it in its part get new places |
//!
//! The index is never saved. After loading it is made again when it is first needed.

use std::borrow::Cow;
use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;

use super::sequence::{Place, Sequence};
use crate::error::Result;
use crate::types::row::{self, Input};
use crate::types::{Builder, SqlType, View};

/// Up to so many items are looked through one by one.
const FEW: usize = 8;

/// The items of a group.
#[derive(Default)]
pub(super) struct Kept {
    pub items: Sequence,
    /// Finds items by their hashes; made when it is first needed. `None` where items are looked up by their order or not at all.
    index: Option<Box<Index>>,
}

/// What tells items apart.
///
/// Equality is that of the encoded bytes, but for maps, whose entries may stand in any order. All NaNs are encoded
/// alike, so they are one item; `-0.0` and `0.0` are two, as for Java's `Double.equals`.
pub(super) struct Identity {
    /// Set if two values can be equal although their bytes differ: maps, whatever the order of their entries.
    with_maps: Option<SqlType>,
    /// So many bytes at the end of an item do not belong to its value.
    extra: usize,
}

impl Identity {
    /// The identity of items that are values of this type, as [`row::encode`] makes them, and `extra` bytes.
    pub(super) fn new(sql_type: &SqlType, extra: usize) -> Self {
        Identity { with_maps: has_map(sql_type).then(|| sql_type.clone()), extra }
    }

    /// The value of an item.
    ///
    /// # Panics
    /// If the item is shorter than the `extra` bytes.
    pub(super) fn value<'a>(&self, item: &'a [u8]) -> &'a [u8] {
        &item[..item.len() - self.extra]
    }

    /// Bytes that are the same for equal values.
    ///
    /// Borrowed unless the type has maps: then the value is decoded and encoded again with sorted entries, which
    /// costs an allocation per comparison.
    pub(super) fn canonical<'a>(&self, value: &'a [u8]) -> Cow<'a, [u8]> {
        match self.with_maps.as_ref().map(|sql_type| sorted_maps(value, sql_type)) {
            // What cannot be read is equal to nothing else.
            Some(Ok(bytes)) => Cow::Owned(bytes),
            Some(Err(_)) | None => Cow::Borrowed(value),
        }
    }

    fn hash(&self, item: &[u8]) -> u64 {
        hash(&self.canonical(self.value(item)))
    }
}

fn has_map(sql_type: &SqlType) -> bool {
    match sql_type {
        SqlType::Map(..) => true,
        SqlType::Array(item) => has_map(item),
        SqlType::Struct(fields) => fields.iter().any(|field| has_map(&field.sql_type)),
        _ => false,
    }
}

/// A value with the entries of its maps in the order of their bytes.
fn sorted_maps(value: &[u8], sql_type: &SqlType) -> Result<Vec<u8>> {
    let mut column = [Builder::new(sql_type, 1)];
    row::decode(value, &mut column)?;
    let [column] = column;
    let array = column.finish();
    let mut out = Vec::with_capacity(value.len());
    row::encode_canonical(&View::new(array.as_ref(), sql_type), 0, &mut out);
    Ok(out)
}

/// The seed is fixed, so that nothing depends on the process. The hash is never saved.
fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = FixedState::with_seed(0).build_hasher();
    hasher.write(bytes);
    hasher.finish()
}

impl Kept {
    /// The bytes of memory beside the structure itself.
    pub(super) fn memory(&self) -> usize {
        let index =
            self.index.as_ref().map_or(0, |index| size_of::<Index>() + index.slots.capacity() * size_of::<u64>());
        self.items.memory() + index
    }

    /// Where the item of a value is.
    ///
    /// `value` is without extra bytes. The result is valid until the next change of the group.
    pub(super) fn find(&mut self, value: &[u8], identity: &Identity) -> Option<Place> {
        let wanted = identity.canonical(value);
        let is_wanted = |item: &[u8]| identity.canonical(identity.value(item)) == wanted;
        if self.items.len() <= FEW {
            return self.items.iter().find(|(_, item)| is_wanted(item)).map(|(place, _)| place);
        }
        let items = &self.items;
        let index = self.index.get_or_insert_with(|| Box::new(Index::of(items, identity)));
        index.find(hash(&wanted), |place| is_wanted(items.get(place)))
    }

    /// Appends an item whose value is not there yet.
    ///
    /// The caller has looked for it with [`Kept::find`]; a second equal item would never be found.
    pub(super) fn push(&mut self, item: &[u8], identity: &Identity) {
        let place = self.items.push(item);
        let Some(index) = &mut self.index else { return };
        if index.is_full() {
            **index = Index::of(&self.items, identity);
        } else {
            index.insert(identity.hash(item), place);
        }
    }

    /// Removes an item.
    ///
    /// Index entries of the moved items are removed before the change and added after it. Marks of removed entries
    /// fill the index too, so it may have to be rebuilt by removals alone.
    pub(super) fn remove(&mut self, place: Place, identity: &Identity) {
        // Those after it in its part move.
        let Some(index) = &mut self.index else { return self.items.remove(place) };
        self.items.rest_of_part(place).for_each(|(place, item)| index.remove(identity.hash(item), place));
        self.items.remove(place);
        if self.items.has_part(place.part) {
            self.items.rest_of_part(place).for_each(|(place, item)| index.insert(identity.hash(item), place));
        }
        if index.is_full() {
            **index = Index::of(&self.items, identity);
        }
    }

    /// Takes all items out.
    pub(super) fn take(&mut self) -> Sequence {
        self.index = None;
        self.items.take()
    }

    /// Entries were loaded: what was known of places does not hold any more.
    ///
    /// The index is dropped and made again by the next search that needs it.
    pub(super) fn forget_places(&mut self) {
        self.index = None;
    }
}

/// Places of items by the hashes of their values: open addressing with linear probing.
///
/// The number of slots is a power of two, at most three quarters are used, and a search ends at the first free slot.
/// A slot of 64 bits:
///
/// ```text
/// | 63 … 42: upper bits of the hash | 41 … 10: number of the part + 1 | 9 … 0: place in the part |
/// ```
///
/// 0 is free and 1 is a removed entry; neither can be a place, since the number of a part plus one is at least 1.
struct Index {
    /// The upper bits of the hash, the number of the part plus one, and the place in it; 0 is free.
    slots: Vec<u64>,
    /// How many slots are not free, those of removed items included.
    ///
    /// Grows with insertions into free slots only; the index is rebuilt when three quarters are used.
    used: usize,
}

/// The bits of a place in its part, and of the part's number: a part begins its last item within 1 KiB, and sets have fewer
/// than 2^32 parts.
const AT_BITS: u32 = 10;
const PART_BITS: u32 = 32;
const HASH: u64 = u64::MAX << (AT_BITS + PART_BITS);
/// Stands in the slot of an item that was removed.
const REMOVED: u64 = 1;

impl Index {
    /// An index of all items, with room for as many more.
    ///
    /// O(items), each hashed once.
    fn of(items: &Sequence, identity: &Identity) -> Index {
        let slots = (items.len() * 2 + 1).next_power_of_two();
        let mut index = Index { slots: vec![0; slots], used: 0 };
        items.iter().for_each(|(place, item)| index.insert(identity.hash(item), place));
        index
    }

    fn is_full(&self) -> bool {
        (self.used + 1) * 4 > self.slots.len() * 3
    }

    fn slot(hash: u64, place: Place) -> u64 {
        debug_assert!(place.at < 1 << AT_BITS && place.part < u64::from(u32::MAX));
        (hash & HASH) | (place.part + 1) << AT_BITS | u64::from(place.at)
    }

    /// The slots that may have an item of this hash, in the order in which they are tried.
    ///
    /// Starts at the lower bits of the hash and goes round once.
    fn probe(&self, hash: u64) -> impl Iterator<Item = usize> + use<> {
        let mask = self.slots.len() - 1;
        (0..=mask).map(move |step| (hash as usize).wrapping_add(step) & mask)
    }

    /// `is_wanted` is asked only for entries whose upper hash bits agree, and compares the items themselves.
    fn find(&self, hash: u64, mut is_wanted: impl FnMut(Place) -> bool) -> Option<Place> {
        for at in self.probe(hash) {
            let slot = self.slots[at];
            if slot == 0 {
                return None;
            }
            if slot == REMOVED || (slot ^ hash) & HASH != 0 {
                continue;
            }
            let part = (slot & !HASH) >> AT_BITS;
            let place = Place { part: part - 1, at: (slot & ((1 << AT_BITS) - 1)) as u32 };
            if is_wanted(place) {
                return Some(place);
            }
        }
        None
    }

    /// Adds an item; there must be room.
    fn insert(&mut self, hash: u64, place: Place) {
        let free = self.probe(hash).find(|at| self.slots[*at] <= REMOVED);
        let free = free.expect("an index that is full is made anew before something is added");
        self.used += usize::from(self.slots[free] == 0);
        self.slots[free] = Self::slot(hash, place);
    }

    fn remove(&mut self, hash: u64, place: Place) {
        let slot = Self::slot(hash, place);
        if let Some(at) = self.probe(hash).find(|at| self.slots[*at] == slot) {
            self.slots[at] = REMOVED;
        }
    }
}

/// Appends an item, which is a value of the column's type and perhaps other bytes, to a column; the other bytes.
///
/// # Errors
/// A bug: the item is not a value of the column's type.
pub(super) fn put_item<'a>(item: &'a [u8], out: &mut Builder) -> Result<&'a [u8]> {
    let mut input = Input(item);
    row::decode_next(&mut input, std::slice::from_mut(out))?;
    Ok(input.0)
}
