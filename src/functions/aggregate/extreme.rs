//! What MIN and MAX share: the value that comes first or last of all.
//!
//! BOOLEAN and collections have no overload, as in ksqlDB. The order of strings is that of Java, by UTF-16 unit; NaN
//! is above all doubles.

use std::cmp::Ordering;

use super::AggregateOverload;
use super::collection::item_type;
use super::single::{self, Rule};
use crate::functions::signature::{T, param};

/// A signature of MIN or MAX; `$wanted` is how a value compares with a worse one.
macro_rules! overloads {
    ($wanted:expr; $($kind:ident)*) => {
        &[$(AggregateOverload {
            params: &[param("val", T::$kind)],
            constants: &[],
            returns: |args, _| Ok(args[0].clone()),
            create: |args, _| single::states(item_type(args), Rule::Extreme($wanted), true),
        }),*]
    };
}

pub(super) const MIN: &[AggregateOverload] =
    overloads!(Ordering::Less; Int Bigint Double Decimal String Date Time Timestamp Bytes);
pub(super) const MAX: &[AggregateOverload] =
    overloads!(Ordering::Greater; Int Bigint Double Decimal String Date Time Timestamp Bytes);
