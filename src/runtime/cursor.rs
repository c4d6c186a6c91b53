//! A query's place in a feed: the rows that wait for it, and how far it has taken them.
//!
//! Three offsets matter. `position` is what is committed with the next epoch: the first record not handed on. `next` is
//! where decoding goes on. Between them lie the batches in `ready`, of which the first may be partly taken. Batches are
//! shared with other queries and never changed; a cursor only counts how far it has come in them.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::buffer::ScalarBuffer;
use arrow::datatypes::DataType;

use super::decode::{Bad, Decoded, Most};
use super::feed::{FeedReader, Feeds, Next};
use super::merge::{Piece, Sent, lane};
use super::placement::Placement;
use super::points::{Causes, Point, Points};
use super::program::FeedSpec;
use crate::error::{Error, Result};
use crate::operators::Log;
use crate::topics::{Offset, PartitionId};
use crate::types::{Batch, Seq};

/// A query's place in a partition.
pub(super) struct Cursor {
    pub id: PartitionId,
    /// The part of a merge point that names the partition.
    code: u32,
    /// The name of the topic, for messages.
    topic: String,
    /// What reads the partition, until the query has left it.
    reader: Option<Arc<FeedReader>>,
    placement: Arc<dyn Placement>,
    most: Most,
    /// The first record that has not been handed on.
    position: Offset,
    /// The largest time of a row that was handed on.
    ///
    /// Milliseconds since the epoch; −1 before the first row. Saved with each epoch.
    stream_time: i64,
    /// The largest time of a row that waits or was handed on.
    ///
    /// The floor for merge points of the next batch, so that they never fall.
    ready_time: i64,
    ready: VecDeque<Ready>,
    /// The first record that is not among those that wait.
    next: Offset,
    /// Where the partition starts, if the record at `next` was found to be deleted.
    deleted_to: Option<Offset>,
    /// Whether the partition no longer holds back the time of others while it stands at its end.
    pub idle: bool,
    /// Since when the partition stands at its end, in nanoseconds.
    ///
    /// Of the clock that never goes back; `None` while rows wait.
    pub at_end_since: Option<u64>,
    /// How many bytes the records have that were handed on, or told to be bad, since somebody set this to 0.
    ///
    /// Counted when all of a decoding was.
    pub taken_bytes: usize,
}

/// Records of a partition that somebody is to decode.
pub(super) struct Order {
    pub reader: Arc<FeedReader>,
    /// The first of them.
    pub from: Offset,
    /// How many of them make one batch.
    pub most: Most,
}

/// Rows that wait.
struct Ready {
    decoded: Arc<Decoded>,
    points: Points,
    /// The largest row time so far at each row, of those from the query's position on.
    ///
    /// Milliseconds since the epoch, never falling.
    times: ScalarBuffer<i64>,
    /// How many rows were handed on.
    taken: usize,
    /// How many of the bad records were told.
    ///
    /// Each is reported once, when the position passes it, even if its batch is decoded for several queries: each query
    /// counts for itself.
    told: usize,
}

/// Rows that were handed on.
///
/// The rows `from` to `from + count` of the batch.
pub(super) struct Taken {
    pub decoded: Arc<Decoded>,
    pub points: Points,
    pub from: usize,
    pub count: usize,
}

impl Taken {
    /// The rows for a port: the columns at `places`.
    ///
    /// # Errors
    /// A bug.
    pub(super) fn piece(&self, places: &[usize], port: usize) -> Result<Piece> {
        debug_assert!(self.decoded.batch.columns.iter().all(|column| column.data_type() != &DataType::Null));
        let batch = self.decoded.batch.project(places).slice(self.from, self.count);
        let batch = Batch { seq: Seq::From(0), ..batch };
        let causes = Causes { start: 0, points: self.own_points(), end: Point::END };
        let sent = Arc::new(Sent { batch, causes, rows: None });
        Ok(Piece { sent, lane: lane(port, 0), from: 0, to: self.count as u32 })
    }

    /// The points of the rows alone.
    pub(super) fn own_points(&self) -> Points {
        match &self.points {
            Points::Source { code, floor, times, offsets } => Points::Source {
                code: *code,
                floor: *floor,
                times: times.slice(self.from, self.count),
                offsets: offsets.slice(self.from, self.count),
            },
            merged => merged.clone(),
        }
    }
}

