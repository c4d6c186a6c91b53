//! PARTITION BY: rows under a new key.
//!
//! The sink partitions its topic by the new key, so rows need not be exchanged before.

use super::node::{Node, Plan, Rekey, SourceColumn};
use super::scope::{QueryScope, Relation, RelationColumn};
use super::select::{self, KeyColumn, qualified};
use super::{KeyInfo, Planner, computed, refuse_aggregates, unnest};
use crate::catalog::SourceKind;
use crate::error::{Error, Result};
use crate::expr::bind::{Scope, bind};
use crate::expr::{ColumnId, Expr, Kind};
use crate::sql::ast::{self, Literal, Node as Ast};
use crate::sql::query::{Grouping, SelectItem};
use crate::sql::words::Ident;

/// A part of the new key and the column that holds it.
struct NewKey {
    id: ColumnId,
    bound: Expr,
    written: ast::Expr,
}

/// Plans the part after the sources and the filter of a query with PARTITION BY.
///
/// # Errors
/// A part of the key has an impossible type, or the projection lacks it.
pub(super) fn plan(mut planner: Planner, input: Node, written: &Grouping) -> Result<Plan> {
    let keys = new_keys(&planner, written)?;
    let made: Vec<(ColumnId, Expr)> =
        keys.iter().filter(|k| !is_column(&k.bound)).map(|k| (k.id, k.bound.clone())).collect();
    let node = input.compute(made);
    let old: Vec<ColumnId> = planner.relations.iter().flat_map(Relation::keys).map(|c| c.id).collect();
    let from_values = |key: &NewKey| {
        let mut read = Vec::new();
        key.bound.columns(&mut read);
        !read.iter().all(|id| old.contains(id))
    };
    let rekey = Some(Rekey { from_values: keys.iter().map(from_values).collect() });
    let names = Rekeyed { scope: planner.scope("SELECT"), keys: &keys };
    let items = expanded(&planner, &keys);
    let calls = unnest::Calls::new(&names, planner.columns);
    let selected = select::select(&items, &planner.scope("SELECT"), &calls)?;
    select::check_reserved(&planner.query.items, &planner.scope("SELECT"), planner.target.strictness())?;
    let (node, selected) = computed(calls.unnested(node), selected, planner.columns);
    let column = |key: &NewKey| KeyColumn {
        candidates: vec![key.id],
        id: key.id,
        sql_type: planner.columns.expr(key.id).result_type(),
        shown: key.written.to_string(),
        called: key.written.to_string(),
    };
    let key = KeyInfo { columns: keys.iter().map(column).collect(), what: "partitioning expression", added: None };
    let output = planner.output(&selected, &key)?;
    planner.check_kind(SourceKind::Stream)?;
    let warnings = std::mem::take(&mut planner.warnings);
    Ok(Plan { root: node, columns: Vec::new(), kind: SourceKind::Stream, output, window: None, rekey, warnings })
}

/// Whether an expression is a column and nothing else.
fn is_column(expr: &Expr) -> bool {
    matches!(expr.kind, Kind::Column(_))
}

/// The parts of the new key: none for PARTITION BY NULL, after which rows have no key.
fn new_keys(planner: &Planner, written: &Grouping) -> Result<Vec<NewKey>> {
    if written.exprs.is_empty() {
        return Err(Error::invalid("PARTITION BY requires at least one expression").at(written.span));
    }
    let is_null = |e: &ast::Expr| matches!(*e.node, Ast::Literal(Literal::Null));
    if written.exprs.iter().any(is_null) {
        if written.exprs.len() > 1 {
            let message = "Cannot PARTITION BY multiple columns including NULL";
            return Err(Error::invalid(message).at(written.span));
        }
        return Ok(Vec::new());
    }
    let scope = planner.scope("PARTITION BY");
    let mut keys: Vec<NewKey> = Vec::new();
    for expr in &written.exprs {
        refuse_aggregates(expr)?;
        let bound = bind(expr, &scope)?;
        if keys.iter().any(|k| k.bound == bound) {
            return Err(Error::invalid(format!("Duplicate PARTITION BY expression: {expr}")).at(expr.span));
        }
        let id = match bound.kind {
            Kind::Column(id) => id,
            _ => planner.columns.add(expr.to_string(), bound.result_type()),
        };
        keys.push(NewKey { id, bound, written: expr.clone() });
    }
    Ok(keys)
}

/// The items with `*` written out: the new key, then the other columns of each source, those of its old key last.
fn expanded(planner: &Planner, keys: &[NewKey]) -> Vec<SelectItem> {
    let joined = planner.relations.len() > 1;
    let column = |relation: &Relation, column: &RelationColumn, span| {
        let node = Ast::Column { source: Some(Ident::new(&relation.called)), name: Ident::new(&column.name) };
        let alias = joined.then(|| Ident::new(qualified(relation, column)));
        SelectItem::Expr { expr: ast::Expr::new(node, span), alias }
    };
    let mut items = Vec::new();
    for item in &planner.query.items {
        let SelectItem::All(span) = item else {
            items.push(item.clone());
            continue;
        };
        for key in keys {
            let owner =
                planner.relations.iter().find_map(|r| r.columns.iter().find(|c| c.id == key.id).map(|c| (r, c)));
            items.push(match owner {
                Some((relation, found)) => column(relation, found, *span),
                None => SelectItem::Expr { expr: key.written.clone(), alias: None },
            });
        }
        let kept = |c: &&RelationColumn| keys.iter().all(|k| k.id != c.id);
        let old_key = |r: &Relation| -> Vec<RelationColumn> { r.keys().filter(kept).cloned().collect() };
        let values = |r: &Relation| -> Vec<RelationColumn> {
            let keys = r.keys().count();
            // After a join ksqlDB's `*` has the pseudo columns too, since they are ordinary columns there.
            let all = r.columns.iter().filter(|c| joined || matches!(c.origin, SourceColumn::Declared(_)));
            all.skip(keys).filter(kept).cloned().collect()
        };
        for relation in planner.relations {
            let columns = values(relation).into_iter().chain(old_key(relation));
            items.extend(columns.map(|c| column(relation, &c, *span)));
        }
    }
    items
}

/// The names of a query, where whole partitioning expressions stand for the new key.
struct Rekeyed<'a> {
    scope: QueryScope<'a>,
    keys: &'a [NewKey],
}

impl Scope for Rekeyed<'_> {
    fn column(&self, source: Option<&Ident>, name: &Ident) -> Result<Expr> {
        self.scope.column(source, name)
    }

    fn substitute(&self, expr: &ast::Expr) -> Result<Option<Expr>> {
        if matches!(*expr.node, Ast::Column { .. } | Ast::Unit(_) | Ast::Lambda { .. }) {
            return Ok(None);
        }
        // What cannot be bound before is not a partitioning expression.
        let Ok(bound) = bind(expr, &self.scope) else { return Ok(None) };
        Ok(self.keys.iter().find(|k| k.bound == bound).map(|k| self.scope.columns.expr(k.id)))
    }

    fn outer(&self) -> Option<&dyn Scope> {
        Some(&self.scope)
    }
}
