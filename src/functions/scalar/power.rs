//! `POWER`: a number to the power of another.

use crate::functions::call::rows2;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "POWER",
    shown: "power",
    category: "MATHEMATICAL",
    summary: "The base to the power of the exponent.",
    examples: &[("POWER(2, 10)", "1024.0")],
    overloads: &[Overload {
        params: &[param("base", T::Double), param("exponent", T::Double)],
        returns: Returns::Is(SqlType::Double),
        body: |call| rows2(call, |base: f64, exponent: f64| Ok(Some(power(base, exponent)))),
    }],
};

/// Java differs from IEEE in one place: 1 to the power of NaN or of an infinity is NaN.
fn power(base: f64, exponent: f64) -> f64 {
    if base.abs() == 1.0 && !exponent.is_finite() || exponent.is_nan() { f64::NAN } else { base.powf(exponent) }
}
