//! `LEAST`: the smallest argument.

use std::cmp::Ordering;

use arrow::array::ArrayRef;

use crate::functions::call::{Call};
use crate::functions::signature::{T, param, variadic};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::{SqlType, Value};

pub const FUNCTION: Scalar = Scalar {
    name: "LEAST",
    shown: "least",
    category: "MATHEMATICAL",
    summary: "The smallest of the arguments that are not NULL; NULL if all are.",
    examples: &[("LEAST(2, 3, 1)", "1")],
    overloads: &[
        Overload {
            params: &[param("first", T::Int), variadic("others", T::Int)],
            returns: Returns::Is(SqlType::Integer),
            body: pick,
        },
        Overload {
            params: &[param("first", T::Bigint), variadic("others", T::Bigint)],
            returns: Returns::Is(SqlType::Bigint),
            body: pick,
        },
        Overload {
            params: &[param("first", T::Double), variadic("others", T::Double)],
            returns: Returns::Is(SqlType::Double),
            body: pick,
        },
        Overload {
            params: &[param("first", T::Decimal), variadic("others", T::Decimal)],
            returns: Returns::By(|args, _| Ok(widest(args))),
            body: pick,
        },
        Overload {
            params: &[param("first", T::String), variadic("others", T::String)],
            returns: Returns::Is(SqlType::String),
            body: pick,
        },
        Overload {
            params: &[param("first", T::Bytes), variadic("others", T::Bytes)],
            returns: Returns::Is(SqlType::Bytes),
            body: pick,
        },
        Overload {
            params: &[param("first", T::Date), variadic("others", T::Date)],
            returns: Returns::Is(SqlType::Date),
            body: pick,
        },
        Overload {
            params: &[param("first", T::Time), variadic("others", T::Time)],
            returns: Returns::Is(SqlType::Time),
            body: pick,
        },
        Overload {
            params: &[param("first", T::Timestamp), variadic("others", T::Timestamp)],
            returns: Returns::Is(SqlType::Timestamp),
            body: pick,
        },
    ],
};

fn pick(call: &mut Call) -> ArrayRef {
    call.values(|args| {
        let mut best: Option<&Value> = None;
        for value in args.iter().filter(|v| !v.is_null()) {
            if best.is_none_or(|best| value.compare(best) == Ordering::Less) {
                best = Some(value);
            }
        }
        Ok(best.cloned())
    })
}

/// A DECIMAL that holds all arguments.
fn widest(args: &[SqlType]) -> SqlType {
    let (mut whole, mut behind) = (0, 0);
    for arg in args {
        if let SqlType::Decimal { precision, scale } = arg {
            (whole, behind) = (whole.max(precision - scale), behind.max(*scale));
        }
    }
    SqlType::decimal(whole + behind, behind)
}
