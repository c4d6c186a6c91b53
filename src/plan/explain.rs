//! EXPLAIN: what will run, node by node, with keys, exchanges, state and the columns that are read.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::node::{Explain, Node, Plan};
use crate::expr::ColumnId;

/// The plan as indented text, the result first.
pub fn explain(plan: &Plan) -> String {
    let mut out = String::new();
    let output: Vec<String> = plan.output.iter().map(|c| c.column.to_string()).collect();
    let _ = writeln!(out, "{} ({})", plan.kind.name(), output.join(", "));
    let needed = needed(plan);
    node(&plan.root, &Explain { plan, needed: &needed }, 1, &mut out);
    for warning in &plan.warnings {
        let _ = writeln!(out, "warning: {warning}");
    }
    out
}

/// The columns that anything in the plan reads.
pub fn needed(plan: &Plan) -> BTreeSet<ColumnId> {
    let mut all: Vec<ColumnId> = plan.output.iter().map(|c| c.id).collect();
    plan.root.read(&mut all);
    all.into_iter().collect()
}

/// Writes a node and those below it, each indented more than the one above.
fn node(node: &Node, cx: &Explain, depth: usize, out: &mut String) {
    let _ = writeln!(out, "{}{}", "  ".repeat(depth), node.as_node().explain(cx));
    node.as_node().inputs().into_iter().for_each(|input| self::node(input, cx, depth + 1, out));
}
