//! The rows for which a condition is true.

use crate::expr::{ColumnId, Expr};
use crate::plan::node::{Explain, Node, PlanNode};

/// A WHERE or HAVING clause.
#[derive(Clone, Debug)]
pub struct FilterNode {
    /// The rows that are filtered.
    pub input: Box<Node>,
    /// The condition, of type BOOLEAN.
    pub condition: Expr,
}

impl PlanNode for FilterNode {
    fn inputs(&self) -> Vec<&Node> {
        vec![&self.input]
    }

    fn reads(&self, into: &mut Vec<ColumnId>) {
        self.condition.columns(into);
    }

    fn makes(&self, _: &mut Vec<ColumnId>) {}

    fn explain(&self, cx: &Explain) -> String {
        let mut read = Vec::new();
        self.condition.columns(&mut read);
        read.dedup();
        format!("Filter reads [{}]", cx.names(&read))
    }
}
