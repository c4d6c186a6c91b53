//! The time of rows that a column says.
//!
//! For a source with `timestamp='column'`: BIGINT is milliseconds since the epoch, TIMESTAMP is taken as it is, and a
//! STRING is read with the pattern of `timestamp_format`. A pattern without a zone means UTC. A value that cannot be
//! read, or NULL, gives no time; the record is then left out and counted, as ksqlDB does.

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

/// The times of a column of texts. One that does not fit the pattern gives [`NO_TIME`].
fn parsed(column: &ArrayRef, format: &Pattern) -> Vec<i64> {
    let (texts, utc) = (column.as_string::<i32>(), Zone::utc("UTC"));
    let time = |text: &str| format.read(text, Names::Root).and_then(|read| read.instant(&utc)).unwrap_or(NO_TIME);
    texts.iter().map(|text| text.map_or(NO_TIME, time)).collect()
}
