//! `MIN`: the smallest value.

use super::Aggregate;
use super::extreme;

pub(super) const FUNCTION: Aggregate = Aggregate {
    name: "MIN",
    shown: "MIN",
    summary: "The smallest value that is not NULL; NULL if there is none.",
    examples: &[("3, NULL, 1, 2", "1")],
    undo: false,
    limit: None,
    overloads: extreme::MIN,
};
