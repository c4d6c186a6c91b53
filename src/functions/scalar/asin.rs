//! `ASIN`: the inverse of the sine.
//!
//! In radians, from -π/2 to π/2; NaN outside of [-1, 1].

use crate::functions::call::rows1;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "ASIN",
    shown: "asin",
    category: "MATHEMATICAL",
    summary: "The angle in radians whose sine is the value.",
    examples: &[("ASIN(0)", "0.0")],
    overloads: &[Overload {
        params: &[param("value", T::Double)],
        returns: Returns::Is(SqlType::Double),
        body: |call| rows1(call, |v: f64| Ok(Some(libm::asin(v)))),
    }],
};
