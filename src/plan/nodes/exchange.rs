//! Each row to the task that its key belongs to.

use crate::expr::ColumnId;
use crate::formats::Encoding;
use crate::plan::node::{Explain, Node, PlanNode};

/// What a repartition topic does in ksqlDB, in memory.
#[derive(Clone, Debug)]
pub struct ExchangeNode {
    /// The rows that are handed over.
    pub input: Box<Node>,
    /// The columns of the key; with none, all rows go to one task.
    pub key: Vec<ColumnId>,
    /// How the key would stand in the records of a topic, which decides where it belongs.
    pub encoding: Encoding,
}

impl PlanNode for ExchangeNode {
    fn inputs(&self) -> Vec<&Node> {
        vec![&self.input]
    }

    fn reads(&self, into: &mut Vec<ColumnId>) {
        into.extend(&self.key);
    }

    fn makes(&self, _: &mut Vec<ColumnId>) {}

    fn explain(&self, cx: &Explain) -> String {
        format!("Exchange by [{}] as {} keys", cx.names(&self.key), self.encoding.format.name())
    }
}
