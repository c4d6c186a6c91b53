//! `MAX`: the largest value.

use super::Aggregate;
use super::extreme;

pub(super) const FUNCTION: Aggregate = Aggregate {
    name: "MAX",
    shown: "MAX",
    summary: "The largest value that is not NULL; NULL if there is none.",
    examples: &[("3, NULL, 1, 2", "3")],
    undo: false,
    limit: None,
    overloads: extreme::MAX,
};
