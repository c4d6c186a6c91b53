//! A stream or a table: its columns, its topic, and how its records are written.

use std::fmt;

use crate::error::{Error, Result};
use crate::formats::{Decoder, Encoder, Format, Layout, Part, Wrapping};
use crate::types::pattern::Pattern;
use crate::types::{Column, Schema, TimeUnit};

/// Whether records are events, or the latest state of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SourceKind {
    /// Each record is an event.
    Stream,
    /// Each record is the latest value of its key; one without a value deletes it.
    Table,
}

impl SourceKind {
    /// `STREAM` or `TABLE`.
    pub fn name(self) -> &'static str {
        match self {
            SourceKind::Stream => "STREAM",
            SourceKind::Table => "TABLE",
        }
    }

    /// In lower case.
    pub fn lower(self) -> &'static str {
        match self {
            SourceKind::Stream => "stream",
            SourceKind::Table => "table",
        }
    }
}

/// How the keys or the values of a topic are written.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoding {
    /// The format of the bytes.
    pub format: &'static dyn Format,
    /// Whether the columns are fields of something, and the character between them.
    pub layout: Layout,
}

impl Encoding {
    /// A decoder of these columns, of which only the `needed` ones are built.
    pub fn decoder(&self, columns: &[Column], needed: &[bool]) -> Box<dyn Decoder> {
        self.format.decoder(columns, needed, self.layout)
    }

    /// An encoder of these columns.
    pub fn encoder(&self, columns: &[Column]) -> Box<dyn Encoder> {
        self.format.encoder(columns, self.layout)
    }

    /// The same encoding with another delimiter, if one is given.
    ///
    /// # Errors
    /// The format has no delimiter, or cannot use this one.
    pub fn with_delimiter(mut self, part: Part, columns: &[Column], delimiter: Option<char>) -> Result<Encoding> {
        if let Some(delimiter) = delimiter {
            self.format.check_delimiter(delimiter).map_err(|e| e.context(unsupported(part, self.format, columns)))?;
            self.layout.delimiter = delimiter;
        }
        Ok(self)
    }

    /// The encoding of a part with these columns. `wrap` is what the statement says of a single value column.
    ///
    /// # Errors
    /// The format cannot hold the columns, or cannot wrap as `wrap` says.
    pub fn new(part: Part, format: &'static dyn Format, columns: &[Column], wrap: Option<bool>) -> Result<Encoding> {
        if let Some(wrap) = wrap {
            if columns.len() != 1 {
                return Err(Error::invalid("'WRAP_SINGLE_VALUE' is only valid for single-field value schemas"));
            }
            if wrap && format.wrapping() == Wrapping::Never {
                let message = format!("Format '{}' does not support 'WRAP_SINGLE_VALUE' set to 'true'.", format.name());
                return Err(Error::invalid(message));
            }
        }
        format.check(columns).map_err(|error| error.context(unsupported(part, format, columns)))?;
        // A single key column is never written as a field if the format has the choice.
        let wrapped = match (format.wrapping(), part) {
            (Wrapping::Never, _) => columns.len() > 1,
            (Wrapping::Choice, Part::Key) => columns.len() > 1,
            (Wrapping::Choice, Part::Value) => columns.len() != 1 || wrap.unwrap_or(true),
        };
        Ok(Encoding { format, layout: Layout::new(wrapped) })
    }
}

/// The start of the message for columns that a format cannot hold.
fn unsupported(part: Part, format: &'static dyn Format, columns: &[Column]) -> String {
    let (name, shown): (_, Vec<String>) = (format.name(), columns.iter().map(Column::to_string).collect());
    let shown = shown.join(", ");
    format!(
        "{part} format does not support schema.\nformat: {name}\nschema: Persistence{{columns=[{shown}]}}\nreason: "
    )
}

/// The column that holds a record's time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimestampColumn {
    /// The name of the column.
    pub column: String,
    /// How the time is written, if the column is a STRING.
    pub format: Option<Pattern>,
}

/// The kind of windows in a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WindowType {
    /// Windows of one size that follow each other without gaps.
    Tumbling,
    /// Windows of one size that may overlap.
    Hopping,
    /// Windows that last as long as rows of a key follow each other closely.
    Session,
}

impl WindowType {
    /// The name in upper case.
    pub fn name(self) -> &'static str {
        match self {
            WindowType::Tumbling => "TUMBLING",
            WindowType::Hopping => "HOPPING",
            WindowType::Session => "SESSION",
        }
    }
}

/// The windows in a source's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowInfo {
    /// The kind of the windows.
    pub kind: WindowType,
    /// Sessions have no fixed size.
    pub size_ms: Option<i64>,
}

impl fmt::Display for WindowInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.name())?;
        let Some(size) = self.size_ms else { return Ok(()) };
        let unit = TimeUnit::ALL.into_iter().rev().find(|u| size % u.ms() == 0).unwrap_or(TimeUnit::Milliseconds);
        write!(f, " ({} {})", size / unit.ms(), unit.name())
    }
}

/// A stream or a table.
#[derive(Clone, Debug)]
pub struct Source {
    /// The name in the catalog, as it is kept: in upper case unless it was quoted.
    pub name: String,
    /// Whether it is a stream or a table.
    pub kind: SourceKind,
    /// The columns: of the key, of the value, and of headers.
    pub schema: Schema,
    /// The name of the topic.
    pub topic: String,
    /// How keys are written.
    pub key: Encoding,
    /// How values are written.
    pub value: Encoding,
    /// The column that holds a row's time; without one it is the time of the record.
    pub timestamp: Option<TimestampColumn>,
    /// The windows in the keys, if there are any.
    pub window: Option<WindowInfo>,
    /// Whether it was declared with SOURCE and cannot be written to.
    pub read_only: bool,
    /// The text of the statement that made it.
    pub statement: String,
    /// The query that was created with it and ends with it.
    pub query: Option<String>,
    /// The version of the catalog at which it was made; distinguishes it from earlier sources of the same name.
    pub made_at: u64,
}

/// The columns that every source has besides its own.
pub const PSEUDO_COLUMNS: [&str; 5] = ["ROWTIME", "ROWPARTITION", "ROWOFFSET", "WINDOWSTART", "WINDOWEND"];
