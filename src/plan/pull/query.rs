//! SELECT statements to relations, clause by clause.

use std::cell::{Cell, RefCell};

use super::from::wider;
use super::over::{Found, OverScope, first_over, refuse_unordered};
use super::subquery::{QueryingScope, attach, contains_query};
use super::{Rel, Relations, SortBy};
use crate::catalog::Catalog;
use crate::config::Properties;
use crate::error::{Error, Result, Span};
use crate::expr::bind::{Scope, bind, bind_condition};
use crate::expr::{ColumnId, Expr, Kind};
use crate::plan::aggregates::{self, Aggregates};
use crate::plan::group::{self, Calls};
use crate::plan::scope::{Columns, QueryScope, Relation};
use crate::plan::select::{self, Selected};
use crate::plan::table;
use crate::sql::ast::{self, Literal, Node};
use crate::sql::over::SortItem;
use crate::sql::query::{NamedQuery, Query, SelectItem, Union};
use crate::types::{Column, SqlType, Value, quoted};

/// The most SELECTs and sources of a query: planning takes more time and stack with each.
const MOST_PARTS: usize = 128;

/// Whether a query is a look at one table or stream, which needs no relations.
pub fn is_look(query: &Query) -> bool {
    let is_extended = !query.named.is_empty()
        || query.distinct
        || query.from.first.derived.is_some()
        || !query.from.joins.is_empty()
        || query.group_by.is_some()
        || query.having.is_some()
        || !query.unions.is_empty()
        || !query.order_by.is_empty()
        || query.offset.is_some();
    let special = |expr: &ast::Expr| aggregates::contains_aggregate(expr) || first_over(expr).is_some();
    let filters = |filter: &ast::Expr| first_over(filter).is_some() || contains_query(filter);
    let is_special = |expr: &ast::Expr| special(expr) || contains_query(expr);
    !is_extended && !query.filter.as_ref().is_some_and(filters) && !expressions(&query.items).any(is_special)
}

/// The expressions of SELECT.
fn expressions(items: &[SelectItem]) -> impl Iterator<Item = &ast::Expr> {
    items.iter().filter_map(|item| match item {
        SelectItem::Fields(expr) | SelectItem::Expr { expr, .. } => Some(expr),
        SelectItem::All(_) | SelectItem::AllOf(_) => None,
    })
}

/// Plans a query as relations.
///
/// # Errors
/// As for [`super::plan`].
pub(super) fn plan(query: &Query, catalog: &Catalog, properties: &Properties) -> Result<Relations> {
    let columns = Columns::default();
    let planned = Planner { catalog, properties, columns: &columns, parts: &Cell::new(0) }.query(query, &[])?;
    let (columns, warnings) = columns.into_inner();
    let output = planned.output.into_iter().map(|(name, id)| {
        let sql_type = columns[id as usize].1.clone();
        (Column::value(name, sql_type), id)
    });
    Ok(Relations { root: planned.rel, output: output.collect(), columns, warnings })
}

/// A query that is planned: its rows, and the name and column of each item.
pub(super) struct Planned {
    pub rel: Rel,
    pub output: Vec<(String, ColumnId)>,
}

#[derive(Clone, Copy)]
pub(super) struct Planner<'a> {
    pub catalog: &'a Catalog,
    properties: &'a Properties,
    pub columns: &'a Columns,
    /// How many SELECTs and sources there are so far.
    parts: &'a Cell<usize>,
}

/// The queries of WITH that may be named, the nearest last.
pub(super) type Named<'q> = [&'q NamedQuery];

