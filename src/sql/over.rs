//! The rows that a function is computed over, and orders of rows.
//!
//! Windows in the sense of standard SQL (ISO/IEC 9075), which ksqlDB does not have. Pull queries take them, continuous
//! queries refuse them when they are bound.

use std::fmt;

use super::ast::Expr;
use super::cursor::Cursor;
use super::expr::{parse_expr, parse_value};
use super::words::Duration;
use crate::error::Result;
use crate::types::TimeUnit;

/// The rows that a function is computed over: `(PARTITION BY … ORDER BY … ROWS …)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Over {
    /// The expressions that divide the rows into groups.
    pub partition_by: Vec<Expr>,
    /// The order of the rows in a group.
    pub order_by: Vec<SortItem>,
    /// The rows around each row; without it the default of SQL.
    pub frame: Option<Frame>,
}

/// An expression that rows are sorted by.
#[derive(Clone, Debug, PartialEq)]
pub struct SortItem {
    /// The expression.
    pub expr: Expr,
    /// Whether DESC was written.
    pub descending: bool,
    /// NULLS FIRST or NULLS LAST, if one was written.
    pub nulls_first: Option<bool>,
}

/// The frame of rows around each row: `ROWS BETWEEN 2 PRECEDING AND CURRENT ROW`.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// Whether the bounds are lengths of time or of values, and not numbers of rows.
    pub is_range: bool,
    /// Where it begins.
    pub start: FrameBound,
    /// Where it ends; without it, at the current row.
    pub end: Option<FrameBound>,
}

/// Where a frame begins or ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FrameBound {
    /// At the row itself.
    CurrentRow,
    /// So far before it.
    Preceding(Distance),
    /// So far after it.
    Following(Distance),
}

/// How far a frame reaches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Distance {
    /// As far as there are rows.
    Unbounded,
    /// So many rows, or so much of a value.
    Count(i64),
    /// A length of time.
    Time(Duration),
}

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

impl fmt::Display for Distance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Distance::Unbounded => f.write_str("UNBOUNDED"),
            Distance::Count(count) => write!(f, "{count}"),
            Distance::Time(duration) => write!(f, "{duration}"),
        }
    }
}

impl fmt::Display for FrameBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameBound::CurrentRow => f.write_str("CURRENT ROW"),
            FrameBound::Preceding(distance) => write!(f, "{distance} PRECEDING"),
            FrameBound::Following(distance) => write!(f, "{distance} FOLLOWING"),
        }
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_range { "RANGE " } else { "ROWS " })?;
        match &self.end {
            Some(end) => write!(f, "BETWEEN {} AND {end}", self.start),
            None => write!(f, "{}", self.start),
        }
    }
}
