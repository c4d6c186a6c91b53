//! The rows of a turn, taken in their order: which of them make pairs.
//!
//! The rows of both sides are taken in the order of their ordinals, as if they had come one by one. For each row, in
//! this order:
//!
//! * the time of its side moves;
//! * a row without a value is counted and left out, one whose key is NULL is handed on alone or counted;
//! * the row is put into the store, unless it is expired;
//! * if its time is that of the join or later, waiting rows that can find no partner any more are handed on first, as
//!   Kafka Streams does;
//! * its partners on the other side are paired, the oldest first;
//! * if it found none and its side is preserved, it is handed on or waits.
//!
//! Pairs are only noted. A batch of them is gathered when it is full, and columns of new rows are copied into the store
//! just before that, so a pair can refer to a row of the same turn.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute;

use std::cmp::Reverse;

use super::pairs::{PairRow, Pairs};
use super::parked::{Deadline, Waiting};
use super::store::{Added, Found};
use super::{SIDES, Side, StreamJoin};
use crate::error::Result;
use crate::operators::{Context, Flow, Output, Reason};
use crate::state::column::Origin;
use crate::types::{Batch, SqlType, View, arrow_error, key};

/// The rows of a turn, and how far they are joined.
#[derive(Default)]
pub(super) struct Work {
    sides: [Input; 2],
    current: Option<Current>,
    /// Whether all rows of the step were taken, and time has passed as far as it may.
    ///
    /// Set before the last look at the time, which happens once a turn.
    is_over: bool,
    /// The partners of the current row that are still to be paired, the next one last.
    found: Vec<Found>,
    /// The rows that have waited in vain and are still to be handed on, the next one last.
    over: Vec<Waiting>,
    keys: (Vec<u8>, Vec<usize>),
}

/// The rows of a side.
#[derive(Default)]
pub(super) struct Input {
    /// What came in this turn and is not joined into `batch` yet.
    batches: Vec<Batch>,
    pub batch: Batch,
    next: usize,
    /// The number of each row's key.
    ///
    /// One for each row of `batch`; valid for this turn only, since the store may number keys anew at the end of an
    /// epoch.
    numbers: Vec<u32>,
    /// About how many bytes each row's columns take.
    bytes: Vec<u32>,
    /// The rows that were added to the store and whose columns were not yet: the slot and the row of the batch.
    added: Vec<(u32, u32)>,
}

/// The row that is being joined; none where time passed without a row.
#[derive(Clone, Copy)]
struct Current {
    row: Option<(Side, u32)>,
    time: i64,
    seq: u64,
    /// The number of the key.
    key: u32,
    /// Where the row's columns are.
    origin: Origin,
    bytes: u32,
    /// Whether it has found a partner. A row for which time passed counts as matched, so that it is not handed on
    /// itself.
    matched: bool,
    phase: Phase,
}

/// What is to be done next for a row.
#[derive(Clone, Copy, PartialEq)]
enum Phase {
    /// Hand on what has waited in vain.
    Over,
    /// Pair the row with its partners.
    Partners,
}

impl Work {
    /// Adds rows of a side to the turn.
    pub(super) fn add(&mut self, side: Side, batch: Batch) {
        self.sides[side as usize].batches.push(batch);
    }

    /// The rows of a side.
    pub(super) fn input(&self, side: Side) -> &Input {
        &self.sides[side as usize]
    }

    /// The side whose next row comes first.
    ///
    /// The rows of both ports are numbered together, so the two sides never have the same ordinal.
    fn first(&self) -> Option<Side> {
        let next = |side: Side| {
            let input = &self.sides[side as usize];
            (input.next < input.batch.rows()).then(|| input.batch.seq.at(input.next))
        };
        match (next(Side::Left), next(Side::Right)) {
            (Some(left), Some(right)) if right < left => Some(Side::Right),
            (Some(_), _) => Some(Side::Left),
            (None, Some(_)) => Some(Side::Right),
            (None, None) => None,
        }
    }

    /// The ordinal of the first row that is not joined to its end.
    fn next_seq(&self, end: u64) -> u64 {
        let next = |side: Side| self.sides[side as usize].batch.seq.at(self.sides[side as usize].next);
        self.current.map_or_else(|| self.first().map_or(end, next), |current| current.seq)
    }
}

/// How many rows ahead memory is asked for: the newest rows of keys, and then those rows.
///
/// Enough rows ahead that the memory has come when its row is taken, and few enough that it is still in the cache.
const FAR: usize = 16;
const NEAR: usize = 8;

