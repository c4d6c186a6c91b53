//! The join of two streams: rows with equal keys whose times are close, as Kafka Streams pairs them.
//!
//! Every row is kept for its side and looks for partners on the other; what a row finds comes in the order of the partners'
//! times. Rows of a preserved side are also handed on without partner: without grace at once (a partner that comes later is
//! handed on too), with grace when stream time has passed everything that could still match.
//!
//! A turn is joined in two steps: row by row an index says which rows make pairs, then the columns of many pairs are gathered
//! at once.

mod pairs;
mod parked;
mod state;
mod store;
#[cfg(test)]
mod tests;
mod work;

use super::{Context, Flow, KeyBytes, Operator, OperatorTime, Output, State};
use crate::error::{Error, Result};
use crate::state::BucketId;
use crate::types::{Batch, SqlType, View, key};
use parked::Parked;
use store::Store;
use work::Work;

/// A side of a join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The stream before JOIN.
    Left = 0,
    /// The stream after JOIN.
    Right = 1,
}

const SIDES: [Side; 2] = [Side::Left, Side::Right];

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
    /// What is read of the left stream, then of the right one.
    pub sides: [SideSpec; 2],
    /// The type of both keys.
    pub key_type: SqlType,
    /// How far before a left row its right partner may be, in milliseconds.
    pub before_ms: i64,
    /// How far after a left row its right partner may be, in milliseconds.
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
    work: Work,
}

impl StreamJoin {
    /// A join that has seen nothing.
    pub fn new(spec: Spec) -> Self {
        let retention = spec.before_ms.saturating_add(spec.after_ms).saturating_add(spec.grace());
        let types = |side: Side| spec.sides[side as usize].columns.iter().map(|(_, t)| t.clone()).collect();
        StreamJoin {
            store: Store::new(retention, SIDES.map(types)),
            times: [OperatorTime::default(); 2],
            parked: Parked::new(),
            work: Work::default(),
            spec,
        }
    }

    /// The stream time of the join: the larger of its inputs'.
    fn now(&self) -> i64 {
        self.times[0].now().max(self.times[1].now())
    }
}

impl Operator for StreamJoin {
    fn process(&mut self, port: usize, batch: Batch, _: &mut Context, _: &mut Output) -> Result<Flow> {
        let side = *SIDES.get(port).ok_or_else(|| Error::bug("a join has two inputs"))?;
        self.work.add(side, batch);
        Ok(Flow::Done)
    }

    fn advance(&mut self, cx: &mut Context, out: &mut Output) -> Result<Flow> {
        self.start_work()?;
        self.join(cx, out)
    }

    fn resume(&mut self, cx: &mut Context, out: &mut Output) -> Result<Flow> {
        self.join(cx, out)
    }

    fn touches(&self, port: usize, batch: &Batch, touch: &mut dyn FnMut(BucketId, &[u8])) {
        // The rows of a key lie in blocks of all buckets that can still be found: the key names them all.
        let Some(side) = SIDES.get(port) else { return };
        let spec = &self.spec.sides[*side as usize];
        let view = [View::new(batch.columns[spec.key].as_ref(), &self.spec.key_type)];
        let mut bytes = Vec::new();
        for row in 0..batch.rows() {
            let (behind, ahead) = self.spec.reach(*side);
            let time = batch.time[row];
            bytes.clear();
            key::encode(&view, row, &mut bytes);
            let (first, last) = (time.saturating_sub(behind), time.saturating_add(ahead));
            (self.store.bucket(first)..=self.store.bucket(last)).for_each(|bucket| touch(bucket, &bytes));
        }
    }

    fn state(&mut self) -> Option<&mut dyn State> {
        Some(self)
    }
}
