//! For each key, and window, what the aggregate functions make of its rows.

use std::fmt::Write;

use crate::catalog::WindowType;
use crate::expr::ColumnId;
use crate::formats::Encoding;
use crate::functions::aggregate::BoundAggregate;
use crate::plan::node::{Explain, Node, PlanNode};
use crate::state::OperatorId;
use crate::types::window::TimeWindow;

/// An aggregation; its result is a table.
#[derive(Clone, Debug)]
pub struct AggregateNode {
    /// The id under which its state is kept.
    pub id: OperatorId,
    /// The rows that are aggregated.
    pub input: Box<Node>,
    /// The grouping columns; a row in which one is NULL is left out.
    pub keys: Vec<ColumnId>,
    /// The calls of aggregate functions.
    pub calls: Vec<AggregateCall>,
    /// The window; without one a group lasts for ever.
    pub window: Option<WindowNode>,
    /// Set for EMIT FINAL: each window has one result, when it is closed. It is the encoding of the key, whose bytes
    /// decide the order of the results.
    pub last_only: Option<Encoding>,
}

/// A call of an aggregate function.
#[derive(Clone, Debug)]
pub struct AggregateCall {
    /// The column of the result.
    pub id: ColumnId,
    /// The function with the overload that was chosen.
    pub function: BoundAggregate,
    /// The columns of the arguments.
    pub args: Vec<ColumnId>,
}

/// The window of an aggregation.
#[derive(Clone, Copy, Debug)]
pub struct WindowNode {
    /// Size, advance, grace and retention.
    pub window: TimeWindow,
    /// The kind as it was written; a hopping window may advance by its whole size.
    pub kind: WindowType,
    /// The columns of the window's bounds.
    pub start: ColumnId,
    /// The column of the window's end, in milliseconds since the epoch.
    pub end: ColumnId,
}

impl PlanNode for AggregateNode {
    fn inputs(&self) -> Vec<&Node> {
        vec![&self.input]
    }

    fn reads(&self, into: &mut Vec<ColumnId>) {
        into.extend(&self.keys);
        self.calls.iter().for_each(|call| into.extend(&call.args));
    }

    fn makes(&self, into: &mut Vec<ColumnId>) {
        into.extend(self.calls.iter().map(|call| call.id));
        into.extend(self.window.iter().flat_map(|window| [window.start, window.end]));
    }

    fn explain(&self, cx: &Explain) -> String {
        let calls: Vec<ColumnId> = self.calls.iter().map(|call| call.id).collect();
        let mut line = format!("Aggregate [{}] by [{}]", cx.names(&calls), cx.names(&self.keys));
        if let Some(WindowNode { window, .. }) = &self.window {
            let TimeWindow { size_ms, advance_ms, grace_ms, retention_ms } = window;
            let _ = write!(
                line,
                " windows of {size_ms} ms every {advance_ms} ms, grace {grace_ms} ms, kept {retention_ms} ms"
            );
        }
        if self.last_only.is_some() {
            line.push_str(", the last result of each when it is closed");
        }
        let _ = write!(line, "; state per group: the key and about {} bytes", 40 + 8 * self.calls.len());
        line
    }
}
