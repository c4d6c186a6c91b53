//! The join of two streams: rows with equal keys whose times are close, as Kafka Streams pairs them.
//!
//! Every row is kept for its side and looks for partners on the other; what a row finds comes in the order of the partners'
//! times. Rows of a preserved side are also handed on without partner: without grace at once (a partner that comes later is
//! handed on too), with grace when stream time has passed everything that could still match.

mod parked;
mod store;
#[cfg(test)]
mod tests;

use arrow::array::{Array, ArrayRef};

use super::{Context, KeyBytes, Operator, OperatorTime, Reason, State};
use crate::error::{Error, Result};
use crate::state::{BucketId, Place};
use crate::types::row::Input;
use crate::types::{Batch, Builder, Seq, SqlType, View, key, row};
use parked::Parked;
use store::Store;

/// A side of a join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    Left = 0,
    Right = 1,
}

impl Side {
    fn other(self) -> Side {
        match self {
            Side::Left => Side::Right,
            Side::Right => Side::Left,
        }
    }
}

/// What a join reads of one side.
pub struct SideSpec {
    /// The place of the key.
    pub key: usize,
    /// The places and types of the columns that are handed on.
    pub columns: Vec<(usize, SqlType)>,
    /// Whether a row without partner is handed on.
    pub preserved: bool,
}

/// How a join is made.
pub struct Spec {
    pub sides: [SideSpec; 2],
    pub key_type: SqlType,
    pub before_ms: i64,
    pub after_ms: i64,
    /// How late a row may be; without it, a row without partner is handed on at once.
    pub grace_ms: Option<i64>,
    /// How long a row is kept beyond the bounds where there is no grace.
    pub implicit_grace_ms: i64,
    /// Orders the rows of one time that have waited in vain.
    pub key_bytes: KeyBytes,
}

impl Spec {
    fn grace(&self) -> i64 {
        self.grace_ms.unwrap_or(self.implicit_grace_ms)
    }

    /// How far behind and ahead of a row of `side` its partners may be.
    fn reach(&self, side: Side) -> (i64, i64) {
        match side {
            Side::Left => (self.before_ms, self.after_ms),
            Side::Right => (self.after_ms, self.before_ms),
        }
    }

    /// How far ahead of a row of `side` a partner may be.
    fn ahead(&self, side: Side) -> i64 {
        self.reach(side).1
    }
}

/// The join; hands on the key, the left side's columns and the right side's.
pub struct StreamJoin {
    spec: Spec,
    store: Store,
    /// The time of all rows of each side, also of those without key or value.
    times: [OperatorTime; 2],
    parked: Parked,
    scratch: Scratch,
}

/// Memory that is used again from batch to batch.
#[derive(Default)]
struct Scratch {
    sides: [Keys; 2],
    /// The columns of the row at hand, encoded.
    columns: Vec<u8>,
    found: Vec<(u32, u32)>,
}

/// The keys of a batch, encoded one after the other, and the numbers that the store gives them.
#[derive(Default)]
struct Keys {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    numbers: Vec<u32>,
}

impl Keys {
    fn of(&self, row: usize) -> (u32, &[u8]) {
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        (self.numbers[row], &self.bytes[start..self.ends[row]])
    }
}

/// The most rows of a batch that is handed on.
const MOST_ROWS: usize = 8192;

/// Pairs while they are put together.
struct Pairs {
    key: [Builder; 1],
    sides: [Vec<Builder>; 2],
    times: Vec<i64>,
    seqs: Vec<u64>,
    /// Which row's headers a pair takes.
    headers: Vec<(Side, u32)>,
}

/// The row that is being joined.
struct Current<'a> {
    side: Side,
    row: usize,
    time: i64,
    seq: u64,
    /// The number of the key and the key, encoded; none if it is NULL.
    key: Option<(u32, &'a [u8])>,
    /// The columns, encoded.
    bytes: &'a [u8],
}

