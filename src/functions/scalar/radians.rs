//! `RADIANS`: an angle in radians.

use crate::functions::call::rows1;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "RADIANS",
    shown: "radians",
    category: "MATHEMATICAL",
    summary: "An angle in radians, from degrees.",
    examples: &[("RADIANS(0)", "0.0")],
    overloads: &[Overload {
        params: &[param("value", T::Double)],
        returns: Returns::Is(SqlType::Double),
        body: |call| rows1(call, |v: f64| Ok(Some(v / 180.0 * std::f64::consts::PI))),
    }],
};
