//! Calls of functions, and the lambdas that functions call in turn.
//!
//! A function gets its arguments as arrays and computes the rows that are reached and whose arguments all have a value. What it
//! gives, and which rows failed with which reason, comes back in a [`Call`].
//!
//! A lambda is applied to entries: the items of all arrays of the batch together, or the entries of all maps. Its body is an
//! expression over the columns of the batch, repeated for each entry, and the parameters after them. An error in the body is an
//! error of the row that the entry belongs to.

use arrow::array::{Array, ArrayRef, UInt32Array, new_empty_array, new_null_array};
use arrow::buffer::BooleanBuffer;
use arrow::compute;

use super::bits::{self, RowSet};
use super::compiled::{Compiled, Step};
use super::datum::Out;
use super::rows::{Evaluated, Halt, Rows};
use super::size;
use crate::functions::BoundScalar;
use crate::functions::call::{Argument, Call, Lambda};
use crate::functions::fault::{MOST_COLUMN_BYTES, MOST_VALUE_BYTES};
use crate::types::arrow_error;

/// A call of a function.
pub(super) struct CallStep {
    /// The function with the overload that was chosen.
    pub function: BoundScalar,
    /// The arguments, of the types that the overload takes.
    ///
    /// As many as the overload takes, variadic ones spread out.
    pub args: Vec<Arg>,
}

/// An argument.
pub(super) enum Arg {
    Value(Compiled),
    /// The body of a lambda over the row and, after it, the lambda's parameters; and the places of the row that it reads.
    Lambda {
        body: Compiled,
        /// May name a place twice.
        used: Vec<usize>,
    },
}

/// Arguments first, then the lambdas over the same columns, then the body of the function over whole arrays.
impl Step for CallStep {
    fn eval(&self, rows: &mut Rows) -> Evaluated<Out> {
        let mut ended = None;
        let mut evaluated = Vec::with_capacity(self.args.len());
        for arg in &self.args {
            evaluated.push(match arg {
                Arg::Value(value) => {
                    let out = value.out(rows)?;
                    ended = bits::union(ended, out.ended);
                    let constant = out.values.is_constant();
                    Argument { array: out.values.array().clone(), constant, sql_type: value.result_type() }
                }
                Arg::Lambda { body, .. } => {
                    let array = new_empty_array(&body.result_type().arrow());
                    Argument { array, constant: true, sql_type: body.result_type() }
                }
            });
        }
        let skipped = bits::union(ended.clone(), rows.reach().map(|reach| !reach));
        let mut lambdas: Vec<LambdaCall> = Vec::new();
        for arg in &self.args {
            if let Arg::Lambda { body, used } = arg {
                lambdas.push(LambdaCall::new(body, used, rows));
            }
        }
        let mut call = Call::new(&evaluated, rows.count, &self.function.returns).skipping(skipped);
        if !lambdas.is_empty() {
            call = call.with_lambdas(lambdas.iter_mut().map(|l| l as &mut dyn Lambda).collect());
        }
        let array = (self.function.overload.body)(&mut call);
        let result = call.finish();
        for lambda in lambdas {
            lambda.finish(rows)?;
        }
        if result.is_too_much {
            return Err(Halt::TooMuch);
        }
        debug_assert_eq!(array.len(), rows.count, "{} makes a value for every row", self.function.function.name);
        rows.fault(&result.failed, |row| result.reason(row, &self.function, &evaluated));
        Ok(Out::column(array, bits::union(ended, bits::union(result.failed, result.ended))))
    }
}

/// The body of a lambda over the columns of the batch. A function applies it to columns of its own.
struct LambdaCall<'a> {
    /// The body, over the columns and then the parameters.
    body: &'a Compiled,
    /// The columns of the batch.
    columns: &'a [ArrayRef],
    /// The places of the columns that the body reads.
    used: &'a [usize],
    /// The rows in which an error occurred while the lambda was applied to one of their entries.
    faulty: Vec<bool>,
    /// Whether the reason of an error is asked for.
    searches: bool,
    /// The reason of the first error.
    reason: Option<String>,
    /// What the function cannot pass on.
    halt: Option<Halt>,
}

/// How many entries a lambda is applied to at once. A batch has as many rows, so that the columns of the body are not larger than
/// those of any other expression, however many items the arrays have.
const MOST_ENTRIES: usize = 8_192;

impl<'a> LambdaCall<'a> {
    /// The lambda in a call over these rows.
    fn new(body: &'a Compiled, used: &'a [usize], rows: &Rows<'a>) -> Self {
        let faulty = vec![false; rows.count];
        let searches = rows.is_searching();
        LambdaCall { body, columns: rows.columns, used, faulty, searches, reason: None, halt: None }
    }

