//! Functions over the rows around each row: `SUM(x) OVER (PARTITION BY … ORDER BY … ROWS …)`.
//!
//! Windows of rows in the sense of standard SQL (ISO/IEC 9075), which ksqlDB does not have.

use std::cell::RefCell;

use super::super::aggregates::Aggregates;
use super::super::is_aggregate;
use super::super::scope::Columns;
use super::SortBy;
use crate::error::{Error, Result, Span};
use crate::expr::bind::{Scope, bind};
use crate::expr::{ColumnId, Expr, Kind};
use crate::functions::aggregate::BoundAggregate;
use crate::sql::ast::{self, Node};
use crate::sql::over::{Frame, Over, SortItem};
use crate::sql::words::Ident;
use crate::types::SqlType;

/// A call of a function over the rows around each row.
#[derive(Clone, Debug)]
pub struct OverCall {
    /// The column of the result.
    pub id: ColumnId,
    /// The function.
    pub function: OverFunction,
    /// The columns of the arguments.
    pub args: Vec<ColumnId>,
    /// The columns that are equal in the rows that belong together.
    pub partition_by: Vec<ColumnId>,
    /// The order of these rows.
    pub order_by: Vec<SortBy>,
    /// The rows around each row, if they are not those of the standard.
    pub frame: Option<Frame>,
}

/// A function over rows around each row.
#[derive(Clone, Debug)]
pub enum OverFunction {
    /// An aggregate function.
    Aggregate(BoundAggregate),
    /// One that depends on the order of the rows, by its name.
    Ordered(&'static str),
}

/// Functions that depend on the order of rows: the name, the least and most number of arguments, and whether the result
/// has the type of the first argument; else it is BIGINT, or DOUBLE.
const ORDERED: &[(&str, usize, usize, Gives)] = &[
    ("ROW_NUMBER", 0, 0, Gives::Bigint),
    ("RANK", 0, 0, Gives::Bigint),
    ("DENSE_RANK", 0, 0, Gives::Bigint),
    ("PERCENT_RANK", 0, 0, Gives::Double),
    ("CUME_DIST", 0, 0, Gives::Double),
    ("NTILE", 1, 1, Gives::Bigint),
    ("LAG", 1, 3, Gives::First),
    ("LEAD", 1, 3, Gives::First),
    ("FIRST_VALUE", 1, 1, Gives::First),
    ("LAST_VALUE", 1, 1, Gives::First),
    ("NTH_VALUE", 2, 2, Gives::First),
];

/// The type of the result of a function over rows.
#[derive(Clone, Copy)]
enum Gives {
    Bigint,
    Double,
    /// That of the first argument.
    First,
}

/// The names of a clause in which functions over rows may be called.
pub(super) struct OverScope<'a> {
    /// The same names without such functions.
    pub inner: &'a dyn Scope,
    pub columns: &'a Columns,
    pub aggregates: Aggregates<'a>,
    pub found: RefCell<Found>,
}

/// The calls that were found, and their computed arguments.
#[derive(Default)]
pub(super) struct Found {
    pub calls: Vec<OverCall>,
    pub args: Vec<(ColumnId, Expr)>,
}

/// The first function over rows in an expression.
pub(super) fn first_over(expr: &ast::Expr) -> Option<Span> {
    match &*expr.node {
        Node::Over { .. } => Some(expr.span),
        _ => expr.children().into_iter().find_map(first_over),
    }
}

impl Scope for OverScope<'_> {
    fn column(&self, source: Option<&Ident>, name: &Ident) -> Result<Expr> {
        self.inner.column(source, name)
    }

    fn substitute(&self, expr: &ast::Expr) -> Result<Option<Expr>> {
        match &*expr.node {
            Node::Over { call, over } => self.call(call, over, expr).map(Some),
            _ => self.inner.substitute(expr),
        }
    }

    fn is_instant(&self, column: ColumnId) -> bool {
        self.inner.is_instant(column)
    }

    fn custom_type(&self, name: &str) -> Option<SqlType> {
        self.inner.custom_type(name)
    }

    fn warn(&self, warning: String) {
        self.inner.warn(warning);
    }
}

