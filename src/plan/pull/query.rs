//! SELECT statements to relations, clause by clause.

use std::cell::RefCell;

use super::over::{Found, OverScope, first_over};
use super::{Offered, Rel, Relations, SortBy};
use crate::catalog::{Catalog, Source, SourceKind};
use crate::config::Properties;
use crate::error::{Error, Result};
use crate::expr::bind::{Scope, bind, bind_condition};
use crate::expr::{ColumnId, Expr, Kind};
use crate::plan::group::{self, Aggregates, Calls};
use crate::plan::scope::{Columns, QueryScope, Relation};
use crate::plan::select::{self, Selected};
use crate::plan::table;
use crate::sql::ast::{self, Literal, Node, SortItem};
use crate::sql::query::{self, Join, NamedQuery, Query, SelectItem};
use crate::types::{Column, SqlType, Value, quoted};

/// Whether a query is a look at one table or stream, which needs no relations.
pub fn is_look(query: &Query) -> bool {
    let is_extended = !query.named.is_empty()
        || query.distinct
        || query.from.first.derived.is_some()
        || !query.from.joins.is_empty()
        || query.group_by.is_some()
        || query.having.is_some()
        || !query.union_all.is_empty()
        || !query.order_by.is_empty()
        || query.offset.is_some();
    let special = |expr: &ast::Expr| group::contains_aggregate(expr) || first_over(expr).is_some();
    let filters_over = query.filter.as_ref().is_some_and(|filter| first_over(filter).is_some());
    !is_extended && !filters_over && !expressions(&query.items).any(special)
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
    let planned = Planner { catalog, properties, columns: &columns }.query(query, &[])?;
    let (columns, warnings) = columns.into_inner();
    let output = planned.output.into_iter().map(|(name, id)| {
        let sql_type = columns[id as usize].1.clone();
        (Column::value(name, sql_type), id)
    });
    Ok(Relations { root: planned.rel, output: output.collect(), columns, warnings })
}

/// A query that is planned: its rows, and the name and column of each item.
struct Planned {
    rel: Rel,
    output: Vec<(String, ColumnId)>,
}

#[derive(Clone, Copy)]
struct Planner<'a> {
    catalog: &'a Catalog,
    properties: &'a Properties,
    columns: &'a Columns,
}

/// The queries of WITH that may be named, the nearest last.
type Named<'q> = [&'q NamedQuery];

impl<'a> Planner<'a> {
    /// A query with everything from WITH to OFFSET.
    fn query<'q>(&self, query: &'q Query, outer: &Named<'q>) -> Result<Planned> {
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
        let (mut planned, by) = match query.union_all.as_slice() {
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

    /// All rows of several queries.
    fn union<'q>(&self, first: &'q Query, others: &'q [Query], named: &Named<'q>) -> Result<(Planned, Vec<SortBy>)> {
        let mut sides = vec![self.core(first, &[], named)?.0];
        for other in others {
            let side = self.core(other, &[], named)?.0;
            if side.output.len() != sides[0].output.len() {
                let message = format!(
                    "the queries of UNION ALL have {} and {} columns",
                    sides[0].output.len(),
                    side.output.len()
                );
                return Err(Error::invalid(message).at(other.span).hint("they need as many, in the same order"));
            }
            sides.push(side);
        }
        let mut types = Vec::new();
        for place in 0..sides[0].output.len() {
            let of = |side: &Planned| self.columns.expr(side.output[place].1).result_type();
            let mut common = of(&sides[0]);
            for (side, written) in sides.iter().zip(std::iter::once(first).chain(others)).skip(1) {
                common = wider(&common, &of(side)).ok_or_else(|| {
                    let name = quoted(&sides[0].output[place].0);
                    let message =
                        format!("column {name} of UNION ALL is {common} in one query and {} in another", of(side));
                    Error::invalid(message).at(written.span).hint("CAST one of them to the type of the other")
                })?;
            }
            types.push(common);
        }
        let names: Vec<String> = sides[0].output.iter().map(|(name, _)| name.clone()).collect();
        let mut output = Vec::new();
        let inputs = sides.into_iter().map(|side| {
            let column = |((name, id), sql_type): (&(String, ColumnId), &SqlType)| {
                let expr = group::widened(self.columns.expr(*id), sql_type);
                (self.columns.add(name.clone(), sql_type.clone()), expr)
            };
            let columns: Vec<(ColumnId, Expr)> = side.output.iter().zip(&types).map(column).collect();
            if output.is_empty() {
                output = columns.iter().zip(&names).map(|((id, _), name)| (name.clone(), *id)).collect();
            }
            Rel::Project { input: Box::new(side.rel), columns }
        });
        let planned = Planned { rel: Rel::Union { inputs: inputs.collect() }, output };
        let by = first.order_by.iter().map(|item| {
            let column = named_item(item, &planned.output)?.ok_or_else(|| {
                let message = "ORDER BY after UNION ALL takes names of the result's columns";
                Error::invalid(message).at(item.expr.span).hint("name the expression with AS in the first query")
            })?;
            Ok(sort_by(item, column))
        });
        let by = by.collect::<Result<_>>()?;
        Ok((planned, by))
    }

