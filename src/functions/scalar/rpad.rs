//! `RPAD`: a string made longer or shorter.

use crate::functions::Scalar;
use crate::functions::pad::{self, End};

pub(super) const FUNCTION: Scalar = Scalar {
    name: "RPAD",
    shown: "RPad",
    category: "STRING",
    summary: "The string or bytes filled up at the right to a length, or cut to it.",
    examples: &[("RPAD('ab', 4, 'xy')", "abxy"), ("RPAD('abc', 2, 'x')", "ab")],
    overloads: &pad::overloads(|call| pad::strings(call, End::Right), |call| pad::bytes(call, End::Right)),
};
