//! Where rows of several partitions meet: they are put into the one order that does not depend on who came first.
//!
//! The order is that of merge points: stream time of the source partition, tables before streams, topic, partition,
//! offset; then the lane. It does not depend on threads or on the size of batches, so the same records give the same
//! results each time. Kafka Streams goes on with the partition whose first buffered record is the earliest; here the
//! running maximum of each partition decides, and what happens to be buffered does not matter.
//!
//! Costs: O(rows × log pieces) comparisons where rows alternate, and one comparison for each row where one piece is
//! ahead for long. A single lane needs no order at all and its batches pass through unchanged.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, UInt32Array};
use arrow::buffer::BooleanBuffer;
use arrow::compute;

use super::points::{Causes, Point, Points};
use crate::error::Result;
use crate::types::{Batch, OldSide, Seq, arrow_error};

/// Rows that were handed on together, with their causes.
pub(super) struct Sent {
    pub batch: Batch,
    pub causes: Causes,
    /// The rows of the batch, target by target; absent if all rows go to one target, in their order.
    ///
    /// Places in the batch.
    pub rows: Option<Vec<u32>>,
}

/// Rows on their way to one port of a task.
pub(super) struct Piece {
    pub sent: Arc<Sent>,
    /// Breaks ties between equal points: the port, then the task that the rows come from.
    ///
    /// See [`lane`].
    pub lane: u32,
    /// The rows that have not been taken, among those of `sent`.
    ///
    /// `from` is inside and `to` is outside; both count in the list of rows of `sent`, or in its batch if there is no
    /// list.
    pub from: u32,
    pub to: u32,
}

/// How far the rows of a task may be taken: up to this point, and up to this lane of those at the point itself.
pub(super) type Bound = (Point, u32);

/// No bound.
pub(super) const UNBOUND: Bound = (Point::END, u32::MAX);

/// The lane of rows that come to a port from a task.
///
/// The port in the upper 8 bits, the task in the lower 24.
pub(super) fn lane(port: usize, task: u32) -> u32 {
    (port as u32) << 24 | task
}

impl Piece {
    /// The row of the batch at an index.
    #[inline]
    fn row(&self, index: u32) -> usize {
        self.sent.rows.as_ref().map_or(index as usize, |rows| rows[index as usize] as usize)
    }

    #[inline]
    fn key(&self, index: u32) -> Bound {
        (self.sent.causes.of(self.sent.batch.seq.at(self.row(index))), self.lane)
    }

    /// The port that the rows come to.
    fn port(&self) -> usize {
        (self.lane >> 24) as usize
    }

    fn is_empty(&self) -> bool {
        self.from == self.to
    }

    /// The first rows that have not been taken, with the ordinals that they came with.
    fn first(&self, count: usize) -> Result<Batch> {
        let from = self.from as usize;
        match &self.sent.rows {
            None => Ok(self.sent.batch.slice(from, count)),
            Some(rows) => self.sent.batch.take(&rows[from..from + count]),
        }
    }
}

/// The rows of a task's ports in their common order.
pub(super) struct Merged {
    /// The batches of each port, in the order of their rows.
    pub ports: Vec<Vec<Batch>>,
    pub causes: Causes,
}

