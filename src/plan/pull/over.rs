//! Functions over the rows around each row: `SUM(x) OVER (PARTITION BY … ORDER BY … ROWS …)`.
//!
//! Windows of rows in the sense of standard SQL (ISO/IEC 9075), which ksqlDB does not have.

use std::cell::RefCell;

use super::super::aggregates::Aggregates;
use super::super::is_aggregate;
use super::super::scope::Columns;
use super::SortBy;
use super::query::sort_by;
use crate::error::{Error, Result, Span};
use crate::expr::bind::{Scope, bind};
use crate::expr::{ColumnId, Expr, Kind};
use crate::functions::aggregate::BoundAggregate;
use crate::sql::ast::{self, Node};
use crate::sql::over::{Distance, Frame, FrameBound, Over, SortItem};
use crate::sql::words::Ident;
use crate::types::{SqlType, Value};

/// A call of a function over the rows around each row.
#[derive(Clone, Debug)]
pub struct OverCall {
    /// The column of the result.
    pub id: ColumnId,
    /// The function.
    pub function: OverFunction,
    /// The arguments.
    pub args: Vec<OverArg>,
    /// The columns that are equal in the rows that belong together.
    pub partition_by: Vec<ColumnId>,
    /// The order of these rows.
    pub order_by: Vec<SortBy>,
    /// The rows around each row, if they are not those of the standard.
    pub frame: Option<Frame>,
}

/// An argument of a function over rows.
#[derive(Clone, Debug)]
pub enum OverArg {
    /// A value of each row.
    Column(ColumnId),
    /// How far, how many, or what stands for a row that is missing.
    Constant(Value, SqlType),
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

