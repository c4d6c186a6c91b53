//! `SUM_LIST`: the items of all lists added up.

use super::fold::{Fold, Folds};
use super::{Aggregate, AggregateOverload};
use crate::error::Result;
use crate::functions::call::Put;
use crate::functions::signature::{T, param};
use crate::types::build::Values;
use crate::types::row::Input;
use crate::types::view::ViewValues;
use crate::types::{Builder, SqlType, View};

macro_rules! overload {
    ($kind:ident, $item:expr) => {
        AggregateOverload {
            params: &[param("val", T::Array(&T::$kind))],
            constants: &[],
            returns: |_, _| Ok($item),
            create: |_, _| Folds::boxed(ListSum),
        }
    };
}

pub(super) const FUNCTION: Aggregate = Aggregate {
    name: "SUM_LIST",
    shown: "sum_list",
    summary: "The sum of all items of all lists; NULLs are left out.",
    examples: &[("ARRAY[1, 2], ARRAY[3]", "6")],
    undo: true,
    limit: None,
    overloads: &[
        overload!(Int, SqlType::Integer),
        overload!(Bigint, SqlType::Bigint),
        overload!(Double, SqlType::Double),
    ],
};

struct ListSum;

/// The sum of whole numbers in the width of their type, or of doubles.
///
/// Saved as both numbers, 8 bytes each, little-endian; the one that the type does not use is 0. Sums of INTEGER items
/// wrap around in 32 bits when the result is made.
#[derive(Clone, Copy, Default)]
struct Sum {
    whole: i64,
    real: f64,
}

impl Fold for ListSum {
    type State = Sum;

    fn change(&self, state: &mut Sum, args: &[View], row: usize, sign: i64) -> Result<(), String> {
        let ViewValues::Array { offsets, items } = &args[0].values else { return Ok(()) };
        if args[0].is_null(row) {
            return Ok(());
        }
        for at in (offsets[row] as usize..offsets[row + 1] as usize).filter(|at| !items.is_null(*at)) {
            match &items.values {
                // The lower 32 bits of a sum do not depend on the upper ones.
                ViewValues::Integer(v) => state.whole = state.whole.wrapping_add(i64::from(v[at]).wrapping_mul(sign)),
                ViewValues::Bigint(v) => state.whole = state.whole.wrapping_add(v[at].wrapping_mul(sign)),
                ViewValues::Double(v) => state.real += v[at] * sign as f64,
                _ => {}
            }
        }
        Ok(())
    }

    fn merge(&self, state: &mut Sum, other: Sum) -> Result<(), String> {
        state.whole = state.whole.wrapping_add(other.whole);
        state.real += other.real;
        Ok(())
    }

    fn result(&self, state: &Sum, out: &mut Builder) {
        match out.values() {
            Values::Integer(_) => (state.whole as i32).put(out),
            Values::Bigint(_) => state.whole.put(out),
            _ => state.real.put(out),
        }
    }

    fn save(&self, state: &Sum, out: &mut Vec<u8>) {
        out.extend_from_slice(&state.whole.to_le_bytes());
        out.extend_from_slice(&state.real.to_le_bytes());
    }

    fn load(&self, input: &mut Input) -> Result<Sum> {
        Ok(Sum { whole: input.i64()?, real: f64::from_le_bytes(input.array()?) })
    }
}