/// Takes the rows up to a bound out of the pieces and numbers them from `start`; `end` is the point of what no row causes.
/// Pieces of one lane must be in the order in which they were sent.
///
/// `start` is the ordinal of the first row taken; the rows of all ports are numbered together without gaps. Pieces that
/// were taken whole are removed, others keep their rest.
///
/// # Errors
/// Arrow's, and then a bug.
pub(super) fn merge(pieces: &mut Vec<Piece>, ports: usize, bound: Bound, start: u64, end: Point) -> Result<Merged> {
    let mut merged =
        Merged { ports: vec![Vec::new(); ports], causes: Causes { start, points: Points::default(), end } };
    pieces.retain(|piece| !piece.is_empty());
    if let Some(first) = pieces.first()
        && bound == UNBOUND
        && pieces.iter().all(|piece| piece.lane == first.lane)
    {
        // Nothing meets here.
        let port = first.port();
        let (mut next, mut points) = (start, Vec::with_capacity(pieces.len()));
        for piece in pieces.drain(..) {
            let (batch, own) = whole(&piece, next)?;
            next += batch.rows() as u64;
            points.push(own);
            merged.ports[port].push(batch);
        }
        merged.causes.points = Points::joined(points);
        return Ok(merged);
    }
    if let Some(lanes) = two_ports(pieces) {
        merged.causes.points = Points::Merged(Arc::new(merge_two(pieces, lanes, bound, start, &mut merged.ports)?));
        pieces.retain(|piece| !piece.is_empty());
        return Ok(merged);
    }
    let (order, points) = order(pieces, bound);
    if !order.is_empty() {
        merged.causes.points = Points::Merged(Arc::new(points));
        for (port, batches) in merged.ports.iter_mut().enumerate() {
            batches.extend(batch_of(pieces, &order, port, start)?);
        }
        for (piece, index) in &order {
            pieces[*piece as usize].from = index + 1;
        }
    }
    pieces.retain(|piece| !piece.is_empty());
    Ok(merged)
}

/// All rows of a piece, numbered from `start`.
///
/// Keeps the compact form of points where all rows come from one partition in their order.
fn whole(piece: &Piece, start: u64) -> Result<(Batch, Points)> {
    let sent = &piece.sent;
    let (from, count) = (piece.from as usize, (piece.to - piece.from) as usize);
    let mut batch = piece.first(count)?;
    batch.seq = Seq::From(start);
    let points = match (&sent.causes.points, &sent.batch.seq, &sent.rows) {
        (Points::Source { code, floor, times, offsets }, Seq::From(first), None) => {
            let at = (first - sent.causes.start) as usize + from;
            let (times, offsets) = (times.slice(at, count), offsets.slice(at, count));
            Points::Source { code: *code, floor: *floor, times, offsets }
        }
        _ => Points::Merged(Arc::new((piece.from..piece.to).map(|index| piece.key(index).0).collect())),
    };
    Ok((batch, points))
}

/// The lanes of the pieces if there are two and they lead to different ports.
fn two_ports(pieces: &[Piece]) -> Option<[u32; 2]> {
    let first = pieces.first()?.lane;
    let second = pieces.iter().find(|piece| piece.lane != first)?;
    let of_both = pieces.iter().all(|piece| piece.lane == first || piece.lane == second.lane);
    (of_both && second.port() != pieces[0].port()).then_some([first, second.lane])
}

/// Takes the rows up to a bound out of pieces of two lanes that lead to different ports; the points of all in their order.
///
/// What most joins get: each port gets the rows of one lane, which need not be gathered. Which row comes next cannot be
/// guessed, so nothing branches on it.
fn merge_two(
    pieces: &mut [Piece],
    lanes: [u32; 2],
    bound: Bound,
    start: u64,
    ports: &mut [Vec<Batch>],
) -> Result<Vec<Point>> {
    let points = lanes.map(|lane| {
        let own = pieces.iter().filter(|piece| piece.lane == lane);
        let mut points: Vec<Point> =
            own.flat_map(|piece| (piece.from..piece.to).map(|index| piece.key(index).0)).collect();
        points.truncate(points.partition_point(|point| (*point, lane) <= bound));
        points
    });
    let (all, seqs) = interleaved(&points, lanes[1] < lanes[0], start);
    let one_sided = points.iter().any(Vec::is_empty);
    for (lane, mut seqs) in lanes.into_iter().zip(seqs) {
        for piece in pieces.iter_mut().filter(|piece| piece.lane == lane) {
            let rest = seqs.split_off(seqs.len().min((piece.to - piece.from) as usize));
            let own = std::mem::replace(&mut seqs, rest);
            let Some(first) = own.first() else { break };
            let mut batch = piece.first(own.len())?;
            piece.from += own.len() as u32;
            batch.seq = if one_sided { Seq::From(*first) } else { Seq::Each(own.into()) };
            ports[piece.port()].push(batch);
        }
    }
    Ok(all)
}

