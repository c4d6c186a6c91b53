//! Sorted runs: files of state that are written once, in the order of the keys, and never changed.
//!
//! The state of all queries is a set of entries `(query, operator, task, bucket, key) -> value`. A checkpoint sorts the
//! changes since the last one ([`Sorter`]) and writes them as a run ([`RunWriter`]), for all queries together. A newer run
//! overrides older ones: of several entries with the same key the newest counts, and a tombstone says that the key is gone.
//! Runs are merged ([`Merge`]) where that saves space or files; [`choose`] says which. A restart reads the runs of a query
//! ([`Run::scan_sections`]); single keys are looked up without reading the rest ([`Run::look_up`]).
//!
//! `docs/on-disk-format.md` describes the bytes.
//!
//! The parts of a file, in their order:
//!
//! ```text
//! head         24 bytes: what it is, version, number of the run
//! groups       blocks of entries (about 16 KiB each), then an index page for these blocks, group after group
//! contents     statistics of each section by buckets, and where each group is
//! trailer      60 bytes: counts, where the contents start, checksums
//! ```
//!
//! A look-up of a key reads the index page of one group and at most one block, and mostly no block where the key is
//! absent. A scan reads the file from one end to the other in pieces of 1 MiB. Memory for an open run is about 100
//! bytes for each 512 KiB of it. All numbers are little-endian, except in keys, which must sort as bytes.
//!
//! A run has one number for ever. Its name is the number with 20 digits and `.run`. A run that no manifest names is
//! removed when the folder is opened.

mod block;
mod contents;
mod filter;
mod format;
mod key;
mod look_up;
mod merge;
mod policy;
mod run;
mod scan;
mod sorter;
mod writer;

#[cfg(test)]
mod model_tests;

use std::path::{Path, PathBuf};

pub use contents::{SectionStats, Span};
pub use format::MOST_ENTRY_BYTES;
pub use look_up::{Keys, Wanted};
pub use merge::Merge;
pub use policy::{Part, Stats, choose};
pub use run::Run;
pub use scan::Scan;
pub use sorter::Sorter;
pub use writer::RunWriter;

use super::{BucketId, OperatorTask};
use crate::disk::{Disk, again};
use crate::error::Result;
use crate::ids::{QueryNumber, RunNumber};

/// The state of an operator of a query in one task. Sections sort by query, kind and number of the operator, and task.
///
/// The order is that of the entries in a run, so that the state of a query lies together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Section {
    /// The number of the query.
    pub query: QueryNumber,
    /// The operator and its task.
    pub place: OperatorTask,
}

/// An entry of a run. Entries sort by section, bucket and key; the bytes of keys compare as unsigned numbers.
///
/// The slices borrow from the reader of the run and live until the next entry is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The state that the entry belongs to.
    pub section: Section,
    /// The stretch of event time that the entry belongs to.
    pub bucket: BucketId,
    /// The key within the bucket, as the operator writes it.
    pub key: &'a [u8],
    /// `None` is a tombstone: the key is gone, whatever older runs say.
    pub value: Option<&'a [u8]>,
}

/// The folder of the runs in a data folder.
pub fn folder(data: &Path) -> PathBuf {
    data.join("state")
}

/// The path of a run in the folder of the runs.
pub fn path(folder: &Path, number: RunNumber) -> PathBuf {
    format::path(folder, number)
}

/// The numbers of the runs in a folder, complete or not, in ascending order.
///
/// Other names in the folder are left out.
///
/// # Errors
/// The folder cannot be read.
pub fn list(disk: &dyn Disk, folder: &Path) -> Result<Vec<RunNumber>> {
    let names = again(|| disk.names(folder)).map_err(|error| format::io_error("read the folder", folder, &error))?;
    let mut numbers: Vec<RunNumber> = names.iter().filter_map(|name| format::number(name)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Removes a run.
///
/// Only for runs that no manifest names.
///
/// # Errors
/// There is no such run, or the file cannot be removed.
pub fn remove(disk: &dyn Disk, folder: &Path, number: RunNumber) -> Result<()> {
    let path = format::path(folder, number);
    again(|| disk.remove_file(&path)).map_err(|error| format::io_error("remove", &path, &error))
}
