//! Pairs of rows, and the batch of their columns.

use arrow::array::{Array, ArrayRef};
use arrow::compute;

use super::store::Found;
use super::work::Cause;
use super::{SIDES, Side, StreamJoin};
use crate::error::{Error, Result};
use crate::operators::Output;
use crate::state::column::{Column, Origin, gather};
use crate::types::row::Input;
use crate::types::{Batch, Builder, Seq, arrow_error, key};

/// Pairs that will become a batch.
///
/// All lists have an entry for each pair. Only places are collected here; the columns are copied once, when
/// [`StreamJoin::gather`] makes a batch, so a wide row costs nothing while pairs are looked for.
pub(super) struct Pairs {
    /// Where the columns of each side are.
    ///
    /// [`Origin::None`] for the side that a row without partner lacks: its columns are NULL.
    origins: [Vec<Origin>; 2],
    /// The pairs that are rows that have waited, and the numbers of their keys; the key of all others is that of their cause.
    ///
    /// In the order of the pairs.
    waited: Vec<(u32, u32)>,
    /// The larger of both row times, in milliseconds since the epoch, as in Kafka Streams.
    times: Vec<i64>,
    /// Never falling, since pairs are added in the order of the rows that cause them.
    seqs: Vec<u64>,
    /// The side and the place in that side's batch of the turn; `None` where time passed without a row.
    causes: Vec<Option<(Side, u32)>>,
    /// An estimate: the bytes of both rows' columns and of the time.
    bytes: usize,
    /// The rows and the bytes at which a batch is full.
    most: (usize, usize),
}

/// A row of a pair.
#[derive(Clone, Copy)]
pub(super) struct PairRow {
    pub side: Side,
    /// Where its columns are.
    pub origin: Origin,
    /// In milliseconds since the epoch.
    pub time: i64,
    /// About how many bytes its columns take.
    pub bytes: u32,
}