/// The points of two lists in their order, and for each list the places of its points in it, counted from `start`.
///
/// Of equal points that of the second list comes first if `second_first`.
fn interleaved(points: &[Vec<Point>; 2], second_first: bool, start: u64) -> (Vec<Point>, [Vec<u64>; 2]) {
    let mut seqs = [vec![0; points[0].len()], vec![0; points[1].len()]];
    let mut all = Vec::with_capacity(points[0].len() + points[1].len());
    // Partitions are told apart by their codes, and rows of one partition by their offsets.
    let place = |point: &Point| i128::from(point.time) << 32 | i128::from(point.code);
    let mut next = [0, 0];
    while let (Some(left), Some(right)) = (points[0].get(next[0]), points[1].get(next[1])) {
        let winner = match (place(left), place(right)) {
            (a, b) if a != b => usize::from(b < a),
            _ => usize::from((right.offset, !second_first) < (left.offset, second_first)),
        };
        seqs[winner][next[winner]] = start + all.len() as u64;
        all.push(points[winner][next[winner]]);
        next[winner] += 1;
    }
    for (points, (seqs, next)) in points.iter().zip(seqs.iter_mut().zip(next)) {
        seqs[next..].iter_mut().zip(start + all.len() as u64..).for_each(|(seq, ordinal)| *seq = ordinal);
        all.extend_from_slice(&points[next..]);
    }
    (all, seqs)
}

/// A tournament over the pieces: each inner node knows who lost there, so that the next winner is found along one path.
struct Tournament<'a> {
    pieces: &'a [Piece],
    next: Vec<u32>,
    /// The key of each piece's next row; beyond every bound once it has none.
    ///
    /// One for each piece.
    keys: Vec<Bound>,
    /// Node 0 holds the winner, the others losers.
    nodes: Vec<u32>,
}

/// After every row, and after every bound.
const OVER: Bound = (Point { time: i64::MAX, code: u32::MAX, offset: i64::MAX }, u32::MAX);

impl<'a> Tournament<'a> {
    fn new(pieces: &'a [Piece]) -> Self {
        let next: Vec<u32> = pieces.iter().map(|piece| piece.from).collect();
        let keys = pieces.iter().map(|piece| piece.key(piece.from)).collect();
        let mut tournament = Tournament { pieces, next, keys, nodes: vec![u32::MAX; pieces.len()] };
        for piece in (0..pieces.len() as u32).rev() {
            tournament.enter(piece);
        }
        tournament
    }

    /// Whether the piece `left` comes before `right`; an empty place loses against nobody.
    fn comes_first(&self, left: u32, right: u32) -> bool {
        (self.keys[left as usize], left) < (self.keys[right as usize], right)
    }

    /// Lets a piece play for the first time: it stays where no opponent has come yet.
    fn enter(&mut self, piece: u32) {
        let mut winner = piece;
        let mut node = (self.pieces.len() + piece as usize) / 2;
        while node > 0 {
            let loser = self.nodes[node];
            if loser == u32::MAX {
                self.nodes[node] = winner;
                return;
            }
            if self.comes_first(loser, winner) {
                self.nodes[node] = winner;
                winner = loser;
            }
            node /= 2;
        }
        self.nodes[0] = winner;
    }

    /// Lets the winner play again with its next row.
    fn replay(&mut self) {
        let mut winner = self.nodes[0];
        let mut node = (self.pieces.len() + winner as usize) / 2;
        while node > 0 {
            let loser = self.nodes[node];
            if self.comes_first(loser, winner) {
                self.nodes[node] = winner;
                winner = loser;
            }
            node /= 2;
        }
        self.nodes[0] = winner;
    }

    /// The best of those that have lost against the winner.
    fn second(&self) -> Option<u32> {
        let mut node = (self.pieces.len() + self.nodes[0] as usize) / 2;
        let mut best = None;
        while node > 0 {
            let loser = self.nodes[node];
            if best.is_none_or(|best| self.comes_first(loser, best)) {
                best = Some(loser);
            }
            node /= 2;
        }
        best
    }

    /// Steps over the winner's row.
    fn advance(&mut self) {
        let winner = self.nodes[0] as usize;
        self.next[winner] += 1;
        let piece = &self.pieces[winner];
        self.keys[winner] = if self.next[winner] < piece.to { piece.key(self.next[winner]) } else { OVER };
    }
}

