//! `GREATEST`: the largest argument.

use std::cmp::Ordering;

use crate::functions::{Scalar, extreme};

pub(super) const FUNCTION: Scalar = Scalar {
    name: "GREATEST",
    shown: "greatest",
    category: "MATHEMATICAL",
    summary: "The largest of the arguments that are not NULL; NULL if all are.",
    examples: &[("GREATEST(2, 3, 1)", "3")],
    overloads: &extreme::overloads(|call| extreme::of_arguments(call, Ordering::Greater)),
};
