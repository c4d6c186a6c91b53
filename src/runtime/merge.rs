//! Where rows of several partitions meet: they are put into the one order that does not depend on who came first.

use arrow::array::Array;
use arrow::buffer::BooleanBuffer;

use super::piece::{Piece, Point, Points, gather};
use crate::error::Result;
use crate::types::{Batch, OldSide, Seq};

/// The rows of all pieces in their order: which piece, and which row of it.
fn order(pieces: &[Piece]) -> Vec<(usize, usize)> {
    let total = pieces.iter().map(Piece::len).sum();
    let mut merged = Vec::with_capacity(total);
    let mut heads: Vec<usize> = vec![0; pieces.len()];
    let head = |heads: &[usize], piece: usize| -> Option<Point> {
        (heads[piece] < pieces[piece].len()).then(|| pieces[piece].points.at(pieces[piece].row(heads[piece])))
    };
    let mut points: Vec<Option<Point>> = (0..pieces.len()).map(|p| head(&heads, p)).collect();
    while merged.len() < total {
        let (mut first, mut least, mut second) = (usize::MAX, None, None);
        for (piece, point) in points.iter().enumerate() {
            let Some(point) = point else { continue };
            if least.is_none_or(|least| *point < least) {
                (first, second, least) = (piece, least, Some(*point));
            } else if second.is_none_or(|second| *point < second) {
                second = Some(*point);
            }
        }
        // The piece goes on as long as its rows come before those of all others.
        while let Some(point) = points[first]
            && second.is_none_or(|second| point <= second)
        {
            merged.push((first, pieces[first].row(heads[first])));
            heads[first] += 1;
            points[first] = head(&heads, first);
        }
    }
    merged
}

/// The pieces as one batch, in order. `None` if there are no rows.
pub fn merge(mut pieces: Vec<Piece>) -> Result<Option<(Batch, Points)>> {
    pieces.retain(|piece| !piece.is_empty());
    if pieces.len() <= 1 {
        return pieces.pop().map(Piece::into_batch).transpose();
    }
    let places = order(&pieces);
    let column = |index: usize| {
        let arrays: Vec<&dyn Array> = pieces.iter().map(|p| p.batch.columns[index].as_ref()).collect();
        gather(&arrays, &places)
    };
    let columns = (0..pieces[0].batch.columns.len()).map(column).collect::<Result<Vec<_>>>()?;
    let times: Vec<i64> = places.iter().map(|(piece, row)| pieces[*piece].batch.time[*row]).collect();
    let mut batch = Batch::new(columns, times.into(), Seq::From(0));
    batch.absent = absent(&pieces, &places, |batch| batch.absent.as_ref());
    batch.headers = headers(&pieces, &places)?;
    batch.old = old(&pieces, &places)?;
    let mut points = Points::default();
    points.order.reserve(places.len());
    places.iter().for_each(|(piece, row)| points.push(pieces[*piece].points.at(*row)));
    Ok(Some((batch, points)))
}

/// The bits of all pieces, if any piece has some.
fn absent<'a>(
    pieces: &'a [Piece],
    places: &[(usize, usize)],
    bits: impl Fn(&'a Batch) -> Option<&'a BooleanBuffer>,
) -> Option<BooleanBuffer> {
    let all: Vec<_> = pieces.iter().map(|p| bits(&p.batch)).collect();
    if all.iter().all(Option::is_none) {
        return None;
    }
    let is_set = |index: usize| {
        let (piece, row) = places[index];
        all[piece].is_some_and(|bits| bits.value(row))
    };
    Some(BooleanBuffer::collect_bool(places.len(), is_set))
}

fn headers(pieces: &[Piece], places: &[(usize, usize)]) -> Result<Option<arrow::array::ArrayRef>> {
    let Some(some) = pieces.iter().find_map(|p| p.batch.headers.as_ref()) else { return Ok(None) };
    let none: Vec<_> = pieces.iter().map(|p| arrow::array::new_null_array(some.data_type(), p.batch.rows())).collect();
    let arrays: Vec<&dyn Array> =
        pieces.iter().zip(&none).map(|(p, none)| p.batch.headers.as_ref().unwrap_or(none).as_ref()).collect();
    gather(&arrays, places).map(Some)
}

