//! Aggregates that keep values: a frame for those whose state is a list of them.

use super::fold::{Fold, items};
use crate::error::Result;
use crate::types::{SqlType, Value};

/// What becomes of the list when a value comes.
pub trait Collect: Send + Sync {
    /// Takes a value in.
    fn add(&self, list: &mut Vec<Value>, value: Value);

    /// Takes a value back.
    fn undo(&self, list: &mut Vec<Value>, value: &Value) {
        if let Some(at) = list.iter().rposition(|v| v == value) {
            list.remove(at);
        }
    }

    /// The value that the arguments of a row are; most have only one.
    fn value(&self, mut args: Vec<Value>) -> Value {
        args.swap_remove(0)
    }

    /// The result, from the list.
    fn result(&self, list: &[Value]) -> Value {
        Value::Array(list.to_vec())
    }
}

/// A collection of values of a type.
pub struct Collection<C> {
    pub collect: C,
    pub item: SqlType,
}

impl<C: Collect> Fold for Collection<C> {
    type State = Vec<Value>;

    fn add(&self, state: &mut Vec<Value>, args: Vec<Value>) -> Result<()> {
        self.collect.add(state, self.collect.value(args));
        Ok(())
    }

    fn undo(&self, state: &mut Vec<Value>, args: Vec<Value>) -> Result<()> {
        self.collect.undo(state, &self.collect.value(args));
        Ok(())
    }

    fn merge(&self, state: &mut Vec<Value>, other: Vec<Value>) -> Result<()> {
        other.into_iter().for_each(|value| self.collect.add(state, value));
        Ok(())
    }

    fn result(&self, state: &Vec<Value>) -> Value {
        self.collect.result(state)
    }

    fn save(&self, state: &Vec<Value>) -> Value {
        Value::Array(state.clone())
    }

    fn load(&self, saved: Value) -> Vec<Value> {
        items(saved)
    }

    fn saved_type(&self) -> SqlType {
        SqlType::array(self.item.clone())
    }
}

/// A constant as a number.
pub fn number(constants: &[Value], at: usize) -> Option<i64> {
    match constants.get(at) {
        Some(Value::Integer(n)) => Some(i64::from(*n)),
        Some(Value::Bigint(n)) => Some(*n),
        _ => None,
    }
}

/// The most values that a collection keeps, which stands behind the other constants.
pub fn limit(constants: &[Value]) -> usize {
    number(constants, constants.len().wrapping_sub(1)).and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX)
}