    fn outer(&self) -> Option<&dyn Scope> {
        Some(self.inner)
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
            let args = args.into_iter().map(|arg| OverArg::Column(self.place(arg, "argument", written))).collect();
            (OverFunction::Aggregate(function), args, returns)
        } else {
            self.ordered(name, args)?
        };
        self.check_frame(over, written)?;
        let partition_by = self.places(&over.partition_by, "PARTITION BY")?;
        let order_by = over.order_by.iter().map(|item| self.sort_by(item)).collect::<Result<_>>()?;
        let id = self.columns.add(written.to_string(), returns);
        let call = OverCall { id, function, args, partition_by, order_by, frame: over.frame.clone() };
        self.found.borrow_mut().calls.push(call);
        Ok(self.columns.expr(id))
    }

    /// A function that depends on the order of rows, with its arguments and the type of its result.
    fn ordered(&self, name: &Ident, written: &[ast::Expr]) -> Result<(OverFunction, Vec<OverArg>, SqlType)> {
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
        let mut args = Vec::new();
        let mut first = SqlType::Bigint;
        for (place, written) in written.iter().enumerate() {
            let bound = bind(written, self.inner)?;
            args.push(match place {
                0 if known != "NTILE" => {
                    first = bound.result_type();
                    OverArg::Column(self.place(bound, "argument", written))
                }
                // How far and how many.
                0 | 1 => {
                    let least = i64::from(known == "NTILE" || known == "NTH_VALUE");
                    let number = number(&bound).filter(|number| *number >= least).ok_or_else(|| {
                        let message = format!("the argument {written} of {known} must be a whole number from {least}");
                        Error::invalid(message).at(written.span)
                    })?;
                    OverArg::Constant(Value::Bigint(number), SqlType::Bigint)
                }
                // What stands for a row that is missing.
                _ => match (bound.as_constant(), number(&bound), &first) {
                    (_, Some(number), SqlType::Bigint) => OverArg::Constant(Value::Bigint(number), SqlType::Bigint),
                    (Some(value), ..) if bound.result_type() == first || *value == Value::Null => {
                        OverArg::Constant(value.clone(), first.clone())
                    }
                    _ => {
                        let message = format!("the argument {written} of {known} must be a constant {first}");
                        return Err(Error::invalid(message).at(written.span));
                    }
                },
            });
        }
        let returns = match result {
            Gives::Bigint => SqlType::Bigint,
            Gives::Double => SqlType::Double,
            Gives::First => first,
        };
        Ok((OverFunction::Ordered(known), args, returns))
    }

    /// # Errors
    /// The frame ends before it starts, or has a distance that nothing can be added to.
    fn check_frame(&self, over: &Over, written: &ast::Expr) -> Result<()> {
        let Some(frame) = &over.frame else { return Ok(()) };
        let refused = |message: &str| Err(Error::invalid(message).at(written.span));
        let end = frame.end.unwrap_or(FrameBound::CurrentRow);
        if place_of(frame.start) > place_of(end) || place_of(frame.start) == i64::MAX || place_of(end) == i64::MIN {
            return refused("the frame ends before it starts");
        }
        let is_distance = |bound: FrameBound| match bound {
            FrameBound::Preceding(far) | FrameBound::Following(far) => far != Distance::Unbounded,
            FrameBound::CurrentRow => false,
        };
        let distances = [frame.start, end].into_iter().filter(|bound| is_distance(*bound));
        let times = distances.clone().filter(|bound| {
            matches!(bound, FrameBound::Preceding(Distance::Time(_)) | FrameBound::Following(Distance::Time(_)))
        });
        if !frame.is_range {
            return if times.count() > 0 { refused("ROWS counts rows; RANGE takes lengths of time") } else { Ok(()) };
        }
        let [item] = over.order_by.as_slice() else {
            return refused("RANGE needs ORDER BY with one expression");
        };
        let sql_type = bind(&item.expr, self.inner)?.result_type();
        let adds_numbers = matches!(sql_type, SqlType::Integer | SqlType::Double | SqlType::Decimal { .. });
        let has_times = times.count() > 0;
        let fits = distances.count() == 0 || sql_type == SqlType::Bigint || adds_numbers && !has_times;
        if fits {
            return Ok(());
        }
        let message = format!("a RANGE of distances cannot be over {sql_type}");
        let error = Error::invalid(message).at(item.expr.span);
        Err(error.hint(
            "numbers have distances; UNIX_TIMESTAMP(…) makes a BIGINT of milliseconds, which has lengths of time too",
        ))
    }

    /// The columns of expressions.
    fn places(&self, exprs: &[ast::Expr], clause: &str) -> Result<Vec<ColumnId>> {
        exprs.iter().map(|expr| Ok(self.place(bind(expr, self.inner)?, clause, expr))).collect()
    }

    fn sort_by(&self, item: &SortItem) -> Result<SortBy> {
        let bound = bind(&item.expr, self.inner)?;
        refuse_unordered(&bound.result_type(), &item.expr)?;
        let column = self.place(bound, "ORDER BY", &item.expr);
        Ok(sort_by(item, column))
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

/// Refuses to order by what has no order.
pub(super) fn refuse_unordered(sql_type: &SqlType, written: &ast::Expr) -> Result<()> {
    match sql_type.is_nested() {
        true => Err(Error::invalid(format!("{written} is {sql_type}, which has no order")).at(written.span)),
        false => Ok(()),
    }
}

/// A constant whole number.
fn number(expr: &Expr) -> Option<i64> {
    match expr.as_constant()? {
        Value::Integer(number) => Some(i64::from(*number)),
        Value::Bigint(number) => Some(*number),
        _ => None,
    }
}

/// Where a bound of a frame lies, from the current row.
fn place_of(bound: FrameBound) -> i64 {
    let far = |distance: Distance| match distance {
        Distance::Unbounded => i64::MAX,
        Distance::Count(count) => count,
        Distance::Time(duration) => duration.ms(),
    };
    match bound {
        FrameBound::CurrentRow => 0,
        FrameBound::Preceding(Distance::Unbounded) => i64::MIN,
        FrameBound::Preceding(distance) => -far(distance),
        FrameBound::Following(distance) => far(distance),
    }
}
