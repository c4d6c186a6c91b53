//! What EARLIEST_BY_OFFSET and LATEST_BY_OFFSET share: the first or the last values.
//!
//! | call | result |
//! |---|---|
//! | `(col)` | the value; NULLs are ignored |
//! | `(col, ignoreNulls)` | the value; NULLs count if the flag is false |
//! | `(col, n)` | an array of up to n values, the oldest first; NULLs are ignored |
//! | `(col, n, ignoreNulls)` | an array of up to n values; NULLs count if the flag is false |
//!
//! "By offset" is ksqlDB's word for the order in which rows are processed. Between partitions it is the order in
//! which this engine merges them. Row times play no part.

use super::collection::{Collect, Collections, item_type, number};
use super::kept::Kept;
use super::single::{self, Rule};
use super::{AggregateOverload, States};
use crate::error::{Error, Result};
use crate::functions::signature::{T, param};
use crate::types::{SqlType, Value, View, row};

macro_rules! overloads {
    ($latest:expr, $many:literal) => {
        &[
            AggregateOverload {
                params: &[param("val", T::Any('T'))],
                constants: &[],
                returns: |args, _| Ok(args[0].clone()),
                create: |args, _| states(args, $latest, None, true),
            },
            AggregateOverload {
                params: &[param("val", T::Any('T'))],
                constants: &[param("ignoreNulls", T::Boolean)],
                returns: |args, _| Ok(args[0].clone()),
                create: |args, constants| states(args, $latest, None, ignores_nulls(constants)),
            },
            AggregateOverload {
                params: &[param("val", T::Any('T'))],
                constants: &[param("n", T::Int)],
                returns: |args, constants| list_type(args, constants, $many),
                create: |args, constants| states(args, $latest, number(constants, 0), true),
            },
            AggregateOverload {
                params: &[param("val", T::Any('T'))],
                constants: &[param("n", T::Int), param("ignoreNulls", T::Boolean)],
                returns: |args, constants| list_type(args, constants, $many),
                create: |args, constants| states(args, $latest, number(constants, 0), ignores_nulls(constants)),
            },
        ]
    };
}

pub(super) const EARLIEST: &[AggregateOverload] = overloads!(false, "earliestN");
pub(super) const LATEST: &[AggregateOverload] = overloads!(true, "latestN");

/// True for every last constant but FALSE, NULL included.
fn ignores_nulls(constants: &[Value]) -> bool {
    constants.last() != Some(&Value::Boolean(false))
}

/// # Errors
/// Invalid if n is below 1, with ksqlDB's message.
fn list_type(args: &[SqlType], constants: &[Value], many: &str) -> Result<SqlType> {
    match number(constants, 0) {
        Some(n) if n < 1 => {
            Err(Error::invalid(format!("Failed to invoke UDAF factory method: {many} must be 1 or greater")))
        }
        _ => Ok(SqlType::array(args[0].clone())),
    }
}

fn states(args: &[SqlType], latest: bool, many: Option<i64>, ignore_nulls: bool) -> Box<dyn States> {
    match many {
        None => single::states(item_type(args), if latest { Rule::Last } else { Rule::First }, ignore_nulls),
        Some(n) => Collections::boxed(Ends { latest, most: usize::try_from(n).unwrap_or(1), ignore_nulls }),
    }
}

/// The first or the last values.
///
/// The earliest are complete once there are `most` of them; the latest drop the first item for each new one.
struct Ends {
    latest: bool,
    most: usize,
    ignore_nulls: bool,
}

impl Collect for Ends {
    fn item(&self, args: &[View], row: usize, item: &mut Vec<u8>) -> bool {
        row::encode(&args[..1], row, item);
        !self.ignore_nulls || !args[0].is_null(row)
    }

    fn add(&self, kept: &mut Kept, item: &[u8]) {
        if kept.items.len() < self.most {
            kept.items.push(item);
        } else if self.latest {
            kept.items.pop_front();
            kept.items.push(item);
        }
    }
}
