//! Pull queries: SELECT over a table as it is now, by key or by scan.

use super::node::SourceColumn;
use super::scope::{Columns, QueryScope, Relation, RelationColumn};
use super::select::{self, Strictness};
use super::unnest;
use crate::catalog::{Catalog, Source};
use crate::error::{Error, Result, Span};
use crate::expr::bind::{Scope, bind_condition};
use crate::expr::{ColumnId, Expr, Kind};
use crate::sql::ast::{self, CompareOp};
use crate::sql::query::{self, Query, SelectItem};
use crate::sql::words::Ident;
use crate::types::{Column, Role, SqlType, Value, quoted};
use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// A look at a table.
#[derive(Clone, Debug)]
pub struct Pull {
    /// The table.
    pub source: Arc<Source>,
    /// The columns that the expressions are evaluated over: the table's in the order of its schema, then the window's
    /// bounds and the row's time.
    pub layout: Vec<ColumnId>,
    /// The WHERE clause, if there is one.
    pub condition: Option<Expr>,
    /// The expressions of the result and their names.
    pub items: Vec<(Column, Expr)>,
    /// The keys to look up, if the condition leaves only these; each has a value for every key column.
    pub keys: Option<Vec<Vec<Value>>>,
    /// The windows to which the condition leads, by their starts in milliseconds since the epoch.
    pub starts: RangeInclusive<i64>,
    /// The most rows that are shown.
    pub limit: Option<usize>,
    /// Whether the condition compares the only key column with a literal and says nothing else. The same plan without the
    /// condition then serves any other key.
    pub is_of_key: bool,
}

/// Plans a SELECT without EMIT.
///
/// # Errors
/// The source is no table that a query keeps, or the query has clauses that a look at a table cannot have.
pub fn plan(query: &Query, catalog: &Catalog) -> Result<Pull> {
    super::refuse_extensions(query)?;
    refuse_clauses(query)?;
    unnest::refuse(&query.items)?;
    refuse_duplicates(&query.items)?;
    let columns = Columns::default();
    let mut relation = Relation::new(&query.from.first, catalog, &columns)?;
    offer(&mut relation, &query.from.first, &columns)?;
    let source = relation.source().clone();
    let layout = layout(&relation);
    let relations = [relation];
    let scope = QueryScope { relations: &relations, catalog, columns: &columns, join_key: None, clause: "SELECT" };
    let names = PullScope(scope.clause("SELECT"));
    let items = expand(&query.items, &relations);
    let selected = select::select(&items, &scope, &names)?;
    select::check_reserved(&items, &scope, Strictness::Transient)?;
    let condition = match &query.filter {
        Some(filter) => Some(bind_condition(filter, &PullScope(scope.clause("WHERE")), "WHERE")?),
        None => None,
    };
    let Narrowed { keys, starts } = narrowed(condition.as_ref(), &relations[0], &columns);
    let is_key = |expr: &Expr| {
        let named = ["WINDOWSTART", "WINDOWEND"].into_iter().filter_map(|name| relations[0].column(name));
        let windowed = relations[0].source().window.is_some();
        let bounds = named.filter(|_| windowed).map(|column| column.id);
        let mut ids = relations[0].keys().map(|key| key.id).chain(bounds);
        ids.any(|id| *expr == columns.expr(id))
    };
    let items = selected.into_iter().map(|s| {
        let is_named = relations[0].column(&s.name).is_some();
        let role = if is_named && is_key(&s.expr) { Role::Key } else { Role::Value };
        (Column { name: s.name, sql_type: s.expr.result_type(), role }, s.expr)
    });
    let items: Vec<(Column, Expr)> = items.collect();
    let is_of_key = relations[0].keys().count() == 1 && query.filter.as_ref().is_some_and(compares_literal);
    let limit = query.limit.map(|limit| limit as usize);
    Ok(Pull { source, items, condition, layout, keys, starts, limit, is_of_key })
}

