//! Where a query goes on whose next records were deleted before it read them.
//!
//! Retention and `topic delete-records` do not wait for queries. What a query then misses is counted and reported, and
//! the query goes on as `auto.offset.reset` says.
//!
//! Records are skipped between two turns, and the epoch ends before another one is taken. So the skip is in the head of
//! a whole epoch and never among the turns that a restart repeats: those take the same rows, or the query fails.

use super::query::QueryRun;
use crate::error::{Error, Result};
use crate::operators::Reason;

/// What `auto.offset.reset` says of records that were deleted before they were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// Reading goes on at the first record that there is.
    Earliest,
    /// Reading goes on at the end.
    Latest,
    /// The query fails.
    None,
}

impl QueryRun {
    /// Skips records that were deleted before they were read, in partitions of which no rows wait; whether there were
    /// any.
    ///
    /// # Errors
    /// The query is not to go on without them.
    pub(super) fn skip_deleted(&mut self) -> Result<bool> {
        let feeds = self.program.feeds.iter();
        let mut skipped = false;
        for (feed, cursors) in feeds.zip(&mut self.cursors) {
            let reset = if feed.is_stream() { self.options.reset } else { Reset::Earliest };
            for cursor in cursors {
                let Some(start) = cursor.deleted_to() else { continue };
                let (from, name) = (cursor.position(), cursor.name(cursor.position()));
                let to = match reset {
                    Reset::Earliest => start,
                    Reset::Latest => cursor.end()?.max(start),
                    Reset::None => {
                        let message = format!("{name} was deleted before it was read, as all before offset {start}");
                        let error = Error::backend(message);
                        return Err(error.hint("auto.offset.reset is 'none': DROP the query and CREATE it again"));
                    }
                };
                cursor.skip_to(to);
                self.log.add_many(Reason::Deleted, (to - from) as u64, || {
                    format!("{name}: deleted before it was read, as all before offset {start}; goes on at {to}")
                });
                skipped = true;
            }
        }
        self.must_end |= skipped;
        self.dirty |= skipped;
        Ok(skipped)
    }
}
