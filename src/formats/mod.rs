//! The formats of keys and values: bytes to columns and back.
//!
//! A format is one file (or folder) with a [`Format`] and its word in the list here. Bound to columns and to what a
//! statement says of them, it is an [`Encoding`], which makes decoders and encoders. Decoding is vectorised: a
//! [`Decoder`] gets the payloads of a batch, builds only the columns that are needed, checks all that are declared, and
//! sets a payload that it cannot read aside with the reason; the others go on.

pub mod answer;
mod delimited;
mod encoding;
pub mod json;
mod kafka;
mod none;
#[cfg(test)]
mod tests;
pub mod transcode;

use std::fmt;

use arrow::array::ArrayRef;

use crate::error::{Error, Result, nearest};
use crate::types::{Builder, View};

pub use encoding::{Asked, Encoding, Settings};

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

/// A way to write keys or values.
pub trait Format: Sync {
    /// The name in upper case.
    fn name(&self) -> &'static str;

    /// Whether a statement may say if a single value column is a field of something or stands bare.
    fn chooses_wrapping(&self) -> bool {
        false
    }

    /// Whether values in this format can be grouped and joined; ksqlDB refuses that of bare KAFKA values.
    fn joins(&self) -> bool {
        true
    }

    /// The properties that a WITH clause can have for this format.
    fn properties(&self) -> &'static [Property] {
        &[]
    }

    /// Binds the format to columns and settings, of which no setting belongs to another format.
    ///
    /// # Errors
    /// It cannot hold the columns, or not with these settings.
    fn bind(&self, asked: &Asked) -> Result<Box<dyn Codec>>;
}

/// A property of a format, for the key and for the value.
pub struct Property {
    /// The name behind `KEY_` and `VALUE_` in a WITH clause, in upper case.
    pub name: &'static str,
    /// The name in messages, as ksqlDB's formats have it.
    pub shown: &'static str,
    /// What holds if nothing is said.
    pub usual: &'static str,
    /// What a text in the WITH clause stands for, or why it stands for nothing.
    pub read: fn(&str) -> Result<String, String>,
}

/// The properties of all formats.
pub fn properties() -> impl Iterator<Item = &'static Property> {
    ALL.iter().flat_map(|format| format.properties())
}

/// A format that was bound to columns and settings.
pub trait Codec: Send + Sync {
    /// A decoder of the columns, of which only the `needed` ones are built.
    fn decoder(&self, needed: &[bool]) -> Box<dyn Decoder>;

    /// An encoder of the columns.
    fn encoder(&self) -> Box<dyn Encoder>;
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
