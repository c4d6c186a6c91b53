//! `PI`: the ratio of a circle.

use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "PI",
    shown: "pi",
    category: "MATHEMATICAL",
    summary: "The ratio of a circle's circumference to its diameter.",
    examples: &[("PI()", "3.141592653589793")],
    overloads: &[Overload {
        params: &[],
        returns: Returns::Is(SqlType::Double),
        body: |call| call.rows(|_| Ok(Some(std::f64::consts::PI))),
    }],
};
