//! `NULLIF`: NULL for a value.
//!
//! Two NULLs are equal here, and the result is NULL in any case then. Equality is that of Java's `equals`.

use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};

pub(super) const FUNCTION: Scalar = Scalar {
    name: "NULLIF",
    shown: "nullif",
    category: "CONDITIONAL",
    summary: "NULL if both arguments are equal, else the first.",
    examples: &[("NULLIF(2, 3)", "2"), ("NULLIF(2, 2)", "null")],
    overloads: &[Overload {
        params: &[param("left", T::Any('T')), param("right", T::Any('T'))],
        returns: Returns::Any('T'),
        body: |call| call.values(|args| Ok((args[0] != args[1]).then(|| args[0].clone()))),
    }],
};