impl<'a> Planner<'a> {
    /// A query with everything from WITH to OFFSET.
    pub(super) fn query<'q>(&self, query: &'q Query, outer: &Named<'q>) -> Result<Planned> {
        if query.emit.is_some() {
            let error = Error::invalid("EMIT stands at the end of a whole push query").at(query.span);
            return Err(error.hint("without EMIT, tables are read as of their last commit and streams to their ends"));
        }
        let mut named = outer.to_vec();
        for (place, own) in query.named.iter().enumerate() {
            if query.named[..place].iter().any(|earlier| earlier.name.name == own.name.name) {
                return Err(Error::invalid(format!("{} is named twice in WITH", own.name)).at(own.name.span));
            }
            named.push(own);
        }
        let (mut planned, by) = match query.unions.as_slice() {
            [] => self.core(query, &query.order_by, &named)?,
            others => self.union(query, others, &named)?,
        };
        if !by.is_empty() {
            planned.rel = Rel::Sort { input: Box::new(planned.rel), by };
        }
        if query.limit.is_some() || query.offset.is_some() {
            let (skip, most) = (query.offset.unwrap_or(0) as usize, query.limit.map(|most| most as usize));
            planned.rel = Rel::Limit { input: Box::new(planned.rel), skip, most };
        }
        Ok(planned)
    }

    /// The rows of several queries.
    fn union<'q>(&self, first: &'q Query, others: &'q [Union], named: &Named<'q>) -> Result<(Planned, Vec<SortBy>)> {
        let mut sides = vec![self.core(first, &[], named)?.0];
        for Union { query: other, .. } in others {
            let side = self.core(other, &[], named)?.0;
            if side.output.len() != sides[0].output.len() {
                let message =
                    format!("the queries of UNION have {} and {} columns", sides[0].output.len(), side.output.len());
                return Err(Error::invalid(message).at(other.span).hint("they need as many, in the same order"));
            }
            sides.push(side);
        }
        let mut types = Vec::new();
        for place in 0..sides[0].output.len() {
            let of = |side: &Planned| self.columns.expr(side.output[place].1).result_type();
            let mut common = of(&sides[0]);
            for (side, written) in
                sides.iter().zip(std::iter::once(first).chain(others.iter().map(|other| &other.query))).skip(1)
            {
                common = wider(&common, &of(side)).ok_or_else(|| {
                    let name = quoted(&sides[0].output[place].0);
                    let message =
                        format!("column {name} of UNION is {common} in one query and {} in another", of(side));
                    Error::invalid(message).at(written.span).hint("CAST one of them to the type of the other")
                })?;
            }
            types.push(common);
        }
        let names: Vec<String> = sides[0].output.iter().map(|(name, _)| name.clone()).collect();
        if others.iter().any(|other| !other.all) {
            let columns: Vec<_> = names.iter().cloned().zip(types.iter().cloned()).collect();
            refuse_maps(&columns, "UNION", first.span)?;
        }
        let mut output = Vec::new();
        let inputs = sides.into_iter().map(|side| {
            let column = |((name, id), sql_type): (&(String, ColumnId), &SqlType)| {
                let expr = aggregates::widened(self.columns.expr(*id), sql_type);
                (self.columns.add(name.clone(), sql_type.clone()), expr)
            };
            let columns: Vec<(ColumnId, Expr)> = side.output.iter().zip(&types).map(column).collect();
            if output.is_empty() {
                output = columns.iter().zip(&names).map(|((id, _), name)| (name.clone(), *id)).collect();
            }
            Rel::Project { input: Box::new(side.rel), columns }
        });
        // `a UNION ALL b UNION c` is read from the left: what repeats in the rows of all three goes.
        let mut sides = inputs.zip(std::iter::once(true).chain(others.iter().map(|other| other.all)));
        let (mut rel, _) = sides.next().expect("the first query");
        for (side, all) in sides {
            rel = match (rel, all) {
                (Rel::Union { mut inputs }, true) => {
                    inputs.push(side);
                    Rel::Union { inputs }
                }
                (rel, true) => Rel::Union { inputs: vec![rel, side] },
                (rel, false) => Rel::Distinct { input: Box::new(Rel::Union { inputs: vec![rel, side] }) },
            };
        }
        let planned = Planned { rel, output };
        let by = first.order_by.iter().map(|item| {
            let column = named_item(item, &planned.output)?.ok_or_else(|| {
                let message = "ORDER BY after UNION takes names of the result's columns";
                Error::invalid(message).at(item.expr.span).hint("name the expression with AS in the first query")
            })?;
            Ok(sort_by(item, column))
        });
        let by = by.collect::<Result<_>>()?;
        Ok((planned, by))
    }

    /// One SELECT, from its sources to DISTINCT, with the columns of its ORDER BY.
    fn core<'q>(&self, query: &'q Query, order: &[SortItem], named: &Named<'q>) -> Result<(Planned, Vec<SortBy>)> {
        table::refuse_clauses(query)?;
        self.count(query.span)?;
        let (relations, mut rel) = self.from(query, named)?;
        let scope = |clause| self.scope(&relations, clause);
        if let Some(filter) = &query.filter {
            let names = scope("WHERE");
            let querying = self.querying(&names, named);
            let conditions = self.conditions(filter, &querying, "WHERE")?;
            rel = attach(rel, querying.found.into_inner()).filter(conditions);
        }
        let items = table::expand(&query.items, &relations);
        let sorted = order.iter().map(|item| &item.expr);
        let aggregates = |expr: &ast::Expr| aggregates::contains_aggregate(expr);
        if query.group_by.is_none() && !expressions(&items).chain(sorted).chain(&query.having).any(aggregates) {
            if let Some(having) = &query.having {
                let message = "HAVING needs a GROUP BY or an aggregate";
                return Err(Error::invalid(message).at(having.span).hint("use WHERE"));
            }
            let names = scope("SELECT");
            let querying = self.querying(&names, named);
            let bound = self.items(&items, (&names, &querying), order)?;
            rel = attach(rel, querying.found.into_inner());
            return self.finish(query, rel, bound);
        }
        let written = query.group_by.as_ref().map_or(&[][..], |group_by| &group_by.exprs);
        group::refuse_aggregates_in_keys(written)?;
        let groups = group::groups(written, &scope("GROUP BY"))?;
        let keys: Vec<_> = groups.iter().map(|g| (g.written.to_string(), g.bound.result_type())).collect();
        refuse_maps(&keys, "GROUP BY", query.span)?;
        let calls = Calls {
            scope: scope("SELECT"),
            groups: &groups,
            names: scope("GROUP BY"),
            window: None,
            aggregates: self.aggregates(),
            made: RefCell::default(),
        };
        group::check_stars(&items, &scope("SELECT"), &groups)?;
        let querying = self.querying(&calls, named);
        let bound = self.items(&items, (&scope("SELECT"), &querying), order)?;
        let mut attached = querying.found.into_inner();
        let mut having = None;
        if let Some(written) = &query.having {
            let names = group::Having(&calls);
            let querying = self.querying(&names, named);
            having = Some(truth(bind_condition(written, &querying, "HAVING")?));
            attached.extend(querying.found.into_inner());
        }
        let made = calls.made.into_inner();
        let keys = groups.iter().filter(|group| !matches!(group.bound.kind, Kind::Column(_)));
        let computed = keys.map(|group| (group.id, group.bound.clone())).chain(made.args).collect();
        let keys = groups.iter().map(|group| group.id).collect();
        rel = Rel::Group { input: Box::new(rel.compute(computed)), keys, calls: made.calls };
        rel = attach(rel, attached).filter(having.map(conjuncts).unwrap_or_default());
        self.finish(query, rel, bound)
    }

    /// Binds the items of SELECT and the expressions of ORDER BY.
    fn items(
        &self,
        items: &[SelectItem],
        (scope, names): (&QueryScope, &dyn Scope),
        order: &[SortItem],
    ) -> Result<Bound> {
        let aggregates = Aggregates { nests: true, ..self.aggregates() };
        let over = OverScope { inner: names, columns: self.columns, aggregates, found: RefCell::default() };
        let selected = select::select(items, scope, &over)?;
        let mut computed = Vec::new();
        let mut place = |name: &str, expr: Expr| match expr.kind {
            Kind::Column(id) => id,
            _ => {
                let id = self.columns.add(name, expr.result_type());
                computed.push((id, expr));
                id
            }
        };
        let column = |Selected { name, expr }| {
            let id = place(&name, expr);
            (name, id)
        };
        let output: Vec<(String, ColumnId)> = selected.into_iter().map(column).collect();
        let mut by = Vec::new();
        for item in order {
            let id = match named_item(item, &output)? {
                Some(id) => id,
                None => place(&item.expr.to_string(), bind(&item.expr, &over)?),
            };
            refuse_unordered(&self.columns.expr(id).result_type(), &item.expr)?;
            by.push(sort_by(item, id));
        }
        Ok(Bound { output, by, computed, found: over.found.into_inner() })
    }

    /// The rows of SELECT, from those of its groups or sources.
    fn finish(&self, query: &Query, mut rel: Rel, bound: Bound) -> Result<(Planned, Vec<SortBy>)> {
        if !bound.found.calls.is_empty() {
            rel = Rel::Over { input: Box::new(rel.compute(bound.found.args)), calls: bound.found.calls };
        }
        rel = rel.compute(bound.computed);
        if query.distinct {
            let is_shown = |by: &&SortBy| bound.output.iter().all(|(_, id)| *id != by.column);
            if bound.by.iter().any(|by| is_shown(&by)) {
                let message = "with SELECT DISTINCT, ORDER BY takes selected expressions only";
                return Err(Error::invalid(message).at(query.span));
            }
            let mut columns: Vec<(ColumnId, Expr)> = Vec::new();
            for (name, id) in &bound.output {
                let expr = self.columns.expr(*id);
                refuse_maps(&[(name.clone(), expr.result_type())], "SELECT DISTINCT", query.span)?;
                if columns.iter().all(|(earlier, _)| earlier != id) {
                    columns.push((*id, expr));
                }
            }
            rel = Rel::Distinct { input: Box::new(Rel::Project { input: Box::new(rel), columns }) };
        }
        Ok((Planned { rel, output: bound.output }, bound.by))
    }

    /// Counts a SELECT or a source.
    ///
    /// # Errors
    /// There are too many. A query of WITH counts wherever it is named.
    pub(super) fn count(&self, span: Span) -> Result<()> {
        self.parts.set(self.parts.get() + 1);
        if self.parts.get() <= MOST_PARTS {
            return Ok(());
        }
        let message = format!("the query has more than {MOST_PARTS} SELECTs and sources, each use of WITH counted");
        Err(Error::invalid(message).at(span).hint("ask several questions"))
    }

    /// The names of a clause.
    pub(super) fn scope<'r>(&self, relations: &'r [Relation], clause: &'static str) -> QueryScope<'r>
    where
        'a: 'r,
    {
        QueryScope { relations, catalog: self.catalog, columns: self.columns, join_key: None, clause }
    }

    /// Names among which queries may stand.
    fn querying<'s, 'q>(&'s self, inner: &'s dyn Scope, named: &'s Named<'q>) -> QueryingScope<'s, 'q> {
        QueryingScope { inner, planner: self, named, found: RefCell::default() }
    }

    /// The conditions that all must be true.
    pub(super) fn conditions(&self, written: &ast::Expr, scope: &dyn Scope, clause: &'static str) -> Result<Vec<Expr>> {
        if let Some((name, span)) = aggregates::first_aggregate(written) {
            let error = Error::invalid(format!("{clause} cannot use the aggregate function {name}")).at(span);
            return Err(error.hint("HAVING judges groups"));
        }
        if let Some(span) = first_over(written) {
            let error = Error::invalid(format!("{clause} cannot use a function over rows")).at(span);
            return Err(error.hint("select it in a query in FROM, and compare it outside"));
        }
        Ok(conjuncts(truth(bind_condition(written, scope, clause)?)))
    }

    pub(super) fn aggregates(&self) -> Aggregates<'a> {
        let counted = Expr::constant(Value::Integer(1), SqlType::Integer);
        Aggregates { properties: self.properties, counted, nests: false }
    }
}

