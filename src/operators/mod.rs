//! The operators: what happens to rows. One file each; no topic, no format, no clock, no thread in sight.
//!
//! A task calls its operators turn by turn. In a turn an operator gets the batches of its ports by [`Operator::process`], in the
//! order of their rows, and then one call of [`Operator::advance`], rows or not. At the end of an epoch it gets
//! [`Operator::flush`]. It hands what it makes to an [`Output`], which can say that it has enough: the operator then returns
//! [`Flow::Left`] and goes on when it is called by [`Operator::resume`]. An operator that remembers something keeps it typed
//! and gives and takes it as bytes through [`State`].
//!
//! A turn has an end that is the same for all operators of a task: a place in the input up to which all rows have come.
//! Rows carry an ordinal ([`Batch::seq`]) that says where they stand in the task's input, and every row that an
//! operator makes carries the ordinal of the row that caused it. So the output of a turn has one order, whatever the
//! size of the batches, and a turn that was left half done goes on at the right row.
//!
//! What an operator does, by whether it keeps state:
//!
//! ```text
//! operator      state   makes more than it gets   works in process or in advance
//! filter        no      no                        process
//! compute       no      no                        process
//! unnest        no      yes                       process
//! aggregate     yes     with hopping windows      process; closed windows also in advance
//! stream_join   yes     yes                       advance only
//! ```
//!
//! An error of an operator is a bug of the program, damaged state, or a result that is too large to be handed on. Rows
//! that cannot be used are no errors: they are counted by [`Context::report`] and left out, or get NULL.

pub mod aggregate;
pub mod compute;
pub mod filter;
mod log;
mod output;
mod parts;
mod side;
pub mod stream_join;
pub mod table;
mod time;
pub mod unnest;

pub use log::{Failure, Log, Origin, Reason};
pub use output::{Flow, Limit, Output};
pub use table::Table;
pub use time::OperatorTime;

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::state::{BucketId, EntryBatch};
use crate::types::row::Input;
use crate::types::{Batch, Seq, Value};

/// The bytes of keys as records have them, which decide the order of rows of the same time. It is given the keys as
/// [`crate::types::key::encode`] makes them; many at once cost much less than one by one.
///
/// Two operators sort with it: windows that are closed hand on their groups in this order, and so do rows of a join
/// that found no partner. Kafka Streams reads both from stores whose order is that of the serialised keys.
pub type KeyBytes = Arc<dyn Fn(&[&[u8]]) -> Result<Vec<Vec<u8>>> + Send + Sync>;

/// A step of a task.
///
/// The state of an operator is that of all batches it has got since it was made or loaded. An operator that is in the
/// middle of a batch (it returned [`Flow::Left`]) is not asked for its changes before it has returned [`Flow::Done`].
pub trait Operator: Send {
    /// Takes a batch of one port. Within a turn, the batches of a port come in the order of their ordinals; those of different
    /// ports do not, so an operator with several ports keeps them until [`Operator::advance`].
    ///
    /// Takes the batch whole: what the output has no room for is kept inside, and the caller does not give it again.
    ///
    /// # Errors
    /// A bug: the batch has other columns than the plan says, or state that was loaded is damaged. A row that fails is
    /// no error.
    fn process(&mut self, port: usize, batch: Batch, cx: &mut Context, out: &mut Output) -> Result<Flow>;

    /// All batches of the turn have come: works off what was kept of them, and does what only the passing of time demands
    /// (windows that close, rows without partner that are padded). Called once per turn in which rows came or time passed.
    /// What no row caused gets the ordinal [`Context::end`].
    ///
    /// # Errors
    /// As for [`Operator::process`].
    fn advance(&mut self, cx: &mut Context, out: &mut Output) -> Result<Flow> {
        let _ = (cx, out);
        Ok(Flow::Done)
    }

    /// Ends an epoch: hands on what was held back for it, with the ordinal [`Context::end`].
    ///
    /// A stateful operator also notes here which entries [`State::take_changes`] must hand over.
    ///
    /// # Errors
    /// As for [`Operator::process`].
    fn flush(&mut self, cx: &mut Context, out: &mut Output) -> Result<Flow> {
        let _ = (cx, out);
        Ok(Flow::Done)
    }

    /// Goes on after [`Flow::Left`]. No other call comes in between.
    ///
    /// # Errors
    /// As for [`Operator::process`]. By default a bug: only operators that return [`Flow::Left`] can go on.
    fn resume(&mut self, cx: &mut Context, out: &mut Output) -> Result<Flow> {
        let _ = (cx, out);
        Err(Error::bug("an operator that left nothing was asked to go on"))
    }

    /// The time of the wall clock, in milliseconds since the epoch, at which the operator wants to be called although no row
    /// comes. `None` if it waits for no clock.
    fn next_wake_ms(&self) -> Option<i64> {
        None
    }

    /// Calls `touch` with every entry of its state that a batch will read or change, before the batch is processed, so that
    /// entries that are not in memory can be fetched for the whole batch at once. May name entries that do not exist.
    fn touches(&self, port: usize, batch: &Batch, touch: &mut dyn FnMut(BucketId, &[u8])) {
        let _ = (port, batch, touch);
    }

