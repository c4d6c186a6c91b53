//! Arithmetic. A NULL operand ends the row.
//!
//! | type of the result | what it does |
//! |---|---|
//! | INTEGER, BIGINT | wraps around, as Java's `int` and `long` do; a division cuts towards zero, one by zero is an error |
//! | DOUBLE | IEEE 754: a division by zero gives an infinity or NaN |
//! | DECIMAL | exact; a division is rounded half up to the declared digits; too many digits or a division by zero are an error |
//! | STRING | `+` puts one text after the other |
//!
//! Which type the result has is decided when the expression is bound: see [`arithmetic_type`](super::coerce::arithmetic_type).

use std::cmp::Ordering;
use std::fmt::Write;
use std::sync::Arc;

use arrow::array::Array;
use arrow::array::{ArrayRef, AsArray, Float64Array, Int32Array, Int64Array, StringBuilder};
use arrow::buffer::BooleanBuffer;
use arrow::compute;
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type};

use super::bits::{self, RowSet};
use super::compiled::{Compiled, Step};
use super::datum::{Datum, Out};
use super::rows::{Evaluated, Rows};
use super::size;
use crate::error::{Error, Result};
use crate::functions::fault::{MOST_VALUE_BYTES, shown};
use crate::sql::ast::ArithmeticOp;
use crate::types::{Builder, Decimal, Rounding, SqlType, Value, arrow_error, decimal_at};

/// `left op right`, as a value of `sql_type`.
pub(super) struct Arithmetic {
    pub op: ArithmeticOp,
    pub left: Compiled,
    pub right: Compiled,
    pub sql_type: SqlType,
}

/// Two operands, evaluated.
struct Operands {
    left: Datum,
    right: Datum,
    /// The rows where an operand is NULL or has no value.
    ended: RowSet,
    /// The number of rows.
    rows: usize,
}

impl Step for Arithmetic {
    fn eval(&self, rows: &mut Rows) -> Evaluated<Out> {
        let (l, r) = (self.left.out(rows)?, self.right.out(rows)?);
        let nulls = bits::union(l.values.nulls(rows.count), r.values.nulls(rows.count));
        let ended = bits::union(bits::union(l.ended, r.ended), nulls);
        if self.sql_type == SqlType::String {
            return concat(&l.values, &r.values, ended, rows);
        }
        let operands = Operands { left: l.values, right: r.values, ended, rows: rows.count };
        let (array, failed) = match &self.sql_type {
            SqlType::Integer => operands.integers(self.op)?,
            SqlType::Bigint => operands.bigints(self.op)?,
            SqlType::Double => (operands.doubles(self.op)?, None),
            SqlType::Decimal { precision, scale } => {
                let types = (&self.left.result_type(), &self.right.result_type());
                operands.decimals(self.op, types, (*precision, *scale))
            }
            other => return Err(Error::bug(format!("arithmetic gives {other}")).into()),
        };
        let failed = bits::except(failed, &operands.ended);
        rows.fault(&failed, |row| self.reason(&operands, row));
        Ok(Out::column(array, bits::union(operands.ended, failed)))
    }
}

impl Arithmetic {
    /// Why a row has no result, with both operands.
    fn reason(&self, operands: &Operands, row: usize) -> String {
        let (left_type, right_type) = (self.left.result_type(), self.right.result_type());
        let left = shown(&operands.left.value(row, &left_type));
        let right = operands.right.value(row, &right_type);
        let (op, to, right_shown) = (self.op.symbol(), &self.sql_type, shown(&right));
        let is_zero = match right {
            Value::Integer(0) | Value::Bigint(0) => true,
            Value::Decimal(d) => d.compare(&Decimal::from_i64(0)) == Ordering::Equal,
            _ => false,
        };
        match self.op {
            ArithmeticOp::Divide | ArithmeticOp::Modulo if is_zero => {
                format!("division by zero: {left} {op} {right_shown}")
            }
            ArithmeticOp::Modulo => format!("the quotient of {left} {op} {right_shown} has more digits than {to}"),
            _ => format!("the result of {left} {op} {right_shown} has more digits than {to}"),
        }
    }
}

