//! The journal: the one place that decides what is committed.
//!
//! What is to be committed comes as [`Entry`]s: epochs of queries, appends, commands. They are written in rounds, one
//! at a time: first the output records of all entries to their segments, then one frame that names the entries and
//! every byte that they wrote. **The sync of the frame commits everything in it**; nothing of a round is shown before.
//! Records of partitions with little new data are repeated in the frame, so that their segments need no sync of their
//! own.
//!
//! A failed sync is never tried again: data may be lost although the next sync succeeds. The process ends and recovers
//! ([`mod@recover`]).

mod entry;
mod file;
mod frame;
mod manifest;
mod queue;
pub mod recover;
#[cfg(test)]
mod recovery_tests;
mod round;
mod spare;
mod tail;
#[cfg(test)]
mod tests;

pub use entry::{Append, Command, Decision, Entry, Epoch, EpochHead};
pub use frame::EntryView;
pub use manifest::{Manifest, QueryState, write as write_manifest};
pub use queue::{Done, Queue, WhenFull};
pub use recover::{Delta, Finished, Home, Recovered, RecoveredQuery, recover};
pub use round::{Journal, Meter, RoundError, Snapshot};
pub use spare::{Haste, Order, Spare};
pub use tail::Tail;

use std::path::{Path, PathBuf};

/// The settings of a journal.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The size of a journal file.
    pub file_bytes: u64,
    /// The most files that are kept for reuse after a checkpoint no longer needs them.
    pub kept_files: usize,
    /// Up to how many bytes of a partition are repeated in the frame instead of syncing the segment.
    pub inline_bytes: usize,
    /// A random number of the process, from which marks of files are made. Nobody can foresee it, so no record can
    /// contain a forged frame.
    pub seed: u64,
}

/// The folder of the journal in a data folder.
pub fn folder(data: &Path) -> PathBuf {
    data.join("journal")
}
