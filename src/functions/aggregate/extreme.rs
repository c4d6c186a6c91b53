//! What MIN and MAX share: the value that comes first or last of all.

use std::cmp::Ordering;

use super::fold::{Fold, Folds};
use super::{AggregateOverload, States};
use crate::error::Result;
use crate::functions::signature::{T, param};
use crate::types::{SqlType, Value};

/// A signature of MIN or MAX; `$wanted` is how a value compares with a worse one.
macro_rules! overloads {
    ($wanted:expr; $($kind:ident)*) => {
        &[$(AggregateOverload {
            params: &[param("val", T::$kind)],
            constants: &[],
            returns: |args, _| Ok(args[0].clone()),
            create: |args, _| states(args, $wanted),
        }),*]
    };
}

pub const MIN: &[AggregateOverload] =
    overloads!(Ordering::Less; Int Bigint Double Decimal String Date Time Timestamp Bytes);
pub const MAX: &[AggregateOverload] =
    overloads!(Ordering::Greater; Int Bigint Double Decimal String Date Time Timestamp Bytes);

fn states(args: &[SqlType], wanted: Ordering) -> Box<dyn States> {
    Folds::boxed(Extreme { wanted, sql_type: args[0].clone() }, args)
}

struct Extreme {
    wanted: Ordering,
    sql_type: SqlType,
}

impl Fold for Extreme {
    type State = Option<Value>;

    fn add(&self, state: &mut Self::State, mut args: Vec<Value>) -> Result<()> {
        let value = args.swap_remove(0);
        let better = state.as_ref().is_none_or(|best| value.compare(best) == self.wanted);
        if !value.is_null() && better {
            *state = Some(value);
        }
        Ok(())
    }

    fn merge(&self, state: &mut Self::State, other: Self::State) -> Result<()> {
        other.map_or(Ok(()), |value| self.add(state, vec![value]))
    }

    fn result(&self, state: &Self::State) -> Value {
        state.clone().unwrap_or(Value::Null)
    }

    fn save(&self, state: &Self::State) -> Value {
        self.result(state)
    }

    fn load(&self, saved: Value) -> Self::State {
        (!saved.is_null()).then_some(saved)
    }

    fn saved_type(&self) -> SqlType {
        self.sql_type.clone()
    }
}
