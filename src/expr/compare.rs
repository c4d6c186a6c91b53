//! Comparisons and IN. They are two-valued: false where an operand is NULL.
//!
//! | operands | compared as |
//! |---|---|
//! | INTEGER, BIGINT | 64-bit integers |
//! | one a DOUBLE | doubles; NaN is less than, equal to and greater than nothing, not even itself |
//! | a DOUBLE and a DECIMAL | decimals, the double being the shortest one that prints as it does |
//! | other numbers | exact decimals, whatever their scales are |
//! | texts | by UTF-16 code unit, as Java does |
//! | a text and a time | times; a text that is not a time has no result and is an error |
//! | DATE and TIMESTAMP | instants, a DATE being its midnight in UTC |
//! | BYTES | by signed byte, as Java does |
//! | ARRAY, MAP, STRUCT | only whether they are equal, as Java's `equals` has it |
//!
//! IN takes values as `equals` does: NaN equals NaN, and `-0.0` is not `0.0`.

use std::cmp::Ordering;
use std::collections::HashSet;

use arrow::array::{Array, AsArray, Scalar};
use arrow::buffer::BooleanBuffer;
use arrow::compute;
use arrow::compute::kernels::cmp;
use arrow::datatypes::{DataType, Float64Type, Int64Type};

use super::bits::{self, RowSet};
use super::compiled::{Compiled, Step};
use super::datum::{Datum, Out};
use super::rows::{Evaluated, Rows};
use super::{logic, number};
use crate::error::Result;
use crate::functions::fault::shown;
use crate::sql::ast::CompareOp;
use crate::types::{Decimal, SqlType, Value, arrow_error, compare_doubles, compare_utf16, parse};

/// `left op right`.
pub(super) struct Compare {
    pub op: CompareOp,
    pub left: Compiled,
    pub right: Compiled,
}

impl Step for Compare {
    fn eval(&self, rows: &mut Rows) -> Evaluated<Out> {
        let (l, r) = (self.left.out(rows)?, self.right.out(rows)?);
        let ended = bits::union(l.ended, r.ended);
        let (left_null, right_null) = (l.values.nulls(rows.count), r.values.nulls(rows.count));
        let either_null = bits::union(left_null.clone(), right_null.clone());
        let (left_type, right_type) = (self.left.result_type(), self.right.result_type());
        let pair = Pair { left: &l.values, right: &r.values, rows: rows.count, skip: &either_null };
        let (values, failed) = pair.evaluate(self.op, &left_type, &right_type)?;
        let values = with_nulls(self.op, bits::without(&values, &either_null), left_null, right_null);
        let failed = bits::except(failed, &ended);
        rows.fault(&failed, |row| {
            let one = |d: &Datum, own: &SqlType, other: &SqlType| no_instant(&d.value(row, own), other);
            let left = one(&l.values, &left_type, &right_type);
            left.or_else(|| one(&r.values, &right_type, &left_type)).unwrap_or_default()
        });
        Ok(logic::boolean(values, bits::union(ended, failed)))
    }
}

/// What `IS [NOT] DISTINCT FROM` says of NULLs, added to a result that is false where an operand is NULL.
///
/// NULL is not distinct from NULL, and distinct from every value. So these two operators are never without a result
/// because of NULLs.
fn with_nulls(op: CompareOp, values: BooleanBuffer, left_null: RowSet, right_null: RowSet) -> BooleanBuffer {
    if !matches!(op, CompareOp::Distinct | CompareOp::NotDistinct) || left_null.is_none() && right_null.is_none() {
        return values;
    }
    let all = |set: RowSet| set.unwrap_or_else(|| BooleanBuffer::new_unset(values.len()));
    let (left, right) = (all(left_null), all(right_null));
    &values | &(if op == CompareOp::Distinct { &left ^ &right } else { &left & &right })
}

/// Why a value cannot be compared with one of type `other`, if it cannot.
pub(super) fn no_instant(value: &Value, other: &SqlType) -> Option<String> {
    let message = || format!("{} is not a {other}, with which it is compared", shown(value));
    (!value.is_null() && to_instant(value.clone(), other).is_none()).then(message)
}