/// One text after the other.
///
/// Only reached rows without NULL are put together and counted.
fn concat(left: &Datum, right: &Datum, ended: RowSet, rows: &mut Rows) -> Evaluated<Out> {
    let mut out = StringBuilder::new();
    let mut too_long = vec![false; rows.count];
    let (lefts, rights) = (left.array().as_string::<i32>(), right.array().as_string::<i32>());
    for (row, too_long) in too_long.iter_mut().enumerate() {
        if !rows.is_reached(row) || ended.as_ref().is_some_and(|ended| ended.value(row)) {
            out.append_null();
            continue;
        }
        let (l, r) = (lefts.value(left.place(row)), rights.value(right.place(row)));
        let length = l.len() + r.len();
        size::check(rows, out.values_slice().len() + length)?;
        *too_long = length > MOST_VALUE_BYTES;
        if *too_long {
            out.append_null();
        } else {
            let _ = out.write_str(l);
            out.append_value(r);
        }
    }
    let failed = bits::marked(too_long);
    rows.fault(&failed, |_| format!("a text of more than {MOST_VALUE_BYTES} bytes"));
    Ok(Out::column(Arc::new(out.finish()), bits::union(ended, failed)))
}

/// A value read by place: of a column by row, of a constant always the first.
fn at<T: Copy>(values: &[T], constant: bool) -> impl Fn(usize) -> T + '_ {
    move |row| values[if constant { 0 } else { row }]
}

/// A loop over integers; a division by zero is marked and its result is 0.
macro_rules! integer_loop {
    ($self:expr, $op:expr, $arrow:ty, $array:ty, $data_type:expr) => {{
        let (left, right) = ($self.cast(&$self.left, $data_type)?, $self.cast(&$self.right, $data_type)?);
        let left = at(left.as_primitive::<$arrow>().values(), $self.left.is_constant());
        let divisor = right.as_primitive::<$arrow>().values();
        let right = at(divisor, $self.right.is_constant());
        let all = 0..$self.rows;
        let divides = matches!($op, ArithmeticOp::Divide | ArithmeticOp::Modulo);
        let zeros =
            (divides && divisor.contains(&0)).then(|| BooleanBuffer::collect_bool($self.rows, |i| right(i) == 0));
        let values: Vec<_> = match $op {
            ArithmeticOp::Add => all.map(|i| left(i).wrapping_add(right(i))).collect(),
            ArithmeticOp::Subtract => all.map(|i| left(i).wrapping_sub(right(i))).collect(),
            ArithmeticOp::Multiply => all.map(|i| left(i).wrapping_mul(right(i))).collect(),
            ArithmeticOp::Divide => {
                all.map(|i| if right(i) == 0 { 0 } else { left(i).wrapping_div(right(i)) }).collect()
            }
            ArithmeticOp::Modulo => {
                all.map(|i| if right(i) == 0 { 0 } else { left(i).wrapping_rem(right(i)) }).collect()
            }
        };
        Ok((Arc::new(<$array>::from(values)), zeros))
    }};
}

impl Operands {
    /// An operand as an array of another type.
    fn cast(&self, operand: &Datum, to: &DataType) -> Result<ArrayRef> {
        if operand.array().data_type() == to {
            return Ok(operand.array().clone());
        }
        compute::cast(operand.array(), to).map_err(arrow_error)
    }

    /// 32 bits: the values, and the rows that divide by zero.
    fn integers(&self, op: ArithmeticOp) -> Result<(ArrayRef, RowSet)> {
        integer_loop!(self, op, Int32Type, Int32Array, &DataType::Int32)
    }

    /// The same with 64 bits.
    fn bigints(&self, op: ArithmeticOp) -> Result<(ArrayRef, RowSet)> {
        integer_loop!(self, op, Int64Type, Int64Array, &DataType::Int64)
    }

    /// Doubles, to which all other numbers are converted. No row fails.
    fn doubles(&self, op: ArithmeticOp) -> Result<ArrayRef> {
        let (left, right) = (to_doubles(&self.left)?, to_doubles(&self.right)?);
        let left = at(left.as_primitive::<Float64Type>().values(), self.left.is_constant());
        let right = at(right.as_primitive::<Float64Type>().values(), self.right.is_constant());
        let all = 0..self.rows;
        let values: Vec<f64> = match op {
            ArithmeticOp::Add => all.map(|i| left(i) + right(i)).collect(),
            ArithmeticOp::Subtract => all.map(|i| left(i) - right(i)).collect(),
            ArithmeticOp::Multiply => all.map(|i| left(i) * right(i)).collect(),
            ArithmeticOp::Divide => all.map(|i| left(i) / right(i)).collect(),
            ArithmeticOp::Modulo => all.map(|i| left(i) % right(i)).collect(),
        };
        Ok(Arc::new(Float64Array::from(values)))
    }

