//! `LPAD`: a string made longer or shorter.

use crate::functions::Scalar;
use crate::functions::pad::{self, End};

pub(super) const FUNCTION: Scalar = Scalar {
    name: "LPAD",
    shown: "LPad",
    category: "STRING",
    summary: "The string or bytes filled up at the left to a length, or cut to it.",
    examples: &[("LPAD('ab', 4, 'xy')", "xyab"), ("LPAD('abc', 2, 'x')", "ab")],
    overloads: &pad::overloads(|call| pad::strings(call, End::Left), |call| pad::bytes(call, End::Left)),
};