/// The old sides; either all batches of a table have one, or none.
fn old(pieces: &[Piece], places: &[(usize, usize)]) -> Result<Option<Box<OldSide>>> {
    let sides: Option<Vec<&OldSide>> = pieces.iter().map(|p| p.batch.old.as_deref()).collect();
    let Some(sides) = sides else { return Ok(None) };
    let column = |index: usize| {
        let arrays: Vec<&dyn Array> = sides.iter().map(|s| s.columns[index].as_ref()).collect();
        gather(&arrays, places)
    };
    let columns = (0..sides[0].columns.len()).map(column).collect::<Result<Vec<_>>>()?;
    let absent = absent(pieces, places, |batch| batch.old.as_ref().and_then(|old| old.absent.as_ref()));
    Ok(Some(Box::new(OldSide { columns, absent })))
}

/// Numbers the rows of two inputs in the order in which they are taken together, from `start`; the places of all of them in
/// that order.
pub fn number(inputs: [(&mut Batch, &Points); 2], start: u64) -> Points {
    let [(left, left_points), (right, right_points)] = inputs;
    let (left_rows, right_rows) = (left.rows(), right.rows());
    let (mut left_seq, mut right_seq) = (Vec::with_capacity(left_rows), Vec::with_capacity(right_rows));
    let mut all = Points::default();
    while left_seq.len() < left_rows || right_seq.len() < right_rows {
        let seq = start + (left_seq.len() + right_seq.len()) as u64;
        let l = (left_seq.len() < left_rows).then(|| left_points.at(left_seq.len()));
        let r = (right_seq.len() < right_rows).then(|| right_points.at(right_seq.len()));
        match (l, r) {
            (Some(l), r) if r.is_none_or(|r| l <= r) => {
                left_seq.push(seq);
                all.push(l);
            }
            (_, Some(r)) => {
                right_seq.push(seq);
                all.push(r);
            }
            (_, None) => break,
        }
    }
    left.seq = Seq::Each(left_seq.into());
    right.seq = Seq::Each(right_seq.into());
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::piece::Codes;
    use crate::types::{SqlType, Value, array_of};

    fn piece(code: u32, order: &[i64]) -> Piece {
        let values: Vec<Value> = order.iter().map(|t| Value::Bigint(t * 10 + i64::from(code))).collect();
        let column = array_of(&values, &SqlType::Bigint);
        let offsets = (0..order.len() as i64).collect();
        let points = Points { order: order.to_vec(), codes: Codes::One(code), offsets };
        Piece { batch: Batch::new(vec![column], order.to_vec().into(), Seq::From(0)), points, rows: None }
    }

    #[test]
    fn rows_are_taken_by_time_then_partition_then_offset() {
        let mut picked = piece(2, &[1, 1, 3]);
        picked.rows = Some(vec![0, 2]);
        let (batch, points) = merge(vec![piece(1, &[1, 1, 4]), picked]).expect("no bug").expect("rows");
        let shown: Vec<Value> = (0..batch.rows()).map(|r| Value::at(&batch.columns[0], r, &SqlType::Bigint)).collect();
        assert_eq!(shown, [11, 11, 12, 32, 41].map(Value::Bigint));
        assert_eq!(points.at(3), Point { time: 3, code: 2, offset: 2 });
    }

    #[test]
    fn two_inputs_are_numbered_together() {
        let (left, right) = (piece(1, &[1, 5]), piece(2, &[1, 2]));
        let (mut l, mut r) = (left.batch, right.batch);
        let all = number([(&mut l, &left.points), (&mut r, &right.points)], 100);
        assert_eq!([l.seq.at(0), l.seq.at(1)], [100, 103]);
        assert_eq!([r.seq.at(0), r.seq.at(1)], [101, 102]);
        assert_eq!(all.order, [1, 1, 2, 5]);
    }
}
