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
//!
//! One round, step by step, with what a crash after it leaves:
//!
//! ```text
//! records to their segments        nothing: recovery cuts them off
//! large segments synced            the same
//! frame written                    the round, or nothing: recovery makes durable what it can read
//! frame synced                     the round, whole
//! ends moved, callers told         the same
//! ```
//!
//! Records are deleted from the start of partitions by an entry too, and their files only after its round
//! (`topics::log::front` says why).
//!
//! The order of entries in a round is the order of their effects; deletions come last. An entry that must be refused (its query has ended,
//! its topic was dropped, the catalog has changed) is left out of the frame, and the others go on.
//!
//! Costs of a round: one write and one sync of the frame, and one more sync for each partition with more than
//! `inline_bytes` of new data. So the cost of a commit is shared by all queries that have something in the round.

#[cfg(test)]
mod compact_tests;
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
#[cfg(test)]
mod trim_tests;

pub use entry::{Append, Command, Compact, Decision, Entry, Epoch, EpochHead, Trim};
pub use file::begin;
pub use frame::EntryView;
pub use manifest::{Manifest, QueryState, write as write_manifest};
pub use queue::{Done, Queue, WhenFull};
pub use recover::{Delta, Finished, Home, Recovered, RecoveredQuery, recover};
pub use round::{Journal, Meter, RoundError, Snapshot};
pub use spare::{Haste, Order, Spare};
pub use tail::Tail;

use std::path::{Path, PathBuf};

/// The settings of a journal.
///
/// The sizes may be changed from start to start; they are no part of the format.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The size of a journal file.
    ///
    /// A frame that is larger gets a larger file of its own.
    pub file_bytes: u64,
    /// The most files that are kept for reuse after a checkpoint no longer needs them.
    pub kept_files: usize,
    /// Up to how many bytes of a partition are repeated in the frame instead of syncing the segment.
    ///
    /// Counted for all entries of a round together.
    pub inline_bytes: usize,
    /// A random number of the process, from which marks of files are made. Nobody can foresee it, so no record can
    /// contain a forged frame.
    pub seed: u64,
}

/// The folder of the journal in a data folder.
pub fn folder(data: &Path) -> PathBuf {
    data.join("journal")
}