impl Pairs {
    /// No pairs, of which about so many are expected; there is room for what fits into a batch of the output.
    pub(super) fn new(out: &Output, expected: usize) -> Self {
        let most = expected.min(out.batch_rows());
        Pairs {
            origins: [Vec::with_capacity(most), Vec::with_capacity(most)],
            waited: Vec::new(),
            times: Vec::with_capacity(most),
            seqs: Vec::with_capacity(most),
            causes: Vec::with_capacity(most),
            bytes: 0,
            most: (out.batch_rows(), out.batch_bytes()),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// About how many bytes the batch will have.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether another pair should be added.
    #[inline]
    pub(super) fn has_room(&self) -> bool {
        self.times.len() < self.most.0 && self.bytes < self.most.1
    }

    /// Adds a pair of a row with a partner.
    #[inline]
    pub(super) fn push(&mut self, cause: &Cause, row: PairRow, partner: &Found) {
        self.origins[row.side as usize].push(row.origin);
        self.origins[row.side.other() as usize].push(Origin::Stored(partner.slot, partner.row));
        self.end(cause, row.time.max(partner.time), row.bytes + partner.bytes);
    }

    /// Adds a row without partner.
    ///
    /// `waited` is the number of its key if it is not its own cause.
    #[inline]
    pub(super) fn push_alone(&mut self, cause: &Cause, row: PairRow, waited: Option<u32>) {
        if let Some(key) = waited {
            self.waited.push((self.times.len() as u32, key));
        }
        self.origins[row.side as usize].push(row.origin);
        self.origins[row.side.other() as usize].push(Origin::None);
        self.end(cause, row.time, row.bytes);
    }

    #[inline]
    fn end(&mut self, cause: &Cause, time: i64, bytes: u32) {
        self.times.push(time);
        self.seqs.push(cause.seq);
        self.causes.push(cause.row);
        self.bytes += bytes as usize + size_of::<i64>();
    }
}

/// Where the keys of rows that have waited are, behind those of both sides.
const WAITED: usize = 2;

impl StreamJoin {
    /// The batch of pairs.
    ///
    /// Columns: the key, those of the left side, those of the right side.
    ///
    /// # Errors
    /// Arrow's, and then a bug; or stored bytes of a nested value that are damaged.
    pub(super) fn gather(&self, pairs: Pairs) -> Result<Batch> {
        let mut columns = vec![self.key_column(&pairs)?];
        for side in SIDES {
            let batch = &self.work.input(side).batch;
            for (place, (input, sql_type)) in self.spec.sides[side as usize].columns.iter().enumerate() {
                let stored: Vec<&Column> = self.store.column(side, place);
                columns.push(gather(sql_type, &stored, batch.columns.get(*input), &pairs.origins[side as usize])?);
            }
        }
        let headers = self.headers(&pairs)?;
        let mut batch = Batch::new(columns, pairs.times.into(), Seq::Each(pairs.seqs.into()));
        batch.headers = headers;
        Ok(batch)
    }

    /// The keys of pairs: those of the rows that caused them, but of rows that have waited their own.
    fn key_column(&self, pairs: &Pairs) -> Result<ArrayRef> {
        let keys = SIDES.map(|side| self.work.input(side).batch.columns.get(self.spec.sides[side as usize].key));
        let none = arrow::array::new_empty_array(&self.spec.key_type.arrow());
        let [left, right] = keys.map(|key| key.unwrap_or(&none).as_ref());
        let mut waited = [Builder::new(&self.spec.key_type, pairs.waited.len())];
        for (_, key) in &pairs.waited {
            key::decode(&mut Input(self.store.key_of(*key)), &mut waited)?;
        }
        let [waited] = waited.map(Builder::finish);
        // Where each key is: in the keys of a side, or in those of the rows that have waited.
        let mut next = pairs.waited.iter().map(|(pair, _)| *pair as usize).enumerate().peekable();
        let place = |(pair, cause): (usize, &Option<(Side, u32)>)| match (next.next_if(|(_, at)| *at == pair), cause) {
            (Some((at, _)), _) => Ok((WAITED, at)),
            (None, Some((side, row))) => Ok((*side as usize, *row as usize)),
            (None, None) => Err(Error::bug("a pair that no row caused is a row that has waited")),
        };
        let places = pairs.causes.iter().enumerate().map(place).collect::<Result<Vec<_>>>()?;
        let arrays: [&dyn Array; 3] = [left, right, waited.as_ref()];
        let count = if pairs.waited.is_empty() { WAITED } else { arrays.len() };
        compute::interleave(&arrays[..count], &places).map_err(arrow_error)
    }

    /// The headers of the rows that caused the pairs, if any row has headers.
    ///
    /// A pair has the headers of the row that came second, as Kafka Streams forwards in the context of that record. A
    /// row that is handed on because another row let time pass has the headers of that other row.
    fn headers(&self, pairs: &Pairs) -> Result<Option<ArrayRef>> {
        let batches = SIDES.map(|side| &self.work.input(side).batch);
        let Some(some) = batches.iter().find_map(|b| b.headers.as_ref()) else { return Ok(None) };
        let none = arrow::array::new_null_array(some.data_type(), 1);
        let array = |side: Side| batches[side as usize].headers.as_ref().map(AsRef::as_ref);
        let arrays: [&dyn Array; 3] =
            [array(Side::Left).unwrap_or(none.as_ref()), array(Side::Right).unwrap_or(none.as_ref()), none.as_ref()];
        let place = |cause: &Option<(Side, u32)>| match cause {
            Some((side, row)) if array(*side).is_some() => (*side as usize, *row as usize),
            _ => (2, 0),
        };
        let places: Vec<(usize, usize)> = pairs.causes.iter().map(place).collect();
        compute::interleave(&arrays, &places).map(Some).map_err(arrow_error)
    }
}
