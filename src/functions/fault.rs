//! Why a function has no value for a row, values as messages show them, and how large results may be.
//!
//! Five limits keep one row from taking the memory of the whole process:
//!
//! | limit | of what | value |
//! |---|---|---|
//! | [`MOST_COLUMN_BYTES`] | a column of several rows | 64 MiB; the batch is halved until it fits |
//! | [`MOST_VALUE_BYTES`] | one value | 2 GiB less one byte, the largest 32-bit offset of Arrow |
//! | [`MOST_CHARACTERS`] | a text whose length an argument names | 16,777,216 |
//! | [`MOST_ITEMS`] | a collection whose length arguments name | 1,048,576 |
//! | [`MOST_RESULT_ITEMS`] | a collection that is made of others | 4,194,304 |
//!
//! All but the first fail the row that exceeds them. The first is no error: it only decides how many rows are
//! computed at once.

use super::call::Outcome;
pub use crate::types::text::shortened;
use crate::types::text::{self, MOST_SHOWN};
use crate::types::{Decimal, Value};

/// Why a row has no value.
///
/// A text becomes a [`Fault::Reason`] by `into()` and `?`, which is the usual case: the message then shows the
/// arguments. Where an argument is shown by the reason itself, use [`Fault::shown`], or the message shows it twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An error: a reason that does not show the arguments, which are added to the message.
    Reason(String),
    /// An error: a reason that shows the value that was at fault.
    Shown(String),
    /// A lambda had no value. If that was an error, it has been counted.
    Lambda,
}

impl<T: Into<String>> From<T> for Fault {
    fn from(text: T) -> Self {
        Fault::Reason(text.into())
    }
}

impl Fault {
    /// An error whose reason shows the value that was at fault.
    pub fn shown(text: impl Into<String>) -> Self {
        Fault::Shown(text.into())
    }

    /// The reason.
    ///
    /// Without the function's name and its arguments; [`Ended::reason`](super::call::Ended::reason) adds them.
    pub fn text(&self) -> &str {
        match self {
            Fault::Reason(text) | Fault::Shown(text) => text,
            Fault::Lambda => "a lambda has no value",
        }
    }
}

/// A DECIMAL that was computed, if 256 bits hold it.
pub fn within_256_bits(result: Option<Decimal>) -> Outcome<Decimal> {
    result.map(Some).ok_or_else(|| "the result has more digits than a DECIMAL can have".into())
}

/// A value as messages show it: texts in quotes, long ones cut.
///
/// At most [`MOST_SHOWN`] characters of the value and an ellipsis; bytes in hexadecimal after `0x`. Takes time in
/// proportion to what is shown, not to the value.
pub fn shown(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::String(text) => format!("'{}'", shortened(text)),
        Value::Bytes(bytes) => {
            let (head, more) = (&bytes[..bytes.len().min(MOST_SHOWN / 2)], bytes.len() > MOST_SHOWN / 2);
            format!("0x{}{}", text::hex(head), if more { "…" } else { "" })
        }
        value => shortened(&head(value).to_text()).into_owned(),
    }
}

/// The value with as many items as a message can show; it may have millions.
fn head(value: &Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.iter().take(MOST_SHOWN).map(head).collect()),
        Value::Map(entries) => Value::Map(entries.iter().take(MOST_SHOWN).map(|(k, v)| (head(k), head(v))).collect()),
        Value::Struct(fields) => Value::Struct(fields.iter().map(|(name, v)| (name.clone(), head(v))).collect()),
        Value::String(text) => Value::String(shortened(text).into_owned()),
        value => value.clone(),
    }
}

/// How many bytes a column may have that several rows share. A single row may need more.
///
/// Counted by [`Put::size`](super::call::Put::size) and its kin, so without NULL bits and reserved memory.
pub const MOST_COLUMN_BYTES: usize = 64 << 20;

/// How many bytes a value may have.
pub const MOST_VALUE_BYTES: usize = i32::MAX as usize;

