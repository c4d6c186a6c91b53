//! AND, OR, NOT, CASE and IS NULL: judged from left to right as Java does, a NULL that is reached being an error.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, new_null_array};
use arrow::buffer::BooleanBuffer;
use arrow::compute;

use super::bits::{self, RowSet};
use super::{Expr, Out, Rows};
use crate::error::Result;
use crate::types::{SqlType, Value, arrow_error};

/// A condition: the rows where it is true, and those where it is NULL or failed.
struct Condition {
    holds: BooleanBuffer,
    broken: RowSet,
}

fn condition(expr: &Expr, rows: &mut Rows) -> Result<Condition> {
    let out = expr.eval(rows)?;
    let broken = bits::union(out.failed, out.values.nulls(rows.count));
    let column = out.values.into_column(rows.count)?;
    let values = match column.as_boolean_opt() {
        Some(values) => values.values().clone(),
        // An untyped NULL: broken in every row.
        None => BooleanBuffer::new_unset(rows.count),
    };
    Ok(Condition { holds: bits::without(&values, &broken), broken })
}

/// What a constant behind the first condition decides for all rows, as TRUE does in `f OR TRUE`: what stands before it only
/// must not fail, and a lone operand before it may even be NULL (Janino compiles such a constant away).
fn decided(
    items: &[Expr],
    deciding: bool,
    rows: &mut Rows,
    judge: fn(&[Expr], &mut Rows) -> Result<Out>,
) -> Result<Option<Out>> {
    let decides = |item: &Expr| item.as_constant() == Some(&Value::Boolean(deciding));
    let Some(at) = items.iter().skip(1).position(decides) else { return Ok(None) };
    let before = if at == 0 { items[0].eval(rows)? } else { judge(&items[..=at], rows)? };
    let all = if deciding { BooleanBuffer::new_set(rows.count) } else { BooleanBuffer::new_unset(rows.count) };
    Ok(Some(boolean(bits::without(&all, &before.failed), before.failed)))
}

/// True where all conditions hold; the first that does not decides the row.
pub fn and(items: &[Expr], rows: &mut Rows) -> Result<Out> {
    if let Some(out) = decided(items, false, rows, and)? {
        return Ok(out);
    }
    let mut alive = BooleanBuffer::new_set(rows.count);
    let mut failed = None;
    for item in items {
        let Condition { holds, broken } = condition(item, rows)?;
        failed = bits::union(failed, bits::within(broken, &alive));
        alive = &alive & &holds;
    }
    Ok(boolean(alive, failed))
}

/// True where one condition holds; the first that does decides the row.
pub fn or(items: &[Expr], rows: &mut Rows) -> Result<Out> {
    if let Some(out) = decided(items, true, rows, or)? {
        return Ok(out);
    }
    let mut alive = BooleanBuffer::new_set(rows.count);
    let mut hits = BooleanBuffer::new_unset(rows.count);
    let mut failed = None;
    for item in items {
        let Condition { holds, broken } = condition(item, rows)?;
        hits = &hits | &(&alive & &holds);
        failed = bits::union(failed, bits::within(broken.clone(), &alive));
        alive = bits::without(&(&alive & &!&holds), &broken);
    }
    Ok(boolean(hits, failed))
}

/// The opposite; of NULL an error.
pub fn not(value: &Expr, rows: &mut Rows) -> Result<Out> {
    let Condition { holds, broken } = condition(value, rows)?;
    Ok(boolean(bits::without(&!&holds, &broken), broken))
}

/// Whether the value is NULL, or is not.
pub fn is_null(value: &Expr, negated: bool, rows: &mut Rows) -> Result<Out> {
    let out = value.eval(rows)?;
    let nulls = out.values.nulls(rows.count).unwrap_or_else(|| BooleanBuffer::new_unset(rows.count));
    Ok(boolean(if negated { !&nulls } else { nulls }, out.failed))
}

/// The value of the first branch whose condition holds; a condition that is NULL or failed breaks the row.
pub fn case(branches: &[(Expr, Expr)], otherwise: Option<&Expr>, sql_type: &SqlType, rows: &mut Rows) -> Result<Out> {
    let mut alive = BooleanBuffer::new_set(rows.count);
    let mut failed: RowSet = None;
    let mut chosen = vec![(0usize, 0usize); rows.count];
    let mut arrays: Vec<ArrayRef> = vec![new_null_array(&sql_type.arrow(), 1)];
    let mut take = |mask: &BooleanBuffer, value: &Expr, rows: &mut Rows| -> Result<RowSet> {
        let out = value.eval(rows)?;
        if value.sql_type.is_some() {
            for row in mask.set_indices() {
                chosen[row] = (arrays.len(), out.values.place(row));
            }
            arrays.push(out.values.array().clone());
        }
        Ok(bits::within(out.failed, mask))
    };
    for (when, then) in branches {
        let Condition { holds, broken } = condition(when, rows)?;
        failed = bits::union(failed, bits::within(broken.clone(), &alive));
        failed = bits::union(failed, take(&(&alive & &holds), then, rows)?);
        alive = bits::without(&(&alive & &!&holds), &broken);
    }
    if let Some(otherwise) = otherwise {
        failed = bits::union(failed, take(&alive, otherwise, rows)?);
    }
    let arrays: Vec<&dyn Array> = arrays.iter().map(AsRef::as_ref).collect();
    let array = compute::interleave(&arrays, &chosen).map_err(arrow_error)?;
    Ok(Out::column(array, failed))
}

/// A boolean column.
pub fn boolean(values: BooleanBuffer, failed: RowSet) -> Out {
    Out::column(Arc::new(BooleanArray::new(values, None)), failed)
}