/// Several batches as one.
///
/// The columns, times and ordinals of all, in their order. One batch, the usual case, is not copied.
fn concat(mut batches: Vec<Batch>) -> Result<Batch> {
    if batches.len() <= 1 {
        return Ok(batches.pop().unwrap_or_default());
    }
    let columns = (0..batches[0].columns.len()).map(|place| {
        let arrays: Vec<&dyn Array> = batches.iter().map(|batch| batch.columns[place].as_ref()).collect();
        compute::concat(&arrays).map_err(arrow_error)
    });
    let columns = columns.collect::<Result<_>>()?;
    let rows = || batches.iter().flat_map(|batch| (0..batch.rows()).map(move |row| (batch, row)));
    let time = rows().map(|(batch, row)| batch.time[row]).collect::<Vec<_>>();
    let seq = rows().map(|(batch, row)| batch.seq.at(row)).collect::<Vec<_>>();
    let mut all = Batch::new(columns, time.into(), crate::types::Seq::Each(seq.into()));
    if batches.iter().any(|batch| batch.absent.is_some()) {
        all.absent = Some(rows().map(|(batch, row)| batch.is_absent(row)).collect());
    }
    if let Some(some) = batches.iter().find_map(|batch| batch.headers.clone()) {
        let none = |batch: &Batch| arrow::array::new_null_array(some.data_type(), batch.rows());
        let headers: Vec<ArrayRef> =
            batches.iter().map(|batch| batch.headers.clone().unwrap_or_else(|| none(batch))).collect();
        let headers: Vec<&dyn Array> = headers.iter().map(AsRef::as_ref).collect();
        all.headers = Some(compute::concat(&headers).map_err(arrow_error)?);
    }
    Ok(all)
}

/// About how many bytes the columns at `places` take in each row.
///
/// An estimate that leaves out validity bits and offsets. Nested values cost a walk over their items, all others a
/// subtraction.
fn row_bytes(batch: &Batch, columns: &[(usize, SqlType)], bytes: &mut Vec<u32>) {
    bytes.clear();
    let fixed = |(_, sql_type): &(usize, SqlType)| sql_type.arrow().primitive_width().unwrap_or(1);
    let least: usize = columns.iter().map(fixed).sum();
    bytes.resize(batch.rows(), least as u32);
    for (place, sql_type) in columns {
        let column = &batch.columns[*place];
        let offsets = match sql_type {
            SqlType::String => column.as_string::<i32>().value_offsets(),
            SqlType::Bytes => column.as_binary::<i32>().value_offsets(),
            nested if nested.is_nested() => {
                let own = |row: usize| batch.row_bytes(row, &[*place]) as u32;
                bytes.iter_mut().enumerate().for_each(|(row, bytes)| *bytes += own(row));
                continue;
            }
            _ => continue,
        };
        bytes.iter_mut().zip(offsets.windows(2)).for_each(|(bytes, ends)| *bytes += (ends[1] - ends[0]) as u32);
    }
}

impl StreamJoin {
    /// Begins the work of a turn, for which all batches have come.
    ///
    /// # Errors
    /// A bug: the batches of a side have different columns.
    pub(super) fn start_work(&mut self) -> Result<()> {
        self.work.is_over = false;
        for side in SIDES {
            let spec = &self.spec.sides[side as usize];
            let input = &mut self.work.sides[side as usize];
            input.batch = concat(std::mem::take(&mut input.batches))?;
            input.next = 0;
            input.numbers.clear();
            if input.batch.rows() == 0 {
                continue;
            }
            row_bytes(&input.batch, &spec.columns, &mut input.bytes);
            let view = [View::new(input.batch.columns[spec.key].as_ref(), &self.spec.key_type)];
            let (keys, ends) = &mut self.work.keys;
            keys.clear();
            ends.clear();
            for row in 0..input.batch.rows() {
                key::encode(&view, row, keys);
                ends.push(keys.len());
            }
            self.store.keys(keys, ends, &mut input.numbers);
        }
        Ok(())
    }

    /// Joins until all rows of the turn are joined, or the output has enough.
    ///
    /// Called by both `advance` and `resume`: all that is needed to go on is in `self.work`.
    pub(super) fn join(&mut self, cx: &mut Context, out: &mut Output) -> Result<Flow> {
        loop {
            let rows = self.work.sides.iter().map(|input| input.batch.rows() - input.next).sum();
            let mut pairs = Pairs::new(out, rows);
            let more = self.fill(&mut pairs, cx)?;
            self.keep_columns();
            if !pairs.is_empty() {
                let bytes = pairs.bytes();
                out.push_sized(self.gather(pairs)?, bytes);
            }
            if !more {
                self.work.sides.iter_mut().for_each(|input| input.batch = Batch::default());
                return Ok(Flow::Done);
            }
            if !out.has_room() {
                return Ok(Flow::Left(self.work.next_seq(cx.end)));
            }
        }
    }

