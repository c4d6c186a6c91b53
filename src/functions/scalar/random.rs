//! `RANDOM`: a random number.

use crate::functions::random;
use crate::functions::{Overload, Returns, Scalar};
use crate::types::SqlType;

pub(super) const FUNCTION: Scalar = Scalar {
    name: "RANDOM",
    shown: "random",
    category: "MATHEMATICAL",
    summary: "A random number of at least 0 and less than 1.",
    examples: &[],
    overloads: &[Overload {
        params: &[],
        returns: Returns::Fresh(SqlType::Double),
        body: |call| call.rows(|_| Ok(Some((random::bits() >> 11) as f64 / (1u64 << 53) as f64))),
    }],
};
