//! Pull queries: tables as they are now.
//!
//! A pull sees a table as of a commit: it holds the query, waits until all that it did is decided, and reads its state
//! between two turns. So a pull waits for the decision of what the query has begun. While the query's state is still
//! being read after a start, a pull with keys reads the entries of these keys from runs and journal; one without keys
//! waits.
//!
//! Costs: a look-up for each key without windows; else a walk over all groups of the table.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::Int64Type;

use super::life::Life;
use super::running::Running;
use super::{Engine, Shared};
use crate::error::{Error, Result};
use crate::expr::{Compiled, Input, in_parts};
use crate::plan::table::Pull;
use crate::runtime::QueryRun;
use crate::types::{Batch, Column, SqlType, Value, View};

/// The rows of a pull query.
#[derive(Clone, Debug, Default)]
pub struct PullRows {
    /// The names and types of the result, in the order of the values in each row.
    pub columns: Vec<Column>,
    /// All rows of the result; each has one value for each column.
    pub rows: Vec<Vec<Value>>,
}

impl Engine {
    /// The rows of a table, as of its last commit.
    ///
    /// `LIMIT` cuts after all rows were found: partition by partition, in the order of their keys' bytes. Without it the
    /// order is not defined.
    ///
    /// # Errors
    /// Kind `Missing` if the query does not run, `Unsupported` if it keeps no table, `Backend` if the query or engine
    /// has failed or the disk is full, and whatever an expression says that is too large.
    pub fn pull(&self, pull: &Pull) -> Result<PullRows> {
        let id = pull.source.query.as_deref().ok_or_else(|| Error::bug("a table without a query was pulled"))?;
        let gone = || Error::missing(format!("the query {id} that keeps the table does not run"));
        let query = self.shared.queries.get(id).ok_or_else(gone)?;
        // Until all of its state is read, what belongs to a few keys is read by itself.
        let looked_up = match &pull.keys {
            Some(keys) => self.shared.look_up(&query, keys)?,
            None => None,
        };
        let found = match looked_up {
            Some(found) => Some(found),
            None => self.shared.read_committed(&query, &mut |run| run.table(pull.keys.as_deref()))?,
        };
        let batches = found.ok_or_else(|| {
            let name = &pull.source.name;
            Error::unsupported(format!("looking at the table {name}, whose query keeps no state"))
        })?;
        let mut rows = Vec::new();
        for batch in batches {
            rows.extend(pulled(pull, batch)?);
        }
        if let Some(limit) = pull.limit {
            rows.truncate(limit);
        }
        Ok(PullRows { columns: pull.items.iter().map(|(column, _)| column.clone()).collect(), rows })
    }
}

impl Shared {
    /// Looks at a query at a moment at which all that it did is committed.
    ///
    /// While it is held, the query begins no new turn; it finishes a turn that was left.
    fn read_committed<T>(
        self: &Arc<Self>,
        query: &Arc<Running>,
        look: &mut dyn FnMut(&mut QueryRun) -> Result<T>,
    ) -> Result<T> {
        query.hold();
        let result = self.read_held(query, look);
        query.release();
        self.wake(query);
        result
    }

    fn read_held<T>(
        self: &Arc<Self>,
        query: &Arc<Running>,
        look: &mut dyn FnMut(&mut QueryRun) -> Result<T>,
    ) -> Result<T> {
        let mut seen = 0;
        loop {
            self.progress.check()?;
            match query.life() {
                Life::Failed(error) => return Err(error.context(format!("query {} has failed: ", query.id))),
                // What it did last will never be committed.
                Life::Ended => return Err(Error::missing(format!("the query {} has ended", query.id))),
                _ if self.progress.is_closing() => return Err(Error::backend("the engine is shutting down")),
                Life::Created => {
                    seen = self.progress.wait(seen);
                    continue;
                }
                Life::Running | Life::Paused => {}
            }
            let dirty = {
                let mut run = query.lock();
                if !run.is_dirty() && query.is_settled() {
                    // Asked again now that all is settled: what was refused has ended the query.
                    self.progress.check()?;
                    match query.life() {
                        Life::Running | Life::Paused => return look(&mut run),
                        _ => continue,
                    }
                }
                run.is_dirty()
            };
            if dirty {
                self.step(query);
            }
            if self.is_manual() {
                self.pump()?;
            } else {
                seen = self.progress.wait(seen);
            }
            if let Some(reason) = self.blocked() {
                let message = format!("the results of query {} cannot be committed now: {reason}", query.id);
                return Err(Error::backend(message).hint("make room on the disk; it goes on by itself"));
            }
        }
    }
}