    /// Decimals of the precision and scale `to`: the values, and the rows whose result does not fit. `types` are those of the
    /// operands.
    ///
    /// Row by row, since each result has to be checked against the digits of its type.
    fn decimals(&self, op: ArithmeticOp, types: (&SqlType, &SqlType), to: (u8, u8)) -> (ArrayRef, RowSet) {
        let (precision, scale) = to;
        let mut out = Builder::new(&SqlType::decimal(precision, scale), self.rows);
        let mut failed = vec![false; self.rows];
        for (row, failed) in failed.iter_mut().enumerate() {
            if self.ended.as_ref().is_some_and(|ended| ended.value(row)) {
                out.null();
                continue;
            }
            let operand = |datum: &Datum, sql_type| exact(datum.array().as_ref(), datum.place(row), sql_type);
            let result = decimal(op, operand(&self.left, types.0), operand(&self.right, types.1), to);
            let result = result.and_then(|r| r.fit_exactly(precision, scale));
            *failed = result.is_none();
            out.push(&result.map_or(Value::Null, Value::Decimal));
        }
        (out.finish(), bits::marked(failed))
    }
}

/// A number of any exact type as a decimal.
///
/// # Panics
/// If the array is not of the type.
pub(super) fn exact(array: &dyn Array, row: usize, sql_type: &SqlType) -> Decimal {
    match sql_type {
        SqlType::Decimal { scale, .. } => decimal_at(array, row, *scale),
        SqlType::Integer => Decimal::from_i64(i64::from(array.as_primitive::<Int32Type>().value(row))),
        _ => Decimal::from_i64(array.as_primitive::<Int64Type>().value(row)),
    }
}

/// One operation on two decimals, before the result is brought to its type.
///
/// The result; `None` if there is none: a division by zero, or more digits than 256 bits hold.
fn decimal(op: ArithmeticOp, left: Decimal, right: Decimal, (precision, scale_out): (u8, u8)) -> Option<Decimal> {
    let scale = left.scale.max(right.scale);
    let same = |d: Decimal| d.rescale(scale, Rounding::Exact).map(|d| d.unscaled);
    let at_scale = |unscaled| Decimal::new(unscaled, scale);
    match op {
        ArithmeticOp::Add => same(left)?.checked_add(same(right)?).map(at_scale),
        ArithmeticOp::Subtract => same(left)?.checked_sub(same(right)?).map(at_scale),
        ArithmeticOp::Multiply => {
            left.unscaled.checked_mul(right.unscaled).map(|u| Decimal::new(u, left.scale + right.scale))
        }
        // The declared type has digits enough after the point that only rounding is left to do.
        ArithmeticOp::Divide => left.divide(right, i32::from(scale_out)),
        ArithmeticOp::Modulo => {
            let (left, right) = (same(left)?, same(right)?);
            // Java computes the whole quotient first, in no more digits than the result has.
            let quotient = Decimal::new(left.checked_div(right)?, 0);
            let short = quotient.round_to_precision(u32::from(precision), Rounding::Down)?;
            (short.compare(&quotient) == Ordering::Equal).then_some(())?;
            left.checked_rem(right).map(at_scale)
        }
    }
}

/// An operand as doubles; what stands at the place of a NULL means nothing.
fn to_doubles(operand: &Datum) -> Result<ArrayRef> {
    let array = operand.array();
    match array.data_type() {
        DataType::Float64 => Ok(array.clone()),
        DataType::Int32 | DataType::Int64 => compute::cast(array, &DataType::Float64).map_err(arrow_error),
        DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => {
            let double = |row| if array.is_null(row) { 0.0 } else { decimal_at(array, row, *scale as u8).to_f64() };
            Ok(Arc::new((0..array.len()).map(double).collect::<Float64Array>()))
        }
        other => Err(Error::bug(format!("{other} is not a number"))),
    }
}

/// The number with the other sign. NULL ends the row.
pub(super) struct Negate(pub Compiled);

impl Step for Negate {
    fn eval(&self, rows: &mut Rows) -> Evaluated<Out> {
        let out = self.0.out(rows)?;
        let ended = bits::union(out.ended, out.values.nulls(rows.count));
        let column = out.values.into_column(rows)?;
        let array: ArrayRef = match self.0.result_type() {
            SqlType::Integer => Arc::new(column.as_primitive::<Int32Type>().unary::<_, Int32Type>(i32::wrapping_neg)),
            SqlType::Bigint => Arc::new(column.as_primitive::<Int64Type>().unary::<_, Int64Type>(i64::wrapping_neg)),
            SqlType::Double => Arc::new(column.as_primitive::<Float64Type>().unary::<_, Float64Type>(|v| -v)),
            _ => compute::kernels::numeric::neg_wrapping(&column).map_err(arrow_error)?,
        };
        Ok(Out::column(array, ended))
    }
}
