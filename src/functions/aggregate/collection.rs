//! Aggregates that keep values: a frame for those whose state is a list or a set of them.
//!
//! A function says with [`Collect`] what an item is and what happens when one comes; [`Collections`] holds one
//! [`Kept`] per group, counts memory, and saves and loads. An item is the encoded argument of a row, which a function
//! may extend: HISTOGRAM and ATTR append a count, TOPK with further columns makes a struct.
//!
//! | function | item | when one comes |
//! |---|---|---|
//! | COLLECT_LIST | the value | appended, up to the limit |
//! | COLLECT_SET, COUNT_DISTINCT | the value | appended if no equal one is there |
//! | HISTOGRAM, ATTR | the value and its count | counted up, or appended with 1 |
//! | TOPK, TOPKDISTINCT | the value, or a struct that starts with it | put at its place in descending order |
//! | EARLIEST_BY_OFFSET, LATEST_BY_OFFSET with n | the value | appended; the latest drop the oldest |

use super::States;
use super::kept::{Kept, put_item};
use crate::error::{Error, Result};
use crate::types::build::Values;
use crate::types::row::{self, Input};
use crate::types::{Builder, SqlType, Value, View, grow};

/// What a collection does with the items of a group. An item is made of the arguments of a row.
pub(super) trait Collect: Send + Sync {
    /// Appends the item of a row's arguments; false if the row does not count.
    ///
    /// `item` is empty before. What is appended for a row that does not count is ignored.
    fn item(&self, args: &[View], row: usize, item: &mut Vec<u8>) -> bool {
        row::encode(&args[..1], row, item);
        true
    }

    /// Takes an item in.
    ///
    /// Must be deterministic: after a crash the same rows are added again and must give the same state.
    fn add(&self, kept: &mut Kept, item: &[u8]);

    /// Takes an item back; only where the aggregate says that this can be done.
    fn undo(&self, kept: &mut Kept, item: &[u8]) {
        let _ = (kept, item);
    }

    /// Takes in an item of another group that came later.
    ///
    /// Here `item` comes from another group's [`Kept`], so it has the extra bytes; [`Collect::add`] gets it without
    /// them. An aggregate with a count must therefore write its own.
    fn merge(&self, kept: &mut Kept, item: &[u8]) {
        self.add(kept, item);
    }

    /// Appends the result: by default the items as an array.
    fn result(&self, kept: &Kept, out: &mut Builder) -> Result<()> {
        put_items(kept, out)
    }

    /// About how many bytes the result has.
    ///
    /// Taken from the encoded bytes, which are about as many as those of the column.
    fn result_bytes(&self, kept: &Kept) -> usize {
        kept.items.bytes() + kept.items.len() * size_of::<i32>()
    }
}

/// The collections of all groups.
pub(super) struct Collections<C> {
    collect: C,
    groups: Vec<Kept>,
    /// The bytes of memory of all groups beside their structures.
    ///
    /// Kept up to date by every change, so that [`States::memory`] takes O(1).
    heap: usize,
    /// The item of the current row; its memory is used again for the next one.
    item: Vec<u8>,
}

/// A result of more bytes cannot be handed on.
///
/// A list column in Arrow has 32-bit offsets, so one value must stay well below 2 GiB.
const MOST_RESULT_BYTES: usize = 1 << 30;

impl<C: Collect + 'static> Collections<C> {
    /// Empty collections.
    pub(super) fn boxed(collect: C) -> Box<dyn States> {
        Box::new(Collections { collect, groups: Vec::new(), heap: 0, item: Vec::new() })
    }

    /// Changes what a group keeps, and keeps account.
    ///
    /// Every change of a [`Kept`] passes here or does the same sums itself.
    fn change(&mut self, group: u32, change: impl FnOnce(&C, &mut Kept, &[u8])) {
        let kept = &mut self.groups[group as usize];
        let before = kept.memory();
        change(&self.collect, kept, &self.item);
        self.heap = self.heap + kept.memory() - before;
    }

    /// False if the row does not count.
    fn take_item(&mut self, args: &[View], row: u32) -> bool {
        self.item.clear();
        self.collect.item(args, row as usize, &mut self.item)
    }

    /// # Errors
    /// Backend, with the advice to collect less, if the result is larger than [`MOST_RESULT_BYTES`].
    fn put_result(&self, group: u32, out: &mut Builder) -> Result<()> {
        let kept = &self.groups[group as usize];
        let bytes = self.collect.result_bytes(kept);
        if bytes > MOST_RESULT_BYTES {
            let message =
                format!("a group's collection has {bytes} bytes, more than the {MOST_RESULT_BYTES} of a result");
            return Err(Error::backend(message).hint("collect fewer values, or group by something finer"));
        }
        self.collect.result(kept, out)
    }
}

