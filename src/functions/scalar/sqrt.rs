//! `SQRT`: the square root.

use crate::functions::call::rows1;
use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "SQRT",
    shown: "sqrt",
    category: "MATHEMATICAL",
    summary: "The square root; of a negative number NaN.",
    examples: &[("SQRT(9)", "3.0")],
    overloads: &[Overload {
        params: &[param("value", T::Double)],
        returns: Returns::Is(SqlType::Double),
        body: |call| rows1(call, |v: f64| Ok(Some(v.sqrt()))),
    }],
};
