//! `COS`: the cosine.

use crate::functions::call::rows1;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "COS",
    shown: "cos",
    category: "MATHEMATICAL",
    summary: "The cosine of an angle in radians.",
    examples: &[("COS(0)", "1.0")],
    overloads: &[Overload {
        params: &[param("value", T::Double)],
        returns: Returns::Is(SqlType::Double),
        body: |call| rows1(call, |v: f64| Ok(Some(v.cos()))),
    }],
};