/// The items of SELECT and ORDER BY, bound.
struct Bound {
    output: Vec<(String, ColumnId)>,
    by: Vec<SortBy>,
    /// Columns that are computed for them.
    computed: Vec<(ColumnId, Expr)>,
    /// What must be computed before.
    found: Found,
}

/// A NULL without a type is true for no row.
fn truth(condition: Expr) -> Expr {
    match condition.sql_type {
        Some(_) => condition,
        None => Expr::constant(Value::Boolean(false), SqlType::Boolean),
    }
}

/// Refuses columns that cannot be compared, since the order of a MAP's entries means nothing.
fn refuse_maps(columns: &[(String, SqlType)], clause: &str, span: Span) -> Result<()> {
    match columns.iter().find(|(_, sql_type)| sql_type.contains_map()) {
        Some((name, _)) => {
            let message = format!("{clause} cannot compare {}, which holds a MAP", quoted(name));
            Err(Error::invalid(message).at(span))
        }
        None => Ok(()),
    }
}

/// The conditions that a condition consists of.
fn conjuncts(condition: Expr) -> Vec<Expr> {
    table::conjuncts(&condition).into_iter().cloned().collect()
}

/// The column that an item of ORDER BY names: by the name of a selected item, or by its place, counted from 1.
fn named_item(item: &SortItem, output: &[(String, ColumnId)]) -> Result<Option<ColumnId>> {
    match &*item.expr.node {
        Node::Column { source: None, name } => Ok(output.iter().find(|(own, _)| *own == name.name).map(|(_, id)| *id)),
        Node::Literal(Literal::Integer(place)) => {
            let found = usize::try_from(*place).ok().and_then(|place| output.get(place.checked_sub(1)?));
            let message = || format!("ORDER BY {place}: SELECT has {} items", output.len());
            found.map(|(_, id)| Some(*id)).ok_or_else(|| Error::invalid(message()).at(item.expr.span))
        }
        _ => Ok(None),
    }
}

/// NULL counts as larger than all values, as in PostgreSQL.
pub(super) fn sort_by(item: &SortItem, column: ColumnId) -> SortBy {
    SortBy { column, descending: item.descending, nulls_first: item.nulls_first.unwrap_or(item.descending) }
}