/// How many characters a function makes because an argument says so.
pub const MOST_CHARACTERS: usize = 1 << 24;

/// How many items a function makes because an argument says so.
pub const MOST_ITEMS: usize = 1 << 20;

/// A number of characters that an argument asks for.
///
/// # Errors
/// If it is more than a function makes.
///
/// For LPAD and RPAD, whose result is as long as an argument says. UTF-16 units for strings, bytes for BYTES.
pub fn made_length(length: usize) -> Result<usize, Fault> {
    if length <= MOST_CHARACTERS {
        return Ok(length);
    }
    Err(format!("a length of {length} is too much; the limit is {MOST_CHARACTERS}").into())
}

/// How many items a collection may have that a function gives.
pub const MOST_RESULT_ITEMS: usize = 1 << 22;

/// The number of items of a collection that is about to be made, or was made.
///
/// # Errors
/// If it is more than a collection may have.
pub fn check_items(count: usize) -> Result<(), Fault> {
    if count <= MOST_RESULT_ITEMS {
        return Ok(());
    }
    Err(format!("the result would have {count} items; the limit is {MOST_RESULT_ITEMS}").into())
}

/// A number of items that arguments ask for.
///
/// # Errors
/// If it is more than a function makes.
///
/// For GENERATE_SERIES, whose bounds decide the number.
pub fn made_items(count: u64) -> Result<usize, Fault> {
    match usize::try_from(count) {
        Ok(count) if count <= MOST_ITEMS => Ok(count),
        _ => Err(format!("{count} items are too many; the limit is {MOST_ITEMS}").into()),
    }
}

/// The number of bytes of a value that is about to be made.
///
/// # Errors
/// If it is more than a value may have.
pub fn check_size(bytes: usize) -> Result<(), Fault> {
    if bytes <= MOST_VALUE_BYTES {
        return Ok(());
    }
    Err(format!("the result would have {bytes} bytes; the limit is {MOST_VALUE_BYTES}").into())
}

/// The number of bytes of pieces of these lengths with a separator between each two.
///
/// Saturates instead of wrapping, so that the sum can be given to [`check_size`] as it is. Two pieces of 3 and 4
/// bytes with a separator of 2 give 9; no piece gives 0.
pub fn joined_size(lengths: impl ExactSizeIterator<Item = usize>, separator: usize) -> usize {
    let between = separator.saturating_mul(lengths.len().saturating_sub(1));
    lengths.fold(between, usize::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_told() {
        let told = |refused: Result<usize, Fault>| refused.expect_err("too much").text().to_owned();
        assert_eq!(made_length(MOST_CHARACTERS), Ok(MOST_CHARACTERS));
        assert_eq!(told(made_length(MOST_CHARACTERS + 1)), "a length of 16777217 is too much; the limit is 16777216");
        assert_eq!(told(made_items(u64::MAX)), "18446744073709551615 items are too many; the limit is 1048576");
        let items = check_items(MOST_RESULT_ITEMS + 1).map(|()| 0);
        assert_eq!(told(items), "the result would have 4194305 items; the limit is 4194304");
        let bytes = check_size(MOST_VALUE_BYTES + 1).map(|()| 0);
        assert_eq!(told(bytes), "the result would have 2147483648 bytes; the limit is 2147483647");
    }

    #[test]
    fn shown_values_are_quoted_and_short() {
        assert_eq!(shown(&Value::String("it's".to_owned())), "'it's'");
        assert_eq!(shown(&Value::Null), "NULL");
        assert_eq!(shown(&Value::Bytes(vec![0, 255])), "0x00ff");
        assert_eq!(shown(&Value::Bytes(vec![1; 1_000])), format!("0x{}…", "01".repeat(100)));
        assert_eq!(shown(&Value::Array(vec![Value::Integer(1); 1_000])).chars().count(), MOST_SHOWN + 1);
    }
}
