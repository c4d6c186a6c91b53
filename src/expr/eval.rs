//! Evaluation: an expression over the columns of a batch gives a column and the set of rows that failed.

use arrow::array::{Array, ArrayRef, UInt32Array};
use arrow::buffer::BooleanBuffer;
use arrow::compute;

use super::bits::{self, RowSet};
use super::{ColumnId, Expr, Kind, cast, compare, like, logic, nested, number};
use crate::error::{Error, Result};
use crate::functions::BoundScalar;
use crate::functions::call::{Argument, Call, Lambda};
use crate::types::{arrow_error, with_nulls};

/// The rows that an expression is evaluated over.
pub struct Rows<'a> {
    pub columns: &'a [ArrayRef],
    pub count: usize,
    /// What catch points have caught so far.
    pub caught: &'a mut Caught,
}

/// Errors that did not make a row fail, since a catch point turned them into NULL.
#[derive(Debug, Default)]
pub struct Caught {
    pub count: u64,
    /// What the first one said.
    pub first: Option<String>,
}

impl Caught {
    /// Notes errors in the rows of a set.
    pub fn add(&mut self, rows: &RowSet, why: impl FnOnce() -> String) {
        let count = rows.as_ref().map_or(0, BooleanBuffer::count_set_bits) as u64;
        if count > 0 {
            self.count += count;
            self.first.get_or_insert_with(why);
        }
    }
}

/// A column, or one value for all rows.
#[derive(Clone, Debug)]
pub enum Datum {
    Column(ArrayRef),
    /// An array of one row.
    Constant(ArrayRef),
}

impl Datum {
    /// The array, of one row if this is a constant.
    pub fn array(&self) -> &ArrayRef {
        match self {
            Datum::Column(array) | Datum::Constant(array) => array,
        }
    }

    /// Whether this is one value for all rows.
    pub fn is_constant(&self) -> bool {
        matches!(self, Datum::Constant(_))
    }

    /// The place in the array that belongs to a row.
    pub fn place(&self, row: usize) -> usize {
        if self.is_constant() { 0 } else { row }
    }

    /// The rows where the value is NULL.
    pub fn nulls(&self, rows: usize) -> RowSet {
        let nulls = bits::nulls(self.array().as_ref());
        if self.is_constant() { bits::spread(nulls, rows) } else { nulls }
    }

    /// A column of `rows` rows.
    pub fn into_column(self, rows: usize) -> Result<ArrayRef> {
        match self {
            Datum::Column(array) => Ok(array),
            Datum::Constant(array) => {
                let places = UInt32Array::from(vec![0; rows]);
                compute::take(&array, &places, None).map_err(arrow_error)
            }
        }
    }
}

/// What an evaluation gives. At the place of a failed row the value means nothing.
#[derive(Clone, Debug)]
pub struct Out {
    pub values: Datum,
    pub failed: RowSet,
}

impl Out {
    /// A column in which no row has failed but these.
    pub fn column(array: ArrayRef, failed: RowSet) -> Out {
        Out { values: Datum::Column(array), failed }
    }

    /// The column with NULL in the failed rows.
    pub fn or_null(self, rows: usize) -> Result<ArrayRef> {
        let column = self.values.into_column(rows)?;
        self.failed.map_or(Ok(column.clone()), |failed| with_nulls(&column, &failed))
    }
}

impl Expr {
    /// Evaluates a compiled expression over all rows.
    pub fn eval(&self, rows: &mut Rows) -> Result<Out> {
        match &self.kind {
            Kind::Column(place) => Ok(Out::column(rows.columns[*place as usize].clone(), None)),
            Kind::Constant(constant) => Ok(Out { values: Datum::Constant(constant.array.clone()), failed: None }),
            Kind::Negate(value) => number::negate(value, rows),
            Kind::Arithmetic { op, left, right } => number::arithmetic(*op, left, right, &self.result_type(), rows),
            Kind::Compare { op, left, right } => compare::compare(*op, left, right, rows),
            Kind::And(items) => logic::and(items, rows),
            Kind::Or(items) => logic::or(items, rows),
            Kind::Not(value) => logic::not(value, rows),
            Kind::IsNull { value, negated } => logic::is_null(value, *negated, rows),
            Kind::In { value, list } => compare::is_in(value, list, rows),
            Kind::Like { value, pattern, escape, fixed } => like::like(value, pattern, *escape, fixed.as_ref(), rows),
            Kind::Case { branches, otherwise } => {
                logic::case(branches, otherwise.as_deref(), &self.result_type(), rows)
            }
            Kind::Cast { value, to } => cast::eval(value, to, rows),
            Kind::Catch(value) => catch(value, rows),
            Kind::Call { function, args } => call(function, args, rows),
            Kind::Lambda(_) => Err(Error::bug("a lambda is evaluated outside of a call")),
            Kind::Index { base, index } => nested::index(base, index, &self.result_type(), rows),
            Kind::Lookup { base, key } => nested::lookup(base, key, &self.result_type(), rows),
            Kind::Field { base, index } => nested::field(base, *index, rows),
            Kind::Array(items) => nested::array(items, &self.result_type(), rows),
            Kind::Map(pairs) => nested::map(pairs, &self.result_type(), rows),
            Kind::Struct(items) => nested::structure(items, &self.result_type(), rows),
        }
    }

