//! `LOG`: a logarithm.

use crate::functions::call::{rows1, rows2};
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "LOG",
    shown: "log",
    category: "MATHEMATICAL",
    summary: "The natural logarithm, or that to a base; NaN for a base that is 1 or not positive.",
    examples: &[("LOG(1)", "0.0"), ("LOG(2, 8)", "3.0")],
    overloads: &[
        Overload {
            params: &[param("value", T::Double)],
            returns: Returns::Is(SqlType::Double),
            body: |call| rows1(call, |v: f64| Ok(Some(v.ln()))),
        },
        Overload {
            params: &[param("base", T::Double), param("value", T::Double)],
            returns: Returns::Is(SqlType::Double),
            body: |call| rows2(call, |base: f64, v: f64| Ok(Some(to_base(base, v)))),
        },
    ],
};

/// The quotient of two natural logarithms, as ksqlDB computes it, so that the last digit may differ from the exact
/// one.
fn to_base(base: f64, value: f64) -> f64 {
    if base <= 0.0 || base == 1.0 { f64::NAN } else { value.ln() / base.ln() }
}
