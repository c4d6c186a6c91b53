//! `AS_VALUE`: a copy of a key column that is stored in the value.
//!
//! A key column that is selected as it is stays the key. A call of this function is an expression over it, so its
//! result is a column of the value.

use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};

pub(super) const FUNCTION: Scalar = Scalar {
    name: "AS_VALUE",
    shown: "AS_VALUE",
    category: "OTHER",
    summary: "Its argument, as a column of the value: so that a key column can be copied there.",
    examples: &[("AS_VALUE(3)", "3")],
    overloads: &[Overload {
        params: &[param("keyColumn", T::Any('T'))],
        returns: Returns::Any('T'),
        body: |call| call.values(|args| Ok(Some(args[0].clone()))),
    }],
};