/// The rows of a batch that a pull query shows.
///
/// An expression that fails in a row gives NULL there; a condition that is not true leaves the row out.
fn pulled(pull: &Pull, batch: Batch) -> Result<Vec<Vec<Value>>> {
    let batch = match &batch.absent {
        Some(absent) => batch.clone().filter(&!absent)?,
        None => batch,
    };
    let batch = if pull.limit.is_some() && pull.keys.is_none() { in_key_order(pull, &batch)? } else { batch };
    let condition = pull.condition.as_ref().map(|condition| condition.compile(&pull.layout));
    let items: Vec<(Compiled, SqlType)> =
        pull.items.iter().map(|(column, expr)| (expr.compile(&pull.layout), column.sql_type.clone())).collect();
    let parts = in_parts(batch.rows(), &mut |part| {
        let columns = table_columns(pull, batch.slice(part.start, part.len()))?;
        let keep = match &condition {
            None => None,
            Some(condition) => {
                let values = condition.eval(&Input::all(&columns, part.len()))?.values;
                let holds = |row| values.as_boolean_opt().is_some_and(|v| v.is_valid(row) && v.value(row));
                Some(BooleanBuffer::collect_bool(part.len(), holds))
            }
        };
        let input = Input { columns: &columns, count: part.len(), reach: keep.as_ref() };
        let mut shown = Vec::new();
        for (expr, sql_type) in &items {
            shown.push((expr.eval(&input)?.values, sql_type));
        }
        let row = |row: usize| shown.iter().map(|(array, t)| Value::at(array.as_ref(), row, t)).collect();
        let keeps = |row: &usize| keep.as_ref().is_none_or(|keep| keep.value(*row));
        Ok((0..part.len()).filter(keeps).map(row).collect::<Vec<Vec<Value>>>())
    })?;
    Ok(parts.into_iter().flatten().collect())
}

/// The rows of a partition in the order of their keys' bytes, as Kafka Streams' stores have them; then in that of their
/// windows. So a LIMIT leaves the same rows each time.
fn in_key_order(pull: &Pull, batch: &Batch) -> Result<Batch> {
    let keys = pull.source.schema.keys();
    let views: Vec<View> = batch.columns.iter().zip(keys).map(|(a, c)| View::new(a.as_ref(), &c.sql_type)).collect();
    let starts = match pull.source.window {
        Some(_) => batch.columns.last().and_then(|start| start.as_primitive_opt::<Int64Type>()),
        None => None,
    };
    let mut encoder = pull.source.key.encoder();
    let mut rows: Vec<(Vec<u8>, i64, u32)> = Vec::with_capacity(batch.rows());
    for row in 0..batch.rows() {
        let mut key = Vec::new();
        encoder.encode(&views, row, &mut key);
        rows.push((key, starts.map_or(0, |starts| starts.value(row)), row as u32));
    }
    rows.sort_unstable();
    batch.take(&rows.into_iter().map(|(_, _, row)| row).collect::<Vec<u32>>())
}

/// The columns as a pull query's expressions expect them: the table's, the window's bounds, the row's time.
///
/// WINDOWSTART is the last column that the query gives; WINDOWEND is computed from it.
fn table_columns(pull: &Pull, batch: Batch) -> Result<Vec<arrow::array::ArrayRef>> {
    use arrow::array::Int64Array;
    let mut columns = batch.columns;
    if let Some(window) = pull.source.window {
        let size = window.size_ms.unwrap_or_default();
        let start = columns.last().ok_or_else(|| Error::bug("a windowed table without windows"))?;
        let ends = start.as_primitive::<Int64Type>().unary::<_, Int64Type>(|s| s + size);
        columns.push(Arc::new(ends));
    }
    columns.push(Arc::new(Int64Array::new(batch.time, None)));
    Ok(columns)
}
