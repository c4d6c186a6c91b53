//! Pull queries as relations: what is selected, joined, grouped and ordered over committed tables and streams.
//!
//! A look at one table is no relation but a [`table::Pull`]. Everything else is a tree of [`Rel`]; rows flow from the
//! leaves to the root. Every column has an id that is unique in the tree, so that nothing depends on names, and a query
//! that is named twice gets new ids each time.
//!
//! ```text
//! FROM, JOIN … ON       Source, Join, or the tree of a query in brackets or of WITH
//! WHERE                 Filter
//! GROUP BY, HAVING      Compute (keys, arguments), Group, Filter
//! OVER                  Compute (arguments), Over
//! (SELECT …)            Single, or Group (EXISTS), or Distinct (IN), and a Join with that
//! SELECT                Compute
//! UNION                 Project (each side to the same columns), Union, and Distinct without ALL
//! DISTINCT              Project, Distinct
//! ORDER BY              Sort
//! LIMIT, OFFSET         Limit
//! ```
//!
//! Relations are standard SQL, values are ours: an expression means here what it means in a continuous query.

mod explain;
mod from;
mod over;
mod query;
mod subquery;

use std::sync::Arc;

pub use explain::explain;
pub use over::{OverArg, OverCall, OverFunction};
pub use query::is_look;

use super::node::AggregateCall;
use super::table;
use crate::catalog::{Catalog, Source};
use crate::config::Properties;
use crate::error::Result;
use crate::expr::{ColumnId, Expr};
use crate::sql::query::{JoinKind, Query};
use crate::types::{Column, SqlType};

/// A SELECT without EMIT.
#[derive(Clone, Debug)]
pub enum Pull {
    /// A look at one table.
    Table(Box<table::Pull>),
    /// Everything else.
    Relations(Box<Relations>),
}

/// A pull query as relations.
#[derive(Clone, Debug)]
pub struct Relations {
    /// What makes the rows.
    pub root: Rel,
    /// The columns of the result, in their order. A column of the tree may stand there twice.
    pub output: Vec<(Column, ColumnId)>,
    /// Name and type of every column; the id is the place.
    pub columns: Vec<(String, SqlType)>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// A relation: rows of the same columns.
#[derive(Clone, Debug)]
pub enum Rel {
    /// A table as of its last commit, or the records of a stream to where it ends when the query begins.
    Source {
        /// The stream or table.
        source: Arc<Source>,
        /// The columns that it offers.
        columns: Vec<(ColumnId, Offered)>,
    },
    /// The rows for which all conditions are true.
    Filter {
        /// The rows.
        input: Box<Rel>,
        /// The conditions.
        conditions: Vec<Expr>,
    },
    /// The rows with further columns.
    Compute {
        /// The rows.
        input: Box<Rel>,
        /// The further columns.
        columns: Vec<(ColumnId, Expr)>,
    },
    /// The rows with these columns and no others.
    Project {
        /// The rows.
        input: Box<Rel>,
        /// The columns; each id once.
        columns: Vec<(ColumnId, Expr)>,
    },
    /// Pairs of rows, and rows without a partner where the kind keeps them.
    Join {
        /// The rows on the left.
        left: Box<Rel>,
        /// The rows on the right.
        right: Box<Rel>,
        /// Which rows without a partner are kept.
        kind: JoinKind,
        /// Columns of the left side that equal columns of the right side.
        equal: Vec<(ColumnId, ColumnId)>,
        /// Further conditions on a pair.
        conditions: Vec<Expr>,
    },
    /// One row for each group: the columns of its key, then the results of the calls. Without keys there is one group,
    /// also if there is no row.
    Group {
        /// The rows.
        input: Box<Rel>,
        /// The columns that are equal in a group. NULL equals NULL.
        keys: Vec<ColumnId>,
        /// The calls of aggregate functions.
        calls: Vec<AggregateCall>,
    },
    /// The rows, each with the results of functions over the rows around it.
    Over {
        /// The rows.
        input: Box<Rel>,
        /// The calls.
        calls: Vec<OverCall>,
    },
    /// The rows without repetitions.
    Distinct {
        /// The rows.
        input: Box<Rel>,
    },
    /// The rows of all inputs. Columns correspond by their places; the ids are those of the first input.
    Union {
        /// At least two, of the same types.
        inputs: Vec<Rel>,
    },
    /// The rows in order.
    Sort {
        /// The rows.
        input: Box<Rel>,
        /// The columns, the first decides first.
        by: Vec<SortBy>,
    },
    /// One row with the value of the only row, or NULL if there is none. More than one row are an error.
    Single {
        /// The rows.
        input: Box<Rel>,
        /// The column that has the value.
        value: ColumnId,
        /// The column of the result.
        id: ColumnId,
    },
    /// Some of the rows.
    Limit {
        /// The rows.
        input: Box<Rel>,
        /// How many are left out first.
        skip: usize,
        /// The most that follow; `None` for all.
        most: Option<usize>,
    },
}

/// A column that a source offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offered {
    /// The column at this place of the schema.
    Declared(usize),
    /// The start of the window.
    WindowStart,
    /// The end of the window.
    WindowEnd,
    /// The time of the row.
    RowTime,
    /// The partition of the record. Streams only.
    RowPartition,
    /// The offset of the record. Streams only.
    RowOffset,
}

