//! `COT`: the cotangent.
//!
//! 1 / tan(x): an infinity at 0.

use crate::functions::call::rows1;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "COT",
    shown: "cot",
    category: "MATHEMATICAL",
    summary: "The cotangent of an angle in radians; of 0 it is Infinity.",
    examples: &[("COT(0)", "Infinity")],
    overloads: &[Overload {
        params: &[param("value", T::Double)],
        returns: Returns::Is(SqlType::Double),
        body: |call| rows1(call, |v: f64| Ok(Some(1.0 / v.tan()))),
    }],
};
