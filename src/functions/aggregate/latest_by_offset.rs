//! `LATEST_BY_OFFSET`: the last value, or the last n values.

use super::Aggregate;
use super::by_offset;

pub(super) const FUNCTION: Aggregate = Aggregate {
    name: "LATEST_BY_OFFSET",
    shown: "LATEST_BY_OFFSET",
    summary: "The last value in the order of processing, or a list of the last n; NULLs count if ignoreNulls is false.",
    examples: &[("3, 2, NULL", "2")],
    undo: false,
    limit: None,
    overloads: by_offset::LATEST,
};
