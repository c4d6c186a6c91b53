//! FROM: sources, queries in their place, and joins.

use super::query::{Named, Planner};
use super::{Offered, Rel};
use crate::catalog::{Source, SourceKind};
use crate::error::{Error, Result};
use crate::expr::{ColumnId, Expr, Kind};
use crate::plan::scope::Relation;
use crate::plan::{aggregates, table};
use crate::sql::ast;
use crate::sql::query::{self, Join, Query};
use crate::types::{SqlType, quoted};

impl Planner<'_> {
    /// The sources with their joins, from left to right.
    pub(super) fn from<'q>(&self, query: &'q Query, named: &Named<'q>) -> Result<(Vec<Relation>, Rel)> {
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
        let common = wider(&left.result_type(), &right.result_type()).filter(has_one_form)?;
        let place = |side: &mut Side, expr: &Expr| {
            let expr = aggregates::widened(expr.clone(), &common);
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
        self.count(written.name.span)?;
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

/// Whether equal values of a type have the same bytes, so that they can be looked up.
///
/// 0.0 equals -0.0, which are different bits.
pub(super) fn has_one_form(sql_type: &SqlType) -> bool {
    *sql_type != SqlType::Double && !sql_type.is_nested()
}

/// A type that holds the values of both, without loss.
pub(super) fn wider(a: &SqlType, b: &SqlType) -> Option<SqlType> {
    match (a, b) {
        _ if a == b => Some(a.clone()),
        (SqlType::Integer, SqlType::Bigint) | (SqlType::Bigint, SqlType::Integer) => Some(SqlType::Bigint),
        _ => None,
    }
}
