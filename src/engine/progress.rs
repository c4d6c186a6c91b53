//! How far the engine has come: what was decided, whether it goes on, and those who wait to hear of it.
//!
//! Waiting is by a counter: a caller reads the count, checks its condition, and waits for a larger count. What is
//! announced between the two is not missed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, OnceLock};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::locks::{lock, wait_while};

/// The longest wait for an announcement.
///
/// A wait is never longer, so a caller can also watch what nobody announces, such as a signal to stop.
const MOMENT: Duration = Duration::from_millis(20);

/// Progress of an engine.
#[derive(Default)]
pub(super) struct Progress {
    /// Counts what was announced.
    count: Mutex<u64>,
    changed: Condvar,
    /// Why the engine cannot go on.
    fatal: OnceLock<Error>,
    closing: AtomicBool,
}

impl Progress {
    /// Tells those who wait that something was decided, or that the engine cannot go on.
    pub(super) fn announce(&self) {
        *lock(&self.count) += 1;
        self.changed.notify_all();
    }

    /// How much was announced so far.
    pub(super) fn count(&self) -> u64 {
        *lock(&self.count)
    }

    /// Waits until more was announced than `seen`, or a moment; how much was announced then.
    ///
    /// Returns after at most 20 ms.
    pub(super) fn wait(&self, seen: u64) -> u64 {
        *wait_while(&self.changed, lock(&self.count), MOMENT, |count| *count <= seen)
    }

    /// The engine cannot go on.
    pub(super) fn fail(&self, error: Error) {
        // The first failure is the cause of those that follow.
        let _ = self.fatal.set(error);
        self.announce();
    }

    /// Why the engine cannot go on, if it cannot.
    pub(super) fn failure(&self) -> Option<&Error> {
        self.fatal.get()
    }

    /// An error if the engine cannot go on.
    pub(super) fn check(&self) -> Result<()> {
        self.fatal.get().map_or(Ok(()), |error| Err(error.clone()))
    }

    /// The engine ends.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
        self.announce();
    }

    /// Whether nothing new is to be begun.
    ///
    /// Also true after a failure.
    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst) || self.fatal.get().is_some()
    }
}