    /// Takes rows until there are enough pairs; whether there is more to do.
    fn fill(&mut self, pairs: &mut Pairs, cx: &mut Context) -> Result<bool> {
        loop {
            if let Some(current) = self.work.current.take()
                && let Some(left) = self.go_on(current, pairs)?
            {
                self.work.current = Some(left);
                return Ok(true);
            }
            if !pairs.has_room() {
                return Ok(true);
            }
            self.work.current = match self.work.first() {
                Some(side) => self.take(side, pairs, cx)?,
                None if std::mem::replace(&mut self.work.is_over, true) => return Ok(false),
                None => self.time_alone(cx)?,
            };
        }
    }

    /// Takes the next row of a side; nothing if it is done with at once.
    ///
    /// Returns the row with its partners looked up. The store's time moves only by rows that have a key and a value; it
    /// decides what can be found.
    fn take(&mut self, side: Side, pairs: &mut Pairs, cx: &mut Context) -> Result<Option<Current>> {
        self.prefetch(side);
        let input = &mut self.work.sides[side as usize];
        let row = input.next;
        input.next += 1;
        let (time, seq, limit) = (input.batch.time[row], input.batch.seq.at(row), cx.limits[side as usize]);
        let point = || (cx.point_ms)(seq);
        self.times[side as usize].advance(time, limit, point);
        if input.batch.is_absent(row) {
            cx.report(Reason::NoValue, &input.batch.seq, [row], |_| "a row without a value has no partner".to_owned());
            return Ok(None);
        }
        let spec = &self.spec.sides[side as usize];
        let (key, bytes, origin) = (input.numbers[row], input.bytes[row], Origin::Given(row as u32));
        let row = row as u32;
        let mut current =
            Current { row: Some((side, row)), time, seq, key, origin, bytes, matched: false, phase: Phase::Partners };
        if input.batch.columns[spec.key].is_null(row as usize) {
            if spec.preserved {
                pairs.push_alone(&current.cause(), PairRow { side, origin, time, bytes }, None);
            } else {
                let seq = &input.batch.seq;
                cx.report(Reason::NoKey, seq, [row as usize], |_| "a row without a key has no partner".to_owned());
            }
            return Ok(None);
        }
        let now = self.now();
        self.store.time(side).advance(time, limit, point);
        if !self.store.is_expired(side, time) {
            current.origin = self.keep(side, &current, row);
        }
        if time >= now && self.spec.grace_ms.is_some() {
            current.phase = Phase::Over;
            self.look_for_over(now, self.spec.ahead(side))?;
        }
        self.look_for_partners(side, &current);
        Ok(Some(current))
    }

    /// Asks for the memory that the next rows of a side will look at.
    #[inline]
    fn prefetch(&self, side: Side) {
        let input = &self.work.sides[side as usize];
        if let Some(key) = input.numbers.get(input.next + FAR) {
            self.store.prefetch_key(*key);
        }
        if let Some(key) = input.numbers.get(input.next + NEAR) {
            self.store.prefetch_row(side.other(), *key);
        }
    }

    /// All rows of the turn are taken: rows that waited in vain are handed on if the stream time has passed them.
    ///
    /// Returns a row that stands for no record: it only hands on what has waited.
    fn time_alone(&mut self, cx: &Context) -> Result<Option<Current>> {
        let before = self.now();
        for side in SIDES {
            let limit = cx.limit_after(side as usize);
            self.times[side as usize].lift(limit);
            self.store.time(side).lift(limit);
        }
        let now = self.now();
        if now == before || self.spec.grace_ms.is_none() {
            return Ok(None);
        }
        let look = SIDES.map(|side| self.spec.ahead(side));
        self.look_for_over(now, look[0].min(look[1]))?;
        let (origin, phase) = (Origin::None, Phase::Over);
        Ok(Some(Current { row: None, time: now, seq: cx.end, key: 0, origin, bytes: 0, matched: true, phase }))
    }

    /// Adds the row to the store; where its columns will be.
    fn keep(&mut self, side: Side, current: &Current, row: u32) -> Origin {
        let Current { key, time, seq: ordinal, bytes, .. } = *current;
        let (slot, place) = self.store.add(Added { side, key, time, ordinal, bytes });
        self.work.sides[side as usize].added.push((slot, row));
        Origin::Stored(slot, place)
    }

