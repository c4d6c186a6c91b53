//! The exchange: each row to the task that its key belongs to, without leaving memory.
//!
//! Rows are not copied here. A batch gets a list of its rows, sorted by target, and each target refers to its part of
//! the list; the columns are gathered when the target takes the rows. Costs: one encoding of the key for each row and a
//! counting sort, O(rows + targets).
//!
//! The key is encoded as a topic with that key format would hold it, and the target is the partition that Kafka's own
//! partitioner would choose. So a task has the rows that the same task of ksqlDB gets from its repartition topic, and
//! stream time, lateness and order are the same for each.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::buffer::BooleanBuffer;

use super::merge::{Piece, Sent};
use super::placement::Placement;
use super::points::Causes;
use crate::error::Result;
use crate::formats::{Encoder, Encoding};
use crate::types::{Batch, SqlType, View};

/// Finds the task of each row.
pub(super) struct Exchange {
    /// The places and types of the key's columns. With none, all rows go to the first task.
    key: Vec<(usize, SqlType)>,
    encoder: Box<dyn Encoder>,
    /// The number of tasks of the next stage, at least 1.
    targets: u32,
    placement: Arc<dyn Placement>,
    scratch: (Vec<u8>, Vec<u8>),
}

/// The rows of a batch, task by task.
pub(super) struct Routed {
    sent: Arc<Sent>,
    /// Where the rows of each task start among the sent ones, and where the last end; empty if all go to the first task.
    ///
    /// `targets + 1` numbers otherwise.
    starts: Vec<u32>,
}

impl Routed {
    /// All rows of a batch, to one task.
    pub(super) fn whole(batch: Batch, causes: Causes) -> Self {
        Routed { sent: Arc::new(Sent { batch, causes, rows: None }), starts: Vec::new() }
    }

    /// The rows for a task, in a lane; nothing if there are none.
    pub(super) fn piece(&self, task: u32, lane: u32) -> Option<Piece> {
        let (from, to) = match self.starts.as_slice() {
            [] => (0, self.sent.batch.rows() as u32),
            starts => (starts[task as usize], starts[task as usize + 1]),
        };
        (from < to).then(|| Piece { sent: self.sent.clone(), lane, from, to })
    }

    /// Whether all rows go to the first task.
    pub(super) fn is_whole(&self) -> bool {
        self.starts.is_empty()
    }
}

/// The key's columns.
fn views<'a>(key: &[(usize, SqlType)], columns: &'a [ArrayRef]) -> Vec<View<'a>> {
    key.iter().map(|(place, t)| View::new(columns[*place].as_ref(), t)).collect()
}

impl Exchange {
    /// An exchange by the columns at these places, cut as a topic with keys in this encoding would be.
    pub(super) fn new(
        key: &[(usize, SqlType)],
        encoding: &Encoding,
        targets: u32,
        placement: Arc<dyn Placement>,
    ) -> Self {
        Exchange { key: key.to_vec(), encoder: encoding.encoder(), targets, placement, scratch: Default::default() }
    }

    /// Finds the tasks of a batch's rows; `from` is the task that made them.
    ///
    /// A row without a key goes to the task of the same number as the one that made it. Changes are cut also where there is
    /// one task only: their consumers rely on it.
    pub(super) fn route(&mut self, batch: Batch, causes: Causes, from: u32) -> Result<Routed> {
        if self.key.is_empty() {
            return Ok(Routed::whole(batch, causes));
        }
        let batch = if batch.old.is_some() { self.cut(batch)? } else { batch };
        if self.targets == 1 {
            return Ok(Routed::whole(batch, causes));
        }
        let targets = self.targets_of(&batch, from);
        Ok(self.sort(batch, causes, &targets))
    }

    /// The task of each row, by its columns. A deletion that was cut has the key that goes in them.
    fn targets_of(&mut self, batch: &Batch, from: u32) -> Vec<u32> {
        let views = views(&self.key, &batch.columns);
        let key = &mut self.scratch.0;
        let mut targets = Vec::with_capacity(batch.rows());
        for row in 0..batch.rows() {
            key.clear();
            let keyed = self.encoder.encode(&views, row, key);
            let key = keyed.then_some(key.as_slice());
            targets.push(self.placement.partition(key, from, self.targets));
        }
        targets
    }

    /// A change whose key differs on its two sides becomes two: a deletion for the task of the old key and a new row
    /// for that of the new key. A change that has neither side is dropped.
    fn cut(&mut self, batch: Batch) -> Result<Batch> {
        let says = BooleanBuffer::collect_bool(batch.rows(), |row| !batch.is_absent(row) || !batch.is_old_absent(row));
        let batch = batch.filter(&says)?;
        let moved = self.moved(&batch);
        batch.rekeyed(&moved)
    }

    /// The changes that have both sides, with different keys.
    fn moved(&mut self, batch: &Batch) -> BooleanBuffer {
        let Some(old) = &batch.old else { return BooleanBuffer::new_unset(batch.rows()) };
        let (new, old) = (views(&self.key, &batch.columns), views(&self.key, &old.columns));
        let (first, second) = &mut self.scratch;
        let encoder = &mut self.encoder;
        BooleanBuffer::collect_bool(batch.rows(), |row| {
            first.clear();
            second.clear();
            let keyed = (encoder.encode(&new, row, first), encoder.encode(&old, row, second));
            !batch.is_absent(row) && !batch.is_old_absent(row) && (keyed.0 != keyed.1 || first != second)
        })
    }

    /// The rows, sorted by their tasks; those of one task keep their order.
    ///
    /// A stable counting sort.
    fn sort(&self, batch: Batch, causes: Causes, targets: &[u32]) -> Routed {
        let mut starts = vec![0u32; self.targets as usize + 1];
        targets.iter().for_each(|target| starts[*target as usize + 1] += 1);
        (1..starts.len()).for_each(|i| starts[i] += starts[i - 1]);
        let mut next = starts.clone();
        let mut rows = vec![0u32; targets.len()];
        for (row, target) in targets.iter().enumerate() {
            let place = &mut next[*target as usize];
            rows[*place as usize] = row as u32;
            *place += 1;
        }
        Routed { sent: Arc::new(Sent { batch, causes, rows: Some(rows) }), starts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::find;
    use crate::runtime::placement::usual;
    use crate::topics::partition_of;
    use crate::types::{Column, Seq, Value, array_of};

    #[test]
    fn rows_go_where_a_topic_with_their_keys_would_have_them() {
        let columns = [Column::key("A", SqlType::Integer), Column::key("b c", SqlType::String)];
        let json = Encoding::of_key(find("JSON").expect("a format"), &columns).expect("columns that fit");
        let key = [(0, SqlType::Integer), (1, SqlType::String)];
        let mut exchange = Exchange::new(&key, &json, 7, usual());
        let numbers: Vec<Value> = (0..100).map(Value::Integer).collect();
        let names: Vec<Value> = (0..100).map(|number| Value::String(format!("n{number}"))).collect();
        let arrays = vec![array_of(&numbers, &SqlType::Integer), array_of(&names, &SqlType::String)];
        let batch = Batch::new(arrays, vec![0; 100].into(), Seq::From(0));
        let targets = exchange.targets_of(&batch, 0);
        for (number, target) in targets.iter().enumerate() {
            let bytes = format!("{{\"A\":{number},\"b c\":\"n{number}\"}}");
            assert_eq!(*target, partition_of(bytes.as_bytes(), 7), "{bytes}");
        }
    }
}
