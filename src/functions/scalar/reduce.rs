//! `REDUCE`: a collection made into one value, entry by entry.
//!
//! `REDUCE(ARRAY[1, 2, 3], 10, (s, x) => s + x)` is 16. The lambda is called once per step for all rows together:
//! first with every row's first item, then with every second one, as long as a row has items left. So a batch costs
//! as many calls as its longest array has items, not as many as there are items.

use std::ops::Range;

use arrow::array::{ArrayRef, AsArray, UInt32Array};
use arrow::compute;

use crate::functions::call::{Call, Fault};
use crate::functions::entries::Entries;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::{Value, array_of, text};

pub(super) const FUNCTION: Scalar = Scalar {
    name: "REDUCE",
    shown: "reduce",
    category: "LAMBDA",
    summary: "What a lambda makes of a state and each item of an array, or each key and value of a map, one after the other.",
    examples: &[
        ("REDUCE(ARRAY[1, 2, 3], 10, (s, x) => s + x)", "16"),
        ("REDUCE(MAP('a' := 1, 'b' := 2), 0, (s, k, v) => s + v)", "3"),
    ],
    overloads: &[
        Overload {
            params: &[
                param("array", T::Array(&T::Any('T'))),
                param("state", T::Any('S')),
                param("lambda", T::Lambda(&[T::Any('S'), T::Any('T')], &T::Any('S'))),
            ],
            returns: Returns::Any('S'),
            body: reduced,
        },
        Overload {
            params: &[
                param("map", T::Map(&T::Any('K'), &T::Any('V'))),
                param("state", T::Any('S')),
                param("lambda", T::Lambda(&[T::Any('S'), T::Any('K'), T::Any('V')], &T::Any('S'))),
            ],
            returns: Returns::Any('S'),
            body: reduced,
        },
    ],
};

/// A NULL first state gives NULL. A state that becomes NULL is passed on to the next step as any other value.
fn reduced(call: &mut Call) -> ArrayRef {
    let entries = Entries::of(call);
    let (init, returns) = (call.args[1].clone(), call.returns);
    let first = |row| Value::at(init.array.as_ref(), if init.constant { 0 } else { row }, returns);
    let mut states: Vec<Result<Value, ()>> = (0..call.rows).map(|row| Ok(first(row))).collect();
    // A row without a first state stays NULL.
    let alive: Vec<bool> = states.iter().map(|state| state.as_ref().is_ok_and(|s| !s.is_null())).collect();
    let order: Vec<Vec<usize>> = entries.ranges.iter().map(|range| walk(&entries, range.clone())).collect();
    // All rows take their first entry together, then all their second, and so on.
    let mut rows: Vec<u32> = (0..call.rows as u32).filter(|row| alive[*row as usize]).collect();
    for step in 0.. {
        let length = |row: u32| entries.ranges[row as usize].as_ref().map_or(0, Range::len);
        rows.retain(|row| step < length(*row) && states[*row as usize].is_ok());
        if rows.is_empty() {
            break;
        }
        let place = |row: &u32| {
            let row = *row as usize;
            let start = entries.ranges[row].as_ref().map_or(0, |range| range.start);
            order[row].get(step).map_or(start + step, |at| start + at) as u32
        };
        let places: UInt32Array = rows.iter().map(place).collect();
        let taken = |column: &ArrayRef| compute::take(column, &places, None).expect("places of the entries");
        let before: Vec<&Value> = rows.iter().filter_map(|row| states[*row as usize].as_ref().ok()).collect();
        if call.is_too_much(before.iter().map(|state| state.size()).sum()) {
            break;
        }
        let mut params = vec![array_of(before, returns)];
        params.extend(entries.columns.iter().map(taken));
        let (values, failed) = call.lambdas[0].apply(&params, &rows);
        for (at, row) in rows.iter().enumerate() {
            let fails = failed.as_ref().is_some_and(|failed| failed.value(at));
            states[*row as usize] = if fails { Err(()) } else { Ok(Value::at(values.as_ref(), at, returns)) };
        }
    }
    call.rows(|row| match &states[row] {
        Ok(Value::Null) => Ok(None),
        Ok(state) => Ok(Some(state.clone())),
        Err(()) => Err(Fault::Lambda),
    })
}

/// The order in which Java walks over the entries of a map; nothing for an array.
fn walk(entries: &Entries, range: Option<Range<usize>>) -> Vec<usize> {
    let [keys, _] = entries.columns.as_slice() else { return Vec::new() };
    let Some(keys) = keys.as_string_opt::<i32>() else { return Vec::new() };
    let names: Vec<&str> = range.into_iter().flatten().map(|at| keys.value(at)).collect();
    text::hash_map_order(names.iter().copied())
}
