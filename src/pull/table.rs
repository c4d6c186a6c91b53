//! A look at one table: rows by key or by a walk, a condition, and expressions.
//!
//! An expression that fails in a row gives NULL there; a condition that is not true leaves the row out.
//!
//! `LIMIT` cuts partition by partition, in the order of the keys' bytes, as Kafka Streams' stores have them, and then in
//! that of the windows; so it leaves the same rows each time. Without it the order is not defined.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::Int64Type;

use super::{Budget, Limits, PullRows};
use crate::catalog::Source;
use crate::config::Properties;
use crate::engine::{Engine, TableReader};
use crate::error::{Error, Result};
use crate::expr::{Compiled, Input, in_parts};
use crate::operators::table::WindowRange;
use crate::plan::table::Pull;
use crate::types::{Batch, Column, SqlType, Value, View, size_of_entries};

/// A row of the result with its place in a store: the bytes of its key, then the start of its window.
type Placed = ((Vec<u8>, i64), Vec<Value>);

/// How many keys are looked up at once at most.
const MOST_AT_ONCE: usize = 16;

/// How many rows of a partition may wait to be ordered, besides twice the limit.
const MOST_UNORDERED: usize = 8192;

/// A look at a few keys of a table, each in one window, which waits for nothing but the turn that its query is in.
pub struct Soon {
    prepared: Arc<Prepared>,
    keys: Vec<Vec<Value>>,
    limits: Limits,
}

/// What is shown of a table, for any keys.
pub struct Prepared {
    pull: Pull,
    columns: Vec<Column>,
    evaluate: Evaluate,
}

impl Soon {
    /// `None` if the query does not look at a few keys.
    pub(super) fn of(engine: &Engine, (mut pull, columns): (Pull, Vec<Column>), own: &Properties) -> Option<Soon> {
        // A key can have any number of windows.
        let is_few = pull.source.window.is_none() || pull.starts.start() == pull.starts.end();
        let keys = pull.keys.take().filter(|keys| is_few && keys.len() <= MOST_AT_ONCE)?;
        if pull.is_of_key {
            // Only rows of that key are found.
            pull.condition = None;
        }
        let prepared = Prepared { evaluate: Evaluate::new(&pull), columns, pull };
        Some(Soon { prepared: Arc::new(prepared), keys, limits: Limits::new(engine, own) })
    }

    /// What serves other texts, too, that differ from this one only in the literal that is the key: this one has `literal`.
    /// `None` if there is nothing of that kind.
    pub fn prepared(&self, literal: &Value) -> Option<Arc<Prepared>> {
        let [key] = self.keys.as_slice() else { return None };
        (self.prepared.pull.is_of_key && key.as_slice() == std::slice::from_ref(literal)).then(|| self.prepared.clone())
    }

    /// Has the rows found; see [`Engine::look_up_soon`].
    ///
    /// # Errors
    /// As there.
    pub fn find(&self, engine: &Engine, then: Box<dyn FnOnce(Result<Option<Vec<Batch>>>) + Send>) -> Result<()> {
        let pull = &self.prepared.pull;
        let windows = WindowRange { starts: pull.starts.clone() };
        engine.look_up_soon(&pull.source, windows, self.keys.clone(), then)
    }

    /// The rows that are shown of those that were found.
    ///
    /// # Errors
    /// As for [`super::rows`].
    pub fn rows(self, found: Vec<Batch>) -> Result<PullRows> {
        let mut budget = Budget { limits: &self.limits, asker: None, bytes: 0 };
        budget.check()?;
        let Prepared { pull, columns, evaluate } = &*self.prepared;
        Ok(PullRows { rows: shown((pull, evaluate), found, &mut budget)?, columns: columns.clone() })
    }

    /// A look at another key of the same table.
    pub fn at(engine: &Engine, prepared: Arc<Prepared>, key: Value) -> Soon {
        Soon { prepared, keys: vec![vec![key]], limits: Limits::of(engine, engine.properties()) }
    }

