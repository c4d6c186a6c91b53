//! `STDDEV_SAMP`: how far the values are spread.

use super::fold::Folds;
use super::moments::{Moments, merge_spreads, spread, variance};
use super::{Aggregate, AggregateOverload};
use crate::functions::signature::{T, param};
use crate::types::SqlType;

macro_rules! overload {
    ($kind:ident) => {
        AggregateOverload {
            params: &[param("val", T::$kind)],
            constants: &[],
            returns: |_, _| Ok(SqlType::Double),
            create: |_, _| Folds::boxed(Moments { change: spread, merge: merge_spreads, result: variance }),
        }
    };
}

pub(super) const FUNCTION: Aggregate = Aggregate {
    name: "STDDEV_SAMP",
    shown: "STDDEV_SAMP",
    summary: "The variance of a sample, under the name that ksqlDB gives it; 0 for fewer than two values.",
    examples: &[("1, NULL, 1", "0.0")],
    undo: true,
    limit: None,
    overloads: &[overload!(Int), overload!(Bigint), overload!(Double)],
};