impl<C: Collect + 'static> States for Collections<C> {
    fn grow(&mut self, groups: usize) {
        let more = groups.saturating_sub(self.groups.len());
        grow::reserve(&mut self.groups, more);
        self.groups.resize_with(groups, Kept::default);
    }

    fn update(&mut self, groups: &[u32], rows: &[u32], args: &[View], mut after: Option<&mut Builder>) -> Result<()> {
        for (group, row) in groups.iter().zip(rows) {
            if self.take_item(args, *row) {
                self.change(*group, C::add);
            }
            if let Some(out) = &mut after {
                self.put_result(*group, out)?;
            }
        }
        Ok(())
    }

    fn undo(&mut self, group: u32, row: u32, args: &[View]) -> Result<()> {
        if self.take_item(args, row) {
            self.change(group, C::undo);
        }
        Ok(())
    }

    fn merge(&mut self, into: u32, from: u32) -> Result<()> {
        // The rows of `from` came first.
        let [into, from] = [into, from].map(|group| group as usize);
        let before = self.groups[into].memory() + self.groups[from].memory();
        let later = self.groups[into].take();
        let first = self.groups[from].take();
        let kept = &mut self.groups[into];
        kept.items.put(first);
        later.iter().for_each(|(_, item)| self.collect.merge(kept, item));
        self.heap = self.heap + self.groups[into].memory() + self.groups[from].memory() - before;
        Ok(())
    }

    fn result(&self, group: u32, out: &mut Builder) -> Result<()> {
        self.put_result(group, out)
    }

    fn result_bytes(&self, group: u32) -> usize {
        self.collect.result_bytes(&self.groups[group as usize])
    }

    fn encode(&self, group: u32, out: &mut Vec<u8>) {
        self.groups[group as usize].items.encode(out);
    }

    fn decode(&mut self, group: u32, input: &mut Input) -> Result<()> {
        self.load(group, |kept| kept.items.decode(input))
    }

    fn has_parts(&self) -> bool {
        true
    }

    fn take_parts(&mut self, group: u32, part: &mut dyn FnMut(u64, Option<&[u8]>)) {
        let kept = &mut self.groups[group as usize];
        let before = kept.memory();
        kept.items.take_parts(part);
        self.heap = self.heap + kept.memory() - before;
    }

    fn load_part(&mut self, group: u32, number: u64, bytes: Option<&[u8]>) -> Result<()> {
        self.load(group, |kept| kept.items.load_part(number, bytes))
    }

    fn loaded(&self) -> Result<()> {
        self.groups.iter().try_for_each(|kept| kept.items.loaded())
    }

    fn memory(&self) -> usize {
        self.groups.capacity() * size_of::<Kept>() + self.heap
    }
}

impl<C: Collect + 'static> Collections<C> {
    /// Loading changes places, so what the index knows is dropped.
    fn load(&mut self, group: u32, load: impl FnOnce(&mut Kept) -> Result<()>) -> Result<()> {
        let kept = &mut self.groups[group as usize];
        let before = kept.memory();
        kept.forget_places();
        let loaded = load(kept);
        self.heap = self.heap + kept.memory() - before;
        loaded
    }
}

/// Appends an array of the items, which are values.
fn put_items(kept: &Kept, out: &mut Builder) -> Result<()> {
    let Values::Array { offsets, items, .. } = out.values() else {
        return Err(Error::bug("the result of a collection is an array"));
    };
    for (_, item) in kept.items.iter() {
        put_item(item, items)?;
    }
    offsets.push(items.len());
    out.valid();
    Ok(())
}

/// A constant as a number.
///
/// `None` if there is no such constant, or if it is NULL or not a whole number.
pub(super) fn number(constants: &[Value], at: usize) -> Option<i64> {
    match constants.get(at) {
        Some(Value::Integer(n)) => Some(i64::from(*n)),
        Some(Value::Bigint(n)) => Some(*n),
        _ => None,
    }
}

/// The most values that a collection keeps, which stands behind the other constants.
///
/// The property's value is the last constant. Without one there is no limit.
pub(super) fn limit(constants: &[Value]) -> usize {
    number(constants, constants.len().wrapping_sub(1)).and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX)
}

/// The type of the items of a call with these arguments' types and one value a row.
pub(super) fn item_type(args: &[SqlType]) -> &SqlType {
    args.first().unwrap_or(&SqlType::String)
}