/// The rows of all pieces up to a bound, in their order: the piece and the index of the row in it; and the points of the rows.
///
/// Stops at the first row beyond the bound: all later ones are beyond it too.
fn order(pieces: &[Piece], bound: Bound) -> (Vec<(u32, u32)>, Vec<Point>) {
    let total = pieces.iter().map(|piece| (piece.to - piece.from) as usize).sum();
    let (mut order, mut points) = (Vec::with_capacity(total), Vec::with_capacity(total));
    if pieces.is_empty() {
        return (order, points);
    }
    let mut tournament = Tournament::new(pieces);
    while order.len() < total {
        let winner = tournament.nodes[0];
        let second = tournament.second();
        // The winner goes on as long as its rows come before those of all others.
        let before = |t: &Tournament| second.is_none_or(|second| t.comes_first(winner, second));
        loop {
            let index = tournament.next[winner as usize];
            if index == pieces[winner as usize].to || !before(&tournament) {
                break;
            }
            let key = tournament.keys[winner as usize];
            if key > bound {
                return (order, points);
            }
            order.push((winner, index));
            points.push(key.0);
            tournament.advance();
        }
        tournament.replay();
    }
    (order, points)
}

/// The rows that came to a port, numbered by their places in the order of all.
///
/// `None` if no row came to the port.
fn batch_of(pieces: &[Piece], order: &[(u32, u32)], port: usize, start: u64) -> Result<Option<Batch>> {
    // The pieces of the port, each with its place among them.
    let mut places = vec![usize::MAX; pieces.len()];
    let mut own: Vec<&Piece> = Vec::new();
    for (piece, place) in pieces.iter().zip(&mut places).filter(|(piece, _)| piece.port() == port) {
        *place = own.len();
        own.push(piece);
    }
    let mut rows: Vec<(usize, usize)> = Vec::with_capacity(order.len());
    let mut seqs: Vec<u64> = Vec::with_capacity(order.len());
    for (at, (piece, index)) in order.iter().enumerate() {
        let place = places[*piece as usize];
        if place != usize::MAX {
            rows.push((place, own[place].row(*index)));
            seqs.push(start + at as u64);
        }
    }
    if rows.is_empty() {
        return Ok(None);
    }
    let mut batch = gather_rows(&own, &rows)?;
    batch.seq = if rows.len() == order.len() { Seq::From(start) } else { Seq::Each(seqs.into()) };
    Ok(Some(batch))
}

/// The given rows of the pieces as one batch, without ordinals.
///
/// Neighbouring rows of one piece are sliced and not copied.
fn gather_rows(pieces: &[&Piece], rows: &[(usize, usize)]) -> Result<Batch> {
    let batches: Vec<&Batch> = pieces.iter().map(|piece| &piece.sent.batch).collect();
    if let [only] = batches.as_slice()
        && rows.windows(2).all(|pair| pair[0].1 + 1 == pair[1].1)
    {
        return Ok(only.slice(rows[0].1, rows.len()));
    }
    let column = |index: usize| gather(&batches.iter().map(|b| b.columns[index].as_ref()).collect::<Vec<_>>(), rows);
    let columns = (0..batches[0].columns.len()).map(column).collect::<Result<Vec<_>>>()?;
    let times: Vec<i64> = rows.iter().map(|(piece, row)| batches[*piece].time[*row]).collect();
    let mut batch = Batch::new(columns, times.into(), Seq::From(0));
    batch.absent = absent(&batches, rows, |batch| batch.absent.as_ref());
    batch.headers = headers(&batches, rows)?;
    batch.old = old(&batches, rows)?;
    Ok(batch)
}

/// Gathers rows of several arrays into one.
fn gather(arrays: &[&dyn Array], rows: &[(usize, usize)]) -> Result<ArrayRef> {
    if let [single] = arrays {
        let rows = UInt32Array::from_iter_values(rows.iter().map(|(_, row)| *row as u32));
        return compute::take(*single, &rows, None).map_err(arrow_error);
    }
    compute::interleave(arrays, rows).map_err(arrow_error)
}

