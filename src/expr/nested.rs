//! Arrays, maps and structs: made of values and taken apart.
//!
//! Taking apart never fails: what is not there is NULL. Making never fails either: an item without a value is NULL, so that one
//! bad item does not cost the others. Only a collection that is larger than a value may be is an error of its row.
//!
//! In Arrow an ARRAY is a list, a MAP a list of structs of key and value in the order of insertion, and a STRUCT a struct.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StructArray, UInt32Array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute;
use arrow::datatypes::{DataType, Int32Type};

use super::bits;
use super::compiled::{Compiled, Step};
use super::datum::Out;
use super::rows::{Evaluated, Rows};
use super::size;
use crate::error::Error;
use crate::functions::fault::MOST_VALUE_BYTES;
use crate::functions::sets;
use crate::types::{Builder, SqlType, Value, arrow_error, struct_fields, with_nulls};

/// `array[index]`: counted from 1, or from the end if it is negative; NULL outside. A NULL index ends the row.
///
/// `a[1]` is the first item and `a[-1]` the last; `a[0]` and places beyond either end are NULL, as in ksqlDB.
pub(super) struct Index {
    pub base: Compiled,
    pub index: Compiled,
}

/// One kernel takes all items at their places in the lists' common values.
impl Step for Index {
    fn eval(&self, rows: &mut Rows) -> Evaluated<Out> {
        let (base, at) = (self.base.out(rows)?, self.index.out(rows)?);
        let indices = at.values.array().as_primitive::<Int32Type>();
        let lists = base.values.array().as_list::<i32>();
        let offsets = lists.value_offsets();
        let mut ended = vec![false; rows.count];
        let place_of = |row: usize, ended: &mut Vec<bool>| -> Option<u32> {
            let (list, place) = (base.values.place(row), at.values.place(row));
            if arrow::array::Array::is_null(lists, list) {
                return None;
            }
            if arrow::array::Array::is_null(indices, place) {
                ended[row] = true;
                return None;
            }
            let (start, end) = (i64::from(offsets[list]), i64::from(offsets[list + 1]));
            let index = i64::from(indices.value(place));
            let target = if index > 0 { start + index - 1 } else { end + index };
            (index != 0 && (start..end).contains(&target)).then_some(target as u32)
        };
        let places: UInt32Array = (0..rows.count).map(|row| place_of(row, &mut ended)).collect();
        let values = lists.values();
        if base.values.is_constant() && size::varies(values.data_type()) {
            let bytes = places.iter().flatten().map(|place| size::of(values.as_ref(), place as usize, 1)).sum();
            size::check(rows, bytes)?;
        }
        let array = compute::take(values, &places, None).map_err(arrow_error)?;
        let ended = bits::union(bits::union(base.ended, at.ended), bits::marked(ended));
        Ok(Out::column(array, ended))
    }
}

/// `map[key]`: NULL for a key that is not there.
///
/// Entries are looked through one by one, which copies the map of the row: O(entries).
pub(super) struct Lookup {
    pub base: Compiled,
    pub key: Compiled,
    /// The type of the map's values.
    pub sql_type: SqlType,
}

impl Step for Lookup {
    fn eval(&self, rows: &mut Rows) -> Evaluated<Out> {
        let (map_type, key_type) = (self.base.result_type(), self.key.result_type());
        let (base, key) = (self.base.out(rows)?, self.key.out(rows)?);
        let mut out = Builder::new(&self.sql_type, rows.count);
        let mut bytes = 0;
        for row in 0..rows.count {
            if !rows.is_reached(row) {
                out.null();
                continue;
            }
            let map = base.values.value(row, &map_type);
            let wanted = key.values.value(row, &key_type);
            let found = match &map {
                Value::Map(entries) => entries.iter().find(|(k, _)| *k == wanted).map(|(_, v)| v),
                _ => None,
            };
            let found = found.unwrap_or(&Value::Null);
            bytes += found.size();
            size::check(rows, bytes)?;
            out.push(found);
        }
        Ok(Out::column(out.finish(), bits::union(base.ended, key.ended)))
    }
}

/// `struct->field`: NULL of a NULL struct.
pub(super) struct Field {
    pub base: Compiled,
    /// The place of the field in the type.
    pub index: usize,
}

impl Step for Field {
    fn eval(&self, rows: &mut Rows) -> Evaluated<Out> {
        let out = self.base.out(rows)?;
        let column = out.values.into_column(rows)?;
        let structs = column.as_struct();
        let field = structs.column(self.index).clone();
        let array = match bits::nulls(structs) {
            Some(nulls) => with_nulls(&field, &nulls)?,
            None => field,
        };
        Ok(Out::column(array, out.ended))
    }
}

