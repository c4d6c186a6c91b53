//! The items of a collection as bytes, packed into numbered parts: what is saved after a change is the parts it touched.
//!
//! Parts are in ascending order of their numbers. The last part is saved with its group, every other part as an entry of its
//! own. So a small collection has no entry of its own, and a large one to which something is appended writes its last part.

use std::collections::VecDeque;

use crate::error::{Error, Result};
use crate::types::row::{Input, put_bytes, put_varint};

/// A part takes no further item beyond so many bytes. Small in tests, so that there are many parts.
const PART_BYTES: usize = if cfg!(test) { 40 } else { 1024 };

/// The numbers of parts that may be split begin here and are so far apart, which leaves room for others between them.
const SPLIT_START: u64 = 1 << 32;
const SPLIT_STEP: u64 = if cfg!(test) { 8 } else { 1 << 16 };

/// What the allocator is taken to need beside the bytes that are asked for.
const ALLOCATION_BYTES: usize = 16;

/// Items in an order, each a byte string.
#[derive(Default)]
pub(super) struct Sequence {
    last: Part,
    before: Option<Box<Before>>,
    items: usize,
    /// The bytes of all items, each with its length.
    bytes: usize,
    /// The bytes of memory of all parts.
    heap: usize,
}

/// The parts before the last one.
#[derive(Default)]
struct Before {
    parts: VecDeque<Part>,
    /// The numbers of parts that were changed since they were saved; may name parts that are gone.
    touched: Vec<u64>,
    /// The numbers of saved parts that are not here any more.
    gone: Vec<u64>,
    /// How many parts the group's entry says there are, while parts are loaded.
    expected: usize,
}

/// Items one after the other, each after its length.
#[derive(Default)]
struct Part {
    number: u64,
    bytes: Vec<u8>,
    /// Whether it is among the touched ones.
    touched: bool,
    /// Whether it has an entry of its own.
    saved: bool,
}

/// Where an item stands. Stays valid until an item before it in its part is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub part: u64,
    pub at: u32,
}

impl Part {
    fn items(&self, from: usize) -> Items<'_> {
        Items { number: self.number, bytes: &self.bytes, at: from }
    }

    fn heap(&self) -> usize {
        if self.bytes.capacity() == 0 { 0 } else { self.bytes.capacity() + ALLOCATION_BYTES }
    }
}

/// The items of a part.
struct Items<'a> {
    number: u64,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Items<'a> {
    type Item = (Place, &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let place = Place { part: self.number, at: self.at as u32 };
        let mut input = Input(&self.bytes[self.at..]);
        let item = input.bytes().expect("a part holds whole items: those that are loaded were checked");
        self.at = self.bytes.len() - input.0.len();
        Some((place, item))
    }
}

impl Sequence {
    /// The number of items.
    pub(super) fn len(&self) -> usize {
        self.items
    }

    /// The bytes of all items.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The bytes of memory beside the structure itself.
    pub(super) fn memory(&self) -> usize {
        let before = |before: &Before| {
            let numbers = (before.touched.capacity() + before.gone.capacity()) * size_of::<u64>();
            size_of::<Before>() + before.parts.capacity() * size_of::<Part>() + numbers + 2 * ALLOCATION_BYTES
        };
        self.heap + self.before.as_deref().map_or(0, before)
    }

    fn full(&self) -> usize {
        self.before.as_ref().map_or(0, |before| before.parts.len())
    }

    fn part(&self, index: usize) -> &Part {
        match &self.before {
            Some(before) if index < before.parts.len() => &before.parts[index],
            _ => &self.last,
        }
    }

    fn part_mut(&mut self, index: usize) -> &mut Part {
        match &mut self.before {
            Some(before) if index < before.parts.len() => &mut before.parts[index],
            _ => &mut self.last,
        }
    }

