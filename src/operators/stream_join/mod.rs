//! The join of two streams: rows with equal keys whose times are close, as Kafka Streams pairs them.
//!
//! Every row is kept for its side and looks for partners on the other; what a row finds comes in the order of the partners'
//! times. Rows of a preserved side are also handed on without partner: without grace at once (a partner that comes later is
//! handed on too), with grace when stream time has passed everything that could still match.
//!
//! A turn is joined in two steps: row by row an index says which rows make pairs, then the columns of many pairs are gathered
//! at once.
//!
//! A left row at `t` pairs with the right rows of the same key whose times are in `[t − before, t + after]`, both ends
//! included. `WITHIN 10 MINUTES` makes both 10 minutes: a left row at 10:30 pairs with right rows from 10:20 up to and
//! including 10:40. The pair has the larger of both times and the ordinal of the row that came second.
//!
//! ```text
//!                    row of a preserved side without partner
//! no GRACE           handed on at once; pairs with later partners follow
//! GRACE              waits until stream time passes time + reach + grace, then is handed on
//! ```
//!
//! A row can be found as long as the stream time of its side is less than its time plus `before + after + grace`. After
//! that it is dropped with its bucket. Costs of a row: one look-up of its key, one step for each row of the key on the
//! other side that is not older than the window allows, and one step for each newer row of its own side.

mod pairs;
mod parked;
mod rows;
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
///
/// A RIGHT JOIN comes here as a LEFT JOIN of the right stream with the left one, as ksqlDB does it; the left side is
/// then the stream after JOIN.
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
    ///
    /// A row in which it is NULL has no partner. It is handed on if its side is preserved, else counted under
    /// [`super::Reason::NoKey`].
    pub key: usize,
    /// The places and types of the columns that are handed on.
    pub columns: Vec<(usize, SqlType)>,
    /// Whether a row without partner is handed on.
    ///
    /// The first side of a LEFT JOIN, both sides of a FULL JOIN. A RIGHT JOIN comes here as a LEFT JOIN with its sides
    /// swapped.
    pub preserved: bool,
}

/// How a join is made.
pub struct Spec {
    /// What is read of the left stream, then of the right one.
    pub sides: [SideSpec; 2],
    /// The type of both keys.
    pub key_type: SqlType,
    /// How far before a left row its right partner may be, in milliseconds.
    ///
    /// Inclusive, and never negative.
    pub before_ms: i64,
    /// How far after a left row its right partner may be, in milliseconds.
    ///
    /// Inclusive, and never negative.
    pub after_ms: i64,
    /// How late a row may be; without it, a row without partner is handed on at once.
    ///
    /// Milliseconds of stream time. `Some(0)` differs from `None`: rows without partner wait until their window has
    /// passed.
    pub grace_ms: Option<i64>,
    /// How long a row is kept beyond the bounds where there is no grace.
    ///
    /// Decides only how long rows can be found, never when a row without partner is handed on.
    pub implicit_grace_ms: i64,
    /// Orders the rows of one time that have waited in vain.
    pub key_bytes: KeyBytes,
}

impl Spec {
    fn grace(&self) -> i64 {
        self.grace_ms.unwrap_or(self.implicit_grace_ms)
    }

    /// How far behind and ahead of a row of `side` its partners may be.
    ///
    /// The right side sees the bounds the other way round: if a partner may be 5 minutes before a left row, then a left
    /// row may be 5 minutes after its right partner.
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
    ///
    /// Decides when waiting rows can find no partner any more. What is expired is decided by a time that the store
    /// keeps for each side, which rows without key or value do not move.
    times: [OperatorTime; 2],
    parked: Parked,
    work: Work,
}

impl StreamJoin {
    /// A join without rows.
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
    ///
    /// −1 before the first row of either side.
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
