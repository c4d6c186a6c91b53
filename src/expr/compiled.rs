//! Compiled expressions: steps over the columns of a batch, each column found by its place.
//!
//! [`Expr::compile`] is the only way from one to the other, and nothing goes back: binding and planning know columns by id,
//! evaluation knows them by place. What can be prepared once, such as a constant pattern or the set of constants of an IN, is
//! prepared here and shared by all tasks that evaluate the expression.
//!
//! To add a kind of expression, add it to [`Kind`], write its [`Step`] in a file of its own, and name it in `Compiler::compiled`.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::buffer::BooleanBuffer;

use super::datum::{Datum, Out};
use super::rows::{Evaluated, Halt, Rows};
use super::{ColumnId, Constant, Expr, FIRST_PARAMETER, Kind, call, cast, compare, like, logic, nested, number};
use crate::error::Result;
use crate::types::SqlType;

/// What one kind of expression does.
pub(super) trait Step: Send + Sync {
    /// The values for all rows. Those of rows that are not reached mean nothing.
    ///
    /// What a step owes the step above:
    ///
    /// * a column with an entry for each row, or a constant, of its type;
    /// * in `ended` every reached row without a value, whose entry means nothing;
    /// * every error noted with [`Rows::fault`], in reached rows only;
    /// * `Err` only for columns that become too large, and for bugs.
    fn eval(&self, rows: &mut Rows) -> Evaluated<Out>;
}

/// An expression that is ready to be evaluated over rows with a fixed layout. Copies share what they consist of.
///
/// Immutable and shared between threads. Evaluating it twice over the same input gives the same, unless it is fresh.
#[derive(Clone)]
pub struct Compiled {
    /// The outermost step, which holds those below it.
    step: Arc<dyn Step>,
    /// `None` for a NULL whose type is not known.
    sql_type: Option<SqlType>,
}

/// The rows to evaluate an expression over.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// The columns of the layout, with `count` entries each.
    pub columns: &'a [ArrayRef],
    /// The number of rows, also of those outside `reach`.
    ///
    /// An expression without columns is evaluated over one row.
    pub count: usize,
    /// The rows whose value is wanted; `None` for all. Other rows are NULL or have any value, and their errors do not count.
    pub reach: Option<&'a BooleanBuffer>,
}

/// What an expression gives.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// A value for each row, NULL where there is none.
    pub values: ArrayRef,
    /// The reached rows in which an error occurred. If it occurred in a part that may be NULL, the row has a value.
    ///
    /// One bit for each row of the input; `None` if no row failed.
    pub failed: Option<BooleanBuffer>,
    /// The rows that have no value: an error or a NULL operand ended their computation.
    ///
    /// A filter must not take such a row, even if it is not in `failed`: its condition is not true.
    pub ended: Option<BooleanBuffer>,
}

impl Evaluation {
    /// The same without the errors in some of the rows.
    pub fn without(self, rows: Option<&BooleanBuffer>) -> Self {
        match rows {
            Some(rows) => Evaluation { failed: self.failed.map(|failed| &failed & &!rows), ..self },
            None => self,
        }
    }

    /// The rows that failed, in their order.
    pub fn failed_rows(&self) -> impl Iterator<Item = usize> {
        self.failed.iter().flat_map(BooleanBuffer::set_indices)
    }
}

impl<'a> Input<'a> {
    /// All rows of these columns.
    pub fn all(columns: &'a [ArrayRef], count: usize) -> Self {
        Input { columns, count, reach: None }
    }

    /// The rows for the steps.
    fn rows(&self) -> Rows<'a> {
        Rows::new(self.columns, self.count, self.reach.cloned())
    }
}

impl Compiled {
    /// A step that gives values of this type.
    fn new(step: impl Step + 'static, sql_type: Option<SqlType>) -> Self {
        Compiled { step: Arc::new(step), sql_type }
    }

    /// The type, `None` for a NULL whose type is not known.
    pub fn sql_type(&self) -> Option<&SqlType> {
        self.sql_type.as_ref()
    }

