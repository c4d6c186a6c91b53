//! Sets and maps made of values, by hash: what the functions of arrays and maps share.
//!
//! Equality is that of [`Value`], which follows Java's `equals`: NaN is one value, `-0.0` and `0.0` are two, maps are
//! equal whatever the order of their entries. Everything takes O(items) expected time.

use std::collections::{HashMap, HashSet};

use arrow::array::ArrayRef;

use super::call::Call;
use super::signature::{T, param};
use super::{Overload, Returns};
use crate::types::Value;

/// The signature of two arrays of one type that give another array of it.
pub(crate) const fn overload(body: fn(&mut Call) -> ArrayRef) -> Overload {
    Overload {
        params: const { &[param("left", T::Array(&T::Any('T'))), param("right", T::Array(&T::Any('T')))] },
        returns: Returns::By(|args, _| Ok(args[0].clone())),
        body,
    }
}

/// A column with the result of `items` for the two arrays of each row, every item once.
///
/// NULL if one of the arrays is NULL. An item that is NULL is an item like others.
pub(crate) fn combined(call: &mut Call, items: fn(&[Value], &[Value]) -> Vec<Value>) -> ArrayRef {
    call.values(|args| {
        let (Value::Array(left), Value::Array(right)) = (&args[0], &args[1]) else { return Ok(None) };
        Ok(Some(distinct(items(left, right))))
    })
}

/// The array of the items, every one once.
///
/// The first of equal items keeps its place.
pub(crate) fn distinct(items: impl IntoIterator<Item = Value>) -> Value {
    let mut kept: IndexSet = IndexSet::default();
    items.into_iter().for_each(|item| kept.add(item));
    Value::Array(kept.items)
}

/// Values, each once, in the order in which they were added.
#[derive(Default)]
struct IndexSet {
    items: Vec<Value>,
    known: HashSet<Value>,
}

impl IndexSet {
    fn add(&mut self, item: Value) {
        if self.known.insert(item.clone()) {
            self.items.push(item);
        }
    }
}

/// The items of an array, to ask whether one is among them.
///
/// Borrows the items; the set lives no longer than they do.
pub(crate) fn set_of(items: &[Value]) -> HashSet<&Value> {
    items.iter().collect()
}

/// The map of the entries: its keys in the order in which they come first, each with the last value given for it.
pub(crate) fn map_of(entries: impl IntoIterator<Item = (Value, Value)>) -> Value {
    let mut kept: Vec<(Value, Value)> = Vec::new();
    let mut places: HashMap<Value, usize> = HashMap::new();
    for (key, value) in entries {
        match places.get(&key) {
            Some(at) => kept[*at].1 = value,
            None => {
                places.insert(key.clone(), kept.len());
                kept.push((key, value));
            }
        }
    }
    Value::Map(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_keeps_the_first_place_and_the_last_value_of_a_key() {
        let entry = |k: i32, v: i32| (Value::Integer(k), Value::Integer(v));
        let map = map_of([entry(1, 10), entry(2, 20), entry(1, 30)]);
        assert_eq!(map, Value::Map(vec![entry(1, 30), entry(2, 20)]));
    }

    #[test]
    fn nan_is_one_item_and_the_zeros_are_two() {
        let Value::Array(items) = distinct([f64::NAN, 0.0, -0.0, -f64::NAN, 0.0].map(Value::Double)) else {
            panic!("an array")
        };
        let texts: Vec<String> = items.iter().map(Value::to_text).collect();
        assert_eq!(texts, ["NaN", "0.0", "-0.0"]);
    }

    #[test]
    fn many_items_take_no_longer_than_their_number() {
        // A million comparisons of each with each would take hours.
        let items = (0..1_000_000).map(|n| Value::Bigint(n % 500_000));
        let Value::Array(kept) = distinct(items) else { panic!("an array") };
        assert_eq!(kept.len(), 500_000);
        let map = map_of((0..1_000_000).map(|n| (Value::Bigint(n % 500_000), Value::Bigint(n))));
        let other = map_of((0..500_000).rev().map(|n| (Value::Bigint(n), Value::Bigint(n + 500_000))));
        assert_eq!(map, other);
    }
}
