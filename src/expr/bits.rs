//! Sets of rows as bitmaps that are mostly absent: `None` is the empty set.
//!
//! Most batches have no NULLs and no errors, so that most sets cost nothing. A set has a bit for every row of its batch; all
//! sets of one evaluation are equally long.
//!
//! A set that is `Some` may still be empty, for example after an intersection: `None` is an advantage, not a promise.

use arrow::array::Array;
use arrow::buffer::BooleanBuffer;

/// A set of rows.
pub(super) type RowSet = Option<BooleanBuffer>;

/// The rows in either set.
pub(super) fn union(a: RowSet, b: RowSet) -> RowSet {
    match (a, b) {
        (Some(a), Some(b)) => Some(&a | &b),
        (a, b) => a.or(b),
    }
}

/// The rows where `array` is NULL.
pub(super) fn nulls(array: &dyn Array) -> RowSet {
    array.nulls().filter(|n| n.null_count() > 0).map(|n| !n.inner())
}

/// The rows in the set that are also in `mask`.
pub(super) fn within(set: RowSet, mask: &BooleanBuffer) -> RowSet {
    set.map(|set| &set & mask)
}

/// `mask` without the rows in the set.
pub(super) fn without(mask: &BooleanBuffer, set: &RowSet) -> BooleanBuffer {
    set.as_ref().map_or_else(|| mask.clone(), |set| mask & &!set)
}

/// The rows of the first set that are not in the second.
pub(super) fn except(set: RowSet, other: &RowSet) -> RowSet {
    set.map(|set| without(&set, other))
}

/// The set over `rows` rows, from one over a constant's single row.
///
/// All rows or none.
pub(super) fn spread(set: RowSet, rows: usize) -> RowSet {
    set.filter(|bits| bits.value(0)).map(|_| BooleanBuffer::new_set(rows))
}

/// The rows that are marked.
pub(super) fn marked(rows: Vec<bool>) -> RowSet {
    rows.contains(&true).then(|| BooleanBuffer::from(rows))
}