    /// The type of the column that [`Compiled::eval`] gives.
    pub fn result_type(&self) -> SqlType {
        self.sql_type.clone().unwrap_or(SqlType::String)
    }

    /// Evaluates the expression for all rows at once.
    ///
    /// # Errors
    /// [`Halt::TooMuch`] if the result, or a part of it, is too large for one batch: see [`in_parts`](super::in_parts).
    pub fn eval(&self, input: &Input) -> Result<Evaluation, Halt> {
        let mut rows = input.rows();
        let out = self.out(&mut rows)?;
        let ended = out.ended.clone();
        let values = out.or_null(&rows)?;
        Ok(Evaluation { values, failed: rows.finish().0, ended })
    }

    /// Why a row failed, as a sentence with the value that was at fault. The row is evaluated once more, alone.
    ///
    /// Costs an evaluation of one row, so it is made for a sample of the failed rows only. The row is taken to be
    /// reached.
    pub fn reason(&self, input: &Input, row: usize) -> String {
        let columns: Vec<ArrayRef> = input.columns.iter().map(|c| c.slice(row, 1)).collect();
        let mut rows = Rows::new(&columns, 1, None).searching();
        let again = self.out(&mut rows);
        match (again, rows.finish().1) {
            (_, Some(reason)) => reason,
            (Err(Halt::Bug(bug)), None) => format!("{bug:?}"),
            (_, None) => "it does not fail when it is computed once more".to_owned(),
        }
    }

    /// What the expression gives, for a step above.
    ///
    /// Unlike [`Compiled::eval`] it keeps constants as one row, and leaves entries of ended rows as they are.
    pub(super) fn out(&self, rows: &mut Rows) -> Evaluated<Out> {
        self.step.eval(rows)
    }
}

/// The column at a place of the row.
struct Column(usize);

impl Step for Column {
    fn eval(&self, rows: &mut Rows) -> Evaluated<Out> {
        Ok(Out::column(rows.columns[self.0].clone(), None))
    }
}

/// One value for all rows.
impl Step for Constant {
    fn eval(&self, _: &mut Rows) -> Evaluated<Out> {
        Ok(Out { values: Datum::Constant(self.array.clone()), ended: None })
    }
}

/// A catch point: NULL where there is no value, so that the row goes on.
///
/// The error, if it was one, has been noted where it occurred.
struct Catch(Compiled);

impl Step for Catch {
    fn eval(&self, rows: &mut Rows) -> Evaluated<Out> {
        let out = self.0.out(rows)?;
        if out.ended.is_none() {
            return Ok(out);
        }
        Ok(Out::column(out.or_null(rows)?, None))
    }
}

impl Expr {
    /// The expression over rows whose columns are `layout`, in that order.
    ///
    /// # Panics
    /// If a column is not in the layout: the planner puts every column there that something reads.
    ///
    /// Takes O(nodes + columns read · length of the layout), once per query.
    pub fn compile(&self, layout: &[ColumnId]) -> Compiled {
        stacker::maybe_grow(128 << 10, 2 << 20, || Compiler { layout }.compiled(self))
    }
}

/// Turns expressions into steps.
struct Compiler<'a> {
    /// The columns of the row, by their places.
    layout: &'a [ColumnId],
}

