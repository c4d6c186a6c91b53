//! The operators: what happens to rows. One file each; no topic, no format, no clock, no thread in sight.
//!
//! An operator gets the rows of a turn in their order and hands on what it makes of them. One that remembers something
//! keeps its entries typed, and gives and takes them as bytes through [`State`].

pub mod aggregate;
pub mod compute;
pub mod filter;
mod log;
pub mod stream_join;
mod time;
pub mod unnest;

pub use log::{Log, Reason};
pub use time::OperatorTime;

use std::sync::Arc;

use crate::error::Result;
use crate::state::{BucketId, Place};
use crate::types::row::Input;
use crate::types::{Batch, Value};

/// The bytes of a key as it stands in records, which decide the order of rows that come at the same time; it is given the key
/// as [`crate::types::key::encode`] makes it.
pub type KeyBytes = Arc<dyn Fn(&[u8]) -> Result<Vec<u8>> + Send + Sync>;

/// A step of a task.
pub trait Operator: Send {
    /// Takes the rows of a turn, a batch for each port, and appends what it makes of them to `out`.
    fn process(&mut self, ports: Vec<Batch>, cx: &mut Context, out: &mut Vec<Batch>) -> Result<()>;

    /// Ends an epoch: hands on what was held back.
    fn flush(&mut self, cx: &mut Context, out: &mut Vec<Batch>) -> Result<()> {
        let _ = (cx, out);
        Ok(())
    }

    /// About how many bytes wait for the end of the epoch.
    fn held_bytes(&self) -> usize {
        0
    }

    /// What it remembers, if it remembers anything.
    fn state(&mut self) -> Option<&mut dyn State> {
        None
    }
}

/// What an operator is given besides rows.
pub struct Context<'a> {
    /// For each port, how far its stream time may go in this turn: a source partition that stands at its end and may still
    /// bring earlier rows holds it back.
    pub time_limits: &'a [i64],
    pub log: &'a mut Log,
}

/// What an operator remembers, as entries of bytes.
pub trait State {
    /// Hands over the entries that changed since the last call: a value, or its deletion. Entries are absolute, so that
    /// taking one twice does no harm.
    fn take_changes(&mut self, change: &mut dyn FnMut(BucketId, &[u8], Option<&[u8]>));

    /// Appends the operator's times and whatever else is one value for all of it.
    fn save_times(&self, out: &mut Vec<u8>);

    /// Sets an entry from what [`State::take_changes`] or [`State::dump`] gave.
    fn load(&mut self, bucket: BucketId, key: &[u8], value: Option<&[u8]>) -> Result<()>;

    /// Sets the times from what [`State::save_times`] wrote, and forgets what has expired by them.
    fn load_times(&mut self, input: &mut Input) -> Result<()>;

    /// The buckets that there are.
    fn buckets(&self) -> Vec<BucketId>;

    /// A number that changes whenever an entry of the bucket does.
    fn version(&self, bucket: BucketId) -> u64;

    /// Hands over the entries of a bucket from a place on until `entry` wants no more for now: where to go on, `None` behind
    /// the last. What is there from the first of several calls to the last of them is handed over.
    fn dump(&self, bucket: BucketId, from: Place, entry: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Option<Place>;

    /// The rows of the table that the operator keeps, for all keys or the given ones; `None` if it keeps no table.
    fn rows(&self, keys: Option<&[Vec<Value>]>) -> Result<Option<Vec<Batch>>> {
        let _ = keys;
        Ok(None)
    }

    /// The bytes of memory that it takes.
    fn memory(&self) -> usize;
}
