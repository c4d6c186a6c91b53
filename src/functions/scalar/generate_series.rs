//! `GENERATE_SERIES`: numbers in steps.

use arrow::array::ArrayRef;

use crate::functions::call::Call;
use crate::functions::fault::made_items;
use crate::functions::meaning::Meaning;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::{SqlType, Value};

pub(super) const FUNCTION: Scalar = Scalar {
    name: "GENERATE_SERIES",
    shown: "generate_series",
    category: "ARRAY",
    summary: "The numbers from one to another, both included, by a step that is 1 or -1 if it is not given.",
    examples: &[("GENERATE_SERIES(1, 3)", "[1, 2, 3]"), ("GENERATE_SERIES(3, 0, -2)", "[3, 1]")],
    overloads: &[
        Overload {
            params: &[param("start", T::Int), param("end", T::Int)],
            returns: Returns::By(|_, _| Ok(SqlType::array(SqlType::Integer))),
            body: series,
        },
        Overload {
            params: &[param("start", T::Int), param("end", T::Int), param("step", T::Int).meaning(Meaning::Step)],
            returns: Returns::By(|_, _| Ok(SqlType::array(SqlType::Integer))),
            body: series,
        },
        Overload {
            params: &[param("start", T::Bigint), param("end", T::Bigint)],
            returns: Returns::By(|_, _| Ok(SqlType::array(SqlType::Bigint))),
            body: series,
        },
        Overload {
            params: &[param("start", T::Bigint), param("end", T::Bigint), param("step", T::Int).meaning(Meaning::Step)],
            returns: Returns::By(|_, _| Ok(SqlType::array(SqlType::Bigint))),
            body: series,
        },
    ],
};

fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Integer(v) => Some(i64::from(*v)),
        Value::Bigint(v) => Some(*v),
        _ => None,
    }
}

/// A series whose ends are equal has one item, whatever the step. The end is left out if no step hits it.
///
/// # Errors
/// An argument is NULL, the step is 0 or leads away from the end, or there are more items than a function makes.
fn series(call: &mut Call) -> ArrayRef {
    call.values(|args| {
        let numbers: Option<Vec<i64>> = args.iter().map(number).collect();
        let numbers = numbers.ok_or("an argument of GENERATE_SERIES is NULL")?;
        let (start, end) = (numbers[0], numbers[1]);
        let step = numbers.get(2).copied().unwrap_or(if end > start { 1 } else { -1 });
        if step == 0 {
            return Err("GENERATE_SERIES step cannot be zero".into());
        }
        if (step > 0) != (end > start) && start != end {
            return Err("GENERATE_SERIES step has wrong sign".into());
        }
        let steps = start.abs_diff(end) / step.unsigned_abs();
        let count = made_items(steps.saturating_add(1))?;
        let wide = matches!(args[0], Value::Bigint(_));
        let item = |v: i64| if wide { Value::Bigint(v) } else { Value::Integer(v as i32) };
        Ok(Some(Value::Array((0..count as i64).map(|i| item(start + i * step)).collect())))
    })
}
