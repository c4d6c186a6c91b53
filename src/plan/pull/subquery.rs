//! Queries in expressions: `(SELECT …)`, `EXISTS (SELECT …)`, `value IN (SELECT …)`.
//!
//! Such a query is computed once: it sees no columns of the query around it. Its rows are joined with those of that query:
//! one row with a value or a count, or the different values, each with a mark.

use std::cell::RefCell;

use super::Rel;
use super::query::{Named, Planned, Planner};
use crate::error::{Error, Result};
use crate::expr::bind::{Scope, bind};
use crate::expr::{ColumnId, Expr, Kind};
use crate::plan::aggregates;
use crate::plan::node::AggregateCall;
use crate::sql::ast::{self, CompareOp, Node};
use crate::sql::query::{JoinKind, Query};
use crate::sql::words::Ident;
use crate::types::{SqlType, Value};

/// The names of a clause in which queries may stand.
pub(super) struct QueryingScope<'a, 'q> {
    /// The same names without queries.
    pub inner: &'a dyn Scope,
    pub planner: &'a Planner<'a>,
    /// The queries of WITH.
    pub named: &'a Named<'q>,
    pub found: RefCell<Vec<Attached>>,
}

/// A query in an expression, to be joined with the rows for which the expression is evaluated.
pub(super) struct Attached {
    right: Box<Rel>,
    kind: JoinKind,
    /// Columns that the rows get before they are joined.
    computed: Vec<(ColumnId, Expr)>,
    equal: Vec<(ColumnId, ColumnId)>,
    conditions: Vec<Expr>,
}

/// Joins rows with queries.
pub(super) fn attach(rel: Rel, found: Vec<Attached>) -> Rel {
    found.into_iter().fold(rel, |left, attached| {
        let Attached { right, kind, computed, equal, conditions } = attached;
        Rel::Join { left: Box::new(left.compute(computed)), right, kind, equal, conditions }
    })
}

/// Whether a query stands in an expression.
pub(super) fn contains_query(expr: &ast::Expr) -> bool {
    let own = matches!(*expr.node, Node::InQuery { .. } | Node::Exists(_) | Node::Query(_));
    own || expr.children().into_iter().any(contains_query)
}

impl Scope for QueryingScope<'_, '_> {
    fn column(&self, source: Option<&Ident>, name: &Ident) -> Result<Expr> {
        self.inner.column(source, name)
    }

    fn substitute(&self, expr: &ast::Expr) -> Result<Option<Expr>> {
        match &*expr.node {
            Node::Query(query) => self.value(query).map(Some),
            Node::Exists(query) => self.exists(query).map(Some),
            Node::InQuery { value, query, negated } => self.is_in(value, query, *negated).map(Some),
            _ => self.inner.substitute(expr),
        }
    }

    fn outer(&self) -> Option<&dyn Scope> {
        Some(self.inner)
    }
}

impl QueryingScope<'_, '_> {
    /// The rows of a query with one column, and that.
    fn column_of(&self, query: &Query) -> Result<(Rel, ColumnId)> {
        let Planned { rel, output } = self.planner.query(query, self.named)?;
        match output.as_slice() {
            [(_, id)] => Ok((rel, *id)),
            several => {
                let message = format!("a query in an expression has one column, not {}", several.len());
                Err(Error::invalid(message).at(query.span))
            }
        }
    }

    fn attach(&self, right: Rel, kind: JoinKind) {
        let (computed, equal, conditions) = (Vec::new(), Vec::new(), Vec::new());
        self.found.borrow_mut().push(Attached { right: Box::new(right), kind, computed, equal, conditions });
    }

    /// The value of the only row.
    fn value(&self, query: &Query) -> Result<Expr> {
        let (rel, value) = self.column_of(query)?;
        let columns = self.planner.columns;
        let id = columns.add("the value of a query", columns.expr(value).result_type());
        self.attach(Rel::Single { input: Box::new(rel), value, id }, JoinKind::Inner);
        Ok(columns.expr(id))
    }

    /// Whether there is a row.
    fn exists(&self, query: &Query) -> Result<Expr> {
        let Planned { rel, .. } = self.planner.query(query, self.named)?;
        let columns = self.planner.columns;
        let (function, args) = self.planner.aggregates().bind("COUNT", &[], self.inner, query.span)?;
        let counted: Vec<(ColumnId, Expr)> =
            args.into_iter().map(|arg| (columns.add("a row of a query", arg.result_type()), arg)).collect();
        let args = counted.iter().map(|(id, _)| *id).collect();
        let id = columns.add("the rows of a query", function.returns.clone());
        let first = Rel::Limit { input: Box::new(rel), skip: 0, most: Some(1) }.compute(counted);
        let calls = vec![AggregateCall { id, function, args }];
        self.attach(Rel::Group { input: Box::new(first), keys: Vec::new(), calls }, JoinKind::Inner);
        let zero = Expr::constant(Value::Bigint(0), SqlType::Bigint);
        Ok(compared(CompareOp::Greater, columns.expr(id), zero))
    }

    /// Whether a value is among the rows. NULL is among none.
    fn is_in(&self, written: &ast::Expr, query: &Query, negated: bool) -> Result<Expr> {
        let columns = self.planner.columns;
        let value = bind(written, self)?;
        let (rel, found) = self.column_of(query)?;
        let (own, other) = (value.result_type(), columns.expr(found).result_type());
        let common = super::from::wider(&own, &other).filter(|common| !common.is_nested()).ok_or_else(|| {
            let message = format!("{written} is {own}, and the query gives {other}");
            Error::invalid(message).at(query.span).hint("CAST one of them to the type of the other")
        })?;
        let key = columns.add("a value of a query", common.clone());
        let project = vec![(key, aggregates::widened(columns.expr(found), &common))];
        let distinct = Rel::Distinct { input: Box::new(Rel::Project { input: Box::new(rel), columns: project }) };
        let mark = columns.add("a mark", SqlType::Boolean);
        let right = distinct.compute(vec![(mark, Expr::constant(Value::Boolean(true), SqlType::Boolean))]);
        let id = columns.add("the value that is looked for", common.clone());
        let computed = vec![(id, aggregates::widened(value, &common))];
        let (mut equal, mut conditions) = (Vec::new(), Vec::new());
        match super::from::has_one_form(&common) {
            true => equal.push((id, key)),
            false => conditions.push(compared(CompareOp::Equal, columns.expr(id), columns.expr(key))),
        }
        let kind = JoinKind::Left;
        self.found.borrow_mut().push(Attached { right: Box::new(right), kind, computed, equal, conditions });
        let kind = Kind::IsNull { value: Box::new(columns.expr(mark)), negated: !negated };
        Ok(Expr { kind, sql_type: Some(SqlType::Boolean) })
    }
}

fn compared(op: CompareOp, left: Expr, right: Expr) -> Expr {
    let kind = Kind::Compare { op, left: Box::new(left), right: Box::new(right) };
    Expr { kind, sql_type: Some(SqlType::Boolean) }
}