impl StreamJoin {
    /// A join that has seen nothing.
    pub fn new(spec: Spec) -> Self {
        let retention = spec.before_ms.saturating_add(spec.after_ms).saturating_add(spec.grace());
        StreamJoin {
            store: Store::new(retention),
            times: [OperatorTime::default(); 2],
            parked: Parked::new(),
            scratch: Scratch::default(),
            spec,
        }
    }

    fn new_pairs(&self) -> Pairs {
        let side = |side: &SideSpec| side.columns.iter().map(|(_, t)| Builder::new(t, 0)).collect();
        Pairs {
            key: [Builder::new(&self.spec.key_type, 0)],
            sides: [side(&self.spec.sides[0]), side(&self.spec.sides[1])],
            times: Vec::new(),
            seqs: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// The stream time of the join: the larger of its inputs'.
    fn now(&self) -> i64 {
        self.times[0].now().max(self.times[1].now())
    }

    /// Takes a row that has a value.
    fn take(
        &mut self,
        current: &Current,
        limit: i64,
        found: &mut Vec<(u32, u32)>,
        pairs: &mut Pairs,
        cx: &mut Context,
    ) -> Result<()> {
        let preserved = self.spec.sides[current.side as usize].preserved;
        let Some((number, key)) = current.key else {
            if preserved {
                return pairs.push(None, current, current.side, current.bytes, None, current.time);
            }
            cx.log.add(Reason::NoKey, 1, || "a row without a key has no partner".to_owned());
            return Ok(());
        };
        let now = self.now();
        self.store.time(current.side).advance(current.time, limit);
        self.store.add(current.side, number, current.time, current.seq, current.bytes);
        if current.time >= now {
            self.flush_parked(current, now, pairs)?;
        }
        let (behind, ahead) = self.spec.reach(current.side);
        let (from, to) = (current.time.saturating_sub(behind), current.time.saturating_add(ahead));
        let mut matched = false;
        let parked = &mut self.parked;
        self.store.find(current.side.other(), number, from, to, found, &mut |time, ordinal, bytes| {
            matched = true;
            parked.remove(ordinal);
            pairs.push(Some(key), current, current.side, current.bytes, Some(bytes), current.time.max(time))
        })?;
        if !matched && preserved {
            if self.spec.grace_ms.is_none() || current.time.saturating_add(ahead) < now {
                return pairs.push(Some(key), current, current.side, current.bytes, None, current.time);
            }
            self.parked.park(current.side, current.time, key, current.seq, current.bytes);
        }
        Ok(())
    }

    /// Takes all rows of both inputs in their order.
    fn take_all(
        &mut self,
        inputs: &[Batch; 2],
        scratch: &mut Scratch,
        cx: &mut Context,
        out: &mut Vec<Batch>,
    ) -> Result<()> {
        let views = [0, 1].map(|side: usize| Views::new(&self.spec.sides[side], &self.spec.key_type, &inputs[side]));
        for (keys, (views, input)) in scratch.sides.iter_mut().zip(views.iter().zip(inputs)) {
            keys.bytes.clear();
            keys.ends.clear();
            keys.numbers.clear();
            for row in 0..input.rows() {
                key::encode(&views.key, row, &mut keys.bytes);
                keys.ends.push(keys.bytes.len());
            }
            self.store.keys(&keys.bytes, &keys.ends, &mut keys.numbers);
        }
        let Scratch { sides, columns, found } = scratch;
        let mut pairs = self.new_pairs();
        let mut next = [0, 0];
        while let Some(side) = first(inputs, next) {
            let (index, row) = (side as usize, next[side as usize]);
            next[index] += 1;
            let (time, seq) = (inputs[index].time[row], inputs[index].seq.at(row));
            let limit = cx.time_limits[index];
            self.times[index].advance(time, limit);
            if inputs[index].is_absent(row) {
                cx.log.add(Reason::NoValue, 1, || "a row without a value has no partner".to_owned());
                continue;
            }
            columns.clear();
            row::encode(&views[index].columns, row, columns);
            let there = !views[index].key.iter().any(|key| key.is_null(row));
            let key = there.then(|| sides[index].of(row));
            self.take(&Current { side, row, time, seq, key, bytes: columns }, limit, found, &mut pairs, cx)?;
            if pairs.times.len() >= MOST_ROWS {
                out.push(std::mem::replace(&mut pairs, self.new_pairs()).finish(inputs)?);
            }
        }
        if !pairs.times.is_empty() {
            out.push(pairs.finish(inputs)?);
        }
        Ok(())
    }

    /// Hands on the parked rows that nothing can match any more, before the row that made the time pass.
    fn flush_parked(&mut self, current: &Current, now: i64, pairs: &mut Pairs) -> Result<()> {
        let Some(grace) = self.spec.grace_ms else { return Ok(()) };
        let spec = &self.spec;
        let look = spec.ahead(current.side);
        let ahead = |side: Side| spec.ahead(side);
        self.parked.flush(now, look, grace, ahead, &spec.key_bytes, &mut |side, time, key, bytes| {
            pairs.push(Some(key), current, side, bytes, None, time)
        })
    }
}

impl Pairs {
    /// Adds a pair of a row of `side` and, if there is one, its partner.
    fn push(
        &mut self,
        key: Option<&[u8]>,
        current: &Current,
        side: Side,
        bytes: &[u8],
        partner: Option<&[u8]>,
        time: i64,
    ) -> Result<()> {
        match key {
            Some(key) => key::decode(&mut Input(key), &mut self.key)?,
            None => self.key[0].null(),
        }
        row::decode(bytes, &mut self.sides[side as usize])?;
        let other = &mut self.sides[side.other() as usize];
        match partner {
            Some(partner) => row::decode(partner, other)?,
            None => other.iter_mut().for_each(Builder::null),
        }
        self.times.push(time);
        self.seqs.push(current.seq);
        self.headers.push((current.side, current.row as u32));
        Ok(())
    }

    fn finish(self, inputs: &[Batch; 2]) -> Result<Batch> {
        let [key] = self.key;
        let [left, right] = self.sides;
        let columns = std::iter::once(key).chain(left).chain(right).map(Builder::finish).collect();
        let mut batch = Batch::new(columns, self.times.into(), Seq::Each(self.seqs.into()));
        batch.headers = headers(inputs, &self.headers)?;
        Ok(batch)
    }
}

/// The headers of the rows that caused the pairs, if any row has headers.
fn headers(inputs: &[Batch; 2], from: &[(Side, u32)]) -> Result<Option<ArrayRef>> {
    let Some(some) = inputs.iter().find_map(|b| b.headers.as_ref()) else { return Ok(None) };
    let none = arrow::array::new_null_array(some.data_type(), 1);
    let array = |side: usize| inputs[side].headers.as_ref().unwrap_or(&none).as_ref();
    let arrays: [&dyn Array; 2] = [array(0), array(1)];
    let places: Vec<(usize, usize)> = from
        .iter()
        .map(|(side, row)| (*side as usize, if inputs[*side as usize].headers.is_some() { *row as usize } else { 0 }))
        .collect();
    arrow::compute::interleave(&arrays, &places).map(Some).map_err(crate::types::arrow_error)
}

impl Operator for StreamJoin {
    fn process(&mut self, ports: Vec<Batch>, cx: &mut Context, out: &mut Vec<Batch>) -> Result<()> {
        let inputs: [Batch; 2] = ports.try_into().map_err(|_| Error::bug("a join has two inputs"))?;
        for side in [Side::Left, Side::Right] {
            let limit = cx.time_limits[side as usize];
            self.times[side as usize].start_turn(limit);
            self.store.time(side).start_turn(limit);
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        let taken = self.take_all(&inputs, &mut scratch, cx, out);
        self.scratch = scratch;
        taken
    }

    fn state(&mut self) -> Option<&mut dyn State> {
        Some(self)
    }
}

/// The columns of one side's rows; none if there are no rows.
struct Views<'a> {
    key: Vec<View<'a>>,
    columns: Vec<View<'a>>,
}

impl<'a> Views<'a> {
    fn new(spec: &SideSpec, key_type: &SqlType, input: &'a Batch) -> Self {
        if input.rows() == 0 {
            return Views { key: Vec::new(), columns: Vec::new() };
        }
        let view = |place: usize, sql_type: &SqlType| View::new(input.columns[place].as_ref(), sql_type);
        let columns = spec.columns.iter().map(|(place, t)| view(*place, t)).collect();
        Views { key: vec![view(spec.key, key_type)], columns }
    }
}

/// The side whose next row comes first.
fn first(inputs: &[Batch; 2], next: [usize; 2]) -> Option<Side> {
    let [left, right] = [0, 1].map(|i: usize| (next[i] < inputs[i].rows()).then(|| inputs[i].seq.at(next[i])));
    match (left, right) {
        (Some(l), Some(r)) if r < l => Some(Side::Right),
        (Some(_), _) => Some(Side::Left),
        (None, Some(_)) => Some(Side::Right),
        (None, None) => None,
    }
}

/// The bucket of what has no place in event time: parked rows go when they are handed on, not before.
const PARKED: BucketId = BucketId::MAX;

/// The key of an entry: whose it is, and the ordinal of the row.
fn entry_key(side: Side, ordinal: u64) -> [u8; 9] {
    let mut key = [side as u8; 9];
    key[1..].copy_from_slice(&ordinal.to_be_bytes());
    key
}

fn parse_key(key: &[u8]) -> Result<(Side, u64)> {
    let mut input = Input(key);
    let side = if input.byte()? == 0 { Side::Left } else { Side::Right };
    Ok((side, u64::from_be_bytes(input.array()?)))
}

impl State for StreamJoin {
    fn take_changes(&mut self, change: &mut dyn FnMut(BucketId, &[u8], Option<&[u8]>)) {
        for side in [Side::Left, Side::Right] {
            self.store.take_added(side, &mut |bucket, ordinal, value| {
                change(bucket, &entry_key(side, ordinal), Some(value));
            });
        }
        self.store.expire();
        self.parked.take_changes(&mut |key, value| change(PARKED, key, value));
    }

    fn save_times(&self, out: &mut Vec<u8>) {
        for side in [Side::Left, Side::Right] {
            self.times[side as usize].save(out);
            self.store.time_of(side).save(out);
        }
        out.extend_from_slice(&self.parked.least_time.to_le_bytes());
    }

    fn load(&mut self, bucket: BucketId, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        if bucket == PARKED {
            return self.parked.load(key, value);
        }
        let (side, ordinal) = parse_key(key)?;
        // Rows are never deleted one by one, only with their bucket.
        value.map_or(Ok(()), |value| self.store.load(side, bucket, ordinal, value))
    }

    fn load_times(&mut self, input: &mut Input) -> Result<()> {
        for side in [Side::Left, Side::Right] {
            self.times[side as usize] = OperatorTime::load(input)?;
            *self.store.time(side) = OperatorTime::load(input)?;
        }
        self.store.expire();
        self.parked.least_time = input.i64()?;
        Ok(())
    }

    fn buckets(&self) -> Vec<BucketId> {
        let mut all: Vec<BucketId> = self.store.buckets().collect();
        all.push(PARKED);
        all.sort_unstable();
        all.dedup();
        all
    }

    fn version(&self, bucket: BucketId) -> u64 {
        match bucket {
            PARKED => self.parked.version(),
            bucket => self.store.version(bucket),
        }
    }

    fn dump(&self, bucket: BucketId, from: Place, entry: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Option<Place> {
        if bucket == PARKED {
            return self.parked.dump(from, entry);
        }
        // A place is a side and a row of it.
        for side in [Side::Left, Side::Right].into_iter().filter(|side| *side as i64 >= from.0) {
            let start = if from.0 == side as i64 { from.1 } else { 0 };
            let each = &mut |ordinal, value: &[u8]| entry(&entry_key(side, ordinal), value);
            if let Some(next) = self.store.dump(side, bucket, start, each) {
                return Some(Place(side as i64, next));
            }
        }
        None
    }

    fn memory(&self) -> usize {
        self.store.memory() + self.parked.memory()
    }
}
