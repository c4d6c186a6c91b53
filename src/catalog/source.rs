//! A stream or a table: its columns, its topic, and how its records are written.

use std::fmt;

use crate::formats::Encoding;
use crate::ids::Version;
use crate::types::pattern::Pattern;
use crate::types::{Schema, TimeUnit};

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
    pub made_at: Version,
}

/// The columns that every source has besides its own.
pub const PSEUDO_COLUMNS: [&str; 5] = ["ROWTIME", "ROWPARTITION", "ROWOFFSET", "WINDOWSTART", "WINDOWEND"];