/// Whether a condition is `column = literal`, either way round.
fn compares_literal(condition: &ast::Expr) -> bool {
    let ast::Node::Compare { op: CompareOp::Equal, left, right } = &*condition.node else { return false };
    let is_column = |expr: &ast::Expr| matches!(*expr.node, ast::Node::Column { .. });
    let is_literal = |expr: &ast::Expr| matches!(*expr.node, ast::Node::Literal(_));
    is_column(left) && is_literal(right) || is_literal(left) && is_column(right)
}

/// Has a table offer the bounds of its windows, and no places of records.
///
/// # Errors
/// No query keeps the table.
pub(super) fn offer(relation: &mut Relation, written: &query::Relation, columns: &Columns) -> Result<()> {
    let source = relation.source().clone();
    if source.query.is_none() {
        let name = &source.name;
        let message = format!("The `{name}` table isn't queryable.");
        let hint = format!("derive one that is: CREATE TABLE QUERYABLE_{name} AS SELECT * FROM {name}");
        return Err(Error::invalid(message).at(written.name.span).hint(hint));
    }
    if source.window.is_some() {
        for name in ["WINDOWSTART", "WINDOWEND"] {
            let id = columns.add(name, SqlType::Bigint);
            relation.columns.push(RelationColumn { name: name.into(), id, origin: SourceColumn::RowTime });
        }
    }
    relation.columns.retain(|c| c.name != "ROWPARTITION" && c.name != "ROWOFFSET");
    Ok(())
}

/// The table's columns in their order, then the window's bounds, then the time.
fn layout(relation: &Relation) -> Vec<ColumnId> {
    let named = |name: &str| relation.column(name).map(|c| c.id);
    let bounds = [named("WINDOWSTART"), named("WINDOWEND"), named("ROWTIME")];
    relation.declared().map(|c| c.id).chain(bounds.into_iter().flatten()).collect()
}

/// `*` of one table with windows shows their bounds after the key.
pub(super) fn expand(items: &[SelectItem], relations: &[Relation]) -> Vec<SelectItem> {
    let [relation] = relations else { return items.to_vec() };
    if relation.as_source().is_none_or(|source| source.window.is_none()) {
        return items.to_vec();
    }
    let item = |name: &str| SelectItem::Expr {
        expr: ast::Expr::new(ast::Node::Column { source: None, name: Ident::new(name) }, Span::default()),
        alias: Some(Ident::new(name)),
    };
    let all = || {
        let declared: Vec<&str> = relation.declared().map(|c| c.name.as_str()).collect();
        let (keys, values) = declared.split_at(relation.keys().count());
        [keys, &["WINDOWSTART", "WINDOWEND"], values].concat().into_iter().map(item).collect::<Vec<_>>()
    };
    let expanded = |i: &SelectItem| match i {
        SelectItem::All(_) | SelectItem::AllOf(_) => all(),
        other => vec![other.clone()],
    };
    items.iter().flat_map(expanded).collect()
}

/// Refuses clauses that a pull query cannot have.
///
/// # Errors
/// The first of them, with its place.
pub fn refuse_clauses(query: &Query) -> Result<()> {
    let clauses = [
        ("WINDOW", query.window.as_ref().map(|window| window.span)),
        ("PARTITION BY", query.partition_by.as_ref().map(|partition_by| partition_by.span)),
    ];
    match clauses.into_iter().find_map(|(clause, span)| Some((clause, span?))) {
        Some((clause, span)) => Err(Error::invalid(format!("Pull queries don't support {clause} clauses."))
            .at(span)
            .hint("add EMIT CHANGES if you intended to issue a push query")),
        None => Ok(()),
    }
}

