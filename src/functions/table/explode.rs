//! `EXPLODE`: a row for every item of an array.

use crate::functions::signature::{T, param};
use crate::functions::{Overload, Returns, Scalar};

/// The array is handed on as it is: nothing is copied unless it is a constant.
pub(super) const FUNCTION: Scalar = Scalar {
    name: "EXPLODE",
    shown: "explode",
    category: "TABLE",
    summary: "A row for every item of an array, NULLs too; none for an empty array or NULL.",
    examples: &[("EXPLODE(ARRAY[2, NULL, 1])", "[2, null, 1]")],
    overloads: &[Overload {
        params: &[param("list", T::Array(&T::Any('T')))],
        returns: Returns::By(|args, _| Ok(args[0].clone())),
        body: |call| match &call.args[0] {
            list if list.constant => call.values(|args| Ok(Some(args[0].clone()))),
            list => list.array.clone(),
        },
    }],
};
