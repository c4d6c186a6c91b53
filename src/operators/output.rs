//! Where an operator puts its rows, and how it learns that this is enough for now.
//!
//! One output serves one call of an operator. The task drains it, gives the batches to the next operator, and calls the
//! first one again if it said [`Flow::Left`]. So an operator needs no channel, and what waits between two operators is
//! bounded by [`Limit`] and one batch.

use crate::types::Batch;

/// Whether an operator has done all it was called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Flow {
    /// It has.
    Done,
    /// The output had enough; the row of this ordinal, or those after it, are still to be worked on.
    ///
    /// The caller treats the task's position as standing before this row until the operator has gone on.
    Left(u64),
}

/// How much an output takes before it has enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// With this many rows it has enough.
    pub rows: usize,
    /// With this many bytes it has enough.
    pub bytes: usize,
}

/// The rows that an operator makes in one call.
///
/// An operator whose output can be larger than its input asks [`Output::has_room`] before it makes more. One batch may pass
/// the limit, so batches should be small: [`Output::batch_rows`] rows at most.
pub struct Output {
    batches: Vec<Batch>,
    rows: usize,
    bytes: usize,
    limit: Limit,
}

/// The most rows of a batch that operators make.
const BATCH_ROWS: usize = 8192;

impl Output {
    /// An empty output.
    pub fn new(limit: Limit) -> Self {
        Output { batches: Vec::new(), rows: 0, bytes: 0, limit }
    }

    /// Sets with how many rows it has enough.
    pub fn limit_rows(&mut self, rows: usize) {
        self.limit.rows = rows;
    }

    /// Hands on a batch; one without rows goes nowhere.
    ///
    /// Counts rows only: right for operators that hand on what they got and make nothing larger of it.
    pub fn push(&mut self, batch: Batch) {
        if batch.rows() > 0 {
            self.rows += batch.rows();
            self.batches.push(batch);
        }
    }

    /// The same for a batch of which it is known how many bytes it has: for operators that make more than they get.
    ///
    /// `bytes` counts towards [`Limit::bytes`]; 0 is right where rows are small and of fixed size.
    pub fn push_sized(&mut self, batch: Batch, bytes: usize) {
        self.bytes += bytes;
        self.push(batch);
    }

    /// Whether more rows should be made in this call.
    pub fn has_room(&self) -> bool {
        self.rows < self.limit.rows && self.bytes < self.limit.bytes
    }

    /// The most rows that a batch should have.
    ///
    /// At most 8192, and at least 1 even where the limit is 0, so that an operator always gets on.
    pub fn batch_rows(&self) -> usize {
        self.limit.rows.clamp(1, BATCH_ROWS)
    }

    /// The most bytes that a batch should have, if it has more than one row.
    ///
    /// A single row may be larger: it is then a batch of its own.
    pub fn batch_bytes(&self) -> usize {
        self.limit.bytes.max(1)
    }

    /// Takes the batches out; the output is empty then.
    pub fn drain(&mut self) -> std::vec::Drain<'_, Batch> {
        (self.rows, self.bytes) = (0, 0);
        self.batches.drain(..)
    }
}
