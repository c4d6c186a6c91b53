//! The largest and the smallest of several values: what the functions that pick one share.

use std::cmp::Ordering;

use arrow::array::ArrayRef;

use super::call::Call;
use super::signature::{T, param, variadic};
use super::{Overload, Returns};
use crate::error::{Error, Result};
use crate::types::{MAX_PRECISION, SqlType, Value};

/// The first of the values that no other is `beyond`; NULLs do not count.
///
/// `beyond` is `Greater` for the largest and `Less` for the smallest. `None` if there are only NULLs. NaN is above
/// all other doubles, as in Java's order.
pub(super) fn of<'a>(values: impl IntoIterator<Item = &'a Value>, beyond: Ordering) -> Option<&'a Value> {
    let mut best: Option<&Value> = None;
    for value in values.into_iter().filter(|v| !v.is_null()) {
        if best.is_none_or(|best| value.compare(best) == beyond) {
            best = Some(value);
        }
    }
    best
}

/// The extreme of each row's arguments.
pub(super) fn of_arguments(call: &mut Call, beyond: Ordering) -> ArrayRef {
    call.values(|args| Ok(of(args, beyond).cloned()))
}

/// The extreme of the items of each row's array.
///
/// An array without items, or with NULLs alone, gives NULL. Arrays, maps and structs in it fail the row.
pub(super) fn of_items(call: &mut Call, beyond: Ordering) -> ArrayRef {
    call.values(|args| {
        let Value::Array(items) = &args[0] else { return Ok(None) };
        if items.iter().any(Value::is_nested) {
            return Err("arrays, maps and structs have no order".into());
        }
        Ok(of(items, beyond).cloned())
    })
}

/// One or more arguments of any type that has an order.
pub(super) const fn overloads(body: fn(&mut Call) -> ArrayRef) -> [Overload; 9] {
    [
        Overload {
            params: const { &[param("first", T::Int), variadic("others", T::Int)] },
            returns: Returns::Is(SqlType::Integer),
            body,
        },
        Overload {
            params: const { &[param("first", T::Bigint), variadic("others", T::Bigint)] },
            returns: Returns::Is(SqlType::Bigint),
            body,
        },
        Overload {
            params: const { &[param("first", T::Double), variadic("others", T::Double)] },
            returns: Returns::Is(SqlType::Double),
            body,
        },
        Overload {
            params: const { &[param("first", T::Decimal), variadic("others", T::Decimal)] },
            returns: Returns::By(|args, _| widest(args)),
            body,
        },
        Overload {
            params: const { &[param("first", T::String), variadic("others", T::String)] },
            returns: Returns::Is(SqlType::String),
            body,
        },
        Overload {
            params: const { &[param("first", T::Bytes), variadic("others", T::Bytes)] },
            returns: Returns::Is(SqlType::Bytes),
            body,
        },
        Overload {
            params: const { &[param("first", T::Date), variadic("others", T::Date)] },
            returns: Returns::Is(SqlType::Date),
            body,
        },
        Overload {
            params: const { &[param("first", T::Time), variadic("others", T::Time)] },
            returns: Returns::Is(SqlType::Time),
            body,
        },
        Overload {
            params: const { &[param("first", T::Timestamp), variadic("others", T::Timestamp)] },
            returns: Returns::Is(SqlType::Timestamp),
            body,
        },
    ]
}

/// A DECIMAL that holds all arguments.
///
/// The most digits before the point and the most after it: DECIMAL(4, 2) and DECIMAL(5, 1) give DECIMAL(6, 2).
///
/// # Errors
/// That is more digits than a DECIMAL can have.
fn widest(args: &[SqlType]) -> Result<SqlType> {
    let (mut whole, mut behind) = (0, 0);
    for arg in args {
        if let SqlType::Decimal { precision, scale } = arg {
            (whole, behind) = (whole.max(precision - scale), behind.max(*scale));
        }
    }
    let digits = whole + behind;
    if digits > MAX_PRECISION {
        let message = format!("the arguments need {digits} digits, and a DECIMAL has at most {MAX_PRECISION}");
        return Err(Error::invalid(message).hint("CAST them to types with fewer digits"));
    }
    Ok(SqlType::decimal(digits, behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_that_holds_all_arguments_has_a_most_of_digits() {
        let decimals = |a, b, c, d| [SqlType::decimal(a, b), SqlType::decimal(c, d)];
        assert_eq!(widest(&decimals(4, 2, 5, 1)).expect("few digits"), SqlType::decimal(6, 2));
        assert!(widest(&decimals(76, 0, 76, 76)).is_err());
    }
}
