//! The leaf of a plan: a stream or table that is read.

use std::sync::Arc;

use crate::catalog::Source;
use crate::expr::ColumnId;
use crate::plan::node::{Explain, Node, PlanNode};

/// The records of a source, decoded.
#[derive(Clone, Debug)]
pub struct SourceNode {
    /// The stream or table.
    pub source: Arc<Source>,
    /// The columns that can be read, each with where it comes from; only those that are read are built.
    pub columns: Vec<(ColumnId, SourceColumn)>,
}

/// Where a column of a source comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SourceColumn {
    /// The column at this place of the schema.
    Declared(usize),
    /// The time of the row.
    RowTime,
    /// The partition of the record.
    RowPartition,
    /// The offset of the record.
    RowOffset,
}

impl PlanNode for SourceNode {
    fn inputs(&self) -> Vec<&Node> {
        Vec::new()
    }

    fn reads(&self, _: &mut Vec<ColumnId>) {}

    fn makes(&self, into: &mut Vec<ColumnId>) {
        into.extend(self.columns.iter().map(|(id, _)| *id));
    }

    fn explain(&self, cx: &Explain) -> String {
        let declared = |(id, origin): &&(ColumnId, SourceColumn)| {
            cx.needed.contains(id) && matches!(origin, SourceColumn::Declared(_))
        };
        let read: Vec<ColumnId> = self.columns.iter().filter(declared).map(|(id, _)| *id).collect();
        let Source { kind, name, topic, key, value, schema, .. } = self.source.as_ref();
        format!(
            "{} {name} topic '{topic}' key {} value {} builds {} of {} columns [{}]",
            kind.name(),
            key.format.name(),
            value.format.name(),
            read.len(),
            schema.columns().len(),
            cx.names(&read)
        )
    }
}
