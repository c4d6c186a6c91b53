//! Comparisons and IN: two-valued, that is false where an operand is NULL.

use std::cmp::Ordering;

use arrow::array::{Array, AsArray, Scalar};
use arrow::buffer::BooleanBuffer;
use arrow::compute;
use arrow::compute::kernels::cmp;
use arrow::datatypes::{DataType, Float64Type, Int64Type};

use super::bits::{self, RowSet};
use super::{Datum, Expr, Out, Rows, logic, number};
use crate::error::Result;
use crate::sql::ast::CompareOp;
use crate::types::{Decimal, SqlType, Value, arrow_error, compare_doubles, compare_utf16, parse};

/// `left op right`.
pub fn compare(op: CompareOp, left: &Expr, right: &Expr, rows: &mut Rows) -> Result<Out> {
    let (l, r) = (left.eval(rows)?, right.eval(rows)?);
    let failed = bits::union(l.failed, r.failed);
    let null = |datum: &Datum| datum.nulls(rows.count).unwrap_or_else(|| BooleanBuffer::new_unset(rows.count));
    let (left_null, right_null) = (null(&l.values), null(&r.values));
    let either_null = &left_null | &right_null;
    let pair = Pair { left: &l.values, right: &r.values, rows: rows.count, skip: &either_null };
    let (values, broken) = pair.evaluate(op, &left.result_type(), &right.result_type())?;
    let mut values = &values & &!&either_null;
    match op {
        CompareOp::Distinct => values = &values | &(&left_null ^ &right_null),
        CompareOp::NotDistinct => values = &values | &(&left_null & &right_null),
        _ => {}
    }
    Ok(logic::boolean(values, bits::union(failed, broken)))
}

/// Two operands; what the comparison gives where one is NULL means nothing.
struct Pair<'a> {
    left: &'a Datum,
    right: &'a Datum,
    rows: usize,
    /// The rows where an operand is NULL.
    skip: &'a BooleanBuffer,
}

/// Whether an order of the operands satisfies the operator.
fn satisfies(op: CompareOp, order: Ordering) -> bool {
    match op {
        CompareOp::Equal | CompareOp::NotDistinct => order == Ordering::Equal,
        CompareOp::NotEqual | CompareOp::Distinct => order != Ordering::Equal,
        CompareOp::Less => order == Ordering::Less,
        CompareOp::LessOrEqual => order != Ordering::Greater,
        CompareOp::Greater => order == Ordering::Greater,
        CompareOp::GreaterOrEqual => order != Ordering::Less,
    }
}

/// The same for doubles, where NaN has no order except for IS DISTINCT FROM.
fn satisfies_double(op: CompareOp, left: f64, right: f64) -> bool {
    match op {
        CompareOp::Distinct | CompareOp::NotDistinct => {
            satisfies(op, if left == right { Ordering::Equal } else { compare_doubles(left, right) })
        }
        CompareOp::NotEqual => left != right,
        op => left.partial_cmp(&right).is_some_and(|order| satisfies(op, order)),
    }
}