/// The items of a constructor as columns. An item without a value is NULL.
fn columns<'a>(items: impl Iterator<Item = &'a Compiled>, rows: &mut Rows) -> Evaluated<Vec<ArrayRef>> {
    let mut columns = Vec::new();
    for item in items {
        let out = item.out(rows)?;
        columns.push(out.or_null(rows)?);
    }
    Ok(columns)
}

/// `ARRAY[…]`.
pub(super) struct Array {
    /// The items, all of one type.
    pub items: Vec<Compiled>,
    /// The type of the array.
    pub sql_type: SqlType,
}

/// The items of all rows in one column, row by row, with offsets at equal distances.
impl Step for Array {
    fn eval(&self, rows: &mut Rows) -> Evaluated<Out> {
        let columns = columns(self.items.iter(), rows)?;
        let bytes = columns.iter().map(|column| size::of(column.as_ref(), 0, rows.count)).sum();
        size::check(rows, bytes)?;
        if bytes > MOST_VALUE_BYTES {
            return Ok(too_large(rows, &self.sql_type));
        }
        let arrays: Vec<&dyn arrow::array::Array> = columns.iter().map(AsRef::as_ref).collect();
        let width = arrays.len();
        let places: Vec<(usize, usize)> = (0..rows.count).flat_map(|row| (0..width).map(move |c| (c, row))).collect();
        let values = compute::interleave(&arrays, &places).map_err(arrow_error)?;
        let DataType::List(field) = self.sql_type.arrow() else {
            return Err(Error::bug(format!("{} is not a list", self.sql_type)).into());
        };
        let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(width, rows.count));
        let list = arrow::array::ListArray::try_new(field, offsets, values, None::<NullBuffer>).map_err(arrow_error)?;
        Ok(Out::column(Arc::new(list), None))
    }
}

/// The result for a single row whose collection is larger than a value may be.
fn too_large(rows: &mut Rows, sql_type: &SqlType) -> Out {
    let all = bits::marked(vec![true; rows.count]);
    rows.fault(&all, |_| format!("the collection has more than {MOST_VALUE_BYTES} bytes"));
    Out::column(arrow::array::new_null_array(&sql_type.arrow(), rows.count), all)
}

/// `MAP(…)`: a later entry replaces an earlier one with the same key.
pub(super) struct Map {
    /// Keys and values, all keys and all values of one type.
    pub pairs: Vec<(Compiled, Compiled)>,
    /// The type of the map.
    pub sql_type: SqlType,
}

/// Row by row, since equal keys are found by hash.
impl Step for Map {
    fn eval(&self, rows: &mut Rows) -> Evaluated<Out> {
        let keys = columns(self.pairs.iter().map(|(k, _)| k), rows)?;
        let values = columns(self.pairs.iter().map(|(_, v)| v), rows)?;
        let bytes = keys.iter().chain(&values).map(|column| size::of(column.as_ref(), 0, rows.count)).sum();
        size::check(rows, bytes)?;
        if bytes > MOST_VALUE_BYTES {
            return Ok(too_large(rows, &self.sql_type));
        }
        let SqlType::Map(key_type, value_type) = &self.sql_type else {
            return Err(Error::bug(format!("{} is not a map", self.sql_type)).into());
        };
        let mut out = Builder::new(&self.sql_type, rows.count);
        for row in 0..rows.count {
            let entries = keys.iter().zip(&values).map(|(key, value)| {
                (Value::at(key.as_ref(), row, key_type), Value::at(value.as_ref(), row, value_type))
            });
            out.push(&sets::map_of(entries));
        }
        Ok(Out::column(out.finish(), None))
    }
}

/// `STRUCT(…)`.
pub(super) struct Struct {
    /// The fields, in the order of the type.
    pub items: Vec<Compiled>,
    /// The type of the struct.
    pub sql_type: SqlType,
}

impl Step for Struct {
    fn eval(&self, rows: &mut Rows) -> Evaluated<Out> {
        let columns = columns(self.items.iter(), rows)?;
        let SqlType::Struct(fields) = &self.sql_type else {
            return Err(Error::bug(format!("{} is not a struct", self.sql_type)).into());
        };
        let array = match columns.is_empty() {
            true => StructArray::new_empty_fields(rows.count, None),
            false => StructArray::try_new(struct_fields(fields), columns, None).map_err(arrow_error)?,
        };
        Ok(Out::column(Arc::new(array), None))
    }
}
