//! `ATAN2`: the angle of a point.
//!
//! In radians, from -π to π: the angle of the point (x, y), so y is the first argument.

use crate::functions::call::rows2;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "ATAN2",
    shown: "atan2",
    category: "MATHEMATICAL",
    summary: "The angle in radians of the point (x, y).",
    examples: &[("ATAN2(0, 1)", "0.0")],
    overloads: &[Overload {
        params: &[param("y", T::Double), param("x", T::Double)],
        returns: Returns::Is(SqlType::Double),
        body: |call| rows2(call, |y: f64, x: f64| Ok(Some(libm::atan2(y, x)))),
    }],
};