    /// The same look once more.
    #[cfg(test)]
    pub(crate) fn another(&self) -> Soon {
        Soon { prepared: self.prepared.clone(), keys: self.keys.clone(), limits: self.limits.clone() }
    }

    /// The rows, on a thread that may wait; `None` if more must be waited for than a turn.
    #[cfg(test)]
    pub(crate) fn wait(self, engine: &Engine) -> Result<Option<PullRows>> {
        let (send, found) = std::sync::mpsc::channel();
        self.find(engine, Box::new(move |found| send.send(found).expect("somebody waits")))?;
        found.recv().expect("an answer")?.map(|found| self.rows(found)).transpose()
    }
}

/// The rows that a look at some keys shows of those that were found.
fn shown((pull, evaluate): (&Pull, &Evaluate), found: Vec<Batch>, budget: &mut Budget) -> Result<Vec<Vec<Value>>> {
    let mut rows = Vec::new();
    for batch in found {
        rows.extend(evaluate.rows(batch, budget)?);
    }
    rows.truncate(pull.limit.unwrap_or(usize::MAX));
    Ok(rows)
}

/// The rows of a look at a table.
///
/// # Errors
/// Those of [`Engine::table_rows`], and whatever an expression says that is too large.
pub(super) fn rows(engine: &Engine, pull: &Pull, budget: &mut Budget) -> Result<Vec<Vec<Value>>> {
    let windows = WindowRange { starts: pull.starts.clone() };
    let evaluate = Evaluate::new(pull);
    if let Some(keys) = &pull.keys {
        return shown((pull, &evaluate), engine.table_rows(&pull.source, &windows, keys)?, budget);
    }
    let mut rows = Vec::new();
    match pull.limit {
        None => {
            let mut reader = TableReader::new(engine.snapshot(&pull.source)?, windows);
            while let Some(batches) = reader.read()? {
                budget.check()?;
                for batch in batches {
                    rows.extend(evaluate.rows(batch, budget)?);
                }
            }
        }
        Some(limit) => rows = first(engine, (pull, &evaluate), windows, (limit, budget))?,
    }
    Ok(rows)
}

/// The first rows of a walk.
fn first(
    engine: &Engine,
    (pull, evaluate): (&Pull, &Evaluate),
    windows: WindowRange,
    (limit, budget): (usize, &mut Budget),
) -> Result<Vec<Vec<Value>>> {
    let mut reader = TableReader::in_order(engine.snapshot(&pull.source)?, windows);
    let (mut rows, mut placed) = (Vec::new(), Vec::<Placed>::new());
    let mut partition = reader.partition();
    let order = |placed: &mut Vec<Placed>, most: usize| {
        placed.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        placed.truncate(most);
    };
    while rows.len() < limit {
        budget.check()?;
        let read = reader.read()?;
        for batch in read.iter().flatten() {
            placed.extend(evaluate.placed(&pull.source, batch.clone(), budget)?);
        }
        if placed.len() > limit.saturating_mul(2).saturating_add(MOST_UNORDERED) {
            order(&mut placed, limit);
        }
        if reader.partition() != partition || read.is_none() {
            order(&mut placed, limit - rows.len());
            rows.extend(placed.drain(..).map(|(_, row)| row));
            partition = reader.partition();
        }
        if read.is_none() {
            break;
        }
    }
    Ok(rows)
}

/// The condition and the expressions of a look at a table.
struct Evaluate {
    source: Arc<Source>,
    condition: Option<Compiled>,
    items: Vec<(Compiled, SqlType)>,
}

impl Evaluate {
    fn new(pull: &Pull) -> Self {
        let item = |(column, expr): &(crate::types::Column, crate::expr::Expr)| {
            (expr.compile(&pull.layout), column.sql_type.clone())
        };
        Evaluate {
            source: pull.source.clone(),
            condition: pull.condition.as_ref().map(|condition| condition.compile(&pull.layout)),
            items: pull.items.iter().map(item).collect(),
        }
    }

