//! `EXP`: the exponential of a number.

use crate::functions::call::rows1;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "EXP",
    shown: "exp",
    category: "MATHEMATICAL",
    summary: "Euler's number to the power of the value.",
    examples: &[("EXP(0)", "1.0")],
    overloads: &[Overload {
        params: &[param("value", T::Double)],
        returns: Returns::Is(SqlType::Double),
        body: |call| rows1(call, |v: f64| Ok(Some(v.exp()))),
    }],
};