    /// The place of the part with this number among all parts, or where it belongs.
    fn index_of(&self, number: u64) -> usize {
        let Some(before) = &self.before else { return 0 };
        let Some(first) = before.parts.front() else { return 0 };
        // As long as no part was removed or split, the numbers are consecutive.
        let guess = number.wrapping_sub(first.number) as usize;
        if before.parts.get(guess).is_some_and(|part| part.number == number) {
            return guess;
        }
        before.parts.partition_point(|part| part.number < number)
    }

    /// All items.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Place, &[u8])> {
        (0..=self.full()).flat_map(|index| self.part(index).items(0))
    }

    /// The items of a part from a place on.
    pub(super) fn rest_of_part(&self, from: Place) -> impl Iterator<Item = (Place, &[u8])> {
        self.part(self.index_of(from.part)).items(from.at as usize)
    }

    /// Whether there is a part of this number.
    pub(super) fn has_part(&self, number: u64) -> bool {
        self.part(self.index_of(number)).number == number
    }

    /// The item at a place.
    pub(super) fn get(&self, place: Place) -> &[u8] {
        self.rest_of_part(place).next().expect("an item stands at its place").1
    }

    /// The last place whose item satisfies the condition.
    pub(super) fn rfind(&self, mut is_wanted: impl FnMut(&[u8]) -> bool) -> Option<Place> {
        let mut in_part = |index| self.part(index).items(0).filter(|(_, item)| is_wanted(item)).last();
        (0..=self.full()).rev().find_map(&mut in_part).map(|(place, _)| place)
    }

    /// The first place whose item satisfies the condition, which holds for no item before one for which it does not hold.
    pub(super) fn partition_point(&self, mut is_after: impl FnMut(&[u8]) -> bool) -> Option<Place> {
        let (mut low, mut high) = (0, self.full());
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            let first = self.part(middle).items(0).next();
            if first.is_some_and(|(_, item)| is_after(item)) { high = middle - 1 } else { low = middle }
        }
        let mut items = self.part(low).items(0).chain(if low < self.full() {
            self.part(low + 1).items(0)
        } else {
            Items { number: 0, bytes: &[], at: 0 }
        });
        items.find(|(_, item)| is_after(item)).map(|(place, _)| place)
    }

    /// Changes bytes of a part, and keeps account.
    fn change(&mut self, index: usize, change: impl FnOnce(&mut Vec<u8>)) {
        let part = self.part_mut(index);
        let (bytes, heap) = (part.bytes.len(), part.heap());
        change(&mut part.bytes);
        let (bytes_after, heap_after) = (part.bytes.len(), part.heap());
        self.bytes = self.bytes + bytes_after - bytes;
        self.heap = self.heap + heap_after - heap;
        self.touch(index);
    }

    /// Notes that a part is to be saved. The last one always is.
    fn touch(&mut self, index: usize) {
        if let Some(before) = &mut self.before
            && let Some(part) = before.parts.get_mut(index)
            && !std::mem::replace(&mut part.touched, true)
        {
            before.touched.push(part.number);
        }
    }

    /// Appends an item; where it stands.
    pub(super) fn push(&mut self, item: &[u8]) -> Place {
        if !self.last.bytes.is_empty() && self.last.bytes.len() + item.len() + 1 > PART_BYTES {
            self.close(Vec::new(), 1);
        }
        let place = Place { part: self.last.number, at: self.last.bytes.len() as u32 };
        self.items += 1;
        let last = self.full();
        self.change(last, |bytes| put_bytes(bytes, item));
        place
    }

    /// Begins a new last part with these bytes, which are counted already.
    fn close(&mut self, bytes: Vec<u8>, step: u64) {
        let next = Part { number: self.last.number + step, bytes, ..Part::default() };
        let heap = self.last.heap();
        self.last.bytes.shrink_to_fit();
        self.heap = self.heap + self.last.heap() + next.heap() - heap;
        let part = std::mem::replace(&mut self.last, next);
        let before = self.before.get_or_insert_default();
        before.parts.push_back(part);
        let index = before.parts.len() - 1;
        self.touch(index);
    }

    /// Puts an item before the one at a place, or at the end.
    pub(super) fn insert(&mut self, place: Option<Place>, item: &[u8]) {
        let (index, at) = match place {
            Some(place) => (self.index_of(place.part), place.at as usize),
            None => (self.full(), self.last.bytes.len()),
        };
        self.items += 1;
        let mut framed = Vec::with_capacity(item.len() + 2);
        put_bytes(&mut framed, item);
        self.change(index, |bytes| drop(bytes.splice(at..at, framed)));
        if self.part(index).bytes.len() > 2 * PART_BYTES {
            self.split(index);
        }
    }

    /// Makes two parts of one that has more than one item.
    fn split(&mut self, index: usize) {
        let half = self.part(index).bytes.len() / 2;
        let mut starts = self.part(index).items(0).skip(1).map(|(place, _)| place.at as usize);
        let Some(middle) = starts.find(|at| *at >= half).or_else(|| self.last_start(index)) else { return };
        if self.before.is_none() && self.last.number == 0 {
            self.last.number = SPLIT_START;
        }
        let part = self.part_mut(index);
        let heap = part.heap();
        let tail = part.bytes.split_off(middle);
        self.heap = self.heap + self.part(index).heap() - heap;
        if index == self.full() {
            return self.close(tail, SPLIT_STEP);
        }
        self.insert_part(index, tail);
    }

    /// Where the last item of a part begins, if it is not the first one.
    fn last_start(&self, index: usize) -> Option<usize> {
        self.part(index).items(0).skip(1).last().map(|(place, _)| place.at as usize)
    }

    /// Puts a part of these bytes, which are counted already, after the one at `index`, which is not the last.
    fn insert_part(&mut self, index: usize, bytes: Vec<u8>) {
        let number = |sequence: &Self, index: usize| sequence.part(index).number;
        let has_room = match index {
            0 => number(self, 0) >= SPLIT_STEP,
            _ => number(self, index + 1) - number(self, index) > 1,
        };
        if !has_room {
            self.renumber();
        }
        let (own, next) = (number(self, index), number(self, index + 1));
        let part = Part { bytes, ..Part::default() };
        self.heap += part.heap();
        let Some(before) = &mut self.before else { return };
        if index == 0 {
            // What is before the first part has all numbers below.
            let first = std::mem::replace(&mut before.parts[0].bytes, part.bytes);
            before.parts.push_front(Part { number: own - SPLIT_STEP, bytes: first, ..Part::default() });
        } else {
            before.parts.insert(index + 1, Part { number: own + (next - own) / 2, ..part });
        }
        self.touch(index);
        self.touch(index + 1);
    }

    /// Gives all parts new numbers, with room between them.
    fn renumber(&mut self) {
        let mut number = SPLIT_START;
        let Some(before) = &mut self.before else { return };
        before.touched.clear();
        for part in &mut before.parts {
            if std::mem::take(&mut part.saved) {
                before.gone.push(part.number);
            }
            part.number = number;
            part.touched = true;
            before.touched.push(number);
            number += SPLIT_STEP;
        }
        self.last.number = number;
    }

    /// Replaces the end of the item at a place by as many bytes.
    pub(super) fn overwrite_end(&mut self, place: Place, end: &[u8]) {
        let item_end = {
            let mut items = self.part(self.index_of(place.part)).items(place.at as usize);
            items.next();
            items.at
        };
        let index = self.index_of(place.part);
        self.change(index, |bytes| bytes[item_end - end.len()..item_end].copy_from_slice(end));
    }

    /// Removes the item at a place.
    pub(super) fn remove(&mut self, place: Place) {
        let index = self.index_of(place.part);
        let mut items = self.part(index).items(place.at as usize);
        items.next();
        let end = items.at;
        self.items -= 1;
        self.change(index, |bytes| drop(bytes.drain(place.at as usize..end)));
        if self.part(index).bytes.is_empty() {
            self.remove_part(index);
        }
    }

    /// Removes a part that is empty, unless it is the only one.
    fn remove_part(&mut self, index: usize) {
        let Some(before) = &mut self.before else { return };
        let removed = if index < before.parts.len() { before.parts.remove(index) } else { before.parts.pop_back() };
        let Some(mut removed) = removed else { return };
        if std::mem::take(&mut removed.saved) {
            before.gone.push(removed.number);
        }
        let emptied = if removed.bytes.is_empty() {
            removed
        } else {
            // The part before the last one takes its place.
            removed.touched = false;
            std::mem::replace(&mut self.last, removed)
        };
        self.heap -= emptied.heap();
    }

    /// Removes the first item.
    pub(super) fn pop_front(&mut self) {
        if self.items > 0 {
            self.remove(Place { part: self.part(0).number, at: 0 });
        }
    }

    /// Removes the last item.
    pub(super) fn pop_back(&mut self) {
        let last = self.last.items(0).last();
        if let Some((place, _)) = last {
            self.remove(place);
        }
    }

    /// The first item.
    pub(super) fn front(&self) -> Option<&[u8]> {
        self.part(0).items(0).next().map(|(_, item)| item)
    }

    /// The last item.
    pub(super) fn back(&self) -> Option<&[u8]> {
        self.last.items(0).last().map(|(_, item)| item)
    }

    /// Takes all items out, to be saved under another group; an empty sequence stays.
    pub(super) fn take(&mut self) -> Sequence {
        let mut taken = std::mem::take(self);
        let Some(before) = &mut taken.before else { return taken };
        let mut gone = std::mem::take(&mut before.gone);
        before.touched.clear();
        for part in &mut before.parts {
            if std::mem::take(&mut part.saved) {
                gone.push(part.number);
            }
            part.touched = true;
            before.touched.push(part.number);
        }
        if !gone.is_empty() {
            self.before = Some(Box::new(Before { gone, ..Before::default() }));
        }
        taken
    }

    /// Sets items that were taken out of another group; there were none.
    pub(super) fn put(&mut self, items: Sequence) {
        let own = std::mem::replace(self, items);
        if let Some(own) = own.before {
            self.before.get_or_insert_default().gone.extend(own.gone);
        }
    }

    /// Appends what is saved with the group: the last part, and how many others there are.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.last.number);
        put_varint(out, self.items as u64);
        put_varint(out, self.full() as u64);
        put_bytes(out, &self.last.bytes);
    }

    /// Hands over the parts before the last that changed since the last call, and the numbers of those that are gone.
    pub(super) fn take_parts(&mut self, part: &mut dyn FnMut(u64, Option<&[u8]>)) {
        let Some(before) = &mut self.before else { return };
        let (gone, touched) = (std::mem::take(&mut before.gone), std::mem::take(&mut before.touched));
        for number in gone {
            let index = self.index_of(number);
            if index >= self.full() || self.part(index).number != number {
                part(number, None);
            }
        }
        for number in touched {
            let index = self.index_of(number);
            if index >= self.full() || self.part(index).number != number {
                continue;
            }
            let own = self.part_mut(index);
            if std::mem::take(&mut own.touched) {
                own.saved = true;
                part(number, Some(&own.bytes));
            }
        }
    }

    /// Sets what [`Sequence::encode`] wrote.
    pub(super) fn decode(&mut self, input: &mut Input) -> Result<()> {
        let number = input.varint()?;
        self.items = input.varint()? as usize;
        let expected = input.varint()? as usize;
        let bytes = checked(input.bytes()?)?;
        if expected > 0 || self.before.is_some() {
            self.before.get_or_insert_default().expected = expected;
        }
        let last = std::mem::replace(&mut self.last, Part { number, bytes, ..Part::default() });
        self.bytes = self.bytes + self.last.bytes.len() - last.bytes.len();
        self.heap = self.heap + self.last.heap() - last.heap();
        Ok(())
    }

    /// Sets a part that [`Sequence::take_parts`] gave, or removes it.
    pub(super) fn load_part(&mut self, number: u64, bytes: Option<&[u8]>) -> Result<()> {
        let part = bytes.map(checked).transpose()?.map(|bytes| Part { number, bytes, saved: true, touched: false });
        let index = self.index_of(number);
        let before = self.before.get_or_insert_default();
        let is_there = before.parts.get(index).is_some_and(|part| part.number == number);
        let old = if is_there { before.parts.remove(index) } else { None };
        if let Some(old) = old {
            self.bytes -= old.bytes.len();
            self.heap -= old.heap();
        }
        if let Some(part) = part {
            self.bytes += part.bytes.len();
            self.heap += part.heap();
            before.parts.insert(index, part);
        }
        Ok(())
    }

    /// All entries are loaded.
    ///
    /// # Errors
    /// A bug: parts are missing.
    pub(super) fn loaded(&self) -> Result<()> {
        match &self.before {
            Some(before) if before.parts.len() != before.expected => {
                let (there, expected) = (before.parts.len(), before.expected);
                Err(Error::bug(format!("a collection has {there} parts instead of {expected}")))
            }
            _ => Ok(()),
        }
    }
}

