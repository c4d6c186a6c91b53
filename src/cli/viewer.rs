//! What goes on being shown on the standard output: rows of a query, or records of a topic, as they come.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::failure::Failure;
use super::output::{Output, Rows};
use crate::engine::{Follower, PushQuery};
use crate::statements::{RecordLines, Until};

/// What is shown until it is over.
pub(super) struct Viewer {
    /// Tells it from others.
    pub number: u64,
    shown: Shown,
}

enum Shown {
    Query(ShownQuery),
    Topic(Follower, RecordLines),
}

struct ShownQuery {
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
        let query = ShownQuery { query, left: until.rows, is_bounded: until.is_at_ends, rows: None };
        Viewer { number: NEXT.fetch_add(1, Ordering::Relaxed), shown: Shown::Query(query) }
    }

    /// Shows records of a topic until there are enough.
    pub(super) fn of_topic(records: Follower, lines: RecordLines) -> Viewer {
        Viewer { number: NEXT.fetch_add(1, Ordering::Relaxed), shown: Shown::Topic(records, lines) }
    }

    /// Whether as many rows as were asked for have been shown.
    pub(super) fn is_complete(&self) -> bool {
        match &self.shown {
            Shown::Query(query) => query.left == Some(0),
            Shown::Topic(_, lines) => lines.is_complete(),
        }
    }

    /// Whether no more rows will be shown.
    ///
    /// A query that has ended is over only when its last rows were shown.
    pub(super) fn is_over(&self) -> bool {
        self.is_complete()
            || match &self.shown {
                Shown::Query(ShownQuery { query, is_bounded, .. }) => {
                    (*is_bounded && query.has_read_all()) || (query.is_over() && query.is_drained().unwrap_or(true))
                }
                Shown::Topic(records, _) => records.is_over(),
            }
    }

    /// Whether all rows that there are have been shown.
    pub(super) fn is_drained(&self) -> Result<bool, Failure> {
        Ok(match &self.shown {
            Shown::Query(query) => query.query.is_drained()?,
            Shown::Topic(records, _) => records.is_drained()?,
        })
    }

    /// What is said when it has ended.
    pub(super) fn last_words(&self) -> &'static str {
        match self.shown {
            Shown::Query(_) => "Query terminated",
            Shown::Topic(..) => "Topic printing ceased",
        }
    }

    /// The next rows get a heading, since those of another query were shown.
    pub(super) fn name_columns_again(&mut self) {
        if let Shown::Query(query) = &mut self.shown {
            query.rows = None;
        }
    }

    /// Writes the heading, if there is one and that has not been done.
    pub(super) fn start(&mut self, output: &mut Output) -> Result<(), Failure> {
        match &mut self.shown {
            Shown::Query(query) => query.start(output),
            Shown::Topic(..) => Ok(()),
        }
    }

    /// Shows what has come, waiting a moment if there is nothing; whether there was anything.
    ///
    /// # Errors
    /// The query has failed, the topic cannot be read, or the output cannot be written.
    pub(super) fn show(&mut self, wait: Duration, output: &mut Output) -> Result<bool, Failure> {
        match &mut self.shown {
            Shown::Query(query) => query.show(wait, output),
            Shown::Topic(records, lines) => {
                let found = records.records()?;
                if found.is_empty() {
                    records.wait(wait);
                    return Ok(false);
                }
                let portion = lines.add(&found);
                for (what, formats) in ["Key", "Value"].iter().zip(portion.formats.iter().flatten()) {
                    output.message("message", &format!("{what} format: {formats}"))?;
                }
                portion.lines.iter().try_for_each(|line| output.message("record", line))?;
                output.flush()?;
                Ok(true)
            }
        }
    }
}

impl ShownQuery {
    fn start(&mut self, output: &mut Output) -> Result<(), Failure> {
        if self.rows.is_none() {
            self.rows = Some(output.start_rows(self.query.columns.clone())?);
        }
        Ok(())
    }

    fn show(&mut self, wait: Duration, output: &mut Output) -> Result<bool, Failure> {
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