    /// About how many bytes wait for the end of the epoch.
    ///
    /// Compared with `cache.max.bytes.buffering`, as ksqlDB's record cache is: an epoch ends early when the sum of its
    /// operators passes that. Counts what [`Operator::flush`] hands on, and where it hands on nothing, what is to be saved
    /// beyond a bound.
    fn held_bytes(&self) -> usize {
        0
    }

    /// What it remembers, if it remembers anything.
    ///
    /// An operator that returns `None` must give the same rows after a restart without being told anything.
    fn state(&mut self) -> Option<&mut dyn State> {
        None
    }
}

/// What an operator is given besides rows.
pub struct Context<'a> {
    /// For each port, how far its stream time may go in this turn: a source partition that stands at its end and may still
    /// bring earlier rows holds it back.
    ///
    /// Milliseconds since the epoch, inclusive; `i64::MAX` where nothing holds the port back.
    pub limits: &'a [i64],
    /// The time of the wall clock in milliseconds since the epoch, as of the turn's start.
    pub now_ms: i64,
    /// The ordinal of what no row caused: after all rows of the turn.
    ///
    /// Larger than the ordinals of all rows that have come so far, and smaller than those of all later rows.
    pub end: u64,
    /// The source record that a row of this ordinal comes from.
    pub origin: &'a dyn Fn(u64) -> Option<Origin>,
    /// How far the stream time of its source partition had come at a row of this ordinal: no later row comes from before.
    ///
    /// Milliseconds since the epoch. Only asked where an earlier limit has held time back, so it may cost a search.
    pub point_ms: &'a dyn Fn(u64) -> i64,
    /// Takes the rows that are dropped, each with its reason.
    pub log: &'a mut Log,
}

impl Context<'_> {
    /// How far the stream time of a port may go once all rows of the step have come.
    ///
    /// The smaller of the port's limit and of the point of the turn's end.
    pub fn limit_after(&self, port: usize) -> i64 {
        self.limits[port].min((self.point_ms)(self.end))
    }

    /// Counts rows of a batch with these ordinals that failed in some way. The message of a row is made only for the first
    /// failure of a reason in an epoch, unless every failure is kept.
    pub fn report(
        &mut self,
        reason: Reason,
        seq: &Seq,
        rows: impl IntoIterator<Item = usize>,
        message: impl Fn(usize) -> String,
    ) {
        let origin = self.origin;
        self.log.add(reason, rows, |row| origin(seq.at(row)), message);
    }
}

/// What an operator remembers, as entries of bytes.
///
/// The entries of all buckets, together with the times of [`State::save_times`], are everything that an operator needs
/// to go on as if it had never stopped. A checkpoint keeps the entries sorted; the journal keeps those of each epoch
/// ([`crate::state::delta`]).
pub trait State: Send {
    /// Hands over the entries that changed since the last call: a value, or its deletion. Entries are absolute, so that
    /// applying one twice does no harm.
    ///
    /// Called at the end of an epoch, after [`Operator::flush`]. It may also drop what has expired, so
    /// [`State::horizon`] is asked afterwards.
    fn take_changes(&mut self, change: &mut dyn FnMut(BucketId, &[u8], Option<&[u8]>));

    /// Hands over the first of them, about so many, and drops nothing; false if none are left, or all can only be had
    /// together. So others can come in between; [`State::take_changes`] is called for the rest.
    fn take_some_changes(&mut self, most: usize, change: &mut dyn FnMut(BucketId, &[u8], Option<&[u8]>)) -> bool {
        let _ = (most, change);
        false
    }

    /// No entry of an earlier bucket exists any more, nor will one. Never goes back.
    ///
    /// `BucketId::MIN` as long as nothing was dropped. Entries of earlier buckets are left out when runs are read or
    /// merged.
    fn horizon(&self) -> BucketId;

    /// Appends the operator's times and whatever else is one value for all of it.
    fn save_times(&self, out: &mut Vec<u8>);

    /// Sets or deletes entries of a bucket, as [`State::take_changes`] gave them. The entries of a bucket come in the order of
    /// their keys, and then those that were changed later.
    ///
    /// # Errors
    /// The bytes are not what this operator writes.
    fn load(&mut self, bucket: BucketId, entries: &EntryBatch) -> Result<()>;

    /// Sets the times from what [`State::save_times`] wrote, and forgets what has expired by them. All entries are loaded.
    ///
    /// # Errors
    /// The bytes are too short, or entries are missing that others refer to.
    fn load_times(&mut self, input: &mut Input) -> Result<()>;

    /// What the keys of all entries begin with that belong to a row of the table that the operator keeps; entries of other
    /// rows may begin with it too. `None` if it keeps no table.
    fn prefix(&self, key: &[Value]) -> Option<Vec<u8>> {
        let _ = key;
        None
    }

    /// The table that the operator keeps, if it keeps one.
    fn table(&mut self) -> Option<&mut dyn Table> {
        None
    }

    /// The bytes of memory that it takes.
    ///
    /// Counts what is reserved, not what is used: the budget is about memory that the process has.
    fn memory(&self) -> usize;
}
