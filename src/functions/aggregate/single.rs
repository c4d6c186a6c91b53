//! Aggregates that keep one value of a group: the first, the last, the smallest or the largest.
//!
//! What is kept depends on the rule and on what NULLs mean:
//!
//! | function | rule | NULLs |
//! |---|---|---|
//! | MIN, MAX | the extreme value; of equal ones the first | ignored |
//! | EARLIEST_BY_OFFSET | the first value | ignored, unless `ignoreNulls` is false |
//! | LATEST_BY_OFFSET | the last value | ignored, unless `ignoreNulls` is false |
//!
//! Types of fixed width keep their values in one vector, the others as encoded bytes, one allocation per group. A
//! state is saved as
//!
//! ```text
//! | kind: 1 byte | value, only if kind is 2 |
//! ```
//!
//! with kind 0 for nothing yet, 1 for NULL and 2 for a value. Values of fixed width are little-endian, the others
//! have their length as a varint before them.

use std::cmp::Ordering;

use arrow::datatypes::i256;

use super::kept::put_item;
use super::{States, stored};
use crate::error::{Error, Result};
use crate::types::build::Values;
use crate::types::row::{self, Input, put_bytes};
use crate::types::view::ViewValues;
use crate::types::{Builder, NARROW_PRECISION, SqlType, View, compare_doubles, grow};

/// Which value is kept.
///
/// Equal values matter for MIN and MAX only where they print differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    First,
    Last,
    /// The one that is so to all others; of equal ones the first.
    Extreme(Ordering),
}

impl Rule {
    /// Whether a value is kept instead of the one that there is; `order` compares them.
    #[inline]
    fn prefers(self, kept: What, order: impl FnOnce() -> Ordering) -> bool {
        match self {
            Rule::First => kept == What::Nothing,
            Rule::Last => true,
            Rule::Extreme(wanted) => kept == What::Nothing || order() == wanted,
        }
    }
}

/// What a group has.
///
/// Saved as its number, so the order of the variants is part of the format on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Nothing,
    Null,
    Value,
}

impl What {
    fn load(input: &mut Input) -> Result<What> {
        let all = [What::Nothing, What::Null, What::Value];
        all.get(usize::from(input.byte()?)).copied().ok_or_else(|| Error::bug("an encoded value has no such kind"))
    }
}

/// Empty states that keep one value of this type; NULLs count unless they are ignored.
pub(super) fn states(sql_type: &SqlType, rule: Rule, ignore_nulls: bool) -> Box<dyn States> {
    match sql_type {
        SqlType::Boolean => fixed::<bool>(rule, ignore_nulls),
        SqlType::Integer | SqlType::Date | SqlType::Time => fixed::<i32>(rule, ignore_nulls),
        SqlType::Bigint | SqlType::Timestamp => fixed::<i64>(rule, ignore_nulls),
        SqlType::Double => fixed::<f64>(rule, ignore_nulls),
        SqlType::Decimal { precision, .. } if *precision <= NARROW_PRECISION => fixed::<i128>(rule, ignore_nulls),
        SqlType::Decimal { .. } => fixed::<i256>(rule, ignore_nulls),
        _ => Box::new(Singles {
            values: Varying { items: Vec::new(), heap: 0, item: Vec::new(), sql_type: sql_type.clone() },
            kept: Vec::new(),
            rule,
            ignore_nulls,
        }),
    }
}

fn fixed<N: Fixed + 'static>(rule: Rule, ignore_nulls: bool) -> Box<dyn States> {
    Box::new(Singles { values: Vec::<N>::new(), kept: Vec::new(), rule, ignore_nulls })
}

/// The values of all groups.
///
/// There is one value "in hand": [`Slots::read`] and [`Slots::reread`] take it up, [`Slots::order`] and
/// [`Slots::keep`] use it. So a value is read from its column once, however often it is compared.
trait Slots: Send + Sync {
    fn grow(&mut self, groups: usize);
    /// Where a group's value lies, or what leads to it.
    fn address(&self, group: usize) -> *const u8;
    /// The value in a row, to be compared with kept ones.
    fn read(&mut self, view: &View, row: usize);
    /// Compares the value that was read last with a group's.
    fn order(&self, group: usize) -> Ordering;
    /// Keeps the value that was read last.
    fn keep(&mut self, group: usize);
    /// Makes the value of a group the one that was read last.
    ///
    /// Leaves the slot of the group empty where values have memory of their own.
    fn reread(&mut self, group: usize);
    fn put(&self, group: usize, out: &mut Builder) -> Result<()>;
    fn bytes(&self, group: usize) -> usize;
    fn encode(&self, group: usize, out: &mut Vec<u8>);
    fn decode(&mut self, group: usize, input: &mut Input) -> Result<()>;
    fn memory(&self) -> usize;
}

