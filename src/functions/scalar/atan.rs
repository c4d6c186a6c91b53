//! `ATAN`: the inverse of the tangent.
//!
//! In radians, between -π/2 and π/2.

use crate::functions::call::rows1;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "ATAN",
    shown: "atan",
    category: "MATHEMATICAL",
    summary: "The angle in radians whose tangent is the value.",
    examples: &[("ATAN(0)", "0.0")],
    overloads: &[Overload {
        params: &[param("value", T::Double)],
        returns: Returns::Is(SqlType::Double),
        body: |call| rows1(call, |v: f64| Ok(Some(libm::atan(v)))),
    }],
};
