//! `STDDEV_SAMPLE`: how far the values are spread.

use super::fold::Folds;
use super::moments::{Moments, Sums, merge_spreads, spread, variance};
use super::{Aggregate, AggregateOverload};
use crate::functions::signature::{T, param};
use crate::types::SqlType;

macro_rules! overload {
    ($kind:ident) => {
        AggregateOverload {
            params: &[param("val", T::$kind)],
            constants: &[],
            returns: |_, _| Ok(SqlType::Double),
            create: |_, _| {
                let result = |sums: &Sums| variance(sums).sqrt();
                Folds::boxed(Moments { change: spread, merge: merge_spreads, result })
            },
        }
    };
}

pub(super) const FUNCTION: Aggregate = Aggregate {
    name: "STDDEV_SAMPLE",
    shown: "stddev_sample",
    summary: "The standard deviation of a sample; 0 for fewer than two values.",
    examples: &[("1, NULL, 1", "0.0")],
    undo: true,
    limit: None,
    overloads: &[overload!(Int), overload!(Bigint), overload!(Double)],
};
