//! Results on the standard output, as tables, JSON lines or comma-separated values; everything else on the standard error.
//!
//! ```text
//!             listing (SHOW, LIST)       rows of a query
//! table       as wide as its cells       a frame; as wide as its cells if all rows are known, else as the terminal
//! json        an object a line           an object a line, values as in ksqlDB's REST answers
//! csv         heading, then lines        heading, then lines; RFC 4180 quoting
//! ```
//!
//! Output is buffered with 64 KiB and flushed after each reply and each portion of rows.

use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

use clap::ValueEnum;

use super::failure::Failure;
use super::rows::{csv_field, csv_line, json_row, json_texts, shown};
use super::table::{self, Frame};
use crate::pull::PullRows;
use crate::statements::{Reply, Shown};
use crate::types::{Column, Value};

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    #[value(alias = "tabular", alias = "TABULAR")]
    Table,
    /// One object a line.
    #[value(alias = "JSON")]
    Json,
    /// Comma-separated, with a heading.
    Csv,
}

/// The standard output.
pub(super) struct Output {
    pub format: Format,
    to: BufWriter<Stdout>,
}

/// Rows of one query, as they come.
///
/// The columns have been named already when it is made.
pub(super) struct Rows {
    columns: Vec<Column>,
    /// `None` if the format is no table.
    frame: Option<Frame>,
}

/// The result of writing. It fails with status 0 and no text if the reader has gone, so that `tidemill … | head` ends
/// in order.
type Written = Result<(), Failure>;

impl Output {
    /// Results in a format.
    pub(super) fn new(format: Format) -> Output {
        Output { format, to: BufWriter::with_capacity(1 << 16, io::stdout()) }
    }

    /// Writes a line.
    ///
    /// A line feed is added; the text may hold others.
    pub(super) fn line(&mut self, text: impl AsRef<[u8]>) -> Written {
        let write = self.to.write_all(text.as_ref()).and_then(|()| self.to.write_all(b"\n"));
        write.map_err(|e| Failure::output(&e))
    }

    /// Has everybody see what was written.
    pub(super) fn flush(&mut self) -> Written {
        self.to.flush().map_err(|e| Failure::output(&e))
    }

    fn lines(&mut self, lines: &[String]) -> Written {
        lines.iter().try_for_each(|line| self.line(line))
    }

    /// Shows what a statement shows.
    pub(super) fn reply(&mut self, reply: &Reply) -> Written {
        match &reply.shown {
            Shown::Message(text) => self.message("message", text)?,
            Shown::Table { columns, rows } => self.listing(columns, rows)?,
        }
        self.flush()
    }

    /// Shows a text.
    ///
    /// `name` is the field of the JSON object.
    pub(super) fn message(&mut self, name: &str, text: &str) -> Written {
        match self.format {
            Format::Json => self.line(json_texts([(name, text)])),
            Format::Table | Format::Csv => self.line(text.trim_end()),
        }
    }

    /// Shows what was done, as an answer among others.
    pub(super) fn done(&mut self, message: &str) -> Written {
        match self.format {
            Format::Table => self.listing(&["Message"], &[vec![message.to_owned()]]),
            Format::Json | Format::Csv => self.message("message", message),
        }
    }

    /// Shows what there is of a kind.
    pub(super) fn listing(&mut self, columns: &[&str], rows: &[Vec<String>]) -> Written {
        match self.format {
            Format::Table => self.lines(&table::listing(columns, rows, table::terminal_width())),
            Format::Json => rows.iter().try_for_each(|row| {
                let fields = columns.iter().copied().zip(row.iter().map(String::as_str));
                self.line(json_texts(fields))
            }),
            Format::Csv => {
                self.line(csv_line(columns.iter().copied()))?;
                rows.iter().try_for_each(|row| self.line(csv_line(row.iter().map(String::as_str))))
            }
        }
    }

    /// Shows the rows of a table.
    ///
    /// A table on a terminal that is too narrow shares the terminal's width; in a pipe it is as wide as it needs.
    pub(super) fn pulled(&mut self, pulled: PullRows) -> Written {
        let PullRows { columns, rows } = pulled;
        if self.format == Format::Table {
            let names: Vec<&str> = columns.iter().map(|c| c.name.as_str()).collect();
            let cells: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(shown).collect()).collect();
            let width = io::stdout().is_terminal().then(table::terminal_width);
            let frame = Frame::fitted(&names, &cells, width);
            self.lines(&frame.head(&names))?;
            for row in cells {
                self.lines(&frame.row(row))?;
            }
            self.line(frame.rule())?;
            return self.flush();
        }
        let mut shown = self.start_rows(columns)?;
        for row in &rows {
            self.row(&mut shown, row)?;
        }
        self.flush()
    }

    /// Starts to show rows that come one by one.
    ///
    /// Flushes, so that a client sees that the query runs before the first row comes.
    pub(super) fn start_rows(&mut self, columns: Vec<Column>) -> Result<Rows, Failure> {
        let names: Vec<&str> = columns.iter().map(|c| c.name.as_str()).collect();
        let mut frame = None;
        match self.format {
            Format::Table => {
                let made = Frame::shared(columns.len(), table::terminal_width());
                self.lines(&made.head(&names))?;
                frame = Some(made);
            }
            Format::Csv => self.line(csv_line(names))?,
            Format::Json => {}
        }
        self.flush()?;
        Ok(Rows { columns, frame })
    }

    /// Shows the next row.
    ///
    /// `row` has one value for each column.
    pub(super) fn row(&mut self, rows: &mut Rows, row: &[Value]) -> Written {
        match (&rows.frame, self.format) {
            (Some(frame), _) => self.lines(&frame.row(row.iter().map(shown).collect())),
            (None, Format::Csv) => {
                let fields: Vec<String> = row.iter().map(csv_field).collect();
                self.line(csv_line(fields.iter().map(String::as_str)))
            }
            (None, _) => self.line(json_row(&rows.columns, row)),
        }
    }
}

/// Says something that is no result.
pub(super) fn tell(text: &str) {
    if !text.is_empty() {
        // Nobody is left to be told if even this cannot be written.
        let _ = writeln!(io::stderr(), "{text}");
    }
}

/// Says that something has failed; red where a person reads it.
pub(super) fn tell_error(text: &str) {
    if io::stderr().is_terminal() { tell(&format!("\x1b[31m{text}\x1b[0m")) } else { tell(text) }
}