/// Two operands. The result means nothing where one is NULL.
struct Pair<'a> {
    left: &'a Datum,
    right: &'a Datum,
    /// The number of rows.
    rows: usize,
    /// The rows where an operand is NULL.
    skip: &'a RowSet,
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
///
/// `0.0` and `-0.0` are equal for all operators. IS DISTINCT FROM takes NaN as equal to itself.
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
    /// The rows where the comparison is true, and those where it has no result.
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

    /// Whether an operand is NULL.
    fn skips(&self, row: usize) -> bool {
        self.skip.as_ref().is_some_and(|skip| skip.value(row))
    }

    /// The rows without NULL for which the test is true.
    fn collect(&self, test: impl Fn(usize) -> bool) -> BooleanBuffer {
        BooleanBuffer::collect_bool(self.rows, |row| !self.skips(row) && test(row))
    }

    /// Integers of 32 or 64 bits.
    fn integers(&self, op: CompareOp) -> Result<BooleanBuffer> {
        let wide = |d: &Datum| compute::cast(d.array(), &DataType::Int64).map_err(arrow_error);
        let (left, right) = (wide(self.left)?, wide(self.right)?);
        let (left, right) = (left.as_primitive::<Int64Type>().values(), right.as_primitive::<Int64Type>().values());
        let test = |row| satisfies(op, left[self.left.place(row)].cmp(&right[self.right.place(row)]));
        Ok(BooleanBuffer::collect_bool(self.rows, test))
    }

    /// Doubles, and integers compared with them.
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

    /// Texts that need not be ordered, by Arrow's kernel.
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

    /// Texts in their order.
    fn texts(&self, op: CompareOp) -> BooleanBuffer {
        let (left, right) = (self.left.array().as_string::<i32>(), self.right.array().as_string::<i32>());
        self.collect(|row| {
            satisfies(op, compare_utf16(left.value(self.left.place(row)), right.value(self.right.place(row))))
        })
    }

    /// All other pairs, value by value. A text that is compared with times and is not one has no result.
    fn values(&self, op: CompareOp, left: &SqlType, right: &SqlType) -> (BooleanBuffer, RowSet) {
        let mut failed = vec![false; self.rows];
        let value = |d: &Datum, row, own: &SqlType, other: &SqlType| to_instant(d.value(row, own), other);
        let values = BooleanBuffer::collect_bool(self.rows, |row| {
            if self.skips(row) {
                return false;
            }
            match (value(self.left, row, left, right), value(self.right, row, right, left)) {
                (Some(l), Some(r)) if left.is_nested() => (l == r) == satisfies(op, Ordering::Equal),
                (Some(l), Some(r)) => satisfies(op, l.compare(&r)),
                _ => {
                    failed[row] = true;
                    false
                }
            }
        });
        (values, bits::marked(failed))
    }
}

/// A value as it is compared with one of type `other`: texts are read as times, dates as their midnight.
///
/// `None` for a text that is not such a time. A DATE compared with a TIME is refused when the expression is bound.
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

/// Whether the value equals one of a list, as Java's `equals` has it. NULL equals nothing.
///
/// Constants are looked up by hash, so a long list of constants costs O(1) per row; other items are compared one by
/// one.
pub(super) struct In {
    /// What is looked for.
    value: Compiled,
    /// The items that depend on the row.
    items: Vec<Compiled>,
    /// The other items, without NULL.
    constants: HashSet<Value>,
    /// The constants that are texts.
    texts: HashSet<String>,
}

impl In {
    /// The items, each with its value if it is a constant.
    pub(super) fn new(value: Compiled, list: Vec<(Compiled, Option<Value>)>) -> Self {
        let (mut items, mut constants) = (Vec::new(), HashSet::new());
        for (item, constant) in list {
            match constant {
                Some(Value::Null) => {}
                Some(constant) => drop(constants.insert(constant)),
                None => items.push(item),
            }
        }
        let text = |value: &Value| if let Value::String(text) = value { Some(text.clone()) } else { None };
        let texts = constants.iter().filter_map(text).collect();
        In { value, items, constants, texts }
    }

    /// The rows whose value is among the constants.
    fn among_constants(&self, values: &Datum, count: usize) -> BooleanBuffer {
        if self.constants.is_empty() {
            return BooleanBuffer::new_unset(count);
        }
        let sql_type = self.value.result_type();
        if let (SqlType::String, Some(column)) = (&sql_type, values.array().as_string_opt::<i32>()) {
            let test = |at: usize| column.is_valid(at) && self.texts.contains(column.value(at));
            return BooleanBuffer::collect_bool(count, |row| test(values.place(row)));
        }
        BooleanBuffer::collect_bool(count, |row| self.constants.contains(&values.value(row, &sql_type)))
    }
}

impl Step for In {
    fn eval(&self, rows: &mut Rows) -> Evaluated<Out> {
        let out = self.value.out(rows)?;
        let sql_type = self.value.result_type();
        let mut hits = self.among_constants(&out.values, rows.count);
        let mut ended = out.ended;
        for item in &self.items {
            let candidate = item.out(rows)?;
            ended = bits::union(ended, candidate.ended);
            let equal = |row: usize| {
                let (a, b) = (out.values.value(row, &sql_type), candidate.values.value(row, &sql_type));
                !a.is_null() && a == b
            };
            hits = &hits | &BooleanBuffer::collect_bool(rows.count, equal);
        }
        Ok(logic::boolean(hits, ended))
    }
}