    /// One SELECT, from its sources to DISTINCT, with the columns of its ORDER BY.
    fn core<'q>(&self, query: &'q Query, order: &[SortItem], named: &Named<'q>) -> Result<(Planned, Vec<SortBy>)> {
        refuse(query)?;
        let (relations, mut rel) = self.from(query, named)?;
        let scope = |clause| self.scope(&relations, clause);
        if let Some(filter) = &query.filter {
            rel = rel.filter(self.conditions(filter, &scope("WHERE"), "WHERE")?);
        }
        let items = table::expand(&query.items, &relations);
        let sorted = order.iter().map(|item| &item.expr);
        let aggregates = |expr: &ast::Expr| group::contains_aggregate(expr);
        if query.group_by.is_none() && !expressions(&items).chain(sorted).chain(&query.having).any(aggregates) {
            if let Some(having) = &query.having {
                let message = "HAVING needs a GROUP BY or an aggregate";
                return Err(Error::invalid(message).at(having.span).hint("use WHERE"));
            }
            let names = scope("SELECT");
            let bound = self.items(&items, (&scope("SELECT"), &names), order)?;
            return self.finish(query, rel, bound);
        }
        let written = query.group_by.as_ref().map_or(&[][..], |group_by| &group_by.exprs);
        group::refuse_aggregates_in_keys(written)?;
        let groups = group::groups(written, &scope("GROUP BY"))?;
        let calls = Calls {
            scope: scope("SELECT"),
            groups: &groups,
            names: scope("GROUP BY"),
            window: None,
            aggregates: self.aggregates(),
            made: RefCell::default(),
        };
        group::check_stars(&items, &scope("SELECT"), &groups)?;
        let bound = self.items(&items, (&scope("SELECT"), &calls), order)?;
        let having = query.having.as_ref().map(|having| group::having(having, &calls)).transpose()?;
        let made = calls.made.into_inner();
        let keys = groups.iter().filter(|group| !matches!(group.bound.kind, Kind::Column(_)));
        let computed = keys.map(|group| (group.id, group.bound.clone())).chain(made.args).collect();
        let keys = groups.iter().map(|group| group.id).collect();
        rel = Rel::Group { input: Box::new(rel.compute(computed)), keys, calls: made.calls };
        rel = rel.filter(having.map(conjuncts).unwrap_or_default());
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
                if expr.result_type().contains_map() {
                    let message = format!("SELECT DISTINCT cannot compare {}, which holds a MAP", quoted(name));
                    return Err(Error::invalid(message).at(query.span));
                }
                if columns.iter().all(|(earlier, _)| earlier != id) {
                    columns.push((*id, expr));
                }
            }
            rel = Rel::Distinct { input: Box::new(Rel::Project { input: Box::new(rel), columns }) };
        }
        Ok((Planned { rel, output: bound.output }, bound.by))
    }

    /// The sources with their joins, from left to right.
    fn from<'q>(&self, query: &'q Query, named: &Named<'q>) -> Result<(Vec<Relation>, Rel)> {
        let (first, mut rel) = self.relation(&query.from.first, named)?;
        let mut relations = vec![first];
        for join in &query.from.joins {
            let (right, rows) = self.relation(&join.right, named)?;
            if relations.iter().any(|left| left.called == right.called) {
                let message = format!("two sources are called {}", quoted(&right.called));
                return Err(Error::invalid(message).at(join.span).hint("give one of them another name with AS"));
            }
            relations.push(right);
            rel = self.join(join, (rel, rows), &relations)?;
        }
        Ok((relations, rel))
    }

    /// Rows joined with those of one more source, the last of the relations.
    fn join(&self, join: &Join, (left, right): (Rel, Rel), relations: &[Relation]) -> Result<Rel> {
        if join.within.is_some() {
            let error = Error::invalid("WITHIN is for joins of streams in push and persistent queries").at(join.span);
            return Err(error.hint("compare ROWTIME of both sides in ON"));
        }
        let conditions = self.conditions(&join.on, &self.scope(relations, "JOIN"), "JOIN")?;
        let (own, others) = relations.split_last().expect("the right side is there");
        let of = |relations: &[Relation]| -> Vec<ColumnId> {
            relations.iter().flat_map(|relation| relation.columns.iter().map(|column| column.id)).collect()
        };
        let mut sides = [Side::new(left, of(others)), Side::new(right, of(std::slice::from_ref(own)))];
        let (mut equal, mut rest) = (Vec::new(), Vec::new());
        for condition in conditions {
            match self.equality(&condition, &mut sides) {
                Some(pair) => equal.push(pair),
                None => rest.push(condition),
            }
        }
        let [left, right] = sides.map(|side| Box::new(side.rel.compute(side.computed)));
        Ok(Rel::Join { left, right, kind: join.kind, equal, conditions: rest })
    }

    /// The columns that a condition sets equal, one of each side, if it does that and they can be looked up.
    fn equality(&self, condition: &Expr, sides: &mut [Side; 2]) -> Option<(ColumnId, ColumnId)> {
        let Kind::Compare { op: ast::CompareOp::Equal, left, right } = &condition.kind else { return None };
        let (left, right) = match (sides[0].holds(left), sides[1].holds(right)) {
            (true, true) => (left, right),
            _ if sides[0].holds(right) && sides[1].holds(left) => (right, left),
            _ => return None,
        };
        let common = match (left.result_type(), right.result_type()) {
            // 0.0 equals -0.0, which are different bits; and NaN equals nothing.
            (SqlType::Double, _) | (_, SqlType::Double) => return None,
            (a, b) if a == b && !a.is_nested() => a,
            (SqlType::Integer, SqlType::Bigint) | (SqlType::Bigint, SqlType::Integer) => SqlType::Bigint,
            _ => return None,
        };
        let place = |side: &mut Side, expr: &Expr| {
            let expr = group::widened(expr.clone(), &common);
            if let Kind::Column(id) = expr.kind {
                return id;
            }
            let id = self.columns.add("join key", common.clone());
            side.computed.push((id, expr));
            id
        };
        let [own, other] = sides;
        Some((place(own, left), place(other, right)))
    }

    /// A source in FROM: its names, and its rows.
    fn relation<'q>(&self, written: &'q query::Relation, named: &Named<'q>) -> Result<(Relation, Rel)> {
        if let Some(item) = written.with.items.first() {
            let error = Error::unsupported("WITH (START = …)").at(item.span);
            return Err(error.hint("a pull query reads streams from their starts"));
        }
        if let Some(derived) = &written.derived {
            return self.derived(written, derived, named);
        }
        if let Some(place) = named.iter().rposition(|own| own.name.name == written.name.name) {
            // A query of WITH sees those before it.
            return self.derived(written, &named[place].query, &named[..place]);
        }
        let mut relation = Relation::new(written, self.catalog, self.columns)?;
        let source = relation.source().clone();
        match source.kind {
            SourceKind::Table => table::offer(&mut relation, written, self.columns)?,
            SourceKind::Stream if source.window.is_some() => {
                return Err(Error::unsupported(format!("the windowed stream {}", source.name)).at(written.name.span));
            }
            SourceKind::Stream => {}
        }
        let columns = offered(&relation, &source);
        Ok((relation, Rel::Source { source, columns }))
    }

    /// A query in FROM.
    fn derived<'q>(&self, written: &query::Relation, query: &'q Query, named: &Named<'q>) -> Result<(Relation, Rel)> {
        let planned = self.query(query, named)?;
        for (place, (name, _)) in planned.output.iter().enumerate() {
            if planned.output[..place].iter().any(|(earlier, _)| earlier == name) {
                let message = format!("the query {} has two columns {}", written.called(), quoted(name));
                return Err(Error::invalid(message).at(query.span).hint("name one of them with AS"));
            }
        }
        // Each item gets a column of its own, so that a column that is selected twice has two names.
        let columns: Vec<(String, ColumnId, ColumnId)> = planned
            .output
            .into_iter()
            .map(|(name, id)| {
                let own = self.columns.add(name.clone(), self.columns.expr(id).result_type());
                (name, own, id)
            })
            .collect();
        let relation = Relation::derived(written.called(), columns.iter().map(|(name, own, _)| (name.clone(), *own)));
        let columns = columns.iter().map(|(_, own, id)| (*own, self.columns.expr(*id))).collect();
        Ok((relation, Rel::Project { input: Box::new(planned.rel), columns }))
    }

    fn scope<'r>(&self, relations: &'r [Relation], clause: &'static str) -> QueryScope<'r>
    where
        'a: 'r,
    {
        QueryScope { relations, catalog: self.catalog, columns: self.columns, join_key: None, clause }
    }

    /// The conditions that all must be true.
    fn conditions(&self, written: &ast::Expr, scope: &QueryScope, clause: &str) -> Result<Vec<Expr>> {
        if let Some((name, span)) = group::first_aggregate(written) {
            let error = Error::invalid(format!("{clause} cannot use the aggregate function {name}")).at(span);
            return Err(error.hint("HAVING judges groups"));
        }
        if let Some(span) = first_over(written) {
            let error = Error::invalid(format!("{clause} cannot use a function over rows")).at(span);
            return Err(error.hint("select it in a query in FROM, and compare it outside"));
        }
        Ok(conjuncts(bind_condition(written, scope, clause)?))
    }

    fn aggregates(&self) -> Aggregates<'a> {
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

