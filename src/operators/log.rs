//! Rows that came to nothing: counted by reason, with a sample of each, and one by one where somebody wants them.

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

/// The source record that a row comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// The rank of the topic among those that the query reads.
    pub topic: usize,
    /// The partition of the topic.
    pub partition: u32,
    /// The offset in the partition.
    pub offset: i64,
}

/// A row that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// In which way.
    pub reason: Reason,
    /// The record that it comes from; `None` for what no single record caused.
    pub origin: Option<Origin>,
    /// Why, in a sentence.
    pub message: String,
}

/// Of so many failures each is kept, whatever record it comes from.
const KEPT_ALL: usize = 100;

/// Events of an epoch that are to be reported.
///
/// Each task has one, and its query another. At the end of an epoch they are merged and added to the query's totals,
/// which are part of the epoch's entry in the journal: they survive a restart, and a row that is processed again is not
/// counted twice. Costs: a look-up in a map of at most nine keys for each batch with a failure, and no text at all
/// after the first failure of a reason, unless every failure is kept.
#[derive(Debug, Default)]
pub struct Log {
    counts: BTreeMap<Reason, u64>,
    /// The first failure of each reason in the epoch.
    samples: BTreeMap<Reason, Failure>,
    /// Whether every failure is kept, for somebody who wants its record; of very many, one for each record.
    keeps: bool,
    failures: Vec<Failure>,
}

impl Log {
    /// An empty log, which may keep every failure.
    pub fn new(keeps: bool) -> Log {
        Log { keeps, ..Log::default() }
    }

    /// Counts the rows that failed in some way: where each comes from, and why.
    ///
    /// `message` is called only for the reason's first row in the epoch, unless every failure is kept.
    pub fn add<R: Copy>(
        &mut self,
        reason: Reason,
        rows: impl IntoIterator<Item = R>,
        origin: impl Fn(R) -> Option<Origin>,
        message: impl Fn(R) -> String,
    ) {
        let mut count = 0;
        for row in rows {
            count += 1;
            let is_first = count == 1 && !self.samples.contains_key(&reason);
            if is_first || self.keeps {
                let origin = origin(row);
                if is_first || self.is_kept(origin) {
                    self.note(Failure { reason, origin, message: message(row) });
                }
            }
        }
        self.count(reason, count);
    }

    /// Counts records of which only the number is known, under one message.
    ///
    /// `count` 0 adds nothing, and does not make the message.
    pub fn add_many(&mut self, reason: Reason, count: u64, message: impl FnOnce() -> String) {
        if count > 0 {
            self.note(Failure { reason, origin: None, message: message() });
            self.count(reason, count);
        }
    }

    fn count(&mut self, reason: Reason, count: u64) {
        if count > 0 {
            *self.counts.entry(reason).or_default() += count;
        }
    }

    /// Whether a failure is kept that comes next. Any number of rows of one record can fail: all are kept only at first,
    /// then one for each record.
    fn is_kept(&self, origin: Option<Origin>) -> bool {
        let last = || self.failures.last().and_then(|last| last.origin);
        self.keeps && (self.failures.len() < KEPT_ALL || (origin.is_some() && origin != last()))
    }

    fn note(&mut self, failure: Failure) {
        if self.is_kept(failure.origin) {
            self.failures.push(failure.clone());
        }
        self.samples.entry(failure.reason).or_insert(failure);
    }

    /// Takes what another log has, and leaves it empty.
    ///
    /// The sample of this log wins over that of the other.
    pub fn take(&mut self, other: &mut Log) {
        for (reason, count) in std::mem::take(&mut other.counts) {
            self.count(reason, count);
        }
        for (reason, failure) in std::mem::take(&mut other.samples) {
            self.samples.entry(reason).or_insert(failure);
        }
        self.failures.append(&mut other.failures);
    }

    /// The counts by reason.
    pub fn counts(&self) -> &BTreeMap<Reason, u64> {
        &self.counts
    }

    /// A failure for each reason.
    pub fn samples(&self) -> impl Iterator<Item = &Failure> {
        self.samples.values()
    }

    /// Every failure, if they are kept; behind the first ones only one of those that follow each other from a record.
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }
}
