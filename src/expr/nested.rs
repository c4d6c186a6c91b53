//! Arrays, maps and structs: made of values and taken apart.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StructArray, UInt32Array};
use arrow::buffer::{BooleanBuffer, NullBuffer, OffsetBuffer};
use arrow::compute;
use arrow::datatypes::Int32Type;

use super::bits;
use super::{Expr, Out, Rows};
use crate::error::{Error, Result};
use crate::types::{Builder, SqlType, Value, arrow_error, struct_fields};

/// `array[index]`: counted from 1, or from the end if it is negative; NULL outside. A NULL index is an error.
pub fn index(base: &Expr, index: &Expr, sql_type: &SqlType, rows: &mut Rows) -> Result<Out> {
    let (base, at) = (base.eval(rows)?, index.eval(rows)?);
    let indices = at.values.array().as_primitive::<Int32Type>();
    let lists = base.values.array().as_list::<i32>();
    let mut broken = vec![false; rows.count];
    let places: UInt32Array = (0..rows.count)
        .map(|row| {
            let (list, place) = (base.values.place(row), at.values.place(row));
            if lists.is_null(list) {
                return None;
            }
            if indices.is_null(place) {
                broken[row] = true;
                return None;
            }
            let (start, end) = (lists.value_offsets()[list], lists.value_offsets()[list + 1]);
            let index = i64::from(indices.value(place));
            let target = if index > 0 { i64::from(start) + index - 1 } else { i64::from(end) + index };
            (index != 0 && (i64::from(start)..i64::from(end)).contains(&target)).then_some(target as u32)
        })
        .collect();
    let array = compute::take(lists.values(), &places, None).map_err(arrow_error)?;
    debug_assert_eq!(array.data_type(), &sql_type.arrow());
    let broken = broken.contains(&true).then(|| BooleanBuffer::from(broken));
    Ok(Out::column(array, bits::union(bits::union(base.failed, at.failed), broken)))
}

/// `map[key]`: NULL for a key that is not there.
pub fn lookup(base: &Expr, key: &Expr, sql_type: &SqlType, rows: &mut Rows) -> Result<Out> {
    let (map_type, key_type) = (base.result_type(), key.result_type());
    let (base, key) = (base.eval(rows)?, key.eval(rows)?);
    let mut out = Builder::new(sql_type, rows.count);
    for row in 0..rows.count {
        let map = Value::at(base.values.array().as_ref(), base.values.place(row), &map_type);
        let wanted = Value::at(key.values.array().as_ref(), key.values.place(row), &key_type);
        let found = match &map {
            Value::Map(entries) => entries.iter().find(|(k, _)| *k == wanted).map(|(_, v)| v),
            _ => None,
        };
        out.push(found.unwrap_or(&Value::Null));
    }
    Ok(Out::column(out.finish(), bits::union(base.failed, key.failed)))
}

/// `struct->field`: NULL of a NULL struct.
pub fn field(base: &Expr, index: usize, rows: &mut Rows) -> Result<Out> {
    let out = base.eval(rows)?;
    let column = out.values.into_column(rows.count)?;
    let structs = column.as_struct();
    let field = structs.column(index).clone();
    let array = match bits::nulls(structs) {
        Some(nulls) => crate::types::with_nulls(&field, &nulls)?,
        None => field,
    };
    Ok(Out::column(array, out.failed))
}

/// The items of a constructor as columns; a failed item is NULL.
fn items<'a>(exprs: impl Iterator<Item = &'a Expr>, rows: &mut Rows) -> Result<Vec<ArrayRef>> {
    let mut arrays = Vec::new();
    for expr in exprs {
        let out = expr.eval(rows)?;
        rows.caught.add(&out.failed, || "an item of a constructor could not be computed".to_owned());
        arrays.push(out.or_null(rows.count)?);
    }
    Ok(arrays)
}

/// One column in which row r's items stand together: of `columns` with a value a row each, by row.
fn interleaved(columns: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let arrays: Vec<&dyn Array> = columns.iter().map(AsRef::as_ref).collect();
    let places: Vec<(usize, usize)> = (0..rows).flat_map(|row| (0..arrays.len()).map(move |c| (c, row))).collect();
    compute::interleave(&arrays, &places).map_err(arrow_error)
}

/// `ARRAY[…]`.
pub fn array(exprs: &[Expr], sql_type: &SqlType, rows: &mut Rows) -> Result<Out> {
    let columns = items(exprs.iter(), rows)?;
    let values = interleaved(&columns, rows.count)?;
    list(values, exprs.len(), sql_type, rows.count)
}

/// `MAP(…)`: a later entry replaces an earlier one with the same key.
pub fn map(pairs: &[(Expr, Expr)], sql_type: &SqlType, rows: &mut Rows) -> Result<Out> {
    let keys = items(pairs.iter().map(|(k, _)| k), rows)?;
    let values = items(pairs.iter().map(|(_, v)| v), rows)?;
    let SqlType::Map(key_type, value_type) = sql_type else {
        return Err(Error::bug(format!("{sql_type} is no map")));
    };
    let mut out = Builder::new(sql_type, rows.count);
    for row in 0..rows.count {
        let mut entries: Vec<(Value, Value)> = Vec::with_capacity(pairs.len());
        for (key, value) in keys.iter().zip(&values) {
            let (key, value) = (Value::at(key, row, key_type), Value::at(value, row, value_type));
            match entries.iter_mut().find(|(k, _)| *k == key) {
                Some(entry) => entry.1 = value,
                None => entries.push((key, value)),
            }
        }
        out.push(&Value::Map(entries));
    }
    Ok(Out::column(out.finish(), None))
}

fn list(values: ArrayRef, per_row: usize, sql_type: &SqlType, rows: usize) -> Result<Out> {
    let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(per_row, rows));
    let field = match sql_type.arrow() {
        arrow::datatypes::DataType::List(field) => field,
        other => return Err(Error::bug(format!("{other} is no list"))),
    };
    let list = arrow::array::ListArray::try_new(field, offsets, values, None::<NullBuffer>).map_err(arrow_error)?;
    Ok(Out::column(Arc::new(list), None))
}

/// `STRUCT(…)`.
pub fn structure(exprs: &[Expr], sql_type: &SqlType, rows: &mut Rows) -> Result<Out> {
    let columns = items(exprs.iter(), rows)?;
    let SqlType::Struct(fields) = sql_type else {
        return Err(Error::bug(format!("{sql_type} is no struct")));
    };
    let array = match columns.is_empty() {
        true => StructArray::new_empty_fields(rows.count, None),
        false => StructArray::try_new(struct_fields(fields), columns, None).map_err(arrow_error)?,
    };
    Ok(Out::column(Arc::new(array), None))
}
