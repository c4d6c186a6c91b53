//! The plan algebra: everything that a continuous query can consist of.
//!
//! A plan is a tree of nodes; rows flow from the leaves to the root. Columns have ids that are unique in a plan, so that a
//! node says what it reads and makes without knowing where a column stands in a row; the runtime decides that, and carries
//! only what something above reads.

use std::sync::Arc;

use crate::catalog::{Encoding, Source, SourceKind, TimestampColumn, WindowType};
use crate::expr::{ColumnId, Expr};
use crate::functions::aggregate::BoundAggregate;
use crate::sql::query::JoinKind;
use crate::types::window::{DEFAULT_SPAN_MS, TimeWindow};
use crate::types::{Column, SqlType};

/// A node of a plan.
#[derive(Clone, Debug)]
pub enum Node {
    /// The records of a source, decoded; the row's time is read from them.
    Source(SourceNode),
    /// The rows for which the condition is true. Of a table's changes, one after which the condition no longer holds
    /// becomes a deletion.
    Filter { input: Box<Node>, condition: Expr },
    /// Further columns, computed from those of the row.
    Compute { input: Box<Node>, columns: Vec<(ColumnId, Expr)> },
    /// For each row a row for every item of its arrays, side by side: each column of items with its column of arrays.
    Unnest { input: Box<Node>, columns: Vec<(ColumnId, ColumnId)> },
    /// The rows, each handed to the task that its key belongs to: what a repartition topic does in ksqlDB.
    Exchange { input: Box<Node>, key: Vec<ColumnId>, encoding: Encoding },
    /// For each key (and window) what the aggregates make of its rows; the result is a table.
    Aggregate(AggregateNode),
    /// The pairs of rows of two streams whose keys are equal and whose times are close.
    StreamJoin(StreamJoinNode),
}

/// The leaf: a source.
#[derive(Clone, Debug)]
pub struct SourceNode {
    pub source: Arc<Source>,
    /// The columns that can be read, each with where it comes from; only those that are read are built.
    pub columns: Vec<(ColumnId, SourceColumn)>,
}

/// Where a column of a source comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceColumn {
    /// The column at this place of the schema.
    Declared(usize),
    RowTime,
    RowPartition,
    RowOffset,
}

/// An aggregation.
#[derive(Clone, Debug)]
pub struct AggregateNode {
    pub input: Box<Node>,
    /// The grouping columns; a row in which one is NULL is left out.
    pub keys: Vec<ColumnId>,
    pub calls: Vec<AggregateCall>,
    pub window: Option<WindowNode>,
    /// That only the last result of each window is handed on, when it is closed: how its key stands in records, which decides
    /// the order.
    pub last_only: Option<Encoding>,
}

/// A call of an aggregate function.
#[derive(Clone, Debug)]
pub struct AggregateCall {
    /// The column of the result.
    pub id: ColumnId,
    pub function: BoundAggregate,
    /// The columns of the arguments.
    pub args: Vec<ColumnId>,
}

/// The window of an aggregation.
#[derive(Clone, Copy, Debug)]
pub struct WindowNode {
    pub window: TimeWindow,
    /// What it was called: a hopping window may advance by its whole size.
    pub kind: WindowType,
    /// The columns of the window's bounds.
    pub start: ColumnId,
    pub end: ColumnId,
}

/// A join of two streams.
#[derive(Clone, Debug)]
pub struct StreamJoinNode {
    pub left: Box<Node>,
    pub right: Box<Node>,
    pub kind: JoinKind,
    /// A pair matches if the right row's time is at most this much before the left row's …
    pub before_ms: i64,
    /// … and at most this much after it.
    pub after_ms: i64,
    /// How late a row may be; without it, a row without partner is padded at once.
    pub grace_ms: Option<i64>,
    pub left_key: ColumnId,
    pub right_key: ColumnId,
    /// The column of the key of the result, which both sides have in common.
    pub key: ColumnId,
    /// How the key stands in records.
    pub encoding: Encoding,
}

/// How long rows of a join are kept beyond the bounds of WITHIN where no GRACE PERIOD is given.
pub fn implicit_grace_ms(before_ms: i64) -> i64 {
    (DEFAULT_SPAN_MS - 2 * before_ms).max(0)
}

/// What a query makes.
#[derive(Clone, Debug)]
pub struct Plan {
    pub root: Node,
    /// The name and the type of every column, by its id.
    pub columns: Vec<(String, SqlType)>,
    /// Whether the result is a stream or a table.
    pub kind: SourceKind,
    /// The columns of the result: those of the key first.
    pub output: Vec<OutputColumn>,
    /// The window in the key of the result.
    pub window: Option<WindowNode>,
    /// That PARTITION BY gave the rows another key.
    pub rekey: Option<Rekey>,
    /// What the user should know although nothing is wrong.
    pub warnings: Vec<String>,
}

/// What PARTITION BY made of the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rekey {
    /// For each column whether it is made of anything but the old key: then it is NULL for a record without a value.
    pub from_values: Vec<bool>,
}

/// A column of the result.
#[derive(Clone, Debug)]
pub struct OutputColumn {
    pub id: ColumnId,
    pub column: Column,
}

/// Where the result of a persistent query goes.
#[derive(Clone, Debug)]
pub struct Sink {
    pub source: Source,
    /// The number of partitions of the topic, which is made if it does not exist.
    pub partitions: u32,
    pub timestamp: Option<TimestampColumn>,
}

impl Node {
    /// The nodes below.
    pub fn inputs(&self) -> Vec<&Node> {
        match self {
            Node::Source(_) => Vec::new(),
            Node::Filter { input, .. }
            | Node::Compute { input, .. }
            | Node::Unnest { input, .. }
            | Node::Exchange { input, .. } => vec![input],
            Node::Aggregate(node) => vec![&node.input],
            Node::StreamJoin(node) => vec![&node.left, &node.right],
        }
    }

    /// The sources at the leaves, from left to right.
    pub fn sources(&self) -> Vec<&Arc<Source>> {
        match self {
            Node::Source(node) => vec![&node.source],
            _ => self.inputs().into_iter().flat_map(Node::sources).collect(),
        }
    }
}