/// The bytes of a saved part, if they are whole items.
fn checked(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut input = Input(bytes);
    while !input.0.is_empty() {
        input.bytes()?;
    }
    Ok(bytes.to_vec())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::disk::double::Random;

    /// What is saved of a sequence.
    #[derive(Default)]
    struct Saved {
        last: Vec<u8>,
        parts: BTreeMap<u64, Vec<u8>>,
        /// The bytes that were written by the last save.
        written: usize,
    }

    impl Saved {
        fn save(&mut self, sequence: &mut Sequence) {
            self.last.clear();
            sequence.encode(&mut self.last);
            self.written = self.last.len();
            sequence.take_parts(&mut |number, bytes| {
                self.written += size_of::<u64>() + bytes.map_or(0, <[u8]>::len);
                match bytes {
                    Some(bytes) => drop(self.parts.insert(number, bytes.to_vec())),
                    None => assert!(self.parts.remove(&number).is_some(), "a part that was never saved is gone"),
                }
            });
        }

        fn load(&self) -> Sequence {
            let mut sequence = Sequence::default();
            sequence.decode(&mut Input(&self.last)).expect("whole");
            for (number, bytes) in &self.parts {
                sequence.load_part(*number, Some(bytes)).expect("whole");
            }
            sequence.loaded().expect("all parts");
            sequence
        }
    }

    fn check(sequence: &Sequence, model: &[Vec<u8>]) {
        let items: Vec<&[u8]> = sequence.iter().map(|(_, item)| item).collect();
        assert_eq!(items, model);
        assert_eq!(sequence.len(), model.len());
        assert_eq!(
            (sequence.front(), sequence.back()),
            (model.first().map(Vec::as_slice), model.last().map(Vec::as_slice))
        );
        assert_eq!(sequence.bytes(), model.iter().map(|item| item.len() + 1).sum::<usize>());
        let parts = (0..=sequence.full()).map(|index| sequence.part(index));
        assert_eq!(sequence.heap, parts.map(Part::heap).sum::<usize>());
        assert!(sequence.iter().all(|(place, item)| sequence.get(place) == item));
    }

    fn item(random: &mut Random, number: u64) -> Vec<u8> {
        let length = if random.one_in(20) { 100 } else { random.below(6) as usize };
        let mut item = number.to_be_bytes().to_vec();
        item.resize(8 + length, b'x');
        item
    }

    /// One random change of a sequence and its model; of a sorted one, a value is put at its place.
    fn step(random: &mut Random, sequence: &mut Sequence, model: &mut Vec<Vec<u8>>, sorted: bool) {
        let number = random.below(1000);
        let item = item(random, number);
        match random.below(10) {
            0..5 if sorted => {
                let place = sequence.partition_point(|kept| kept > item.as_slice());
                sequence.insert(place, &item);
                model.insert(model.partition_point(|kept| *kept <= item), item);
            }
            0..5 => {
                let place = sequence.push(&item);
                assert_eq!(sequence.get(place), item);
                model.push(item);
            }
            5 => {
                sequence.pop_front();
                drop((!model.is_empty()).then(|| model.remove(0)));
            }
            6 => {
                sequence.pop_back();
                model.pop();
            }
            7 if !model.is_empty() && !sorted => {
                let at = random.below(model.len() as u64) as usize;
                let place = sequence.iter().nth(at).expect("as many").0;
                sequence.overwrite_end(place, b"yz");
                let end = model[at].len() - 2;
                model[at][end..].copy_from_slice(b"yz");
            }
            _ => {
                let first = item[7];
                let found = sequence.rfind(|kept| kept[7] % 16 == first % 16);
                assert_eq!(found.is_some(), model.iter().any(|kept| kept[7] % 16 == first % 16));
                if let Some(place) = found {
                    sequence.remove(place);
                    model.remove(model.iter().rposition(|kept| kept[7] % 16 == first % 16).expect("found"));
                }
            }
        }
    }

    #[test]
    fn sequences_are_as_their_model_whatever_happens_and_after_every_restart() {
        for seed in 0..30 {
            let mut random = Random::new(seed);
            let (mut sequence, mut model, mut saved) = (Sequence::default(), Vec::new(), Saved::default());
            let grows = random.one_in(2);
            for _ in 0..400 {
                step(&mut random, &mut sequence, &mut model, seed % 2 == 0);
                if grows && random.one_in(3) {
                    let item = item(&mut random, if seed % 2 == 0 { 0 } else { 7 });
                    let place = sequence.partition_point(|kept| seed % 2 == 0 && kept > item.as_slice());
                    match place {
                        Some(_) => {
                            sequence.insert(place, &item);
                            model.insert(model.partition_point(|kept| *kept <= item), item);
                        }
                        None if seed % 2 == 0 => {
                            sequence.insert(None, &item);
                            model.push(item);
                        }
                        None => {
                            sequence.push(&item);
                            model.push(item);
                        }
                    }
                }
                check(&sequence, &model);
                if random.one_in(5) {
                    saved.save(&mut sequence);
                    check(&saved.load(), &model);
                    if random.one_in(3) {
                        sequence = saved.load();
                    }
                }
            }
        }
    }

    fn push_x(sequence: &mut Sequence) {
        sequence.push(b"x");
    }

    #[test]
    fn what_is_appended_writes_its_own_size_and_a_bounded_tail() {
        let (mut sequence, mut saved) = (Sequence::default(), Saved::default());
        (0..10_000).for_each(|_| push_x(&mut sequence));
        saved.save(&mut sequence);
        assert!(saved.written > 20_000);
        (0..100).for_each(|_| push_x(&mut sequence));
        saved.save(&mut sequence);
        // The parts touched: 200 bytes of items, and what was in the last part before, with a number each.
        assert!(saved.written < 200 + 2 * PART_BYTES + 10 * size_of::<u64>(), "{}", saved.written);
        check(&saved.load(), &vec![b"x".to_vec(); 10_100]);
    }

    #[test]
    fn a_missing_part_is_noticed() {
        let (mut sequence, mut saved) = (Sequence::default(), Saved::default());
        (0..100).for_each(|_| push_x(&mut sequence));
        saved.save(&mut sequence);
        let mut sequence = Sequence::default();
        sequence.decode(&mut Input(&saved.last)).expect("whole");
        for (number, bytes) in saved.parts.iter().skip(1) {
            sequence.load_part(*number, Some(bytes)).expect("whole");
        }
        assert!(sequence.loaded().is_err());
        assert!(sequence.load_part(9, Some(b"\x05x")).is_err(), "a part breaks off");
    }
}