/// The bits of all batches, if any batch has some.
fn absent<'a>(
    batches: &[&'a Batch],
    rows: &[(usize, usize)],
    bits: impl Fn(&'a Batch) -> Option<&'a BooleanBuffer>,
) -> Option<BooleanBuffer> {
    let all: Vec<_> = batches.iter().map(|batch| bits(batch)).collect();
    if all.iter().all(Option::is_none) {
        return None;
    }
    let is_set = |index: usize| {
        let (piece, row) = rows[index];
        all[piece].is_some_and(|bits| bits.value(row))
    };
    Some(BooleanBuffer::collect_bool(rows.len(), is_set))
}

fn headers(batches: &[&Batch], rows: &[(usize, usize)]) -> Result<Option<ArrayRef>> {
    let Some(some) = batches.iter().find_map(|batch| batch.headers.as_ref()) else { return Ok(None) };
    let none: Vec<_> = batches.iter().map(|b| arrow::array::new_null_array(some.data_type(), b.rows())).collect();
    let arrays: Vec<&dyn Array> =
        batches.iter().zip(&none).map(|(batch, none)| batch.headers.as_ref().unwrap_or(none).as_ref()).collect();
    gather(&arrays, rows).map(Some)
}

/// The old sides; either all batches have one, or none.
fn old(batches: &[&Batch], rows: &[(usize, usize)]) -> Result<Option<Box<OldSide>>> {
    let sides: Option<Vec<&OldSide>> = batches.iter().map(|batch| batch.old.as_deref()).collect();
    let Some(sides) = sides else { return Ok(None) };
    let column = |index: usize| gather(&sides.iter().map(|s| s.columns[index].as_ref()).collect::<Vec<_>>(), rows);
    let columns = (0..sides[0].columns.len()).map(column).collect::<Result<Vec<_>>>()?;
    let absent = absent(batches, rows, |batch| batch.old.as_ref().and_then(|old| old.absent.as_ref()));
    Ok(Some(Box::new(OldSide { columns, absent })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::double::Random;
    use crate::types::{SqlType, Value, array_of};

    /// A piece whose rows hold their code and offset.
    fn piece(code: u32, lane: u32, times: &[i64], rows: Option<Vec<u32>>) -> Piece {
        let values: Vec<Value> = (0..times.len()).map(|i| Value::Bigint(i64::from(code) * 1000 + i as i64)).collect();
        let column = array_of(&values, &SqlType::Bigint);
        let offsets: Vec<i64> = (0..times.len() as i64).collect();
        let points = Points::Source { code, floor: -1, times: times.to_vec().into(), offsets: offsets.into() };
        let causes = Causes { start: 0, points, end: Point::END };
        let to = rows.as_ref().map_or(times.len(), Vec::len) as u32;
        let batch = Batch::new(vec![column], times.to_vec().into(), Seq::From(0));
        Piece { sent: Arc::new(Sent { batch, causes, rows }), lane, from: 0, to }
    }

    fn shown(batch: &Batch) -> Vec<(i64, u64)> {
        let value = |row| match Value::at(&batch.columns[0], row, &SqlType::Bigint) {
            Value::Bigint(value) => value,
            other => panic!("{other:?}"),
        };
        (0..batch.rows()).map(|row| (value(row), batch.seq.at(row))).collect()
    }

    #[test]
    fn rows_are_taken_by_time_then_partition_then_offset() {
        let mut pieces =
            vec![piece(1, lane(0, 0), &[1, 1, 4], None), piece(2, lane(0, 1), &[1, 1, 3], Some(vec![0, 2]))];
        let merged = merge(&mut pieces, 1, UNBOUND, 70, Point::END).expect("no bug");
        let batch = merged.ports[0].first().expect("rows");
        assert_eq!(shown(batch), [(1000, 70), (1001, 71), (2000, 72), (2002, 73), (1002, 74)]);
        assert_eq!(merged.causes.of(73), Point { time: 3, code: 2, offset: 2 });
        assert_eq!(merged.causes.of(75), Point::END);
        assert!(pieces.is_empty());
    }

    #[test]
    fn two_ports_are_numbered_together() {
        let mut pieces = vec![piece(1, lane(0, 0), &[1, 5], None), piece(2, lane(1, 0), &[1, 2], None)];
        let merged = merge(&mut pieces, 2, UNBOUND, 100, Point::END).expect("no bug");
        let ports: Vec<_> = merged.ports.iter().flatten().map(shown).collect();
        assert_eq!(ports, [vec![(1000, 100), (1001, 103)], vec![(2000, 101), (2001, 102)]]);
    }

    #[test]
    fn a_record_comes_to_the_first_port_first() {
        let mut pieces = vec![piece(1, lane(1, 0), &[1, 5], None), piece(1, lane(0, 0), &[1, 5], None)];
        let merged = merge(&mut pieces, 2, UNBOUND, 0, Point::END).expect("no bug");
        let ports: Vec<_> = merged.ports.iter().flatten().map(shown).collect();
        assert_eq!(ports, [vec![(1000, 0), (1001, 2)], vec![(1000, 1), (1001, 3)]]);
    }

    #[test]
    fn rows_come_as_sorting_puts_them_however_they_are_bounded() {
        for seed in 0..400 {
            let mut random = Random::new(seed);
            let count = if random.one_in(2) { 2 } else { 1 + random.below(20) as u32 };
            let ports = 1 + random.below(2) as usize;
            // Two ports may read the same partition.
            let twice = ports == 2 && random.one_in(3);
            let make = |random: &mut Random, number: u32| {
                let mut time = 0;
                let times: Vec<i64> = (0..random.below(30))
                    .map(|_| {
                        time += random.below(4) as i64;
                        time
                    })
                    .collect();
                let rows = random.one_in(2).then(|| (0..times.len() as u32).filter(|_| random.one_in(2)).collect());
                let port = number as usize % ports;
                piece(if twice { number / 2 } else { number }, lane(port, number), &times, rows)
            };
            let mut pieces: Vec<Piece> = (0..count).map(|number| make(&mut random, number)).collect();
            if random.one_in(2) {
                pieces.reverse();
            }
            // Rows of one lane may come in several pieces.
            let cut = |piece: Piece| {
                let Piece { sent, lane, from, to } = piece;
                let middle = from + random.below(u64::from(to - from) + 1) as u32;
                let part = |(from, to)| Piece { sent: sent.clone(), lane, from, to };
                [(from, middle), (middle, to)].map(part)
            };
            pieces = pieces.into_iter().flat_map(cut).collect();
            let row = |piece: &Piece, index: u32| {
                let key = piece.key(index);
                (key, i64::from(key.0.code) * 1000 + piece.row(index) as i64)
            };
            let rows = |piece: &Piece| (piece.from..piece.to).map(|index| row(piece, index)).collect::<Vec<_>>();
            let mut sorted: Vec<(Bound, i64)> = pieces.iter().flat_map(rows).collect();
            sorted.sort();
            let mut found = Vec::new();
            while !pieces.is_empty() {
                let time = random.below(100) as i64;
                let bound = match random.below(3) {
                    0 => UNBOUND,
                    1 => (Point { time, code: 3, offset: 1 }, 3),
                    _ => (Point { time, code: u32::MAX, offset: 0 }, 0),
                };
                let merged = merge(&mut pieces, ports, bound, 0, Point::END).expect("no bug");
                let mut taken: Vec<(u64, i64, usize)> = Vec::new();
                for (port, batch) in
                    merged.ports.iter().enumerate().flat_map(|(p, all)| all.iter().map(move |b| (p, b)))
                {
                    taken.extend(shown(batch).into_iter().map(|(value, seq)| (seq, value, port)));
                }
                taken.sort_unstable();
                for (place, (seq, value, port)) in taken.into_iter().enumerate() {
                    let key = sorted[found.len()].0;
                    assert_eq!((seq, (key.1 >> 24) as usize), (place as u64, port), "seed {seed}");
                    assert_eq!(merged.causes.of(seq), key.0, "seed {seed}");
                    found.push(value);
                }
            }
            // A bound never lets a later row through before an earlier one.
            assert_eq!(found, sorted.iter().map(|(_, value)| *value).collect::<Vec<_>>(), "seed {seed}");
        }
    }
}
