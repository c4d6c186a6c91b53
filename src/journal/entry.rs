//! What can be committed.

use crate::error::Error;
use crate::ids::{EpochNumber, QueryNumber, TopicId, Version};
use crate::topics::log::Compaction;
use crate::topics::record::RecordBatch;
use crate::topics::{Offset, PartitionId};

/// Something to be committed as a whole or not at all.
///
/// Entries of one round are committed together, but each of them can be refused alone.
#[derive(Debug)]
pub enum Entry {
    /// What a query did between two commits.
    Epoch(Epoch),
    /// Records from outside of any query.
    Append(Append),
    /// A statement that changes what exists.
    Command(Command),
    /// Records that are deleted from the start of partitions.
    Trim(Trim),
    /// A file that takes the place of segments.
    Compact(Compact),
}

impl Entry {
    /// The topics that it writes to.
    ///
    /// One with several batches comes several times.
    pub fn topics(&self) -> impl Iterator<Item = TopicId> {
        let (batches, asides): (&[(PartitionId, RecordBatch)], &[_]) = match self {
            Entry::Epoch(epoch) => (&epoch.outputs, &epoch.asides),
            Entry::Append(append) => (&append.batches, &[]),
            Entry::Command(_) | Entry::Trim(_) | Entry::Compact(_) => (&[], &[]),
        };
        batches.iter().chain(asides).map(|(partition, _)| partition.topic)
    }

    /// About how many bytes it adds to a round.
    ///
    /// Without lengths and checksums.
    pub fn size(&self) -> usize {
        let delta = |epoch: &Epoch| epoch.delta.iter().map(Vec::len).sum::<usize>();
        let batches = |all: &[(PartitionId, RecordBatch)]| all.iter().map(|(_, b)| b.bytes().len()).sum::<usize>();
        match self {
            Entry::Epoch(epoch) => {
                epoch.head.bytes.len() + delta(epoch) + batches(&epoch.outputs) + batches(&epoch.asides)
            }
            Entry::Append(append) => batches(&append.batches),
            Entry::Command(command) => command.bytes.len(),
            Entry::Compact(_) => size_of::<Compact>(),
            Entry::Trim(trim) => trim.before.len() * size_of::<(PartitionId, Offset)>(),
        }
    }

    /// Whether it needs no room but that of its frame, and may give some back: it is tried alone where the disk is
    /// full, and may use the part of a journal file that is kept for this.
    pub fn frees_room(&self) -> bool {
        !matches!(self, Entry::Epoch(_) | Entry::Append(_))
    }
}

/// What a query did between two commits.
#[derive(Debug)]
pub struct Epoch {
    /// Where the query stands afterwards.
    pub head: EpochHead,
    /// The changes of the state since the epoch before; absolute, so that applying them twice does no harm.
    ///
    /// In pieces that follow each other. See [`crate::state::delta`] for the bytes; empty for a part of an epoch.
    pub delta: Vec<Vec<u8>>,
    /// The records that it writes, in the order in which they are appended.
    pub outputs: Vec<(PartitionId, RecordBatch)>,
    /// Records that say something of the epoch and are not its result, appended after those.
    ///
    /// The epoch needs no topic of theirs: those of a topic that is gone are left out.
    pub asides: Vec<(PartitionId, RecordBatch)>,
}

/// Where a query stands after an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochHead {
    /// The number of the query.
    pub query: QueryNumber,
    /// Counts the epochs of the query.
    ///
    /// From 1, without gaps. An epoch that does not follow directly is refused with [`Decision::Gap`].
    pub number: EpochNumber,
    /// Positions, times, ordinals and counters, as the runtime writes them.
    pub bytes: Vec<u8>,
}

/// Records that come from outside of any query.
#[derive(Debug)]
pub struct Append {
    /// The records, in the order in which they are appended.
    pub batches: Vec<(PartitionId, RecordBatch)>,
}

/// A change of what exists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    /// The version of the catalog at which it was validated; at another one it is refused, to be validated again.
    ///
    /// Equal to the number of commands that were decided before it.
    pub version: Version,
    /// The statement with all that it means, as the engine writes it.
    pub bytes: Vec<u8>,
    /// The partitions whose ends are resolved at the command's place: where a query starts that reads from the latest.
    pub resolve: Vec<PartitionId>,
    /// The queries that end here; their later epochs are refused.
    ///
    /// By their numbers, which are never used again.
    pub ends: Vec<QueryNumber>,
    /// The topics that are gone from here on; nothing is appended to them any more.
    pub drops: Vec<TopicId>,
}

/// Records that are deleted from the start of partitions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trim {
    /// For each partition the first offset that stays; all records before it go. One after the end means the end.
    pub before: Vec<(PartitionId, Offset)>,
}

/// A file that takes the place of segments. It is durable, and nothing names it yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compact {
    /// The version of the catalog at which it was found out who still needs the segments; at another one it is refused.
    pub version: Version,
    /// The file and the segments.
    pub compaction: Compaction,
}

/// The outcome of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is committed: the offset of the first record of each of its batches, for a command the resolved ends, and for a
    /// trim the starts of its partitions.
    Committed {
        /// In the order of the entry's batches, or of its partitions.
        offsets: Vec<Offset>,
    },
    /// Refused: the query has ended or the topic was dropped. It has no effect.
    Ended,
    /// Refused: the epoch before it was not committed, and it builds on that.
    ///
    /// Happens where the epoch before was refused on a full disk and this one was submitted already.
    Gap,
    /// Refused: the catalog has changed since the command was validated, or for a compaction the segments have.
    ///
    /// Its caller validates again and submits another one.
    Changed,
    /// Refused: the disk is full, and nothing of it was written.
    ///
    /// With the disk's own message.
    Full(String),
}

impl Decision {
    /// The refusal, unless it is committed.
    ///
    /// Kinds: `Missing` for [`Decision::Ended`], `Conflict` for [`Decision::Changed`], `Backend` for the others.
    pub fn refusal(&self) -> Option<Error> {
        match self {
            Decision::Committed { .. } => None,
            Decision::Ended => Some(Error::missing("the query or the topic that it is for is gone")),
            Decision::Gap => Some(Error::backend("what the query did before was not committed")),
            Decision::Changed => Some(Error::conflict("what it refers to has changed meanwhile; try again")),
            Decision::Full(message) => Some(
                Error::backend(format!("the disk is full: {message}"))
                    .hint("nothing of it was written; make room and try again"),
            ),
        }
    }
}
