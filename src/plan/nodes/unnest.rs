//! For each row a row for every item of its arrays.

use crate::expr::ColumnId;
use crate::plan::node::{Explain, Node, PlanNode};

/// Table functions: each makes an array, and all arrays of a row are unnested side by side.
#[derive(Clone, Debug)]
pub struct UnnestNode {
    /// The rows that have the arrays.
    pub input: Box<Node>,
    /// Each column of items with its column of arrays.
    pub columns: Vec<(ColumnId, ColumnId)>,
}

impl PlanNode for UnnestNode {
    fn inputs(&self) -> Vec<&Node> {
        vec![&self.input]
    }

    fn reads(&self, into: &mut Vec<ColumnId>) {
        into.extend(self.columns.iter().map(|(_, array)| *array));
    }

    fn makes(&self, into: &mut Vec<ColumnId>) {
        into.extend(self.columns.iter().map(|(item, _)| *item));
    }

    fn explain(&self, cx: &Explain) -> String {
        let mut made = Vec::new();
        self.makes(&mut made);
        format!("Unnest [{}]", cx.names(&made))
    }
}