/// One value of each group, or NULL, or nothing yet.
///
/// `values` and `kept` have one entry per group; the value means something only where `kept` is [`What::Value`].
struct Singles<S> {
    values: S,
    kept: Vec<What>,
    rule: Rule,
    ignore_nulls: bool,
}

impl<S: Slots> Singles<S> {
    /// Under [`Rule::First`] the column is not read any more once there is a value.
    #[inline]
    fn take(&mut self, group: usize, view: &View, row: usize) {
        let kept = self.kept[group];
        if view.is_null(row) {
            if !self.ignore_nulls && self.rule.prefers(kept, || Ordering::Equal) {
                self.kept[group] = What::Null;
            }
            return;
        }
        if kept != What::Nothing && self.rule == Rule::First {
            return;
        }
        self.values.read(view, row);
        if self.rule.prefers(kept, || self.values.order(group)) {
            self.values.keep(group);
            self.kept[group] = What::Value;
        }
    }

    fn put(&self, group: usize, out: &mut Builder) -> Result<()> {
        if self.kept[group] == What::Value {
            return self.values.put(group, out);
        }
        out.null();
        Ok(())
    }
}

impl<S: Slots> States for Singles<S> {
    fn grow(&mut self, groups: usize) {
        self.values.grow(groups);
        grow::resize(&mut self.kept, groups, What::Nothing);
    }

    fn address(&self, group: u32) -> *const u8 {
        self.values.address(group as usize)
    }

    fn update(&mut self, groups: &[u32], rows: &[u32], args: &[View], mut after: Option<&mut Builder>) -> Result<()> {
        for (group, row) in groups.iter().zip(rows) {
            self.take(*group as usize, &args[0], *row as usize);
            if let Some(out) = &mut after {
                self.put(*group as usize, out)?;
            }
        }
        Ok(())
    }

    fn merge(&mut self, into: u32, from: u32) -> Result<()> {
        // The rows of `from` came first.
        let [into, from] = [into, from].map(|group| group as usize);
        let (first, later) = (self.kept[from], self.kept[into]);
        if first == What::Nothing {
            return Ok(());
        }
        self.values.reread(from);
        // Of equal values the first one stays: the later one is kept only if it is better.
        let keeps_later = match (self.rule, later) {
            (_, What::Nothing) | (Rule::First, _) => false,
            (Rule::Last, _) => true,
            (Rule::Extreme(wanted), _) => self.values.order(into) == wanted.reverse(),
        };
        if !keeps_later {
            self.kept[into] = first;
            if first == What::Value {
                self.values.keep(into);
            }
        }
        self.kept[from] = What::Nothing;
        Ok(())
    }

    fn result(&self, group: u32, out: &mut Builder) -> Result<()> {
        self.put(group as usize, out)
    }

    fn result_bytes(&self, group: u32) -> usize {
        if self.kept[group as usize] == What::Value { self.values.bytes(group as usize) } else { 1 }
    }

    fn encode(&self, group: u32, out: &mut Vec<u8>) {
        let kept = self.kept[group as usize];
        out.push(kept as u8);
        if kept == What::Value {
            self.values.encode(group as usize, out);
        }
    }

    fn decode(&mut self, group: u32, input: &mut Input) -> Result<()> {
        let kept = What::load(input)?;
        self.kept[group as usize] = kept;
        if kept == What::Value { self.values.decode(group as usize, input) } else { Ok(()) }
    }

    fn memory(&self) -> usize {
        self.values.memory() + self.kept.capacity() * size_of::<What>()
    }
}

/// A value of so many bytes in every row. The last entry of the vector is the value that was read last.
///
/// The vector is therefore one entry longer than there are groups.
trait Fixed: Copy + Default + Send + Sync {
    fn read(view: &View, row: usize) -> Self;
    fn write(self, out: &mut Builder);
    fn order(&self, other: &Self) -> Ordering;
    fn save(self, out: &mut Vec<u8>);
    fn load(input: &mut Input) -> Result<Self>;
}

