//! `AVG`: the mean of the values.
//!
//! The result is always a DOUBLE: the sum divided by the count. INTEGERs are added up in 32 bits and BIGINTs in 64,
//! both wrapping around, as ksqlDB does, so the mean of two INTEGERs of 2,000,000,000 is negative.

use super::fold::{Fold, Folds};
use super::{Aggregate, AggregateOverload};
use crate::error::Result;
use crate::functions::call::Put;
use crate::functions::signature::{T, param};
use crate::types::row::Input;
use crate::types::view::ViewValues;
use crate::types::{Builder, SqlType, View};

macro_rules! overload {
    ($kind:ident) => {
        AggregateOverload {
            params: &[param("val", T::$kind)],
            constants: &[],
            returns: |_, _| Ok(SqlType::Double),
            create: |args, _| Folds::boxed(Average(args[0].clone())),
        }
    };
}

pub(super) const FUNCTION: Aggregate = Aggregate {
    name: "AVG",
    shown: "avg",
    summary: "The mean of the values that are not NULL; of none it is 0. INTEGERs are added up in 32 bits.",
    examples: &[("1, NULL, 2", "1.5")],
    undo: true,
    limit: None,
    overloads: &[overload!(Int), overload!(Bigint), overload!(Double)],
};

/// The type of the argument decides in which width the sum wraps around.
struct Average(SqlType);

/// The sum in the width of its type, and the number of values.
///
/// Saved as the three numbers in this order, 8 bytes each, little-endian.
#[derive(Clone, Copy, Default)]
struct Mean {
    whole: i64,
    real: f64,
    count: i64,
}

impl Fold for Average {
    type State = Mean;

    fn change(&self, state: &mut Mean, args: &[View], row: usize, sign: i64) -> Result<(), String> {
        if args[0].is_null(row) {
            return Ok(());
        }
        match &args[0].values {
            ViewValues::Integer(v) => state.whole = narrow_sum(state.whole, v[row].wrapping_mul(sign as i32)),
            ViewValues::Bigint(v) => state.whole = state.whole.wrapping_add(v[row].wrapping_mul(sign)),
            ViewValues::Double(v) => state.real += v[row] * sign as f64,
            _ => {}
        }
        state.count += sign;
        Ok(())
    }

    fn merge(&self, state: &mut Mean, other: Mean) -> Result<(), String> {
        state.whole = match self.0 {
            SqlType::Integer => narrow_sum(state.whole, other.whole as i32),
            _ => state.whole.wrapping_add(other.whole),
        };
        state.real += other.real;
        state.count += other.count;
        Ok(())
    }

    fn result(&self, state: &Mean, out: &mut Builder) {
        let sum = if self.0 == SqlType::Double { state.real } else { state.whole as f64 };
        let mean = if state.count == 0 { 0.0 } else { sum / state.count as f64 };
        mean.put(out);
    }

    fn save(&self, state: &Mean, out: &mut Vec<u8>) {
        out.extend_from_slice(&state.whole.to_le_bytes());
        out.extend_from_slice(&state.real.to_le_bytes());
        out.extend_from_slice(&state.count.to_le_bytes());
    }

    fn load(&self, input: &mut Input) -> Result<Mean> {
        Ok(Mean { whole: input.i64()?, real: f64::from_le_bytes(input.array()?), count: input.i64()? })
    }
}

/// A sum that wraps around in 32 bits.
fn narrow_sum(sum: i64, value: i32) -> i64 {
    i64::from((sum as i32).wrapping_add(value))
}
