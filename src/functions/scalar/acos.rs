//! `ACOS`: the inverse of the cosine.
//!
//! In radians, from 0 to π; NaN outside of [-1, 1].

use crate::functions::call::rows1;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "ACOS",
    shown: "acos",
    category: "MATHEMATICAL",
    summary: "The angle in radians whose cosine is the value.",
    examples: &[("ACOS(1)", "0.0")],
    overloads: &[Overload {
        params: &[param("value", T::Double)],
        returns: Returns::Is(SqlType::Double),
        body: |call| rows1(call, |v: f64| Ok(Some(libm::acos(v)))),
    }],
};
