//! PostgreSQL's catalog: queries of `pg_catalog` and `information_schema`, run by DataFusion over tables that mirror
//! what exists here.
//!
//! The tables are in memory and made for each query: our catalog is small, and changes. Streams and tables are
//! relations of the schema `public`. Names are folded as PostgreSQL folds them. What DataFusion takes in another form
//! than PostgreSQL is brought into its form first (`rewrite`).

mod cells;
mod functions;
mod information;
mod relations;
mod rewrite;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field as ArrowField};
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider};
use datafusion::common::DataFusionError;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::SessionContext;
use datafusion::prelude::SessionConfig;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::Statement as Parsed;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use futures_util::StreamExt;

use super::refused::{Refused, code};
use super::run::{Field, Parameter, Table};
use super::settings::{DATABASE, Settings};
use super::types;
use crate::catalog::Catalog;
use crate::pull;
use crate::types::{SqlType, Value};

/// How much memory a query of the catalog may take, in bytes.
const MOST_MEMORY: usize = 64 << 20;

/// How many rows it may have.
const MOST_ROWS: usize = 1_000_000;

/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often it is looked whether a query is to end.
const LOOK: Duration = Duration::from_millis(20);

/// A query of the catalog.
pub(super) struct Query<'a> {
    pub text: &'a str,
    pub parameters: &'a [Parameter],
    /// Whether its rows are wanted, or its columns alone.
    pub with_rows: bool,
}

/// What a query of the catalog is answered from.
pub(super) struct Cx<'a> {
    pub catalog: &'a Catalog,
    pub settings: &'a Settings,
    pub user: &'a str,
    pub cancelled: &'a AtomicBool,
}

/// Whether a text is one query of PostgreSQL.
pub(super) fn is_query(text: &str) -> bool {
    matches!(parsed(text).as_deref(), Ok([Parsed::Query(_)]))
}

fn parsed(text: &str) -> Result<Vec<Parsed>, Refused> {
    Parser::parse_sql(&PostgreSqlDialect {}, text).map_err(|error| Refused::new(code::SYNTAX, error.to_string()))
}

impl Query<'_> {
    /// The columns of the query, and its rows if they are wanted.
    ///
    /// # Errors
    /// It is no query of the catalog, names what is not there, or takes more than it may.
    pub(super) fn run(&self, cx: &Cx) -> Result<Table, Refused> {
        let mut statements = parsed(self.text)?;
        let (Some(Parsed::Query(mut query)), true) = (statements.pop(), statements.is_empty()) else {
            return Err(Refused::new(code::SYNTAX, "exactly one query is expected"));
        };
        let names = rewrite::rewrite(&mut query, self.parameters);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime =
            runtime.map_err(|error| Refused::new(code::BACKEND, format!("no runtime for a query: {error}")))?;
        runtime.block_on(async {
            let context = context(cx).map_err(refused)?;
            let ended = async {
                for _ in 0..PATIENCE.as_millis() / LOOK.as_millis() {
                    tokio::time::sleep(LOOK).await;
                    if cx.cancelled.load(Ordering::Relaxed) {
                        return "the query was cancelled by its client";
                    }
                }
                "the query took more time than it may"
            };
            tokio::select! {
                biased;
                why = ended => Err(Refused::new(code::CANCELLED, why)),
                table = self.answer(&context, Statement::Statement(Box::new(Parsed::Query(query))), names) => table,
            }
        })
    }

    async fn answer(
        &self,
        context: &SessionContext,
        statement: Statement,
        names: Option<Vec<String>>,
    ) -> Result<Table, Refused> {
        let plan = context.state().statement_to_plan(statement).await.map_err(refused)?;
        let columns: Vec<Output> = plan.schema().fields().iter().map(|field| Output::of(field)).collect();
        let names = names.filter(|names| names.len() == columns.len());
        let name =
            |place: usize| names.as_ref().map_or(plan.schema().field(place).name(), |names| &names[place]).clone();
        let field = |(place, column): (usize, &Output)| Field { name: name(place), oid: column.oid, modifier: -1 };
        let mut table = Table { fields: columns.iter().enumerate().map(field).collect(), rows: Vec::new() };
        if !self.with_rows {
            return Ok(table);
        }
        let frame = context.execute_logical_plan(plan).await.map_err(refused)?;
        let mut stream = frame.execute_stream().await.map_err(refused)?;
        while let Some(batch) = stream.next().await {
            take(&columns, &batch.map_err(refused)?, &mut table.rows).map_err(refused)?;
            if table.rows.len() > MOST_ROWS {
                return Err(Refused::new(code::MEMORY, format!("a query of the catalog has {MOST_ROWS} rows at most")));
            }
        }
        Ok(table)
    }
}

