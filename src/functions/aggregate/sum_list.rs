//! `SUM_LIST`: the items of all lists added up.

use super::fold::{Fold, Folds, items};
use super::{Aggregate, AggregateOverload};
use crate::error::Result;
use crate::functions::signature::{T, param};
use crate::types::{SqlType, Value};

macro_rules! overload {
    ($kind:ident, $item:expr) => {
        AggregateOverload {
            params: &[param("val", T::Array(&T::$kind))],
            constants: &[],
            returns: |_, _| Ok($item),
            create: |args, _| Folds::boxed(ListSum($item), args),
        }
    };
}

pub const FUNCTION: Aggregate = Aggregate {
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

struct ListSum(SqlType);

impl ListSum {
    fn change(&self, state: &mut (i64, f64), list: Value, sign: i64) {
        for item in items(list) {
            match item {
                Value::Integer(v) => state.0 = i64::from((state.0 as i32).wrapping_add(v.wrapping_mul(sign as i32))),
                Value::Bigint(v) => state.0 = state.0.wrapping_add(v.wrapping_mul(sign)),
                Value::Double(v) => state.1 += v * sign as f64,
                _ => {}
            }
        }
    }
}

impl Fold for ListSum {
    type State = (i64, f64);

    fn add(&self, state: &mut Self::State, mut args: Vec<Value>) -> Result<()> {
        self.change(state, args.swap_remove(0), 1);
        Ok(())
    }

    fn undo(&self, state: &mut Self::State, mut args: Vec<Value>) -> Result<()> {
        self.change(state, args.swap_remove(0), -1);
        Ok(())
    }

    fn merge(&self, state: &mut Self::State, other: Self::State) -> Result<()> {
        let other = self.result(&other);
        self.change(state, Value::Array(vec![other]), 1);
        Ok(())
    }

    fn result(&self, state: &Self::State) -> Value {
        match self.0 {
            SqlType::Integer => Value::Integer(state.0 as i32),
            SqlType::Bigint => Value::Bigint(state.0),
            _ => Value::Double(state.1),
        }
    }

    fn save(&self, state: &Self::State) -> Value {
        self.result(state)
    }

    fn load(&self, saved: Value) -> Self::State {
        match saved {
            Value::Integer(v) => (i64::from(v), 0.0),
            Value::Bigint(v) => (v, 0.0),
            Value::Double(v) => (0, v),
            _ => (0, 0.0),
        }
    }

    fn saved_type(&self) -> SqlType {
        self.0.clone()
    }
}
