//! Runs a pull query of relations.
//!
//! A query runs on the thread that asks, in one partition, with a budget of memory and without files: what it cannot hold
//! is refused with the remedy, and never takes the queries down that keep the tables.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::DataFusionError;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::SessionConfig;
use futures_util::StreamExt;

use super::lower::{Lower, column_id};
use super::source::Rows;
use super::{Limits, PullRows};
use crate::catalog::SourceKind;
use crate::config;
use crate::engine::Engine;
use crate::error::{Error, Limit, Result};
use crate::plan::pull::Relations;
use crate::types::Value;

/// The rows of a query.
///
/// # Errors
/// A table cannot be read, the query takes more memory than it may, or it was stopped.
pub(super) fn rows(engine: &Engine, relations: &Relations, limits: &Limits) -> Result<PullRows> {
    // All tables are read as of the moment at which the query begins.
    let mut sources = HashMap::new();
    for source in relations.root.sources() {
        if !sources.contains_key(&source.name) {
            let rows = match source.kind {
                SourceKind::Table => Rows::Table(engine.snapshot(source)?),
                SourceKind::Stream => Rows::Stream(engine.stream_reads()),
            };
            sources.insert(source.name.clone(), rows);
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|error| Error::backend(format!("no runtime for a query: {error}")))?;
    runtime.block_on(run(relations, &sources, limits)).map_err(inside)
}

async fn run(
    relations: &Relations,
    sources: &HashMap<String, Rows>,
    limits: &Limits,
) -> Result<PullRows, DataFusionError> {
    let plan = Lower { types: &relations.columns, rows: sources, limits }.plan(&relations.root)?;
    let memory = Arc::new(GreedyMemoryPool::new(limits.memory_bytes));
    let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
    let environment = RuntimeEnvBuilder::new().with_memory_pool(memory).with_disk_manager_builder(disk).build_arc()?;
    let session = SessionConfig::new().with_target_partitions(1);
    let state = SessionStateBuilder::new().with_config(session).with_runtime_env(environment).with_default_features();
    let state = state.build();
    let physical = state.create_physical_plan(&plan).await?;
    let mut stream = execute_stream(physical, state.task_ctx())?;
    let mut rows =
        PullRows { columns: relations.output.iter().map(|(column, _)| column.clone()).collect(), rows: Vec::new() };
    let mut bytes = 0;
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        limits.check().map_err(super::outside)?;
        bytes += batch.get_array_memory_size();
        if bytes > limits.memory_bytes {
            return Err(super::outside(too_much(limits.memory_bytes)));
        }
        take(relations, &batch, &mut rows.rows)?;
    }
    Ok(rows)
}

/// Adds the rows of a batch.
fn take(relations: &Relations, batch: &RecordBatch, rows: &mut Vec<Vec<Value>>) -> Result<(), DataFusionError> {
    let schema = batch.schema();
    let places: HashMap<_, _> =
        schema.fields().iter().enumerate().filter_map(|(at, field)| Some((column_id(field.name())?, at))).collect();
    let mut columns = Vec::new();
    for (column, id) in &relations.output {
        let lacks = || super::outside(Error::bug(format!("the result lacks the column {}", column.name)));
        columns.push((batch.column(*places.get(id).ok_or_else(lacks)?), &column.sql_type));
    }
    let row = |row: usize| columns.iter().map(|(array, sql_type)| Value::at(array.as_ref(), row, sql_type)).collect();
    rows.extend((0..batch.num_rows()).map(row));
    Ok(())
}

/// What is said of a query that needs more memory than it may have.
fn too_much(bytes: usize) -> Error {
    let message = format!("the query needs more than {bytes} bytes of memory");
    let error = Error::backend(message).by(Limit::Memory);
    error.hint(format!("select less, or raise {}", config::PULL_MEMORY_BYTES))
}

/// An error of ours that DataFusion carried, or its own.
fn inside(error: DataFusionError) -> Error {
    match error.find_root() {
        DataFusionError::External(own) => match own.downcast_ref::<Error>() {
            Some(own) => own.clone(),
            None => Error::bug(format!("the query cannot be executed: {error}")),
        },
        DataFusionError::ResourcesExhausted(_) => {
            let error = Error::backend("the query needs more memory than it may have").by(Limit::Memory);
            error.hint(format!("select less, or raise {}", config::PULL_MEMORY_BYTES))
        }
        _ => Error::bug(format!("the query cannot be executed: {error}")),
    }
}