impl Compiler<'_> {
    /// The place of a column in the row; parameters of lambdas come after the columns of the layout.
    fn place(&self, id: ColumnId) -> usize {
        if id >= FIRST_PARAMETER {
            return self.layout.len() + (id - FIRST_PARAMETER) as usize;
        }
        self.layout.iter().position(|l| *l == id).expect("a layout has the columns that are read")
    }

    /// Expressions, one after the other.
    fn all(&self, exprs: &[Expr]) -> Vec<Compiled> {
        exprs.iter().map(|e| e.compile(self.layout)).collect()
    }

    /// Pairs of expressions.
    fn pairs(&self, exprs: &[(Expr, Expr)]) -> Vec<(Compiled, Compiled)> {
        exprs.iter().map(|(a, b)| (a.compile(self.layout), b.compile(self.layout))).collect()
    }

    /// AND, or OR if true `decides`.
    fn junction(&self, items: &[Expr], decides: bool) -> logic::Junction {
        let constants: Vec<_> = items.iter().map(|item| item.as_constant().cloned()).collect();
        logic::Junction::new(self.all(items), &constants, decides)
    }

    /// An argument of a call.
    ///
    /// The places that the body of a lambda reads are collected, so that only these columns are repeated for its
    /// entries.
    fn arg(&self, arg: &Expr) -> call::Arg {
        let Kind::Lambda(body) = &arg.kind else { return call::Arg::Value(arg.compile(self.layout)) };
        let mut used = Vec::new();
        body.columns(&mut used);
        let used = used.into_iter().map(|id| self.place(id)).collect();
        call::Arg::Lambda { body: body.compile(self.layout), used }
    }

    /// The step of an expression, with those below it.
    fn compiled(&self, expr: &Expr) -> Compiled {
        let one = |e: &Expr| e.compile(self.layout);
        let sql_type = expr.sql_type.clone();
        let own = || expr.result_type();
        match &expr.kind {
            Kind::Column(id) => Compiled::new(Column(self.place(*id)), sql_type),
            Kind::Constant(constant) => Compiled::new(constant.clone(), sql_type),
            Kind::Negate(value) => Compiled::new(number::Negate(one(value)), sql_type),
            Kind::Arithmetic { op, left, right } => {
                let step = number::Arithmetic { op: *op, left: one(left), right: one(right), sql_type: own() };
                Compiled::new(step, sql_type)
            }
            Kind::Compare { op, left, right } => {
                Compiled::new(compare::Compare { op: *op, left: one(left), right: one(right) }, sql_type)
            }
            Kind::And(items) => Compiled::new(self.junction(items, false), sql_type),
            Kind::Or(items) => Compiled::new(self.junction(items, true), sql_type),
            Kind::Not(value) => Compiled::new(logic::Not(one(value)), sql_type),
            Kind::IsNull { value, negated } => {
                Compiled::new(logic::IsNull { value: one(value), negated: *negated }, sql_type)
            }
            Kind::In { value, list } => {
                let items = list.iter().map(|item| (one(item), item.as_constant().cloned())).collect();
                Compiled::new(compare::In::new(one(value), items), sql_type)
            }
            Kind::Like { value, pattern, escape } => {
                let fixed = pattern.as_constant();
                Compiled::new(like::Like::new(one(value), one(pattern), *escape, fixed), sql_type)
            }
            Kind::Case { branches, otherwise } => {
                let otherwise = otherwise.as_deref().map(one);
                Compiled::new(logic::Case { branches: self.pairs(branches), otherwise, sql_type: own() }, sql_type)
            }
            Kind::Cast { value, to } => Compiled::new(cast::Cast { value: one(value), to: to.clone() }, sql_type),
            Kind::Catch(value) => Compiled::new(Catch(one(value)), sql_type),
            Kind::Call { function, args } => {
                let args = args.iter().map(|arg| self.arg(arg)).collect();
                Compiled::new(call::CallStep { function: function.clone(), args }, sql_type)
            }
            // A lambda on its own is its body: only a call evaluates it, with the parameters in their places.
            Kind::Lambda(body) => one(body),
            Kind::Index { base, index } => {
                Compiled::new(nested::Index { base: one(base), index: one(index) }, sql_type)
            }
            Kind::Lookup { base, key } => {
                Compiled::new(nested::Lookup { base: one(base), key: one(key), sql_type: own() }, sql_type)
            }
            Kind::Field { base, index } => Compiled::new(nested::Field { base: one(base), index: *index }, sql_type),
            Kind::Array(items) => Compiled::new(nested::Array { items: self.all(items), sql_type: own() }, sql_type),
            Kind::Map(pairs) => Compiled::new(nested::Map { pairs: self.pairs(pairs), sql_type: own() }, sql_type),
            Kind::Struct(items) => Compiled::new(nested::Struct { items: self.all(items), sql_type: own() }, sql_type),
        }
    }
}
