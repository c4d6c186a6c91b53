//! Rows that came to nothing: counted by reason, with a sample of each.

use std::collections::BTreeMap;

/// Why a row was left out, or a part of it became NULL.
///
/// The head of an epoch in the journal has a counter for each reason, in the order of [`Reason::ALL`]. So a new reason
/// goes to the end, and changes the format of the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The key or the value could not be read.
    Undecodable,
    /// The record has no valid time.
    NoTime,
    /// A join's or a group's row without a value.
    NoValue,
    /// A table's record without a key, or a join's row without one.
    NoKey,
    /// A grouping expression is NULL.
    NoGroup,
    /// The row came after its window was closed.
    Late,
    /// An expression could not be computed: the column is NULL, the condition not true.
    Expression,
    /// The result is larger than a record may be.
    TooLarge,
    /// The record was deleted from its topic before it was read.
    Deleted,
}

impl Reason {
    /// All reasons.
    ///
    /// In the order of the counters in the head of an epoch.
    pub const ALL: [Reason; 9] = [
        Reason::Undecodable,
        Reason::NoTime,
        Reason::NoValue,
        Reason::NoKey,
        Reason::NoGroup,
        Reason::Late,
        Reason::Expression,
        Reason::TooLarge,
        Reason::Deleted,
    ];

    /// What DESCRIBE … EXTENDED calls it.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Undecodable => "undecodable",
            Reason::NoTime => "without-time",
            Reason::NoValue => "without-value",
            Reason::NoKey => "without-key",
            Reason::NoGroup => "without-group",
            Reason::Late => "late",
            Reason::Expression => "expression-errors",
            Reason::TooLarge => "too-large",
            Reason::Deleted => "deleted",
        }
    }
}

/// Events of an epoch that are to be reported.
///
/// Each task has one, and its query another. At the end of an epoch they are merged and added to the query's totals,
/// which are part of the epoch's entry in the journal: they survive a restart, and a row that is processed again is not
/// counted twice. Costs: a look-up in a map of at most nine keys for each batch with a failure, and no text at all
/// after the first failure of a reason.
#[derive(Debug, Default)]
pub struct Log {
    counts: BTreeMap<Reason, u64>,
    /// The first message of each reason in the epoch.
    samples: BTreeMap<Reason, String>,
}

impl Log {
    /// Counts rows; the message is made only if it is the reason's first in the epoch.
    ///
    /// `count` 0 adds nothing, and does not make the message.
    pub fn add(&mut self, reason: Reason, count: u64, message: impl FnOnce() -> String) {
        if count > 0 {
            *self.counts.entry(reason).or_default() += count;
            self.samples.entry(reason).or_insert_with(message);
        }
    }

    /// Takes what another log has.
    ///
    /// The sample of this log wins over that of the other.
    pub fn merge(&mut self, other: Log) {
        for (reason, count) in other.counts {
            *self.counts.entry(reason).or_default() += count;
        }
        for (reason, message) in other.samples {
            self.samples.entry(reason).or_insert(message);
        }
    }

    /// The counts by reason.
    pub fn counts(&self) -> &BTreeMap<Reason, u64> {
        &self.counts
    }

    /// A message for each reason.
    pub fn samples(&self) -> &BTreeMap<Reason, String> {
        &self.samples
    }
}