impl OverScope<'_> {
    /// The column of a call's result.
    fn call(&self, call: &ast::Expr, over: &Over, written: &ast::Expr) -> Result<Expr> {
        let (name, args): (_, &[ast::Expr]) = match &*call.node {
            Node::Call { name, args } => (name, args),
            Node::CallStar { name } => (name, &[]),
            _ => return Err(Error::invalid("OVER stands after the call of a function").at(call.span)),
        };
        let parts = || args.iter().chain(&over.partition_by).chain(over.order_by.iter().map(|item| &item.expr));
        if let Some(span) = parts().find_map(first_over) {
            return Err(Error::invalid("functions over rows cannot be nested").at(span));
        }
        let (function, args, returns) = if is_aggregate(&name.name) {
            let (function, args) = self.aggregates.bind(&name.name, args, self.inner, call.span)?;
            let returns = function.returns.clone();
            (OverFunction::Aggregate(function), args, returns)
        } else {
            self.ordered(name, args)?
        };
        let args = args.into_iter().map(|arg| self.place(arg, "argument", written)).collect();
        let partition_by = self.places(&over.partition_by, "PARTITION BY")?;
        let order_by = over.order_by.iter().map(|item| self.sort_by(item)).collect::<Result<_>>()?;
        let id = self.columns.add(written.to_string(), returns);
        let call = OverCall { id, function, args, partition_by, order_by, frame: over.frame.clone() };
        self.found.borrow_mut().calls.push(call);
        Ok(self.columns.expr(id))
    }

    /// A function that depends on the order of rows, with its arguments and the type of its result.
    fn ordered(&self, name: &Ident, written: &[ast::Expr]) -> Result<(OverFunction, Vec<Expr>, SqlType)> {
        let known = ORDERED.iter().find(|(known, ..)| *known == name.name);
        let (known, least, most, result) = *known.ok_or_else(|| {
            let error = Error::missing(format!("there is no function {name} over rows")).at(name.span);
            error.suggest(&name.name, ORDERED.iter().map(|(known, ..)| *known), str::to_owned)
        })?;
        if !(least..=most).contains(&written.len()) {
            let wanted = if least == most { format!("{least}") } else { format!("{least} to {most}") };
            let message = format!("{known} takes {wanted} arguments, not {}", written.len());
            return Err(Error::invalid(message).at(name.span));
        }
        let args = written.iter().map(|arg| bind(arg, self.inner)).collect::<Result<Vec<_>>>()?;
        for (arg, written) in args.iter().zip(written).skip(usize::from(known != "NTILE")) {
            // How far, how many, and what stands for a missing row are decided before there is a row.
            if arg.as_constant().is_none() {
                return Err(
                    Error::invalid(format!("the argument {written} of {known} must be constant")).at(written.span)
                );
            }
        }
        let returns = match result {
            Gives::Bigint => SqlType::Bigint,
            Gives::Double => SqlType::Double,
            Gives::First => args[0].result_type(),
        };
        Ok((OverFunction::Ordered(known), args, returns))
    }

    /// The columns of expressions.
    fn places(&self, exprs: &[ast::Expr], clause: &str) -> Result<Vec<ColumnId>> {
        exprs.iter().map(|expr| Ok(self.place(bind(expr, self.inner)?, clause, expr))).collect()
    }

    fn sort_by(&self, item: &SortItem) -> Result<SortBy> {
        let column = self.place(bind(&item.expr, self.inner)?, "ORDER BY", &item.expr);
        let nulls_first = item.nulls_first.unwrap_or(item.descending);
        Ok(SortBy { column, descending: item.descending, nulls_first })
    }

    /// The column that holds an expression.
    fn place(&self, expr: Expr, what: &str, written: &ast::Expr) -> ColumnId {
        if let Kind::Column(id) = expr.kind {
            return id;
        }
        let mut found = self.found.borrow_mut();
        if let Some((id, _)) = found.args.iter().find(|(_, earlier)| *earlier == expr) {
            return *id;
        }
        let id = self.columns.add(format!("{what} of {written}"), expr.result_type());
        found.args.push((id, expr));
        id
    }
}
