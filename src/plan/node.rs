//! The plan algebra: everything that a continuous query can consist of.
//!
//! A plan is a tree of nodes; rows flow from the leaves to the root. Columns have ids that are unique in a plan, so
//! that a node says what it reads and makes without knowing where a column stands in a row; the runtime decides that,
//! and carries only what something above reads.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::catalog::{Source, SourceKind, TimestampColumn};
use crate::expr::{ColumnId, Expr};
use crate::formats::Encoding;
use crate::types::{Column, SqlType};

pub use super::nodes::{
    AggregateCall, AggregateNode, ComputeNode, ExchangeNode, FilterNode, SourceColumn, SourceNode, StreamJoinNode,
    UnnestNode, WindowNode, implicit_grace_ms,
};

/// A node of a plan. What each reads, makes and prints is in its own file in [`super::nodes`].
#[derive(Clone, Debug)]
pub enum Node {
    /// The records of a source, decoded; the row's time is read from them.
    Source(SourceNode),
    /// The rows for which the condition is true. Of a table's changes, one after which the condition no longer holds
    /// becomes a deletion.
    Filter(FilterNode),
    /// Further columns, computed from those of the row.
    Compute(ComputeNode),
    /// For each row a row for every item of its arrays, side by side.
    Unnest(UnnestNode),
    /// The rows, each handed to the task that its key belongs to: what a repartition topic does in ksqlDB.
    Exchange(ExchangeNode),
    /// For each key (and window) what the aggregates make of its rows; the result is a table.
    Aggregate(AggregateNode),
    /// The pairs of rows of two streams whose keys are equal and whose times are close.
    StreamJoin(StreamJoinNode),
}

/// Runs code for the node of any variant; the only place that lists them all.
macro_rules! with_node {
    ($node:expr, $bound:ident => $body:expr) => {
        match $node {
            $crate::plan::node::Node::Source($bound) => $body,
            $crate::plan::node::Node::Filter($bound) => $body,
            $crate::plan::node::Node::Compute($bound) => $body,
            $crate::plan::node::Node::Unnest($bound) => $body,
            $crate::plan::node::Node::Exchange($bound) => $body,
            $crate::plan::node::Node::Aggregate($bound) => $body,
            $crate::plan::node::Node::StreamJoin($bound) => $body,
        }
    };
}

pub(crate) use with_node;

/// What every node can say of itself.
pub trait PlanNode {
    /// The nodes below, from left to right.
    fn inputs(&self) -> Vec<&Node>;

    /// Adds the columns that the node itself reads.
    fn reads(&self, into: &mut Vec<ColumnId>);

    /// Adds the columns that the node itself makes.
    fn makes(&self, into: &mut Vec<ColumnId>);

    /// The node as a line of EXPLAIN.
    fn explain(&self, cx: &Explain) -> String;
}

/// What EXPLAIN knows of a plan.
pub struct Explain<'a> {
    /// The plan that is printed.
    pub plan: &'a Plan,
    /// The columns that anything in the plan reads.
    pub needed: &'a BTreeSet<ColumnId>,
}

impl Explain<'_> {
    /// The names of columns, separated by commas.
    pub fn names(&self, ids: &[ColumnId]) -> String {
        let name = |id: &ColumnId| self.plan.columns[*id as usize].0.clone();
        ids.iter().map(name).collect::<Vec<_>>().join(", ")
    }
}

impl Node {
    /// The rows of this node for which a condition is true.
    pub fn filter(self, condition: Expr) -> Node {
        Node::Filter(FilterNode { input: Box::new(self), condition })
    }

    /// The rows of this node with further columns, if there are any.
    pub fn compute(self, columns: Vec<(ColumnId, Expr)>) -> Node {
        if columns.is_empty() { self } else { Node::Compute(ComputeNode { input: Box::new(self), columns }) }
    }

    /// The rows of this node, each as often as its arrays have items.
    pub fn unnest(self, columns: Vec<(ColumnId, ColumnId)>) -> Node {
        Node::Unnest(UnnestNode { input: Box::new(self), columns })
    }

    /// The rows of this node, each at the task of its key.
    pub fn exchange(self, key: Vec<ColumnId>, encoding: Encoding) -> Node {
        Node::Exchange(ExchangeNode { input: Box::new(self), key, encoding })
    }

    /// What the node can say of itself.
    pub fn as_node(&self) -> &dyn PlanNode {
        with_node!(self, node => node)
    }

    /// The sources at the leaves, from left to right.
    pub fn sources(&self) -> Vec<&Arc<Source>> {
        match self {
            Node::Source(node) => vec![&node.source],
            _ => self.as_node().inputs().into_iter().flat_map(Node::sources).collect(),
        }
    }

    /// The columns that the node or one below it makes.
    pub fn made(&self) -> BTreeSet<ColumnId> {
        let mut all = Vec::new();
        self.as_node().makes(&mut all);
        all.into_iter().chain(self.as_node().inputs().into_iter().flat_map(Node::made)).collect()
    }

    /// Adds the columns that the node or one below it reads.
    pub fn read(&self, into: &mut Vec<ColumnId>) {
        self.as_node().reads(into);
        self.as_node().inputs().into_iter().for_each(|input| input.read(into));
    }
}

/// What a query makes.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The node that makes the result.
    pub root: Node,
    /// The name and the type of every column, by its id.
    pub columns: Vec<(String, SqlType)>,
    /// Whether the result is a stream or a table.
    pub kind: SourceKind,
    /// The columns of the result: those of the key first.
    pub output: Vec<OutputColumn>,
    /// The window in the key of the result.
    pub window: Option<WindowNode>,
    /// Set if PARTITION BY gave the rows another key.
    pub rekey: Option<Rekey>,
    /// Warnings for the user.
    pub warnings: Vec<String>,
}

/// What PARTITION BY made of the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rekey {
    /// For each column whether it depends on more than the old key. If so, it is NULL for a record without a value.
    pub from_values: Vec<bool>,
}

/// A column of the result.
#[derive(Clone, Debug)]
pub struct OutputColumn {
    /// The column of the plan.
    pub id: ColumnId,
    /// Its name, type and role in the result.
    pub column: Column,
}

/// Where the result of a persistent query goes.
#[derive(Clone, Debug)]
pub struct Sink {
    /// The stream or table that the result is.
    pub source: Source,
    /// The number of partitions of the topic, which is made if it does not exist.
    pub partitions: u32,
    /// The column that holds the time of the result's records.
    pub timestamp: Option<TimestampColumn>,
}
