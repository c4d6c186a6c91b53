//! `LN`: the natural logarithm.

use crate::functions::call::rows1;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "LN",
    shown: "ln",
    category: "MATHEMATICAL",
    summary: "The natural logarithm; of 0 it is -Infinity, of a negative number NaN.",
    examples: &[("LN(1)", "0.0")],
    overloads: &[Overload {
        params: &[param("value", T::Double)],
        returns: Returns::Is(SqlType::Double),
        body: |call| rows1(call, |v: f64| Ok(Some(v.ln()))),
    }],
};
