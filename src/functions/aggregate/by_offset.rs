//! What EARLIEST_BY_OFFSET and LATEST_BY_OFFSET share: the first or the last values.

use super::collection::{Collect, Collection, number};
use super::fold::Folds;
use super::{AggregateOverload, States};
use crate::error::{Error, Result};
use crate::functions::signature::{T, param};
use crate::types::{SqlType, Value};

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

pub const EARLIEST: &[AggregateOverload] = overloads!(false, "earliestN");
pub const LATEST: &[AggregateOverload] = overloads!(true, "latestN");

fn ignores_nulls(constants: &[Value]) -> bool {
    constants.last() != Some(&Value::Boolean(false))
}

fn list_type(args: &[SqlType], constants: &[Value], many: &str) -> Result<SqlType> {
    match number(constants, 0) {
        Some(n) if n < 1 => {
            Err(Error::invalid(format!("Failed to invoke UDAF factory method: {many} must be 1 or greater")))
        }
        _ => Ok(SqlType::array(args[0].clone())),
    }
}

fn states(args: &[SqlType], latest: bool, many: Option<i64>, ignore_nulls: bool) -> Box<dyn States> {
    let most = many.map_or(1, |n| usize::try_from(n).unwrap_or(1));
    let kept = Kept { latest, most, list: many.is_some(), ignore_nulls };
    Folds::boxed(Collection { collect: kept, item: args[0].clone() }, args)
}

struct Kept {
    latest: bool,
    most: usize,
    /// Whether the result is a list, rather than the only value.
    list: bool,
    ignore_nulls: bool,
}

impl Collect for Kept {
    fn add(&self, list: &mut Vec<Value>, value: Value) {
        if value.is_null() && self.ignore_nulls {
            return;
        }
        if list.len() < self.most {
            list.push(value);
        } else if self.latest {
            list.remove(0);
            list.push(value);
        }
    }

    fn result(&self, list: &[Value]) -> Value {
        if self.list { Value::Array(list.to_vec()) } else { list.first().cloned().unwrap_or(Value::Null) }
    }
}
