//! Runs a pull query of relations.
//!
//! A query runs on a thread of its own, in one partition, with a budget of memory and without files: what it cannot hold
//! is refused with the remedy. What the tables keep for it meanwhile counts as theirs.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use arrow::array::RecordBatch;
use datafusion::common::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, SessionStateBuilder};
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::SessionConfig;
use futures_util::StreamExt;

use super::lower::{Lower, column_id};
use super::source::Rows;
use super::{Budget, Limits, PullRows, outside, too_much};
use crate::catalog::SourceKind;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::plan::pull::Relations;
use crate::types::Value;
use crate::types::size_of_entries;

/// The stack of the thread of a query, in bytes.
const STACK_BYTES: usize = 128 << 20;

/// How often it is asked whether somebody still waits for the answer.
const LOOK: Duration = Duration::from_millis(20);

/// The rows of a query.
///
/// # Errors
/// A table cannot be read, the query takes more memory than it may, or it was stopped.
pub(super) fn rows(engine: &Engine, relations: &Relations, budget: &mut Budget) -> Result<PullRows> {
    // All tables are read as of the moment at which the query begins.
    let mut sources = HashMap::new();
    for source in relations.root.sources() {
        if !sources.contains_key(&source.name) {
            let rows = match source.kind {
                SourceKind::Table => Rows::Table(engine.snapshot(source)?),
                SourceKind::Stream => Rows::Stream(engine.stream_reads()),
            };
            sources.insert(source.name.clone(), Arc::new(rows));
        }
    }
    let limits = budget.limits;
    std::thread::scope(|scope| {
        let (send, receive) = mpsc::channel();
        // Planning goes as deep as the query is nested.
        let thread = std::thread::Builder::new().name("question".to_owned()).stack_size(STACK_BYTES);
        let work = move || {
            // Whoever waits for the answer is in this scope.
            let _ = send.send(answer(relations, sources, limits));
        };
        thread.spawn_scoped(scope, work).map_err(|e| Error::backend(format!("no thread for a query: {e}")))?;
        loop {
            match receive.recv_timeout(LOOK) {
                Ok(answer) => return answer,
                Err(RecvTimeoutError::Timeout) if budget.check().is_err() => limits.cancel(),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(Error::bug("the query panicked")),
            }
        }
    })
}

/// The rows of a query, computed on this thread.
fn answer(relations: &Relations, sources: HashMap<String, Arc<Rows>>, limits: &Limits) -> Result<PullRows> {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|error| Error::backend(format!("no runtime for a query: {error}")))?;
    runtime.block_on(run(relations, sources, limits)).map_err(inside)
}

async fn run(
    relations: &Relations,
    sources: HashMap<String, Arc<Rows>>,
    limits: &Limits,
) -> Result<PullRows, DataFusionError> {
    let mut stream = begin(relations, sources, limits).await?;
    let columns = relations.output.iter().map(|(column, _)| column.clone()).collect();
    let mut rows = PullRows { columns, rows: Vec::new() };
    let mut budget = Budget { limits, asker: None, bytes: 0 };
    while let Some(batch) = stream.next().await {
        budget.check().map_err(outside)?;
        take(relations, &batch?, (&mut rows.rows, &mut budget))?;
    }
    Ok(rows)
}

/// Plans a query and begins it.
async fn begin(
    relations: &Relations,
    sources: HashMap<String, Arc<Rows>>,
    limits: &Limits,
) -> Result<SendableRecordBatchStream, DataFusionError> {
    let plan = Lower { types: &relations.columns, rows: &sources, limits }.plan(&relations.root)?;
    let environment = super::environment(limits.memory_bytes)?;
    let session = SessionConfig::new().with_target_partitions(1);
    let state = SessionStateBuilder::new().with_config(session).with_runtime_env(environment).with_default_features();
    let state = state.build();
    let physical = state.create_physical_plan(&plan).await?;
    // Only what is read of the tables is kept from here on.
    drop((plan, sources));
    execute_stream(physical, state.task_ctx())
}

/// Adds the rows of a batch.
fn take(
    relations: &Relations,
    batch: &RecordBatch,
    (rows, budget): (&mut Vec<Vec<Value>>, &mut Budget<'_>),
) -> Result<(), DataFusionError> {
    let schema = batch.schema();
    let places: HashMap<_, _> =
        schema.fields().iter().enumerate().filter_map(|(at, field)| Some((column_id(field.name())?, at))).collect();
    let mut columns = Vec::new();
    for (column, id) in &relations.output {
        let lacks = || outside(Error::bug(format!("the result lacks the column {}", column.name)));
        columns.push((batch.column(*places.get(id).ok_or_else(lacks)?), &column.sql_type));
    }
    let count = batch.num_rows();
    let bytes = columns.iter().map(|(array, _)| size_of_entries(array.as_ref(), 0, count)).sum();
    budget.take(count * columns.len(), bytes).map_err(outside)?;
    let row = |row: usize| columns.iter().map(|(array, sql_type)| Value::at(array.as_ref(), row, sql_type)).collect();
    rows.extend((0..count).map(row));
    Ok(())
}

/// An error of ours that DataFusion carried, or its own.
fn inside(error: DataFusionError) -> Error {
    match error.find_root() {
        DataFusionError::External(own) => match own.downcast_ref::<Error>() {
            Some(own) => own.clone(),
            None => Error::bug(format!("the query cannot be executed: {error}")),
        },
        DataFusionError::ResourcesExhausted(_) => too_much(),
        _ => Error::bug(format!("the query cannot be executed: {error}")),
    }
}
