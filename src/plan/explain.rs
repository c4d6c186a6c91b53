//! EXPLAIN: what will run, node by node, with keys, exchanges, state and the columns that are read.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::node::{AggregateNode, Node, Plan, SourceColumn, SourceNode, StreamJoinNode};
use crate::expr::ColumnId;

/// The plan as indented text, the result first.
pub fn explain(plan: &Plan) -> String {
    let mut out = String::new();
    let output: Vec<String> = plan.output.iter().map(|c| c.column.to_string()).collect();
    let _ = writeln!(out, "{} ({})", plan.kind.name(), output.join(", "));
    let needed = needed(plan);
    let printer = Printer { plan, needed: &needed };
    printer.node(&plan.root, 1, &mut out);
    for warning in &plan.warnings {
        let _ = writeln!(out, "warning: {warning}");
    }
    out
}

/// The columns that anything in the plan reads.
pub fn needed(plan: &Plan) -> BTreeSet<ColumnId> {
    let mut all: Vec<ColumnId> = plan.output.iter().map(|c| c.id).collect();
    reads(&plan.root, &mut all);
    all.into_iter().collect()
}

fn reads(node: &Node, into: &mut Vec<ColumnId>) {
    match node {
        Node::Source(_) => {}
        Node::Filter { condition, .. } => condition.columns(into),
        Node::Compute { columns, .. } => columns.iter().for_each(|(_, e)| e.columns(into)),
        Node::Unnest { columns, .. } => into.extend(columns.iter().map(|(_, array)| array)),
        Node::Exchange { key, .. } => into.extend(key),
        Node::Aggregate(node) => {
            into.extend(&node.keys);
            node.calls.iter().for_each(|c| into.extend(&c.args));
        }
        Node::StreamJoin(node) => into.extend([node.left_key, node.right_key]),
    }
    node.inputs().into_iter().for_each(|input| reads(input, into));
}

struct Printer<'a> {
    plan: &'a Plan,
    needed: &'a BTreeSet<ColumnId>,
}

impl Printer<'_> {
    fn node(&self, node: &Node, depth: usize, out: &mut String) {
        let indent = "  ".repeat(depth);
        let _ = writeln!(out, "{indent}{}", self.line(node));
        node.inputs().into_iter().for_each(|input| self.node(input, depth + 1, out));
    }

    fn line(&self, node: &Node) -> String {
        match node {
            Node::Source(node) => self.source(node),
            Node::Filter { condition, .. } => format!("Filter reads [{}]", self.names(&columns_of(condition))),
            Node::Compute { columns, .. } => {
                let ids: Vec<ColumnId> = columns.iter().map(|(id, _)| *id).collect();
                format!("Compute [{}]", self.names(&ids))
            }
            Node::Unnest { columns, .. } => {
                let ids: Vec<ColumnId> = columns.iter().map(|(id, _)| *id).collect();
                format!("Unnest [{}]", self.names(&ids))
            }
            Node::Exchange { key, encoding, .. } => {
                format!("Exchange by [{}] as {} keys", self.names(key), encoding.format.name())
            }
            Node::Aggregate(node) => self.aggregate(node),
            Node::StreamJoin(node) => self.join(node),
        }
    }

    fn source(&self, node: &SourceNode) -> String {
        let declared = |(id, origin): &&(ColumnId, SourceColumn)| {
            self.needed.contains(id) && matches!(origin, SourceColumn::Declared(_))
        };
        let read: Vec<ColumnId> = node.columns.iter().filter(declared).map(|(id, _)| *id).collect();
        let all = node.source.schema.columns().len();
        let (topic, key, value) = (&node.source.topic, node.source.key.format.name(), node.source.value.format.name());
        format!(
            "{} {} topic '{topic}' key {key} value {value} builds {} of {all} columns [{}]",
            node.source.kind.name(),
            node.source.name,
            read.len(),
            self.names(&read)
        )
    }

    fn aggregate(&self, node: &AggregateNode) -> String {
        let calls: Vec<ColumnId> = node.calls.iter().map(|c| c.id).collect();
        let mut line = format!("Aggregate [{}] by [{}]", self.names(&calls), self.names(&node.keys));
        if let Some(window) = node.window {
            let w = window.window;
            let _ = write!(
                line,
                " windows of {} ms every {} ms, grace {} ms, kept {} ms",
                w.size_ms, w.advance_ms, w.grace_ms, w.retention_ms
            );
        }
        if node.last_only.is_some() {
            line.push_str(", the last result of each when it is closed");
        }
        let states = node.calls.len() * 8;
        let _ = write!(line, "; state per group: the key and about {} bytes", 40 + states);
        line
    }

    fn join(&self, node: &StreamJoinNode) -> String {
        let grace = node.grace_ms.map_or("padding at once".to_owned(), |g| format!("grace {g} ms"));
        format!(
            "{} on [{}] = [{}] from {} ms before to {} ms after, {grace}; state: the columns of every row that can still match",
            node.kind.name(),
            self.names(&[node.left_key]),
            self.names(&[node.right_key]),
            node.before_ms,
            node.after_ms
        )
    }

    fn names(&self, ids: &[ColumnId]) -> String {
        let name = |id: &ColumnId| self.plan.columns[*id as usize].0.clone();
        ids.iter().map(name).collect::<Vec<_>>().join(", ")
    }
}

fn columns_of(expr: &crate::expr::Expr) -> Vec<ColumnId> {
    let mut all = Vec::new();
    expr.columns(&mut all);
    all.dedup();
    all
}
