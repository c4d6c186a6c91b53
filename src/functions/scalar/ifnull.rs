//! `IFNULL`: a value for NULL.
//!
//! COALESCE for two arguments.

use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};

pub(super) const FUNCTION: Scalar = Scalar {
    name: "IFNULL",
    shown: "ifnull",
    category: "CONDITIONAL",
    summary: "The first argument, or the second if the first is NULL.",
    examples: &[("IFNULL(CAST(NULL AS INT), 2)", "2")],
    overloads: &[Overload {
        params: &[param("value", T::Any('T')), param("alternative", T::Any('T'))],
        returns: Returns::Any('T'),
        body: |call| call.values(|args| Ok(args.iter().find(|v| !v.is_null()).cloned())),
    }],
};
