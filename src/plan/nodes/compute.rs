//! Further columns, computed from those of the row.

use crate::expr::{ColumnId, Expr};
use crate::plan::node::{Explain, Node, PlanNode};

/// Computed columns.
#[derive(Clone, Debug)]
pub struct ComputeNode {
    /// The rows that the columns are added to.
    pub input: Box<Node>,
    /// The new columns, each with its expression over the input's columns.
    pub columns: Vec<(ColumnId, Expr)>,
}

impl PlanNode for ComputeNode {
    fn inputs(&self) -> Vec<&Node> {
        vec![&self.input]
    }

    fn reads(&self, into: &mut Vec<ColumnId>) {
        self.columns.iter().for_each(|(_, expr)| expr.columns(into));
    }

    fn makes(&self, into: &mut Vec<ColumnId>) {
        into.extend(self.columns.iter().map(|(id, _)| *id));
    }

    fn explain(&self, cx: &Explain) -> String {
        let mut made = Vec::new();
        self.makes(&mut made);
        format!("Compute [{}]", cx.names(&made))
    }
}
