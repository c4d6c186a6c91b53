//! `COALESCE`: the first argument that is not NULL.
//!
//! All arguments have one type; there is no widening, since the parameter is generic. A call or CAST that fails as an
//! argument counts as NULL, because it is a catch point there.

use crate::functions::signature::{T, param, variadic};
use crate::functions::{Overload, Returns, Scalar};

pub(super) const FUNCTION: Scalar = Scalar {
    name: "COALESCE",
    shown: "COALESCE",
    category: "CONDITIONAL",
    summary: "The first argument that is not NULL; NULL if all are.",
    examples: &[("COALESCE(CAST(NULL AS INT), 2)", "2")],
    overloads: &[Overload {
        params: &[param("first", T::Any('T')), variadic("others", T::Any('T'))],
        returns: Returns::Any('T'),
        body: |call| call.values(|args| Ok(args.iter().find(|v| !v.is_null()).cloned())),
    }],
};
