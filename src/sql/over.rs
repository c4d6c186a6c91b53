//! The rows that a function is computed over, and orders of rows.
//!
//! Windows in the sense of standard SQL (ISO/IEC 9075), which ksqlDB does not have. They are parsed, printed and
//! refused when they are bound.

use super::ast::{Distance, Frame, FrameBound, Over, SortItem};
use super::cursor::Cursor;
use super::expr::{parse_expr, parse_value};
use crate::error::Result;
use crate::types::TimeUnit;

/// Parses `(PARTITION BY … ORDER BY … ROWS …)`.
///
/// # Errors
/// Something else comes next, or a bound of the frame has neither PRECEDING nor FOLLOWING.
pub fn parse_over(cursor: &mut Cursor) -> Result<Over> {
    cursor.expect("(")?;
    let partition_by = if cursor.take("PARTITION BY") { cursor.list(parse_value)? } else { Vec::new() };
    let order_by = parse_order_by(cursor)?;
    let units = [("ROWS", false), ("RANGE", true)];
    let frame = match cursor.take_one(&units) {
        None => None,
        Some(is_range) if cursor.take("BETWEEN") => {
            let start = frame_bound(cursor)?;
            cursor.expect("AND")?;
            Some(Frame { is_range, start, end: Some(frame_bound(cursor)?) })
        }
        Some(is_range) => Some(Frame { is_range, start: frame_bound(cursor)?, end: None }),
    };
    cursor.expect(")")?;
    Ok(Over { partition_by, order_by, frame })
}

/// A bound of a frame: `CURRENT ROW`, `UNBOUNDED PRECEDING`, `2 FOLLOWING` …
fn frame_bound(cursor: &mut Cursor) -> Result<FrameBound> {
    if cursor.take("CURRENT ROW") {
        return Ok(FrameBound::CurrentRow);
    }
    let distance = if cursor.take("UNBOUNDED") {
        Distance::Unbounded
    } else if TimeUnit::parse(cursor.text_at(1).0).is_some() {
        Distance::Time(cursor.duration()?)
    } else {
        Distance::Count(cursor.unsigned("UNBOUNDED, CURRENT ROW or a distance")?)
    };
    let sides: [(&str, fn(Distance) -> FrameBound); 2] =
        [("PRECEDING", FrameBound::Preceding), ("FOLLOWING", FrameBound::Following)];
    cursor.take_one(&sides).map(|side| side(distance)).ok_or_else(|| cursor.expected())
}

/// Parses `ORDER BY …`, if it comes next.
///
/// Empty without ORDER BY. Ascending is the default; where NULLs stand is `None` unless it was written.
pub fn parse_order_by(cursor: &mut Cursor) -> Result<Vec<SortItem>> {
    if !cursor.take("ORDER BY") {
        return Ok(Vec::new());
    }
    cursor.list(|c| {
        let expr = parse_expr(c)?;
        let descending = c.take_one(&[("ASC", false), ("DESC", true)]).unwrap_or(false);
        let nulls_first = c.take_one(&[("NULLS FIRST", true), ("NULLS LAST", false)]);
        Ok(SortItem { expr, descending, nulls_first })
    })
}
