//! How large columns may become: a batch that would make too much is evaluated in parts.
//!
//! `LPAD(x, 300000)` over 8,192 rows would be 2.5 GB. So every step that makes texts or collections counts their bytes before it
//! makes them, and halts the evaluation when several rows together need more than a column may have. The caller then tries with
//! half of the rows: see [`in_parts`]. A single row is never halted; a value that is larger than a value may be is an error of
//! that row.
//!
//! Sizes are estimates of what Arrow allocates: the bytes of texts, four for each offset, the width of numbers.

use std::ops::Range;

use arrow::datatypes::DataType;

use super::rows::{Evaluated, Halt, Rows};
use crate::error::{Error, Result};
use crate::functions::fault::MOST_COLUMN_BYTES;
pub(super) use crate::types::size_of_entries as of;

/// Halts the evaluation if several rows together would make a column of more bytes than a column may have. A single row may
/// have a larger value.
pub(super) fn check(rows: &Rows, bytes: usize) -> Evaluated<()> {
    if bytes > MOST_COLUMN_BYTES && rows.count > 1 { Err(Halt::TooMuch) } else { Ok(()) }
}

/// Whether entries can have any number of bytes.
pub(super) fn varies(data_type: &DataType) -> bool {
    match data_type {
        DataType::Struct(fields) => fields.iter().any(|field| varies(field.data_type())),
        other => !other.is_primitive() && *other != DataType::Boolean,
    }
}

/// Evaluates `count` rows, which need not fit one batch.
///
/// Calls `part`, which is given a range of the rows: all at once or, where that is too much, for halves, and these for halves
/// again. The results come in the order of the rows.
///
/// # Errors
/// A bug: the first that `part` returns, or that it says a single row is too much.
pub fn in_parts<T>(count: usize, part: &mut impl FnMut(Range<usize>) -> Result<T, Halt>) -> Result<Vec<T>> {
    let mut results = Vec::new();
    let mut waiting = Vec::from([(0, count)]);
    while let Some((start, end)) = waiting.pop() {
        let range = start..end;
        match part(range.clone()) {
            Ok(result) => results.push(result),
            Err(Halt::Bug(error)) => return Err(error),
            Err(Halt::TooMuch) if range.len() > 1 => {
                let middle = start + range.len() / 2;
                waiting.push((middle, end));
                waiting.push((start, middle));
            }
            Err(Halt::TooMuch) => return Err(Error::bug("one row is said to be too many")),
        }
    }
    Ok(results)
}