impl Pair<'_> {
    fn evaluate(&self, op: CompareOp, left: &SqlType, right: &SqlType) -> Result<(BooleanBuffer, RowSet)> {
        use SqlType::{Bigint, Decimal, Double, Integer, String};
        Ok(match (left, right) {
            (Integer | Bigint, Integer | Bigint) => (self.integers(op)?, None),
            (String, String) if matches!(op, CompareOp::Equal | CompareOp::NotEqual) => (self.texts_equal(op)?, None),
            (String, String) => (self.texts(op), None),
            (Integer | Bigint | Double, Integer | Bigint | Double) => (self.doubles(op)?, None),
            (Double, Decimal { .. }) | (Decimal { .. }, Double) => (self.double_and_decimal(op, left, right), None),
            (l, r) if l.is_numeric() && r.is_numeric() => {
                let exact = |d: &Datum, row, t: &SqlType| number::exact(d.array().as_ref(), d.place(row), t);
                let order = |row| exact(self.left, row, left).compare(&exact(self.right, row, right));
                (self.collect(|row| satisfies(op, order(row))), None)
            }
            _ => self.values(op, left, right),
        })
    }

    fn collect(&self, test: impl Fn(usize) -> bool) -> BooleanBuffer {
        BooleanBuffer::collect_bool(self.rows, |row| !self.skip.value(row) && test(row))
    }

    fn integers(&self, op: CompareOp) -> Result<BooleanBuffer> {
        let wide = |d: &Datum| compute::cast(d.array(), &DataType::Int64).map_err(arrow_error);
        let (left, right) = (wide(self.left)?, wide(self.right)?);
        let (left, right) = (left.as_primitive::<Int64Type>().values(), right.as_primitive::<Int64Type>().values());
        let test = |row| satisfies(op, left[self.left.place(row)].cmp(&right[self.right.place(row)]));
        Ok(BooleanBuffer::collect_bool(self.rows, test))
    }

    fn doubles(&self, op: CompareOp) -> Result<BooleanBuffer> {
        let wide = |d: &Datum| compute::cast(d.array(), &DataType::Float64).map_err(arrow_error);
        let (left, right) = (wide(self.left)?, wide(self.right)?);
        let (left, right) = (left.as_primitive::<Float64Type>().values(), right.as_primitive::<Float64Type>().values());
        let test = |row| satisfies_double(op, left[self.left.place(row)], right[self.right.place(row)]);
        Ok(BooleanBuffer::collect_bool(self.rows, test))
    }

    /// A double counts as the shortest decimal that prints as it does.
    fn double_and_decimal(&self, op: CompareOp, left: &SqlType, right: &SqlType) -> BooleanBuffer {
        let number = |d: &Datum, row, t: &SqlType| match t {
            SqlType::Double => d.array().as_primitive::<Float64Type>().value(d.place(row)),
            _ => f64::NAN,
        };
        self.collect(|row| {
            let (l, r) = (number(self.left, row, left), number(self.right, row, right));
            let order = if *left == SqlType::Double {
                let exact = number::exact(self.right.array().as_ref(), self.right.place(row), right);
                Decimal::from_f64(l).map(|d| d.compare(&exact))
            } else {
                let exact = number::exact(self.left.array().as_ref(), self.left.place(row), left);
                Decimal::from_f64(r).map(|d| exact.compare(&d))
            };
            order.is_some_and(|order| satisfies(op, order))
        })
    }

    fn texts_equal(&self, op: CompareOp) -> Result<BooleanBuffer> {
        let (left, right) = (self.left.array(), self.right.array());
        let equal = match (self.left.is_constant(), self.right.is_constant()) {
            (false, true) => cmp::eq(left, &Scalar::new(right)),
            (true, false) => cmp::eq(&Scalar::new(left), right),
            (false, false) => cmp::eq(left, right),
            (true, true) => return Ok(self.texts(op)),
        };
        let equal = equal.map_err(arrow_error)?.values().clone();
        Ok(if op == CompareOp::Equal { equal } else { !&equal })
    }

    fn texts(&self, op: CompareOp) -> BooleanBuffer {
        let (left, right) = (self.left.array().as_string::<i32>(), self.right.array().as_string::<i32>());
        self.collect(|row| {
            satisfies(op, compare_utf16(left.value(self.left.place(row)), right.value(self.right.place(row))))
        })
    }

    /// All other pairs, value by value; a text that is no time where one is compared with is an error.
    fn values(&self, op: CompareOp, left: &SqlType, right: &SqlType) -> (BooleanBuffer, RowSet) {
        let mut broken = vec![false; self.rows];
        let value = |d: &Datum, row, own: &SqlType, other: &SqlType| {
            to_instant(Value::at(d.array().as_ref(), d.place(row), own), other)
        };
        let values = BooleanBuffer::collect_bool(self.rows, |row| {
            if self.skip.value(row) {
                return false;
            }
            match (value(self.left, row, left, right), value(self.right, row, right, left)) {
                (Some(l), Some(r)) if left.is_nested() => (l == r) == satisfies(op, Ordering::Equal),
                (Some(l), Some(r)) => satisfies(op, l.compare(&r)),
                _ => {
                    broken[row] = true;
                    false
                }
            }
        });
        let broken = broken.contains(&true).then(|| BooleanBuffer::from(broken));
        (values, broken)
    }
}

/// A value as it is compared with one of type `other`: texts are read as times, dates as their midnight.
fn to_instant(value: Value, other: &SqlType) -> Option<Value> {
    match (value, other) {
        (Value::String(text), SqlType::Timestamp) => parse::timestamp(&text).map(Value::Timestamp),
        (Value::String(text), SqlType::Date) => {
            parse::date(&text).map(|days| Value::Timestamp(i64::from(days) * parse::DAY_MS))
        }
        (Value::String(text), SqlType::Time) => parse::time(&text).map(Value::Time),
        (Value::Date(days), SqlType::Timestamp | SqlType::String | SqlType::Date) => {
            Some(Value::Timestamp(i64::from(days) * parse::DAY_MS))
        }
        (value, _) => Some(value),
    }
}

/// Whether the value equals one of the list, as Java's `equals` has it; NULL equals nothing.
pub fn is_in(value: &Expr, list: &[Expr], rows: &mut Rows) -> Result<Out> {
    let out = value.eval(rows)?;
    let sql_type = value.result_type();
    let mut failed = out.failed;
    let mut hits = BooleanBuffer::new_unset(rows.count);
    for item in list {
        let candidate = item.eval(rows)?;
        failed = bits::union(failed, candidate.failed);
        let equal = |row: usize| {
            let at = |d: &Datum| Value::at(d.array().as_ref(), d.place(row), &sql_type);
            let (a, b) = (at(&out.values), at(&candidate.values));
            !a.is_null() && (a == b || a.compare(&b) == Ordering::Equal && !sql_type.is_nested() && !b.is_null())
        };
        let texts = sql_type == SqlType::String && candidate.values.is_constant() && !out.values.is_constant();
        if texts && candidate.values.array().null_count() == 0 {
            let column = out.values.array();
            let equal = cmp::eq(column, &Scalar::new(candidate.values.array())).map_err(arrow_error)?;
            let nulls = bits::nulls(column.as_ref());
            hits = &hits | &bits::without(equal.values(), &nulls);
        } else {
            hits = &hits | &BooleanBuffer::collect_bool(rows.count, equal);
        }
    }
    Ok(logic::boolean(hits, failed))
}
