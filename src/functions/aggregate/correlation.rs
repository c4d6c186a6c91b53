//! `CORRELATION`: how far two columns go together.

use super::fold::Folds;
use super::moments::{Moments, Sums};
use super::{Aggregate, AggregateOverload};
use crate::functions::signature::{T, param};
use crate::types::SqlType;

macro_rules! overload {
    ($kind:ident) => {
        AggregateOverload {
            params: &[param("x", T::$kind), param("y", T::$kind)],
            constants: &[],
            returns: |_, _| Ok(SqlType::Double),
            create: |_, _| Folds::boxed(Moments { change, merge, result }),
        }
    };
}

pub(super) const FUNCTION: Aggregate = Aggregate {
    name: "CORRELATION",
    shown: "correlation",
    summary: "Pearson's correlation of two columns; NaN if one of them is constant.",
    examples: &[],
    undo: true,
    limit: None,
    overloads: &[overload!(Int), overload!(Bigint), overload!(Double)],
};

fn change(sums: &mut Sums, numbers: &[f64], sign: f64) {
    let (x, y) = (numbers[0], numbers[1]);
    let terms = [1.0, x, y, x * x, y * y, x * y];
    sums.0.iter_mut().zip(terms).for_each(|(sum, term)| *sum += sign * term);
}

fn merge(sums: &mut Sums, other: &Sums) {
    sums.0.iter_mut().zip(other.0).for_each(|(sum, term)| *sum += term);
}

/// Pearson's formula over plain sums: (n·Σxy − Σx·Σy) / √((n·Σx² − (Σx)²)·(n·Σy² − (Σy)²)). With fewer than two rows,
/// or if a column is constant, it is 0/0 and so NaN. Large means with small deviations lose digits.
fn result(sums: &Sums) -> f64 {
    let [count, x, y, xx, yy, xy] = sums.0;
    (count * xy - x * y) / ((count * xx - x * x) * (count * yy - y * y)).sqrt()
}
