//! Pull queries: SELECT without EMIT, answered once from what is committed.
//!
//! A look at one table goes the short way ([`table`]): some keys, or a walk over all rows, and our own expressions.
//! Everything else of SQL — joins, groups, subqueries, orders, windows of rows — is planned as relations
//! ([`crate::plan::pull`]) and run by DataFusion.

mod table;

use crate::engine::Engine;
use crate::error::Result;
use crate::plan::table::Pull;
use crate::types::{Column, Value};

/// The rows of a pull query.
#[derive(Clone, Debug, Default)]
pub struct PullRows {
    /// The names and types of the result, in the order of the values in each row.
    pub columns: Vec<Column>,
    /// All rows of the result; each has one value for each column.
    pub rows: Vec<Vec<Value>>,
}

/// The rows of a pull query, as of the last commits.
///
/// # Errors
/// Those of [`Engine::table_rows`], and whatever an expression says that is too large.
pub fn rows(engine: &Engine, pull: &Pull) -> Result<PullRows> {
    let rows = table::rows(engine, pull)?;
    Ok(PullRows { columns: pull.items.iter().map(|(column, _)| column.clone()).collect(), rows })
}