/// Refuses items of one name: whoever reads rows by names would get one of them.
fn refuse_duplicates(items: &[SelectItem]) -> Result<()> {
    let mut seen: Vec<&str> = Vec::new();
    for item in items {
        let SelectItem::Expr { expr, alias } = item else { continue };
        let name = match (&*expr.node, alias) {
            (_, Some(alias)) => &alias.name,
            (ast::Node::Column { name, .. }, None) => &name.name,
            _ => continue,
        };
        if seen.contains(&name.as_str()) {
            let message = format!("Duplicate value columns found in schema: {}", quoted(name));
            return Err(Error::invalid(message).at(expr.span).hint("name one of them with AS"));
        }
        seen.push(name);
    }
    Ok(())
}

/// The names of a table: in WHERE texts may stand for the instants of windows and rows.
struct PullScope<'a>(QueryScope<'a>);

impl Scope for PullScope<'_> {
    fn column(&self, source: Option<&Ident>, name: &Ident) -> Result<Expr> {
        if ["ROWPARTITION", "ROWOFFSET"].contains(&name.name.as_str()) {
            let message = format!(
                "Pull queries don't support the following columns in {} clauses: `{}`",
                self.0.clause, name.name
            );
            return Err(Error::invalid(message).at(name.span));
        }
        self.0.column(source, name)
    }

    fn outer(&self) -> Option<&dyn Scope> {
        Some(&self.0)
    }
}

/// To what a condition narrows the rows of the table that a relation is.
fn narrowed(condition: Option<&Expr>, relation: &Relation, columns: &Columns) -> Narrowed {
    let mut narrowing = Narrowing::new(relation.source());
    let Some(condition) = condition else { return narrowing.finish() };
    for (place, key) in relation.keys().enumerate() {
        narrowing.key(place, condition, &columns.expr(key.id));
    }
    if relation.source().window.is_some() {
        let column = |name| relation.column(name).map(|column| columns.expr(column.id));
        column("WINDOWSTART").into_iter().for_each(|start| narrowing.window_start(condition, &start));
        column("WINDOWEND").into_iter().for_each(|end| narrowing.window_end(condition, &end));
    }
    narrowing.finish()
}

/// To what conditions narrow the rows of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Narrowed {
    /// The keys to look up, if only these are left; each has a value for every key column.
    pub keys: Option<Vec<Vec<Value>>>,
    /// The windows that are left, by their starts in milliseconds since the epoch.
    pub starts: RangeInclusive<i64>,
}

/// Finds out to what conditions narrow the rows of a table, of which all must be true.
pub struct Narrowing {
    /// For each key column the values that it may have, if a condition says that.
    keys: Vec<Option<Vec<Value>>>,
    starts: (i64, i64),
    size_ms: i64,
}

impl Narrowing {
    /// Without a condition.
    pub fn new(table: &Source) -> Narrowing {
        let size_ms = table.window.and_then(|window| window.size_ms).unwrap_or_default();
        Narrowing { keys: vec![None; table.schema.keys().len()], starts: (i64::MIN, i64::MAX), size_ms }
    }

    /// Notes what a condition says of the column at this place of the schema.
    pub fn key(&mut self, place: usize, condition: &Expr, column: &Expr) {
        if let Some(key @ None) = self.keys.get_mut(place) {
            *key = conjuncts(condition).into_iter().find_map(|conjunct| values_of(conjunct, column));
        }
    }

    /// Notes what a condition says of the start of the window.
    pub fn window_start(&mut self, condition: &Expr, column: &Expr) {
        self.bound(0, condition, column);
    }

    /// Notes what a condition says of the end of the window.
    pub fn window_end(&mut self, condition: &Expr, column: &Expr) {
        self.bound(self.size_ms, condition, column);
    }

    /// A comparison of a bound that lies so far after the start of the window.
    fn bound(&mut self, shift_ms: i64, condition: &Expr, column: &Expr) {
        for (op, bound) in conjuncts(condition).into_iter().filter_map(|conjunct| comparison(conjunct, column)) {
            let bound = bound.saturating_sub(shift_ms);
            let (least, most) = match op {
                CompareOp::Equal => (bound, bound),
                CompareOp::Greater => (bound.saturating_add(1), i64::MAX),
                CompareOp::GreaterOrEqual => (bound, i64::MAX),
                CompareOp::Less => (i64::MIN, bound.saturating_sub(1)),
                CompareOp::LessOrEqual => (i64::MIN, bound),
                CompareOp::NotEqual | CompareOp::Distinct | CompareOp::NotDistinct => continue,
            };
            self.starts = (self.starts.0.max(least), self.starts.1.min(most));
        }
    }

