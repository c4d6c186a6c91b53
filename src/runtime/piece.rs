//! Rows on their way from a source or a stage to a task, and the order in which they are taken.

use arrow::array::{Array, ArrayRef, UInt32Array};
use arrow::compute;

use crate::error::Result;
use crate::topics::Offset;
use crate::types::{Batch, arrow_error};

/// The order in which rows are taken that come from several partitions: by the stream time of the partition at the row,
/// tables before streams, then by source, partition and offset. Within a partition it never falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    pub time: i64,
    /// Table or stream, source, and partition.
    pub code: u32,
    pub offset: Offset,
}

/// Rows on their way to a task, each with its place in the order.
#[derive(Clone, Debug)]
pub struct Piece {
    pub batch: Batch,
    pub points: Points,
    /// Which rows of the batch are meant; all of them if this is absent.
    pub rows: Option<Vec<u32>>,
}

/// The places of rows.
#[derive(Clone, Debug, Default)]
pub struct Points {
    pub order: Vec<i64>,
    pub codes: Codes,
    pub offsets: Vec<Offset>,
}

/// Which source and partition rows come from: often all from the same.
#[derive(Clone, Debug)]
pub enum Codes {
    One(u32),
    Each(Vec<u32>),
}

impl Default for Codes {
    fn default() -> Self {
        Codes::Each(Vec::new())
    }
}

impl Points {
    /// The place of a row.
    #[inline]
    pub fn at(&self, row: usize) -> Point {
        let code = match &self.codes {
            Codes::One(code) => *code,
            Codes::Each(all) => all[row],
        };
        Point { time: self.order[row], code, offset: self.offsets[row] }
    }

    /// Adds a place.
    pub fn push(&mut self, point: Point) {
        if let Codes::One(code) = self.codes {
            self.codes = Codes::Each(vec![code; self.order.len()]);
        }
        if let Codes::Each(all) = &mut self.codes {
            all.push(point.code);
        }
        self.order.push(point.time);
        self.offsets.push(point.offset);
    }
}

impl Piece {
    /// The number of rows that are meant.
    pub fn len(&self) -> usize {
        self.rows.as_ref().map_or(self.batch.rows(), Vec::len)
    }

    /// The row of the batch that is the piece's `index`th.
    #[inline]
    pub fn row(&self, index: usize) -> usize {
        self.rows.as_ref().map_or(index, |rows| rows[index] as usize)
    }

    /// Whether no row is meant.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows that are meant as a batch of their own.
    pub fn into_batch(self) -> Result<(Batch, Points)> {
        let Some(rows) = self.rows else { return Ok((self.batch, self.points)) };
        let mut points = Points::default();
        rows.iter().for_each(|row| points.push(self.points.at(*row as usize)));
        Ok((self.batch.take(&rows)?, points))
    }
}

/// Gathers rows of several arrays into one.
pub fn gather(arrays: &[&dyn Array], places: &[(usize, usize)]) -> Result<ArrayRef> {
    if let [single] = arrays {
        let rows = UInt32Array::from_iter_values(places.iter().map(|(_, row)| *row as u32));
        return compute::take(*single, &rows, None).map_err(arrow_error);
    }
    compute::interleave(arrays, places).map_err(arrow_error)
}
