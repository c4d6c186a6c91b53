//! EXPLAIN of a pull query: its relations, the result first.

use std::fmt::Write;

use super::{OverCall, OverFunction, Rel, Relations, SortBy};
use crate::expr::ColumnId;

/// The relations as indented text.
pub fn explain(relations: &Relations) -> String {
    let mut out = String::new();
    let output: Vec<String> = relations.output.iter().map(|(column, _)| column.to_string()).collect();
    let _ = writeln!(out, "ROWS ({})", output.join(", "));
    Explain { relations }.rel(&relations.root, 1, &mut out);
    for warning in &relations.warnings {
        let _ = writeln!(out, "warning: {warning}");
    }
    out
}

struct Explain<'a> {
    relations: &'a Relations,
}

impl Explain<'_> {
    /// Writes a relation and those below it, each indented more than the one above.
    fn rel(&self, rel: &Rel, depth: usize, out: &mut String) {
        let _ = writeln!(out, "{}{}", "  ".repeat(depth), self.line(rel));
        rel.inputs().into_iter().for_each(|input| self.rel(input, depth + 1, out));
    }

    fn line(&self, rel: &Rel) -> String {
        match rel {
            Rel::Source { source, .. } => format!("{} {}", source.kind.name().to_lowercase(), source.name),
            Rel::Filter { conditions, .. } => format!("filter by {} conditions", conditions.len()),
            Rel::Compute { columns, .. } => format!("compute {}", self.names(columns.iter().map(|(id, _)| *id))),
            Rel::Project { columns, .. } => format!("project {}", self.names(columns.iter().map(|(id, _)| *id))),
            Rel::Join { kind, equal, conditions, .. } => {
                let pair =
                    |(left, right): &(ColumnId, ColumnId)| format!("{} = {}", self.name(*left), self.name(*right));
                let mut on: Vec<String> = equal.iter().map(pair).collect();
                if !conditions.is_empty() {
                    on.push(format!("{} conditions", conditions.len()));
                }
                format!("{} on {}", kind.name().to_lowercase(), on.join(", "))
            }
            Rel::Group { keys, calls, .. } => {
                let calls = self.names(calls.iter().map(|call| call.id));
                format!("group by [{}] with {calls}", self.names(keys.iter().copied()))
            }
            Rel::Over { calls, .. } => {
                format!("over {}", calls.iter().map(|call| self.over(call)).collect::<Vec<_>>().join(", "))
            }
            Rel::Distinct { .. } => "distinct".to_owned(),
            Rel::Union { .. } => "union all".to_owned(),
            Rel::Sort { by, .. } => format!("sort by {}", self.sort(by)),
            Rel::Single { .. } => "single value".to_owned(),
            Rel::Limit { skip, most, .. } => {
                let most = most.map_or("all".to_owned(), |most| most.to_string());
                format!("limit: skip {skip}, then {most}")
            }
        }
    }

    fn over(&self, call: &OverCall) -> String {
        let function = match &call.function {
            OverFunction::Aggregate(aggregate) => aggregate.function.name,
            OverFunction::Ordered(name) => name,
        };
        let partition_by = self.names(call.partition_by.iter().copied());
        format!("{function} (partition by [{partition_by}] order by [{}])", self.sort(&call.order_by))
    }

    fn sort(&self, by: &[SortBy]) -> String {
        let item = |by: &SortBy| format!("{}{}", self.name(by.column), if by.descending { " descending" } else { "" });
        by.iter().map(item).collect::<Vec<_>>().join(", ")
    }

    fn name(&self, id: ColumnId) -> &str {
        &self.relations.columns[id as usize].0
    }

    fn names(&self, ids: impl Iterator<Item = ColumnId>) -> String {
        ids.map(|id| self.name(id)).collect::<Vec<_>>().join(", ")
    }
}
