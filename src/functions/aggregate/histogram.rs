//! `HISTOGRAM`: how often each text came.

use super::fold::{Fold, Folds};
use super::{Aggregate, AggregateOverload};
use crate::error::Result;
use crate::functions::signature::{T, param};
use crate::types::{SqlType, Value};

pub const FUNCTION: Aggregate = Aggregate {
    name: "HISTOGRAM",
    shown: "HISTOGRAM",
    summary: "A map from each text to how often it came; at most 1,000 texts are counted.",
    examples: &[("'a', 'b', 'a'", "{a=2, b=1}")],
    undo: true,
    limit: None,
    overloads: &[AggregateOverload {
        params: &[param("val", T::String)],
        constants: &[],
        returns: |_, _| Ok(map()),
        create: |args, _| Folds::boxed(Histogram, args),
    }],
};

/// The most texts that are counted.
const MOST: usize = 1000;

fn map() -> SqlType {
    SqlType::map(SqlType::String, SqlType::Bigint)
}

struct Histogram;

impl Histogram {
    fn change(state: &mut Vec<(Value, i64)>, text: Value, by: i64) {
        if text.is_null() {
            return;
        }
        match state.iter().position(|(t, _)| *t == text) {
            Some(at) => {
                state[at].1 += by;
                if state[at].1 < 1 {
                    state.remove(at);
                }
            }
            None if by > 0 && state.len() < MOST => state.push((text, by)),
            None => {}
        }
    }
}

impl Fold for Histogram {
    type State = Vec<(Value, i64)>;

    fn add(&self, state: &mut Self::State, mut args: Vec<Value>) -> Result<()> {
        Self::change(state, args.swap_remove(0), 1);
        Ok(())
    }

    fn undo(&self, state: &mut Self::State, mut args: Vec<Value>) -> Result<()> {
        Self::change(state, args.swap_remove(0), -1);
        Ok(())
    }

    fn merge(&self, state: &mut Self::State, other: Self::State) -> Result<()> {
        other.into_iter().for_each(|(text, count)| Self::change(state, text, count));
        Ok(())
    }

    fn result(&self, state: &Self::State) -> Value {
        Value::Map(state.iter().map(|(text, count)| (text.clone(), Value::Bigint(*count))).collect())
    }

    fn save(&self, state: &Self::State) -> Value {
        self.result(state)
    }

    fn load(&self, saved: Value) -> Self::State {
        let Value::Map(entries) = saved else { return Vec::new() };
        let count = |value| if let Value::Bigint(count) = value { count } else { 0 };
        entries.into_iter().map(|(text, value)| (text, count(value))).collect()
    }

    fn saved_type(&self) -> SqlType {
        map()
    }
}