    /// The rows of a batch that the query shows.
    fn rows(&self, batch: Batch, budget: &mut Budget) -> Result<Vec<Vec<Value>>> {
        Ok(self.numbered(batch, budget)?.into_iter().map(|(_, row)| row).collect())
    }

    /// The same, each with its place in a store.
    fn placed(&self, source: &Source, batch: Batch, budget: &mut Budget) -> Result<Vec<Placed>> {
        let places = places(source, &batch);
        let rows = self.numbered(batch, budget)?;
        Ok(rows.into_iter().map(|(row, values)| (places[row].clone(), values)).collect())
    }

    /// The same, each with its place in the batch.
    fn numbered(&self, batch: Batch, budget: &mut Budget) -> Result<Vec<(usize, Vec<Value>)>> {
        let parts = in_parts(batch.rows(), &mut |part| {
            let columns = columns(&self.source, batch.slice(part.start, part.len()))?;
            let keep = match &self.condition {
                None => None,
                Some(condition) => {
                    let values = condition.eval(&Input::all(&columns, part.len()))?.values;
                    let holds = |row| values.as_boolean_opt().is_some_and(|v| v.is_valid(row) && v.value(row));
                    Some(BooleanBuffer::collect_bool(part.len(), holds))
                }
            };
            let input = Input { columns: &columns, count: part.len(), reach: keep.as_ref() };
            let mut shown = Vec::new();
            for (expr, sql_type) in &self.items {
                shown.push((expr.eval(&input)?.values, sql_type));
            }
            let row = |row: usize| {
                let values = shown.iter().map(|(array, t)| Value::at(array.as_ref(), row, t)).collect();
                (part.start + row, values)
            };
            let kept = keep.as_ref().map_or(part.len(), BooleanBuffer::count_set_bits);
            let bytes: usize = shown.iter().map(|(array, _)| size_of_entries(array.as_ref(), 0, part.len())).sum();
            budget.take(kept * shown.len(), bytes / part.len().max(1) * kept)?;
            let keeps = |row: &usize| keep.as_ref().is_none_or(|keep| keep.value(*row));
            Ok((0..part.len()).filter(keeps).map(row).collect::<Vec<_>>())
        })?;
        Ok(parts.into_iter().flatten().collect())
    }
}

/// The bytes of the key of each row, and the start of its window.
fn places(source: &Source, batch: &Batch) -> Vec<(Vec<u8>, i64)> {
    let keys = source.schema.keys();
    let views: Vec<View> = batch.columns.iter().zip(keys).map(|(a, c)| View::new(a.as_ref(), &c.sql_type)).collect();
    let starts = match source.window {
        Some(_) => batch.columns.last().and_then(|start| start.as_primitive_opt::<Int64Type>()),
        None => None,
    };
    let mut encoder = source.key.encoder();
    let place = |row: usize| {
        let mut key = Vec::new();
        encoder.encode(&views, row, &mut key);
        (key, starts.map_or(0, |starts| starts.value(row)))
    };
    (0..batch.rows()).map(place).collect()
}

/// The columns as expressions expect them: the table's, the window's bounds, the row's time.
///
/// WINDOWSTART is the last column of a batch; WINDOWEND is computed from it.
pub(super) fn columns(source: &Source, batch: Batch) -> Result<Vec<ArrayRef>> {
    let mut columns = batch.columns;
    if let Some(window) = source.window {
        let size = window.size_ms.unwrap_or_default();
        let start = columns.last().ok_or_else(|| Error::bug("a windowed table without windows"))?;
        let ends = start.as_primitive::<Int64Type>().unary::<_, Int64Type>(|s| s + size);
        columns.push(Arc::new(ends));
    }
    columns.push(Arc::new(Int64Array::new(batch.time, None)));
    Ok(columns)
}