/// A side of a join.
struct Side {
    rel: Rel,
    columns: Vec<ColumnId>,
    /// Columns that are computed to be compared.
    computed: Vec<(ColumnId, Expr)>,
}

impl Side {
    fn new(rel: Rel, columns: Vec<ColumnId>) -> Side {
        Side { rel, columns, computed: Vec::new() }
    }

    /// Whether an expression reads columns of this side and no others.
    fn holds(&self, expr: &Expr) -> bool {
        let mut read = Vec::new();
        expr.columns(&mut read);
        !read.is_empty() && read.iter().all(|id| self.columns.contains(id))
    }
}

/// Refuses clauses that a pull query cannot have.
fn refuse(query: &Query) -> Result<()> {
    let clauses = [
        ("WINDOW", query.window.as_ref().map(|window| window.span)),
        ("PARTITION BY", query.partition_by.as_ref().map(|partition_by| partition_by.span)),
    ];
    match clauses.into_iter().find_map(|(clause, span)| Some((clause, span?))) {
        Some((clause, span)) => Err(table::refused_clause(clause, span)),
        None => Ok(()),
    }
}

/// The conditions that a condition consists of.
///
/// A row for which one of them is not true is left out, whatever the others say or fail with.
fn conjuncts(condition: Expr) -> Vec<Expr> {
    match condition.kind {
        Kind::And(items) => items.into_iter().flat_map(conjuncts).collect(),
        _ => vec![condition],
    }
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
fn sort_by(item: &SortItem, column: ColumnId) -> SortBy {
    SortBy { column, descending: item.descending, nulls_first: item.nulls_first.unwrap_or(item.descending) }
}

/// What a source offers under the names of a relation.
fn offered(relation: &Relation, source: &Source) -> Vec<(ColumnId, Offered)> {
    let offered = |name: &str| match source.schema.columns().iter().position(|column| column.name == name) {
        Some(place) => Offered::Declared(place),
        None => match name {
            "WINDOWSTART" => Offered::WindowStart,
            "WINDOWEND" => Offered::WindowEnd,
            "ROWPARTITION" => Offered::RowPartition,
            "ROWOFFSET" => Offered::RowOffset,
            _ => Offered::RowTime,
        },
    };
    relation.columns.iter().map(|column| (column.id, offered(&column.name))).collect()
}

/// A type that holds the values of both, without loss.
fn wider(a: &SqlType, b: &SqlType) -> Option<SqlType> {
    match (a, b) {
        _ if a == b => Some(a.clone()),
        (SqlType::Integer, SqlType::Bigint) | (SqlType::Bigint, SqlType::Integer) => Some(SqlType::Bigint),
        _ => None,
    }
}
