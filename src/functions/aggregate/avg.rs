//! `AVG`: the mean of the values.

use super::fold::{Fold, Folds};
use super::{Aggregate, AggregateOverload};
use crate::error::Result;
use crate::functions::signature::{T, param};
use crate::types::{SqlType, Value};

macro_rules! overload {
    ($kind:ident) => {
        AggregateOverload {
            params: &[param("val", T::$kind)],
            constants: &[],
            returns: |_, _| Ok(SqlType::Double),
            create: |args, _| Folds::boxed(Average(args[0].clone()), args),
        }
    };
}

pub const FUNCTION: Aggregate = Aggregate {
    name: "AVG",
    shown: "AVG",
    summary: "The mean of the values that are not NULL; of none it is 0. INTEGERs are added up in 32 bits.",
    examples: &[("1, NULL, 2", "1.5")],
    undo: true,
    limit: None,
    overloads: &[overload!(Int), overload!(Bigint), overload!(Double)],
};

struct Average(SqlType);

/// The sum in the width of its type, and the number of values.
#[derive(Default)]
struct Mean {
    whole: i64,
    real: f64,
    count: i64,
}

impl Average {
    fn change(&self, state: &mut Mean, value: &Value, sign: i64) {
        match value {
            Value::Integer(v) => {
                let change = (*v).wrapping_mul(sign as i32);
                state.whole = i64::from((state.whole as i32).wrapping_add(change));
            }
            Value::Bigint(v) => state.whole = state.whole.wrapping_add(v.wrapping_mul(sign)),
            Value::Double(v) => state.real += v * sign as f64,
            _ => return,
        }
        state.count += sign;
    }
}

impl Fold for Average {
    type State = Mean;

    fn add(&self, state: &mut Mean, args: Vec<Value>) -> Result<()> {
        self.change(state, &args[0], 1);
        Ok(())
    }

    fn undo(&self, state: &mut Mean, args: Vec<Value>) -> Result<()> {
        self.change(state, &args[0], -1);
        Ok(())
    }

    fn merge(&self, state: &mut Mean, other: Mean) -> Result<()> {
        state.whole = match self.0 {
            SqlType::Integer => i64::from((state.whole as i32).wrapping_add(other.whole as i32)),
            _ => state.whole.wrapping_add(other.whole),
        };
        state.real += other.real;
        state.count += other.count;
        Ok(())
    }

    fn result(&self, state: &Mean) -> Value {
        let sum = if self.0 == SqlType::Double { state.real } else { state.whole as f64 };
        Value::Double(if state.count == 0 { 0.0 } else { sum / state.count as f64 })
    }

    fn save(&self, state: &Mean) -> Value {
        let field = |name: &str, value| (name.to_owned(), value);
        Value::Struct(vec![
            field("WHOLE", Value::Bigint(state.whole)),
            field("REAL", Value::Double(state.real)),
            field("COUNT", Value::Bigint(state.count)),
        ])
    }

    fn load(&self, saved: Value) -> Mean {
        let Value::Struct(fields) = saved else { return Mean::default() };
        match fields.as_slice() {
            [(_, Value::Bigint(whole)), (_, Value::Double(real)), (_, Value::Bigint(count))] => {
                Mean { whole: *whole, real: *real, count: *count }
            }
            _ => Mean::default(),
        }
    }

    fn saved_type(&self) -> SqlType {
        SqlType::structure([("WHOLE", SqlType::Bigint), ("REAL", SqlType::Double), ("COUNT", SqlType::Bigint)])
    }
}