impl Cursor {
    /// The partition of a source, to be read from `position`. `rank` is that of the topic among those that the query reads.
    pub(super) fn new(feeds: &Feeds, spec: &FeedSpec, partition: u32, position: Offset, most: Most) -> Self {
        let id = PartitionId { topic: spec.topic, partition };
        let feed = feeds.open(id, &spec.source, spec.partitions);
        Cursor {
            id,
            code: Point::code(spec.is_stream(), spec.rank, partition),
            topic: spec.source.topic.clone(),
            reader: Some(Arc::new(feed.reader(position, &spec.wanted))),
            placement: feeds.placement().clone(),
            most,
            position,
            stream_time: -1,
            ready_time: -1,
            ready: VecDeque::new(),
            next: position,
            deleted_to: None,
            idle: false,
            at_end_since: None,
            taken_bytes: 0,
        }
    }

    /// The first record that has not been handed on.
    pub(super) fn position(&self) -> Offset {
        self.position
    }

    /// The largest time of a row that was handed on, −1 before the first.
    pub(super) fn stream_time(&self) -> i64 {
        self.stream_time
    }

    /// Goes on where a commit has left off.
    pub(super) fn resume(&mut self, position: Offset, stream_time: i64, idle: bool) {
        self.forget();
        (self.position, self.next) = (position, position);
        (self.stream_time, self.ready_time, self.idle) = (stream_time, stream_time, idle);
    }

    /// Forgets the rows that wait.
    fn forget(&mut self) {
        self.ready.clear();
        self.deleted_to = None;
    }

    /// Reads no more: nothing is kept for it.
    pub(super) fn leave(&mut self) {
        self.forget();
        self.reader = None;
    }

    /// The number of rows that wait.
    pub(super) fn waiting(&self) -> usize {
        self.ready.iter().map(|ready| ready.decoded.batch.rows() - ready.taken).sum()
    }