/// A session with the tables and functions of the catalog, which has nothing of ours but names and types.
fn context(cx: &Cx) -> Result<SessionContext, DataFusionError> {
    let environment = pull::environment(MOST_MEMORY)?;
    let config = SessionConfig::new()
        .with_target_partitions(1)
        .with_create_default_catalog_and_schema(false)
        .with_default_catalog_and_schema(DATABASE, "pg_catalog");
    let state = SessionStateBuilder::new().with_config(config).with_runtime_env(environment).with_default_features();
    let context = SessionContext::new_with_state(state.build());
    let provider = Arc::new(MemoryCatalogProvider::new());
    let mut schemas: BTreeMap<&str, Arc<MemorySchemaProvider>> = BTreeMap::new();
    for table in relations::tables(cx).into_iter().chain(information::tables(cx)) {
        schemas.entry(table.schema).or_default().register_table(table.name.to_owned(), table.provider()?)?;
    }
    for (name, schema) in schemas {
        provider.register_schema(name, schema)?;
    }
    context.register_catalog(DATABASE, provider);
    functions::register(&context, cx);
    Ok(context)
}

/// A column of a result: the type that it has for clients, and how its values are read.
struct Output {
    oid: u32,
    arrow: DataType,
    sql_type: SqlType,
}

impl Output {
    fn of(field: &ArrowField) -> Output {
        let (oid, arrow, sql_type) = match field.data_type() {
            DataType::Boolean => (types::BOOL, DataType::Boolean, SqlType::Boolean),
            DataType::Int8 | DataType::Int16 | DataType::UInt8 => (types::INT2, DataType::Int32, SqlType::Integer),
            DataType::Int32 | DataType::UInt16 => (types::INT4, DataType::Int32, SqlType::Integer),
            DataType::UInt32 => (types::OID, DataType::Int64, SqlType::Bigint),
            DataType::Int64 | DataType::UInt64 => (types::INT8, DataType::Int64, SqlType::Bigint),
            DataType::Float16 | DataType::Float32 | DataType::Float64 => {
                (types::FLOAT8, DataType::Float64, SqlType::Double)
            }
            DataType::List(item) => {
                let item = Output::of(item);
                let array = types::find(item.oid).map_or(1009, |known| known.array);
                let field = ArrowField::new_list_field(item.arrow, true);
                (array, DataType::List(Arc::new(field)), SqlType::array(item.sql_type))
            }
            _ => (types::TEXT, DataType::Utf8, SqlType::String),
        };
        Output { oid, arrow, sql_type }
    }
}

/// Adds the rows of a batch.
fn take(columns: &[Output], batch: &RecordBatch, rows: &mut Vec<Vec<Value>>) -> Result<(), DataFusionError> {
    let both = batch.columns().iter().zip(columns);
    let arrays = both.map(|(array, column)| cast(array, &column.arrow)).collect::<Result<Vec<_>, _>>()?;
    let row = |row| arrays.iter().zip(columns).map(|(array, column)| Value::at(array, row, &column.sql_type)).collect();
    rows.extend((0..batch.num_rows()).map(row));
    Ok(())
}

fn refused(error: DataFusionError) -> Refused {
    let message = error.strip_backtrace();
    match error.find_root() {
        DataFusionError::ResourcesExhausted(_) => Refused::new(code::MEMORY, message),
        DataFusionError::SQL(..) => Refused::new(code::SYNTAX, message),
        DataFusionError::Plan(text) if text.contains("not found") => Refused::new(code::MISSING, message),
        _ => {
            let refused =
                Refused::new(code::UNSUPPORTED, format!("this query of the catalog is not supported: {message}"));
            refused.hint("streams and tables are not read together with the catalog")
        }
    }
}

#[cfg(test)]
mod tests;
