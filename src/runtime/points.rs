//! Merge points: the one order in which rows of several partitions are taken, and how rows keep their place in it.
//!
//! A point is 24 bytes. Rows of one source partition, by far the most, do not store theirs: it follows from the running
//! maximum of their times and from their offsets, which the decoder has already.

use std::sync::Arc;

use arrow::buffer::ScalarBuffer;

use crate::operators::Origin;
use crate::topics::Offset;

/// The place of a row in the order in which rows of several partitions are taken: by the stream time of its source partition
/// at that row, tables before streams, then by topic, partition and offset. It never falls within a partition, and does not
/// depend on batches or threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Point {
    /// Milliseconds since the epoch.
    pub time: i64,
    /// Table or stream, topic and partition: see [`Point::code`].
    pub code: u32,
    pub offset: Offset,
}

impl Point {
    /// After every row.
    pub(super) const END: Point = Point { time: i64::MAX, code: u32::MAX, offset: Offset::MAX };

    /// The code of a partition: `topic` is the topic's rank among those that the query reads.
    ///
    /// ```text
    /// bit 31        1 for a stream, 0 for a table
    /// bits 30–20    rank of the topic, below 2048
    /// bits 19–0     partition, below 1,048,576
    /// ```
    pub(super) fn code(is_stream: bool, topic: usize, partition: u32) -> u32 {
        debug_assert!(topic < 1 << 11 && partition < 1 << 20);
        u32::from(is_stream) << 31 | (topic as u32) << 20 | partition
    }

    /// The record of the row; `None` after every row.
    pub(super) fn origin(&self) -> Option<Origin> {
        let (topic, partition) = ((self.code >> 20 & 0x7FF) as usize, self.code & 0xF_FFFF);
        (*self != Point::END).then_some(Origin { topic, partition, offset: self.offset })
    }
}

/// The points of rows that stand in their order; cloning copies none of them.
#[derive(Clone, Debug)]
pub(super) enum Points {
    /// Rows of one source partition.
    Source {
        code: u32,
        /// The stream time of the partition before the first row.
        ///
        /// Every point's time is at least this.
        floor: i64,
        /// The largest time so far at each row, or whatever else orders it.
        times: ScalarBuffer<i64>,
        offsets: ScalarBuffer<i64>,
    },
    /// Rows of several partitions.
    Merged(Arc<Vec<Point>>),
}

impl Default for Points {
    fn default() -> Self {
        Points::Merged(Arc::default())
    }
}

impl Points {
    /// The points of pieces that follow each other, of one source partition or of several.
    ///
    /// Copies times and offsets once; costs O(rows).
    pub(super) fn joined(mut pieces: Vec<Points>) -> Points {
        if pieces.len() < 2 {
            return pieces.pop().unwrap_or_default();
        }
        let code_of = |points: &Points| if let Points::Source { code, .. } = points { Some(*code) } else { None };
        let Some(code) = code_of(&pieces[0]).filter(|code| pieces.iter().all(|own| code_of(own) == Some(*code))) else {
            let all = pieces.iter().flat_map(|points| (0..points.len()).map(|row| points.at(row)));
            return Points::Merged(Arc::new(all.collect()));
        };
        let count = pieces.iter().map(Points::len).sum();
        let (mut all_times, mut all_offsets) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for points in &pieces {
            if let Points::Source { floor, times, offsets, .. } = points {
                all_times.extend(times.iter().map(|time| (*time).max(*floor)));
                all_offsets.extend_from_slice(offsets);
            }
        }
        let (times, offsets) = (all_times.into(), all_offsets.into());
        Points::Source { code, floor: i64::MIN, times, offsets }
    }

    /// The number of rows.
    pub(super) fn len(&self) -> usize {
        match self {
            Points::Source { offsets, .. } => offsets.len(),
            Points::Merged(points) => points.len(),
        }
    }

    /// The point of a row.
    #[inline]
    pub(super) fn at(&self, row: usize) -> Point {
        match self {
            Points::Source { code, floor, times, offsets } => {
                Point { time: times[row].max(*floor), code: *code, offset: offsets[row] }
            }
            Points::Merged(points) => points[row],
        }
    }

    /// How many rows from `from` on have points up to `until`.
    ///
    /// Rows at `until` itself count. Costs O(log rows).
    pub(super) fn count_until(&self, from: usize, until: Point) -> usize {
        let (mut low, mut high) = (from, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.at(middle) <= until { low = middle + 1 } else { high = middle }
        }
        low - from
    }
}

/// The causes of what a task makes in a turn: which point each ordinal stands for.
#[derive(Clone, Debug)]
pub(super) struct Causes {
    /// The ordinal of the turn's first row.
    pub start: u64,
    pub points: Points,
    /// The point of what no row caused.
    pub end: Point,
}

impl Causes {
    /// The point of an ordinal of this turn.
    ///
    /// Any ordinal from the end on gives the point of what no row caused.
    #[inline]
    pub(super) fn of(&self, seq: u64) -> Point {
        let row = (seq - self.start) as usize;
        if row < self.points.len() { self.points.at(row) } else { self.end }
    }

    /// The ordinal of what no row caused.
    pub(super) fn end_seq(&self) -> u64 {
        self.start + self.points.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_ordered_by_time_then_kind_topic_partition_and_offset() {
        let point = |time, is_stream, topic, partition, offset| Point {
            time,
            code: Point::code(is_stream, topic, partition),
            offset,
        };
        let ordered = [
            point(1, false, 3, 9, 7),
            point(1, true, 0, 0, 8),
            point(1, true, 0, 1, 0),
            point(1, true, 0, 1, 1),
            point(1, true, 1, 0, 0),
            point(2, false, 0, 0, 0),
        ];
        assert!(ordered.is_sorted());
        assert_eq!(ordered[3].origin(), Some(Origin { topic: 0, partition: 1, offset: 1 }));
        assert!(ordered.iter().all(|point| *point < Point::END));
    }

    #[test]
    fn rows_up_to_a_point_are_found_by_halving() {
        let times = vec![5, 5, 7, 9];
        let points = Points::Source { code: 1, floor: 6, times: times.into(), offsets: vec![0, 1, 2, 3].into() };
        assert_eq!(points.at(0), Point { time: 6, code: 1, offset: 0 });
        assert_eq!(points.count_until(0, Point { time: 6, code: 1, offset: 0 }), 1);
        assert_eq!(points.count_until(1, Point { time: 8, code: 0, offset: 0 }), 2);
        assert_eq!(points.count_until(0, Point::END), 4);
    }
}