    /// Evaluates to a column with NULL in the failed rows, and the set of these.
    pub fn eval_column(&self, rows: &mut Rows) -> Result<(ArrayRef, RowSet)> {
        let out = self.eval(rows)?;
        let failed = out.failed.clone();
        Ok((out.or_null(rows.count)?, failed))
    }
}

/// Turns failed rows into NULL and counts them.
fn catch(value: &Expr, rows: &mut Rows) -> Result<Out> {
    let out = value.eval(rows)?;
    if out.failed.is_none() {
        return Ok(out);
    }
    rows.caught.add(&out.failed, || "an argument could not be computed".to_owned());
    Ok(Out::column(out.or_null(rows.count)?, None))
}

fn call(function: &BoundScalar, args: &[Expr], rows: &mut Rows) -> Result<Out> {
    let mut failed = None;
    let mut evaluated = Vec::with_capacity(args.len());
    let mut lambdas: Vec<LambdaCall> = Vec::new();
    for arg in args {
        if let Kind::Lambda(body) = &arg.kind {
            lambdas.push(LambdaCall::new(body, rows.columns));
            let nothing = arrow::array::new_empty_array(&arg.result_type().arrow());
            evaluated.push(Argument { array: nothing, constant: true, sql_type: arg.result_type() });
            continue;
        }
        let out = arg.eval(rows)?;
        failed = bits::union(failed, out.failed);
        let constant = out.values.is_constant();
        evaluated.push(Argument { array: out.values.array().clone(), constant, sql_type: arg.result_type() });
    }
    let mut call = Call::new(&evaluated, rows.count, &function.returns);
    if !lambdas.is_empty() {
        call = call.with_lambdas(lambdas.iter_mut().map(|l| l as &mut dyn Lambda).collect());
    }
    let array = (function.overload.body)(&mut call);
    debug_assert_eq!(array.len(), rows.count, "{} makes a value for every row", function.function.name);
    let failures = call.into_failures().finish(rows.count);
    for lambda in lambdas {
        rows.caught.count += lambda.caught.count;
        rows.caught.first = rows.caught.first.take().or(lambda.caught.first);
        lambda.error.map_or(Ok(()), Err)?;
    }
    Ok(match failures {
        None => Out::column(array, failed),
        // A failure where an argument had failed already is not one of the function.
        Some((own, _)) => Out::column(array, bits::union(failed, Some(own))),
    })
}

/// The body of a lambda over the columns of the batch, which a function applies to columns of its own.
struct LambdaCall<'a> {
    body: &'a Expr,
    columns: &'a [ArrayRef],
    /// The places of the columns that the body reads.
    used: Vec<ColumnId>,
    caught: Caught,
    /// A bug that the function cannot pass on.
    error: Option<Error>,
}

impl<'a> LambdaCall<'a> {
    fn new(body: &'a Expr, columns: &'a [ArrayRef]) -> Self {
        let mut used = Vec::new();
        body.columns(&mut used);
        LambdaCall { body, columns, used, caught: Caught::default(), error: None }
    }

    fn evaluate(&mut self, params: &[ArrayRef], rows: &[u32]) -> Result<(ArrayRef, RowSet)> {
        let places = UInt32Array::from(rows.to_vec());
        let mut columns = Vec::with_capacity(self.columns.len() + params.len());
        for (at, column) in self.columns.iter().enumerate() {
            columns.push(match self.used.contains(&(at as ColumnId)) {
                true => compute::take(column, &places, None).map_err(arrow_error)?,
                false => column.clone(),
            });
        }
        columns.extend_from_slice(params);
        self.body.eval_column(&mut Rows { columns: &columns, count: rows.len(), caught: &mut self.caught })
    }
}

impl Lambda for LambdaCall<'_> {
    fn apply(&mut self, params: &[ArrayRef], rows: &[u32]) -> (ArrayRef, Option<BooleanBuffer>) {
        let nothing = |count| arrow::array::new_null_array(&self.body.result_type().arrow(), count);
        if rows.is_empty() {
            return (nothing(0), None);
        }
        let failure = nothing(rows.len());
        self.evaluate(params, rows).unwrap_or_else(|error| {
            self.error.get_or_insert(error);
            (failure, Some(BooleanBuffer::new_set(rows.len())))
        })
    }
}
