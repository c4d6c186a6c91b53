//! The time of rows that a column says.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{Int64Type, TimestampMillisecondType};

use crate::catalog::TimestampColumn;
use crate::types::pattern::zone::Zone;
use crate::types::pattern::{Names, Pattern};

/// The time that a column says in every row, in milliseconds; a negative one where it says none.
pub(super) fn row_times(column: &ArrayRef, timestamp: &TimestampColumn) -> Vec<i64> {
    if let Some(format) = &timestamp.format {
        return parsed(column, format);
    }
    let numbers = match column.as_primitive_opt::<Int64Type>() {
        Some(numbers) => numbers.values(),
        None => column.as_primitive::<TimestampMillisecondType>().values(),
    };
    (0..column.len()).map(|row| if column.is_null(row) { NO_TIME } else { numbers[row] }).collect()
}

/// What stands for a time that there is not.
const NO_TIME: i64 = i64::MIN;

fn parsed(column: &ArrayRef, format: &Pattern) -> Vec<i64> {
    let (texts, utc) = (column.as_string::<i32>(), Zone::utc("UTC"));
    let time = |text: &str| format.read(text, Names::Root).and_then(|read| read.instant(&utc)).unwrap_or(NO_TIME);
    texts.iter().map(|text| text.map_or(NO_TIME, time)).collect()
}
