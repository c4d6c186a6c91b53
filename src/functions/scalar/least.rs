//! `LEAST`: the smallest argument.

use std::cmp::Ordering;

use crate::functions::{Scalar, extreme};

pub(super) const FUNCTION: Scalar = Scalar {
    name: "LEAST",
    shown: "least",
    category: "MATHEMATICAL",
    summary: "The smallest of the arguments that are not NULL; NULL if all are.",
    examples: &[("LEAST(2, 3, 1)", "1")],
    overloads: &extreme::overloads(|call| extreme::of_arguments(call, Ordering::Less)),
};
