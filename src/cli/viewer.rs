//! Somebody who looks on at a query: its rows, as they come, on the standard output.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::failure::Failure;
use super::output::{Output, Rows};
use crate::engine::PushQuery;
use crate::statements::Until;

/// A query whose rows are shown.
pub(super) struct Viewer {
    /// Tells it from others.
    pub number: u64,
    query: PushQuery,
    /// How many rows may still be shown; `None` if there is no LIMIT.
    left: Option<usize>,
    /// Whether it is over at the ends that its sources had when it began.
    is_bounded: bool,
    /// `None` before the heading was written.
    rows: Option<Rows>,
}

static NEXT: AtomicU64 = AtomicU64::new(0);

impl Viewer {
    /// Shows rows of a query until it is over.
    pub(super) fn new(query: PushQuery, until: Until) -> Viewer {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Viewer { number, query, left: until.rows, is_bounded: until.is_at_ends, rows: None }
    }

    /// Whether as many rows as were asked for have been shown.
    pub(super) fn is_complete(&self) -> bool {
        self.left == Some(0)
    }

    /// Whether no more rows will be shown.
    ///
    /// A query that has ended is over only when its last rows were shown.
    pub(super) fn is_over(&self) -> bool {
        self.is_complete()
            || (self.is_bounded && self.query.has_read_all())
            || (self.query.is_over() && self.query.is_drained().unwrap_or(true))
    }

    /// Whether all rows that there are have been shown.
    pub(super) fn is_drained(&self) -> Result<bool, Failure> {
        Ok(self.query.is_drained()?)
    }

    /// The next rows get a heading, since those of another query were shown.
    pub(super) fn name_columns_again(&mut self) {
        self.rows = None;
    }

    /// Writes the heading, if that has not been done.
    pub(super) fn start(&mut self, output: &mut Output) -> Result<(), Failure> {
        if self.rows.is_none() {
            self.rows = Some(output.start_rows(self.query.columns.clone())?);
        }
        Ok(())
    }

    /// Shows the rows that have come, waiting a moment for the first; whether there were any.
    ///
    /// # Errors
    /// The query has failed, or the output cannot be written.
    pub(super) fn show(&mut self, wait: Duration, output: &mut Output) -> Result<bool, Failure> {
        let mut rows = self.query.rows(wait)?;
        if let Some(left) = &mut self.left {
            rows.truncate(*left);
            *left -= rows.len();
        }
        if rows.is_empty() {
            return Ok(false);
        }
        self.start(output)?;
        if let Some(shown) = &mut self.rows {
            rows.iter().try_for_each(|row| output.row(shown, &row.values))?;
        }
        output.flush()?;
        Ok(true)
    }
}
