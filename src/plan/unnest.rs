//! Table functions in SELECT: where they may stand, and the rows that they make.

use std::cell::RefCell;

use super::node::Node;
use super::scope::Columns;
use super::{Planner, aggregates};
use crate::catalog::SourceKind;
use crate::error::{Error, Result};
use crate::expr::bind::{Scope, bind_call};
use crate::expr::{ColumnId, Expr};
use crate::functions;
use crate::sql::ast::{self, Node as Ast};
use crate::sql::query::SelectItem;
use crate::sql::words::Ident;
use crate::types::SqlType;

/// The names of a query in SELECT, where a call of a table function stands for the column of its items.
pub(super) struct Calls<'a> {
    names: &'a dyn Scope,
    columns: &'a Columns,
    made: RefCell<Vec<Made>>,
}

/// A call: the column of its items, and that of its arrays.
struct Made {
    item: ColumnId,
    array: ColumnId,
    call: Expr,
}

impl<'a> Calls<'a> {
    /// No calls yet; the arguments mean what `names` says.
    pub(super) fn new(names: &'a dyn Scope, columns: &'a Columns) -> Self {
        Calls { names, columns, made: RefCell::default() }
    }

    /// The rows that the calls make of the rows of `node`.
    pub(super) fn unnested(self, node: Node) -> Node {
        let made = self.made.into_inner();
        if made.is_empty() {
            return node;
        }
        let columns = made.iter().map(|m| (m.item, m.array)).collect();
        let arrays = made.into_iter().map(|m| (m.array, m.call)).collect();
        node.compute(arrays).unnest(columns)
    }
}

impl Scope for Calls<'_> {
    fn column(&self, source: Option<&Ident>, name: &Ident) -> Result<Expr> {
        self.names.column(source, name)
    }

    fn substitute(&self, expr: &ast::Expr) -> Result<Option<Expr>> {
        let Some((function, args)) = call_of(expr) else { return self.names.substitute(expr) };
        let call = bind_call(function, args, self.names).map_err(|e| e.at(expr.span))?;
        let Some(SqlType::Array(items)) = call.sql_type.clone() else {
            return Err(Error::bug(format!("{} makes no array", function.name)));
        };
        let array = self.columns.add(expr.to_string(), call.result_type());
        let item = self.columns.add(expr.to_string(), *items);
        self.made.borrow_mut().push(Made { item, array, call });
        Ok(Some(self.columns.expr(item)))
    }

    fn outer(&self) -> Option<&dyn Scope> {
        Some(self.names)
    }
}

/// A call of a table function and its arguments.
fn call_of(expr: &ast::Expr) -> Option<(&'static functions::Scalar, &[ast::Expr])> {
    let Ast::Call { name, args } = &*expr.node else { return None };
    Some((functions::find_table(&name.name)?, args))
}

/// The first call of a table function in an expression.
fn first(expr: &ast::Expr) -> Option<(&ast::Expr, &'static str)> {
    let own = call_of(expr).map(|(function, _)| (expr, function.name));
    own.or_else(|| expr.children().into_iter().find_map(first))
}

/// Refuses table functions where no rows can be made of rows.
pub(super) fn check(planner: &Planner) -> Result<()> {
    let mut found = None;
    for expr in selected(&planner.query.items) {
        found = found.or(first(expr));
        check_places(expr)?;
    }
    let group_by = planner.query.group_by.iter().flat_map(|g| &g.exprs).find_map(first);
    let Some((call, _)) = found.or(group_by) else { return Ok(()) };
    if planner.relations.iter().any(|relation| relation.source().kind == SourceKind::Table) {
        return Err(of_table(call));
    }
    let has_aggregates = planner.expressions().into_iter().any(|(_, expr)| aggregates::contains_aggregate(expr));
    if has_aggregates || planner.query.group_by.is_some() {
        let hint = "make the rows in a stream of their own, and aggregate that";
        return Err(Error::invalid("Table functions cannot be used with aggregations.").at(call.span).hint(hint));
    }
    Ok(())
}

/// Refuses table functions over the rows of a table.
///
/// # Errors
/// Invalid, with the place of the first call.
pub(super) fn refuse(items: &[SelectItem]) -> Result<()> {
    selected(items).find_map(first).map_or(Ok(()), |(call, _)| Err(of_table(call)))
}

/// The expressions among the items.
fn selected(items: &[SelectItem]) -> impl Iterator<Item = &ast::Expr> {
    items.iter().filter_map(|item| match item {
        SelectItem::Fields(expr) | SelectItem::Expr { expr, .. } => Some(expr),
        SelectItem::All(_) | SelectItem::AllOf(_) => None,
    })
}

/// The refusal of a call over the rows of a table.
fn of_table(call: &ast::Expr) -> Error {
    Error::invalid("Table source is not supported with table functions").at(call.span)
}

/// Refuses a table function in another one, in CASE and in a lambda.
fn check_places(expr: &ast::Expr) -> Result<()> {
    let inner = || expr.children().into_iter().find_map(first);
    match (&*expr.node, call_of(expr)) {
        (_, Some((function, _))) => {
            let Some((call, name)) = inner() else { return Ok(()) };
            let message = format!("Table functions cannot be nested: {}({name}())", function.name);
            return Err(Error::invalid(message).at(call.span));
        }
        (Ast::Case { .. }, None) => {
            let Some((call, _)) = inner() else { return Ok(()) };
            return Err(Error::invalid(format!("Table functions cannot be used in CASE: {expr}")).at(call.span));
        }
        (Ast::Lambda { .. }, None) => {
            let Some((call, name)) = inner() else { return Ok(()) };
            return Err(functions::unknown(name, |_| true).at(call.span));
        }
        _ => {}
    }
    expr.children().into_iter().try_for_each(check_places)
}
