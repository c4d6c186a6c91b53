//! `TANH`: the hyperbolic tangent.

use crate::functions::call::rows1;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "TANH",
    shown: "tanh",
    category: "MATHEMATICAL",
    summary: "The hyperbolic tangent.",
    examples: &[("TANH(0)", "0.0")],
    overloads: &[Overload {
        params: &[param("value", T::Double)],
        returns: Returns::Is(SqlType::Double),
        body: |call| rows1(call, |v: f64| Ok(Some(libm::tanh(v)))),
    }],
};
