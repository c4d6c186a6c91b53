//! Arithmetic: integers wrap around, doubles follow IEEE, decimals are exact, and a NULL operand is an error.

use std::sync::Arc;

use arrow::array::Array;
use arrow::array::{ArrayRef, AsArray, Float64Array, Int32Array, Int64Array, StringBuilder};
use arrow::buffer::BooleanBuffer;
use arrow::compute;
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type};

use super::bits::{self, RowSet};
use super::{Datum, Expr, Out, Rows};
use crate::error::{Error, Result};
use crate::sql::ast::ArithmeticOp;
use crate::types::{Builder, Decimal, Rounding, SqlType, Value, arrow_error, decimal_at};

/// Two operands, evaluated.
struct Operands {
    left: Datum,
    right: Datum,
    /// Failed or NULL on either side.
    broken: RowSet,
    rows: usize,
}

/// `left op right`, as a value of `sql_type`.
pub fn arithmetic(op: ArithmeticOp, left: &Expr, right: &Expr, sql_type: &SqlType, rows: &mut Rows) -> Result<Out> {
    let (l, r) = (left.eval(rows)?, right.eval(rows)?);
    if *sql_type == SqlType::String {
        return Ok(concat(&l.values, &r.values, bits::union(l.failed, r.failed), rows.count));
    }
    let nulls = bits::union(l.values.nulls(rows.count), r.values.nulls(rows.count));
    let broken = bits::union(bits::union(l.failed, r.failed), nulls);
    let operands = Operands { left: l.values, right: r.values, broken, rows: rows.count };
    match sql_type {
        SqlType::Integer => operands.integers(op),
        SqlType::Bigint => operands.bigints(op),
        SqlType::Double => operands.doubles(op),
        SqlType::Decimal { precision, scale } => {
            Ok(operands.decimals(op, (&left.result_type(), &right.result_type()), (*precision, *scale)))
        }
        other => Err(Error::bug(format!("arithmetic gives {other}"))),
    }
}

/// Java's concatenation: a NULL prints as `null`.
fn concat(left: &Datum, right: &Datum, failed: RowSet, rows: usize) -> Out {
    let mut out = StringBuilder::new();
    let text = |datum: &Datum, row: usize| {
        let (array, place) = (datum.array().as_string::<i32>(), datum.place(row));
        if array.is_null(place) { "null".to_owned() } else { array.value(place).to_owned() }
    };
    for row in 0..rows {
        out.append_value(text(left, row) + &text(right, row));
    }
    Out::column(Arc::new(out.finish()), failed)
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
        Ok(Out::column(Arc::new(<$array>::from(values)), bits::union($self.broken.clone(), zeros)))
    }};
}

impl Operands {
    fn cast(&self, operand: &Datum, to: &DataType) -> Result<ArrayRef> {
        if operand.array().data_type() == to {
            return Ok(operand.array().clone());
        }
        compute::cast(operand.array(), to).map_err(arrow_error)
    }

    fn integers(&self, op: ArithmeticOp) -> Result<Out> {
        integer_loop!(self, op, Int32Type, Int32Array, &DataType::Int32)
    }

    fn bigints(&self, op: ArithmeticOp) -> Result<Out> {
        integer_loop!(self, op, Int64Type, Int64Array, &DataType::Int64)
    }

    fn doubles(&self, op: ArithmeticOp) -> Result<Out> {
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
        Ok(Out::column(Arc::new(Float64Array::from(values)), self.broken.clone()))
    }

    fn decimals(&self, op: ArithmeticOp, types: (&SqlType, &SqlType), (precision, scale): (u8, u8)) -> Out {
        let mut out = Builder::new(&SqlType::decimal(precision, scale), self.rows);
        let mut failed = vec![false; self.rows];
        for (row, failed) in failed.iter_mut().enumerate() {
            let skip = self.broken.as_ref().is_some_and(|b| b.value(row));
            let operand = |datum: &Datum, sql_type| exact(datum.array().as_ref(), datum.place(row), sql_type);
            let result = (!skip)
                .then(|| decimal(op, operand(&self.left, types.0), operand(&self.right, types.1), (precision, scale)))
                .flatten()
                .and_then(|r| r.fit_exactly(precision, scale));
            *failed = result.is_none() && !skip;
            out.push(&result.map_or(Value::Null, Value::Decimal));
        }
        let failed = failed.contains(&true).then(|| BooleanBuffer::from(failed));
        Out::column(out.finish(), bits::union(self.broken.clone(), failed))
    }
}

/// A number of any exact type as a decimal.
pub fn exact(array: &dyn Array, row: usize, sql_type: &SqlType) -> Decimal {
    match sql_type {
        SqlType::Decimal { scale, .. } => decimal_at(array, row, *scale),
        SqlType::Integer => Decimal::from_i64(i64::from(array.as_primitive::<Int32Type>().value(row))),
        _ => Decimal::from_i64(array.as_primitive::<Int64Type>().value(row)),
    }
}

/// The exact result, `None` if there is none: a division by zero or one that does not come out even.
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
        ArithmeticOp::Divide => {
            // The result's scale is more than both operands' together: what does not come out even there is an error.
            let shifted = left.rescale(i32::from(scale_out) + right.scale, Rounding::Exact)?.unscaled;
            let even = shifted.checked_rem(right.unscaled)? == arrow::datatypes::i256::ZERO;
            even.then(|| shifted.checked_div(right.unscaled)).flatten().map(|u| Decimal::new(u, i32::from(scale_out)))
        }
        ArithmeticOp::Modulo => {
            let (left, right) = (same(left)?, same(right)?);
            // Java computes the whole quotient first, in no more digits than the result has.
            let quotient = Decimal::new(left.checked_div(right)?, 0);
            let short = quotient.round_to_precision(u32::from(precision), Rounding::Down)?;
            (short.compare(&quotient) == std::cmp::Ordering::Equal).then_some(())?;
            left.checked_rem(right).map(at_scale)
        }
    }
}

fn to_doubles(operand: &Datum) -> Result<ArrayRef> {
    let array = operand.array();
    match array.data_type() {
        DataType::Float64 => Ok(array.clone()),
        DataType::Int32 | DataType::Int64 => compute::cast(array, &DataType::Float64).map_err(arrow_error),
        DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => {
            let double = |row| if array.is_null(row) { 0.0 } else { decimal_at(array, row, *scale as u8).to_f64() };
            Ok(Arc::new((0..array.len()).map(double).collect::<Float64Array>()))
        }
        other => Err(Error::bug(format!("{other} is no number"))),
    }
}

/// The number with the other sign; NULL stays NULL's error.
pub fn negate(value: &Expr, rows: &mut Rows) -> Result<Out> {
    let out = value.eval(rows)?;
    let broken = bits::union(out.failed, out.values.nulls(rows.count));
    let sql_type = value.result_type();
    let column = out.values.into_column(rows.count)?;
    let array: ArrayRef = match sql_type {
        SqlType::Integer => Arc::new(column.as_primitive::<Int32Type>().unary::<_, Int32Type>(i32::wrapping_neg)),
        SqlType::Bigint => Arc::new(column.as_primitive::<Int64Type>().unary::<_, Int64Type>(i64::wrapping_neg)),
        SqlType::Double => Arc::new(column.as_primitive::<Float64Type>().unary::<_, Float64Type>(|v| -v)),
        _ => compute::kernels::numeric::neg_wrapping(&column).map_err(arrow_error)?,
    };
    Ok(Out::column(array, broken))
}