macro_rules! fixed {
    ($rust:ty, $($kind:ident)|+, $order:expr) => {
        impl Fixed for $rust {
            #[inline]
            fn read(view: &View, row: usize) -> Self {
                match &view.values {
                    $(ViewValues::$kind(v, ..) => v[row],)+
                    _ => unreachable!("the binder passes arguments of the parameters' types"),
                }
            }

            #[inline]
            fn write(self, out: &mut Builder) {
                match out.values() {
                    $(Values::$kind(v, ..) => v.push(self),)+
                    _ => unreachable!("the result has the type of the argument"),
                }
                out.valid();
            }

            fn order(&self, other: &Self) -> Ordering {
                $order(self, other)
            }

            fn save(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            fn load(input: &mut Input) -> Result<Self> {
                Ok(Self::from_le_bytes(input.array()?))
            }
        }
    };
}

fixed!(i32, Integer | Date | Time, Ord::cmp);
fixed!(i64, Bigint | Timestamp, Ord::cmp);
fixed!(f64, Double, |a: &f64, b: &f64| compare_doubles(*a, *b));
fixed!(i128, Decimal128, Ord::cmp);
fixed!(i256, Decimal256, Ord::cmp);

impl Fixed for bool {
    fn read(view: &View, row: usize) -> Self {
        match &view.values {
            ViewValues::Boolean(bits) => bits.value(row),
            _ => unreachable!("the binder passes arguments of the parameters' types"),
        }
    }

    fn write(self, out: &mut Builder) {
        match out.values() {
            Values::Boolean(bits) => bits.append(self),
            _ => unreachable!("the result has the type of the argument"),
        }
        out.valid();
    }

    fn order(&self, other: &Self) -> Ordering {
        self.cmp(other)
    }

    fn save(self, out: &mut Vec<u8>) {
        out.push(u8::from(self));
    }

    fn load(input: &mut Input) -> Result<Self> {
        Ok(input.byte()? != 0)
    }
}

impl<N: Fixed> Slots for Vec<N> {
    fn grow(&mut self, groups: usize) {
        grow::resize(self, groups + 1, N::default());
    }

    fn address(&self, group: usize) -> *const u8 {
        self.as_ptr().wrapping_add(group).cast()
    }

    #[inline]
    fn read(&mut self, view: &View, row: usize) {
        let last = self.len() - 1;
        self[last] = N::read(view, row);
    }

    fn order(&self, group: usize) -> Ordering {
        self[self.len() - 1].order(&self[group])
    }

    #[inline]
    fn keep(&mut self, group: usize) {
        self[group] = self[self.len() - 1];
    }

    fn reread(&mut self, group: usize) {
        let last = self.len() - 1;
        self[last] = self[group];
    }

    #[inline]
    fn put(&self, group: usize, out: &mut Builder) -> Result<()> {
        self[group].write(out);
        Ok(())
    }

    fn bytes(&self, _: usize) -> usize {
        size_of::<N>()
    }

    fn encode(&self, group: usize, out: &mut Vec<u8>) {
        self[group].save(out);
    }

    fn decode(&mut self, group: usize, input: &mut Input) -> Result<()> {
        self[group] = N::load(input)?;
        Ok(())
    }

    fn memory(&self) -> usize {
        self.capacity() * size_of::<N>()
    }
}

/// Values as [`row::encode`] makes them.
///
/// For strings, bytes and collections. An empty item stands for no value; an encoded value has at least one byte.
struct Varying {
    items: Vec<Box<[u8]>>,
    /// The bytes of all items.
    heap: usize,
    /// The value that was read last.
    item: Vec<u8>,
    sql_type: SqlType,
}

impl Varying {
    fn set(&mut self, group: usize, item: Box<[u8]>) {
        self.heap = self.heap + item.len() - self.items[group].len();
        self.items[group] = item;
    }
}

impl Slots for Varying {
    fn grow(&mut self, groups: usize) {
        grow::resize(&mut self.items, groups, Box::default());
    }

    fn address(&self, group: usize) -> *const u8 {
        self.items.as_ptr().wrapping_add(group).cast()
    }

    fn read(&mut self, view: &View, row: usize) {
        self.item.clear();
        row::encode(std::slice::from_ref(view), row, &mut self.item);
    }

    fn order(&self, group: usize) -> Ordering {
        stored::compare(&self.item, &self.items[group], &self.sql_type)
    }

    fn keep(&mut self, group: usize) {
        if self.items[group].len() == self.item.len() {
            self.items[group].copy_from_slice(&self.item);
        } else {
            self.set(group, self.item.as_slice().into());
        }
    }

    fn reread(&mut self, group: usize) {
        self.item.clear();
        self.item.extend_from_slice(&self.items[group]);
        self.set(group, Box::default());
    }

    fn put(&self, group: usize, out: &mut Builder) -> Result<()> {
        put_item(&self.items[group], out).map(drop)
    }

    fn bytes(&self, group: usize) -> usize {
        self.items[group].len()
    }

    fn encode(&self, group: usize, out: &mut Vec<u8>) {
        put_bytes(out, &self.items[group]);
    }

    fn decode(&mut self, group: usize, input: &mut Input) -> Result<()> {
        self.set(group, input.bytes()?.into());
        Ok(())
    }

    fn memory(&self) -> usize {
        self.items.capacity() * size_of::<Box<[u8]>>() + self.heap
    }
}