    /// Tells the rows of the call which of them had errors.
    fn finish(self, rows: &mut Rows) -> Evaluated<()> {
        rows.fault(&bits::marked(self.faulty), |_| self.reason.unwrap_or_default());
        self.halt.map_or(Ok(()), Err)
    }

    /// The columns of the batch with an entry for each of `rows`.
    fn taken(&self, rows: &[u32]) -> Evaluated<Vec<ArrayRef>> {
        let places = UInt32Array::from(rows.to_vec());
        let mut columns = Vec::with_capacity(self.columns.len());
        let mut bytes = 0;
        for (at, column) in self.columns.iter().enumerate() {
            if !self.used.contains(&at) {
                columns.push(column.clone());
                continue;
            }
            if size::varies(column.data_type()) {
                bytes += rows.iter().map(|row| size::of(column.as_ref(), *row as usize, 1)).sum::<usize>();
                if bytes > MOST_COLUMN_BYTES && rows.len() > 1 {
                    return Err(Halt::TooMuch);
                }
            }
            columns.push(compute::take(column, &places, None).map_err(arrow_error)?);
        }
        Ok(columns)
    }

    /// Applies the body to some of the entries.
    fn part(&mut self, params: &[ArrayRef], rows: &[u32]) -> Evaluated<(ArrayRef, RowSet)> {
        let mut columns = self.taken(rows)?;
        columns.extend_from_slice(params);
        let mut entries = Rows::new(&columns, rows.len(), None);
        if self.searches && self.reason.is_none() {
            entries = entries.searching();
        }
        let out = self.body.out(&mut entries)?;
        let ended = out.ended.clone();
        let values = out.or_null(&entries)?;
        let (faults, reason) = entries.finish();
        faults.iter().flat_map(BooleanBuffer::set_indices).for_each(|at| self.faulty[rows[at] as usize] = true);
        self.reason = self.reason.take().or(reason);
        Ok((values, ended))
    }

    /// Applies the body to all entries, not too many at once.
    fn all(&mut self, params: &[ArrayRef], rows: &[u32]) -> Evaluated<(ArrayRef, RowSet)> {
        let (mut parts, mut bytes): (Vec<(ArrayRef, RowSet)>, usize) = (Vec::new(), 0);
        for start in (0..rows.len()).step_by(MOST_ENTRIES) {
            let count = MOST_ENTRIES.min(rows.len() - start);
            let mut part = |range: std::ops::Range<usize>| {
                let (from, length) = (start + range.start, range.len());
                let params: Vec<ArrayRef> = params.iter().map(|p| p.slice(from, length)).collect();
                self.part(&params, &rows[from..from + length])
            };
            let made = size::in_parts(count, &mut part)?;
            bytes += made.iter().map(|(values, _)| size::of(values.as_ref(), 0, values.len())).sum::<usize>();
            if bytes > MOST_COLUMN_BYTES && self.faulty.len() > 1 {
                return Err(Halt::TooMuch);
            }
            if bytes > MOST_VALUE_BYTES {
                return Ok(self.too_large(rows));
            }
            parts.extend(made);
        }
        if parts.len() == 1 {
            return Ok(parts.remove(0));
        }
        let marks = parts.iter().flat_map(|(values, ended)| match ended {
            Some(ended) => ended.iter().collect(),
            None => vec![false; values.len()],
        });
        let ended = bits::marked(marks.collect());
        let arrays: Vec<&dyn Array> = parts.iter().map(|(values, _)| values.as_ref()).collect();
        Ok((compute::concat(&arrays).map_err(arrow_error)?, ended))
    }
}

impl LambdaCall<'_> {
    /// The results for a single row whose entries give more than a value may have: an error, and no values.
    fn too_large(&mut self, rows: &[u32]) -> (ArrayRef, RowSet) {
        self.faulty.fill(true);
        self.reason.get_or_insert_with(|| format!("a lambda makes more than {MOST_VALUE_BYTES} bytes of one row"));
        let nothing = new_null_array(&self.body.result_type().arrow(), rows.len());
        (nothing, bits::marked(vec![true; rows.len()]))
    }
}

impl Lambda for LambdaCall<'_> {
    fn apply(&mut self, params: &[ArrayRef], rows: &[u32]) -> (ArrayRef, Option<BooleanBuffer>) {
        let sql_type = self.body.result_type().arrow();
        if rows.is_empty() || self.halt.is_some() {
            return (new_null_array(&sql_type, rows.len()), None);
        }
        match self.all(params, rows) {
            Ok(applied) => applied,
            Err(halt) => {
                self.halt = Some(halt);
                (new_null_array(&sql_type, rows.len()), None)
            }
        }
    }
}
