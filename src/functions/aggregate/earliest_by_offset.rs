//! `EARLIEST_BY_OFFSET`: the first value, or the first n values.

use super::Aggregate;
use super::by_offset;

pub(super) const FUNCTION: Aggregate = Aggregate {
    name: "EARLIEST_BY_OFFSET",
    shown: "EARLIEST_BY_OFFSET",
    summary: "The first value in the order of processing, or a list of the first n; NULLs count if ignoreNulls is false.",
    examples: &[("3, 2, NULL", "3")],
    undo: false,
    limit: None,
    overloads: by_offset::EARLIEST,
};