    /// To what the conditions narrow the rows. Nothing is looked up if that would be very many keys.
    pub fn finish(self) -> Narrowed {
        let mut found = (!self.keys.is_empty()).then(|| vec![Vec::new()]);
        for values in self.keys {
            found = found.zip(values.map(unique)).and_then(|(found, values)| combined(&found, &values));
        }
        Narrowed { keys: found, starts: self.starts.0..=self.starts.1 }
    }
}

/// The most keys that are looked up; with more the table is walked.
const MOST_KEYS: usize = 10_000;

/// A value that is named twice is looked up once.
fn unique(values: Vec<Value>) -> Vec<Value> {
    let mut seen = HashSet::new();
    values.into_iter().filter(|value| seen.insert(value.to_text())).collect()
}

/// Each of the keys with each of the values after it; `None` if these are too many.
fn combined(keys: &[Vec<Value>], values: &[Value]) -> Option<Vec<Vec<Value>>> {
    if keys.len().saturating_mul(values.len()) > MOST_KEYS {
        return None;
    }
    let with = |key: &Vec<Value>| {
        let key = key.clone();
        values.iter().map(move |value| [key.as_slice(), std::slice::from_ref(value)].concat())
    };
    Some(keys.iter().flat_map(with).collect())
}

/// The conditions that a condition consists of.
///
/// A row for which one of them is not true is left out, whatever the others say or fail with.
pub(super) fn conjuncts(condition: &Expr) -> Vec<&Expr> {
    match &condition.kind {
        Kind::And(items) => items.iter().flat_map(conjuncts).collect(),
        _ => vec![condition],
    }
}

/// How a condition compares a column with a constant, if that is all that it does; the column is on the left.
fn comparison(condition: &Expr, column: &Expr) -> Option<(CompareOp, i64)> {
    let Kind::Compare { op, left, right } = &condition.kind else { return None };
    let constant = |expr: &Expr| match expr.as_constant()? {
        Value::Bigint(value) => Some(*value),
        Value::Integer(value) => Some(i64::from(*value)),
        _ => None,
    };
    if **left == *column {
        return Some((*op, constant(right)?));
    }
    let turned = match op {
        CompareOp::Less => CompareOp::Greater,
        CompareOp::LessOrEqual => CompareOp::GreaterOrEqual,
        CompareOp::Greater => CompareOp::Less,
        CompareOp::GreaterOrEqual => CompareOp::LessOrEqual,
        other => *other,
    };
    (**right == *column).then_some((turned, constant(left)?))
}

/// The values that a condition allows for a column, if it is `column = constant` or `column IN (constants)`.
fn values_of(condition: &Expr, column: &Expr) -> Option<Vec<Value>> {
    let constant = |e: &Expr| match (e.as_constant()?, &column.sql_type) {
        // 0.0 and -0.0 are one key.
        (Value::Double(value), Some(SqlType::Double)) if *value == 0.0 => Some(Value::Double(0.0)),
        (value, sql_type) if e.sql_type == *sql_type => Some(value.clone()),
        // `5` is an INTEGER, whatever it is compared with.
        (Value::Integer(value), Some(SqlType::Bigint)) => Some(Value::Bigint(i64::from(*value))),
        _ => None,
    };
    match &condition.kind {
        Kind::Compare { op: CompareOp::Equal, left, right } if **left == *column => constant(right).map(|v| vec![v]),
        Kind::Compare { op: CompareOp::Equal, left, right } if **right == *column => constant(left).map(|v| vec![v]),
        Kind::In { value, list } if **value == *column => list.iter().map(constant).collect(),
        _ => None,
    }
}