    /// About how many bytes wait.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.ready.iter().map(|ready| ready.decoded.bytes).sum()
    }

    /// Whether records wait, readable or not.
    pub(super) fn waits(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Whether there is room for more rows: less than half of what is decoded at once waits.
    ///
    /// Both bounds are those of one decoding, halved: a batch is decoded while another one waits.
    pub(super) fn wants_more(&self) -> bool {
        self.waiting() < self.most.records.div_ceil(2) && self.waiting_bytes() < self.most.bytes.div_ceil(2)
    }

    /// Decodes the next records; `false` at the decided end, and where the next ones were deleted.
    ///
    /// Bad records may be all that was found: then a batch without rows waits, and `true` is returned.
    ///
    /// # Errors
    /// The topic cannot be read, or its bytes are no record batches.
    pub(super) fn fill(&mut self) -> Result<bool> {
        let Some(reader) = &self.reader else { return Ok(false) };
        let next = reader.next(self.next, self.most)?;
        Ok(self.receive(next))
    }

    /// What is to be read next, and how much at once, for whoever decodes it; none at the decided end.
    ///
    /// # Errors
    /// The topic cannot be asked.
    pub(super) fn order(&self) -> Result<Option<Order>> {
        let Some(reader) = &self.reader else { return Ok(None) };
        let order = || Order { reader: reader.clone(), from: self.next, most: self.most };
        Ok((reader.end()? > self.next).then(order))
    }

    /// Takes what was found at the place where decoding goes on; whether that was records.
    pub(super) fn receive(&mut self, next: Next) -> bool {
        let from = self.next;
        self.deleted_to = None;
        let decoded = match next {
            Next::Rows(decoded) => decoded,
            Next::End => return false,
            Next::Deleted(start) => {
                self.deleted_to = Some(start);
                return false;
            }
        };
        let skipped = decoded.offsets.partition_point(|offset| *offset < from);
        self.next = decoded.next;
        let times = if skipped > 0 { times_from(&decoded, skipped) } else { decoded.times.clone() };
        let (order, floor) = match self.other_order(&decoded) {
            Some(order) => (order, i64::MIN),
            None => (times.clone(), self.ready_time),
        };
        self.ready_time = times.last().map_or(self.ready_time, |time| self.ready_time.max(*time));
        let told = decoded.bad.partition_point(|bad| bad.offset < from);
        let points = Points::Source { code: self.code, floor, times: order, offsets: decoded.offsets.clone() };
        self.ready.push_back(Ready { decoded, points, times, taken: skipped, told });
        true
    }

    /// Where the partition starts, if the records at the position were deleted and no others wait.
    pub(super) fn deleted_to(&self) -> Option<Offset> {
        self.deleted_to.filter(|_| self.ready.is_empty())
    }

    /// The decided end of the partition.
    ///
    /// # Errors
    /// The topic cannot be asked.
    pub(super) fn end(&self) -> Result<Offset> {
        self.reader.as_ref().map_or(Ok(self.next), |reader| reader.end())
    }

    /// Goes on at a later offset, without the records before it. No rows wait.
    pub(super) fn skip_to(&mut self, offset: Offset) {
        debug_assert!(self.ready.is_empty() && offset >= self.next, "only records that cannot be read are skipped");
        (self.position, self.next, self.deleted_to) = (offset, offset, None);
    }

    /// What rows are ordered by instead of stream times, if a test has its own order.
    fn other_order(&self, decoded: &Decoded) -> Option<ScalarBuffer<i64>> {
        let first = decoded.offsets.first()?;
        self.placement.order(self.id, *first)?;
        let order = |offset: &Offset| self.placement.order(self.id, *offset).unwrap_or(i64::MAX);
        Some(decoded.offsets.iter().map(order).collect::<Vec<_>>().into())
    }

    /// Decodes until all records before an offset wait.
    ///
    /// For turns that are repeated after a restart.
    ///
    /// # Errors
    /// As for [`Cursor::fill`]; also kind `Backend` if the records are not there any more.
    pub(super) fn fill_to(&mut self, end: Offset) -> Result<()> {
        while self.next < end {
            if !self.fill()? {
                let message = format!("{} was read before a restart and cannot be read any more", self.name(self.next));
                return Err(match self.deleted_to {
                    Some(start) => Error::backend(format!("{message}: all records before offset {start} were deleted"))
                        .hint("DROP the query and CREATE it again: it cannot make its unfinished results anew"),
                    None => Error::backend(message),
                });
            }
        }
        Ok(())
    }

    /// The point up to which the partition brings no more rows than those that wait; none if it stands at its end.
    ///
    /// Later rows of the partition have this point or a later one.
    pub(super) fn frontier(&self) -> Option<Point> {
        let ready = self.ready.back()?;
        match ready.decoded.batch.rows() {
            // Only bad records were found: the next row comes at this time or later.
            0 => Some(Point { time: self.ready_time, code: self.code, offset: self.next - 1 }),
            rows => Some(ready.points.at(rows - 1)),
        }
    }

    /// Hands on the rows up to a point, at most up to the offset `end`. Bad records before the new position go to the log.
    ///
    /// Rows exactly at `until` are taken; `end` is outside.
    pub(super) fn take(&mut self, until: Point, end: Offset, log: &mut Log) -> Vec<Taken> {
        let mut taken = Vec::new();
        while let Some(ready) = self.ready.front_mut() {
            let rows = ready.decoded.batch.rows();
            let from = ready.taken;
            let mut count = ready.points.count_until(from, until);
            if end < ready.decoded.next {
                count = count.min(ready.decoded.offsets.partition_point(|offset| *offset < end).saturating_sub(from));
            }
            ready.taken += count;
            let whole = ready.taken == rows && end >= ready.decoded.next;
            if count > 0 {
                self.stream_time = self.stream_time.max(ready.times[ready.taken - 1]);
                let (decoded, points) = (ready.decoded.clone(), ready.points.clone());
                taken.push(Taken { decoded, points, from, count });
            }
            self.position = match (whole, ready.decoded.offsets.get(ready.taken)) {
                (true, _) => ready.decoded.next,
                (false, Some(next)) if *next < end => *next,
                (false, _) => end.clamp(self.position, ready.decoded.next),
            };
            tell(ready, (self.code, self.position), log);
            if !whole {
                break;
            }
            self.taken_bytes += ready.decoded.record_bytes;
            self.ready.pop_front();
        }
        taken
    }

    /// The name of a record, for messages.
    pub(super) fn name(&self, offset: Offset) -> String {
        format!("topic {} partition {} offset {offset}", self.topic, self.id.partition)
    }
}

/// The largest row time so far at each row, of those from `first` on: the query has not seen the rows before it.
///
/// `i64::MIN` for the rows before `first`, which are never taken.
fn times_from(decoded: &Decoded, first: usize) -> ScalarBuffer<i64> {
    let mut largest = i64::MIN;
    let time = |(row, time): (usize, &i64)| {
        largest = if row < first { i64::MIN } else { largest.max(*time) };
        largest
    };
    decoded.batch.time.iter().enumerate().map(time).collect::<Vec<_>>().into()
}

/// Reports the bad records of a partition before a position.
fn tell(ready: &mut Ready, (code, position): (u32, Offset), log: &mut Log) {
    while let Some(bad) = ready.decoded.bad.get(ready.told).filter(|bad| bad.offset < position) {
        let origin = |bad: &Bad| Point { time: 0, code, offset: bad.offset }.origin();
        log.add(bad.reason, [bad], origin, |bad| bad.message.to_string());
        ready.told += 1;
    }
}