    /// Finds the waiting rows that can find no partner any more. `look_ms` is how far ahead a partner may be of the row
    /// that let time pass, for Kafka Streams' test whether to look at all.
    fn look_for_over(&mut self, now: i64, look_ms: i64) -> Result<()> {
        let Some(grace_ms) = self.spec.grace_ms else { return Ok(()) };
        let deadline = Deadline { now, grace_ms, look_ms, ahead_ms: SIDES.map(|side| self.spec.ahead(side)) };
        self.work.over = self.parked.over(&self.store, &deadline, &self.spec.key_bytes)?;
        self.work.over.reverse();
        Ok(())
    }

    fn look_for_partners(&mut self, side: Side, current: &Current) {
        let (behind, ahead) = self.spec.reach(side);
        let range = (current.time.saturating_sub(behind), current.time.saturating_add(ahead));
        self.store.find(side.other(), current.key, range, &mut self.work.found);
    }

    /// Makes the pairs of a row. Returns the rest of its work if there are enough pairs before its end.
    ///
    /// Returns `None` when the row is done with.
    fn go_on(&mut self, mut current: Current, pairs: &mut Pairs) -> Result<Option<Current>> {
        if current.phase == Phase::Over {
            while let Some(row) = self.work.over.pop() {
                self.hand_on_alone(&current, &row, pairs);
                if !pairs.has_room() {
                    return Ok(Some(current));
                }
            }
            current.phase = Phase::Partners;
        }
        let Some((side, row)) = current.row else { return Ok(None) };
        let cause = current.cause();
        let own = PairRow { side, origin: current.origin, time: current.time, bytes: current.bytes };
        while let Some(partner) = self.work.found.pop() {
            current.matched = true;
            if partner.waits {
                let place = (side.other(), partner.slot, partner.row);
                self.parked.release(&mut self.store, place, partner.ordinal);
            }
            pairs.push(&cause, own, &partner);
            if !pairs.has_room() {
                return Ok(Some(current));
            }
        }
        if !current.matched && self.spec.sides[side as usize].preserved {
            self.without_partner(side, row, current, pairs);
        }
        Ok(None)
    }

    /// A row of a preserved side has found no partner: it is handed on, or waits.
    ///
    /// A row that is already over (it came late, within grace) is handed on at once: nothing can match it any more. An
    /// expired row that must wait is put into the store for its columns only; nothing finds it.
    fn without_partner(&mut self, side: Side, row: u32, current: Current, pairs: &mut Pairs) {
        let Current { time, seq, bytes, .. } = current;
        let over = time.saturating_add(self.spec.ahead(side)) < self.now();
        if self.spec.grace_ms.is_none() || over {
            let own = PairRow { side, origin: current.origin, time, bytes };
            return pairs.push_alone(&current.cause(), own, None);
        }
        let origin = match current.origin {
            Origin::Stored(..) => current.origin,
            _ => self.keep(side, &current, row),
        };
        if let Origin::Stored(slot, row) = origin {
            self.parked.park(&mut self.store, Waiting { time, side: Reverse(side), ordinal: seq, slot, row });
        }
    }

    /// Hands on a row that has waited in vain.
    fn hand_on_alone(&mut self, current: &Current, row: &Waiting, pairs: &mut Pairs) {
        let Waiting { time, side: Reverse(side), ordinal, slot, row } = *row;
        self.parked.release(&mut self.store, (side, slot, row), ordinal);
        let (bytes, key) = (self.store.bytes(side, slot, row), self.store.key_number(side, slot, row));
        let own = PairRow { side, origin: Origin::Stored(slot, row), time, bytes };
        pairs.push_alone(&current.cause(), own, Some(key));
    }

    /// Appends the columns of the rows that were added to the store.
    fn keep_columns(&mut self) {
        for side in SIDES {
            let input = &mut self.work.sides[side as usize];
            let arrays: Vec<ArrayRef> = if input.added.is_empty() {
                continue;
            } else {
                self.spec.sides[side as usize].columns.iter().map(|(p, _)| input.batch.columns[*p].clone()).collect()
            };
            let added = std::mem::take(&mut input.added);
            let mut rows = Vec::with_capacity(added.len());
            for run in added.chunk_by(|a, b| a.0 == b.0) {
                rows.clear();
                rows.extend(run.iter().map(|(_, row)| *row));
                self.store.fill(side, &arrays, run[0].0, &rows);
            }
        }
    }
}

/// What caused a pair.
#[derive(Clone, Copy)]
pub(super) struct Cause {
    /// The ordinal that the pairs get.
    pub seq: u64,
    /// The row, if it was one.
    pub row: Option<(Side, u32)>,
}

impl Current {
    fn cause(&self) -> Cause {
        Cause { seq: self.seq, row: self.row }
    }
}
