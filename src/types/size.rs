//! How large parts of columns are.

use arrow::array::{Array, AsArray};
use arrow::datatypes::DataType;

/// About how many bytes the entries from `start` on, `count` of them, have in an array.
///
/// Counts values and offsets, not NULL bits. `start + count` is at most the length of the array. Takes constant time
/// for each part of the type, however many entries there are.
///
/// # Panics
/// For strings, bytes and lists, if the range is outside of the array.
pub fn size_of_entries(array: &dyn Array, start: usize, count: usize) -> usize {
    let span = |offsets: &[i32]| (offsets[start] as usize, (offsets[start + count] - offsets[start]) as usize);
    match array.data_type() {
        DataType::Utf8 => 4 * count + span(array.as_string::<i32>().value_offsets()).1,
        DataType::Binary => 4 * count + span(array.as_binary::<i32>().value_offsets()).1,
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let (from, items) = span(list.value_offsets());
            4 * count + size_of_entries(list.values().as_ref(), from, items)
        }
        DataType::Struct(_) => {
            array.as_struct().columns().iter().map(|c| size_of_entries(c.as_ref(), start, count)).sum()
        }
        other => count * other.primitive_width().unwrap_or(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{SqlType, Value, array_of};

    #[test]
    fn only_the_wanted_entries_count() {
        let text = |text: &str| Value::String(text.to_owned());
        let texts = array_of(&[text("abc"), Value::Null, text("de")], &SqlType::String);
        assert_eq!([(0, 3), (0, 1), (1, 2)].map(|(start, count)| size_of_entries(&texts, start, count)), [17, 7, 10]);
        let lists = [Value::Array(vec![text("abc"), text("")]), Value::Array(vec![]), Value::Array(vec![text("de")])];
        let lists = array_of(&lists, &SqlType::array(SqlType::String));
        assert_eq!([(0, 1), (1, 1), (2, 1)].map(|(start, count)| size_of_entries(&lists, start, count)), [15, 4, 10]);
        let numbers = array_of(&[Value::Bigint(1), Value::Bigint(2)], &SqlType::Bigint);
        assert_eq!(size_of_entries(&numbers, 1, 1), 8);
    }
}
