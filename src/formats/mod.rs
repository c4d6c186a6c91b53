//! The formats of keys and values: bytes to columns and back.
//!
//! A format is one file (or folder) with a [`Format`] and its word in the list here. Decoding is vectorised: a
//! [`Decoder`] gets the payloads of a batch, builds only the columns that are needed, checks all that are declared, and
//! sets a payload that it cannot read aside with the reason; the others go on.

mod delimited;
pub mod json;
mod kafka;
mod none;
#[cfg(test)]
mod tests;
pub mod transcode;

use std::fmt;

use arrow::array::ArrayRef;

use crate::error::{Error, Result, nearest};
use crate::types::{Builder, Column, View};

/// All formats that can be used.
pub const ALL: &[&dyn Format] = &[&delimited::Delimited, &json::Json, &kafka::Kafka, &none::Nothing];

/// ksqlDB's formats that are known by name and not built yet.
const KNOWN: &[&str] = &["AVRO", "JSON_SR", "PROTOBUF", "PROTOBUF_NOSR"];

/// Which part of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// The part that decides the partition.
    Key,
    /// The part that holds all columns outside of the key.
    Value,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::Key => "Key",
            Part::Value => "Value",
        })
    }
}

/// Whether a single column stands in an object of its own or bare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrapping {
    /// Always bare.
    Never,
    /// As the statement says; wrapped by default.
    Choice,
}

/// How the columns of a part stand in its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Whether the columns are fields of something; else there is at most one, and it stands bare.
    pub wrapped: bool,
    /// What stands between the columns, in a format that has such a character.
    pub delimiter: char,
}

impl Layout {
    /// The layout of columns that are fields of something, or of one that is not.
    pub fn new(wrapped: bool) -> Layout {
        Layout { wrapped, delimiter: ',' }
    }
}

/// A way to write keys or values.
pub trait Format: Sync {
    /// The name in upper case.
    fn name(&self) -> &'static str;

    /// What can be done with single columns.
    fn wrapping(&self) -> Wrapping;

    /// Whether values in this format can be grouped and joined; ksqlDB refuses that of bare KAFKA values.
    fn joins(&self) -> bool {
        true
    }

    /// Refuses columns that the format cannot hold.
    fn check(&self, columns: &[Column]) -> Result<()>;

    /// Refuses a character between the columns, as most formats refuse any.
    fn check_delimiter(&self, _: char) -> Result<()> {
        Err(Error::invalid(format!("{} does not support the following configs: [delimiter]", self.name())))
    }

    /// A decoder of these columns, of which only the `needed` ones are built.
    fn decoder(&self, columns: &[Column], needed: &[bool], layout: Layout) -> Box<dyn Decoder>;

    /// An encoder of these columns.
    fn encoder(&self, columns: &[Column], layout: Layout) -> Box<dyn Encoder>;
}

/// Bytes to columns.
pub trait Decoder: Send {
    /// Decodes payloads, of which a missing one gives NULL in every column.
    fn decode(&mut self, payloads: &[Option<&[u8]>]) -> Decoded;
}

/// Columns of a batch of payloads.
pub struct Decoded {
    /// The needed columns, each with an entry for every payload, NULL for one that failed.
    pub columns: Vec<ArrayRef>,
    /// The payloads that could not be read, in their order, and why.
    pub failed: Vec<(u32, String)>,
}

impl Decoded {
    /// What payloads without columns give.
    fn nothing() -> Decoded {
        Decoded { columns: Vec::new(), failed: Vec::new() }
    }
}

/// The rows of a batch while they are decoded, one payload after the other.
struct Rows {
    /// The payloads that could not be read, and why.
    failed: Vec<(u32, String)>,
    /// The payloads so far, and their bytes.
    rows: usize,
    bytes: usize,
    most_bytes: usize,
}

/// The most bytes that the payloads of a batch can have together. Decoding makes three times as many of them at most (of bytes
/// that are not UTF-8), and the texts of a column have 2 GiB at most.
const MOST_BYTES: usize = i32::MAX as usize / 3;

impl Default for Rows {
    fn default() -> Self {
        Rows { failed: Vec::new(), rows: 0, bytes: 0, most_bytes: MOST_BYTES }
    }
}

impl Rows {
    /// Appends the row of a payload to `builders`. `read` gets the payload and the number of rows before, and appends a value to
    /// each of them; without a payload, or if that fails, the row is NULL.
    #[inline]
    fn next<B: AsMut<[Builder]> + ?Sized, R: Into<String>>(
        &mut self,
        payload: Option<&[u8]>,
        builders: &mut B,
        read: impl FnOnce(&[u8], usize, &mut B) -> Result<(), R>,
    ) {
        let row = self.rows;
        self.rows += 1;
        if let Some(payload) = payload {
            self.bytes += payload.len();
            let result = match self.bytes <= self.most_bytes {
                true => read(payload, row, builders).map_err(R::into),
                false => Err(self.too_large(payload.len())),
            };
            let Err(reason) = result else {
                return debug_assert!(
                    builders.as_mut().iter().all(|b| b.len() == self.rows),
                    "a value for each column"
                );
            };
            self.failed.push((row as u32, reason));
            builders.as_mut().iter_mut().for_each(|b| b.truncate(row));
        }
        builders.as_mut().iter_mut().for_each(Builder::null);
    }

    #[cold]
    fn too_large(&mut self, bytes: usize) -> String {
        self.bytes -= bytes;
        format!("a payload of {bytes} bytes after {} others: a batch takes at most {}", self.bytes, self.most_bytes)
    }
}

/// Columns to bytes.
pub trait Encoder: Send {
    /// Appends a row to `out`; whether there is a payload at all, which may be empty.
    fn encode(&mut self, columns: &[View], row: usize, out: &mut Vec<u8>) -> bool;
}

/// The format of this name, in any case.
pub fn find(name: &str) -> Result<&'static dyn Format> {
    if let Some(found) = ALL.iter().find(|f| f.name().eq_ignore_ascii_case(name)) {
        return Ok(*found);
    }
    if let Some(known) = KNOWN.iter().find(|k| k.eq_ignore_ascii_case(name)) {
        return Err(Error::unsupported(format!("the format {known}")));
    }
    let error = Error::invalid(format!("Unknown format: {name}"));
    Err(match nearest(name, ALL.iter().map(|f| f.name())) {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None => {
            let names: Vec<&str> = ALL.iter().map(|format| format.name()).collect();
            error.hint(format!("the formats are {}", names.join(", ")))
        }
    })
}

impl fmt::Debug for dyn Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl PartialEq for dyn Format {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}