/// A column to sort by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SortBy {
    /// The column.
    pub column: ColumnId,
    /// Whether larger values come first.
    pub descending: bool,
    /// Whether NULL comes before all values.
    pub nulls_first: bool,
}

/// Plans a SELECT without EMIT.
///
/// # Errors
/// A name is unknown or ambiguous, a type does not fit, a clause cannot stand in a pull query, or a table is kept by no
/// query.
pub fn plan(query: &Query, catalog: &Catalog, properties: &Properties) -> Result<Pull> {
    if query::is_look(query) {
        return Ok(Pull::Table(Box::new(table::plan(query, catalog)?)));
    }
    Ok(Pull::Relations(Box::new(query::plan(query, catalog, properties)?)))
}

impl Pull {
    /// The columns of the result.
    pub fn columns(&self) -> Vec<Column> {
        match self {
            Pull::Table(look) => look.items.iter().map(|(column, _)| column.clone()).collect(),
            Pull::Relations(relations) => relations.output.iter().map(|(column, _)| column.clone()).collect(),
        }
    }

    /// The key columns of the table that is looked at; none of relations.
    pub fn keys(&self) -> Vec<Column> {
        match self {
            Pull::Table(look) => look.source.schema.keys().to_vec(),
            Pull::Relations(_) => Vec::new(),
        }
    }

    /// The names of the streams and tables that are read, from left to right.
    pub fn sources(&self) -> Vec<&str> {
        match self {
            Pull::Table(look) => vec![&look.source.name],
            Pull::Relations(relations) => relations.root.sources().iter().map(|source| source.name.as_str()).collect(),
        }
    }
}

impl Rel {
    /// The relations directly below, from left to right.
    pub fn inputs(&self) -> Vec<&Rel> {
        match self {
            Rel::Source { .. } => Vec::new(),
            Rel::Filter { input, .. }
            | Rel::Compute { input, .. }
            | Rel::Project { input, .. }
            | Rel::Group { input, .. }
            | Rel::Over { input, .. }
            | Rel::Distinct { input }
            | Rel::Sort { input, .. }
            | Rel::Single { input, .. }
            | Rel::Limit { input, .. } => vec![input],
            Rel::Join { left, right, .. } => vec![left, right],
            Rel::Union { inputs } => inputs.iter().collect(),
        }
    }

    /// The streams and tables at the leaves, from left to right.
    pub fn sources(&self) -> Vec<&Arc<Source>> {
        match self {
            Rel::Source { source, .. } => vec![source],
            _ => self.inputs().into_iter().flat_map(Rel::sources).collect(),
        }
    }

    /// The rows for which conditions are true.
    fn filter(self, conditions: Vec<Expr>) -> Rel {
        if conditions.is_empty() { self } else { Rel::Filter { input: Box::new(self), conditions } }
    }

    /// The rows with further columns, if there are any.
    fn compute(self, columns: Vec<(ColumnId, Expr)>) -> Rel {
        if columns.is_empty() { self } else { Rel::Compute { input: Box::new(self), columns } }
    }
}
