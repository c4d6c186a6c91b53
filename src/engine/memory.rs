//! The one budget of memory: what the states of all queries take, and who must wait for it or fail.
//!
//! The budget is `tidemill.memory.bytes`; compared with it is the sum of what all queries report at the end of their
//! epochs. So it can be passed by what queries take within an epoch. A query that finds the budget passed commits what
//! it has and waits. Every decision wakes those who wait, since with it something may have expired.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Shared;
use super::running::Running;
use crate::config;
use crate::error::{Error, Result};
use crate::process;

/// What the states of all queries take, as of the last epoch of each.
#[derive(Default)]
pub(super) struct Memory {
    /// What they may take together.
    budget: usize,
    total: Arc<AtomicUsize>,
    /// How many queries wait for memory.
    waiting: AtomicUsize,
}

/// What one query takes of it; given back when the share is dropped.
pub(crate) struct Share {
    own: AtomicUsize,
    total: Arc<AtomicUsize>,
}

impl Memory {
    /// A budget of so many bytes, of which nothing is taken.
    pub(super) fn new(budget: usize) -> Memory {
        Memory { budget, ..Memory::default() }
    }

    /// Whether more is taken than there is.
    pub(super) fn is_exceeded(&self) -> bool {
        self.total.load(Ordering::Relaxed) > self.budget
    }

    /// A share, of nothing yet.
    pub(super) fn share(&self) -> Share {
        Share { own: AtomicUsize::new(0), total: self.total.clone() }
    }
}

impl Share {
    /// The bytes of the share.
    pub(crate) fn bytes(&self) -> usize {
        self.own.load(Ordering::Relaxed)
    }

    /// Changes the share.
    ///
    /// Seen by all queries at once.
    pub(crate) fn set(&self, bytes: usize) {
        let before = self.own.swap(bytes, Ordering::Relaxed);
        // In this order the total never falls below zero in between.
        self.total.fetch_add(bytes, Ordering::Relaxed);
        self.total.fetch_sub(before, Ordering::Relaxed);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// A process with less than this keeps it.
const LITTLE_BYTES: u64 = 128 << 20;

/// Returns free memory to the system, unless the process has little: what requests took that are over would stay otherwise,
/// where nothing is written and no checkpoint made.
pub(super) fn give_back_much() {
    if process::memory_bytes("RssAnon").is_none_or(|bytes| bytes > LITTLE_BYTES) {
        process::give_back();
    }
}

impl Shared {
    /// Whether the query must not take more rows now, since memory is short. It fails if waiting cannot help: everything that
    /// it did is decided, and so is everything of the query with the largest state, which has nothing left to do.
    ///
    /// # Errors
    /// Kind `Backend`: the state does not fit into the budget, and nothing that runs can make it smaller. The query
    /// with the error fails, and its memory is free.
    pub(crate) fn is_short(self: &Arc<Self>, query: &Running) -> Result<bool> {
        if !self.memory.is_exceeded() {
            return Ok(false);
        }
        let (budget, total) = (self.memory.budget, self.memory.total.load(Ordering::Relaxed));
        // Set before the other queries are checked, so that memory freed after the check wakes this query.
        if !query.waits_for_memory(true) {
            self.memory.waiting.fetch_add(1, Ordering::SeqCst);
        }
        let all = self.queries.all();
        let largest = all.iter().max_by_key(|q| q.memory.bytes());
        let helps = !query.is_settled() || largest.is_some_and(|l| !std::ptr::eq(l.as_ref(), query) && l.is_busy());
        if helps {
            return Ok(true);
        }
        let own = query.memory.bytes();
        let message = format!("the states of all queries take {total} of {budget} bytes, that of {} {own}", query.id);
        let hint = format!(
            "nothing of it expires: raise {}, shorten windows and grace, or end other queries",
            config::MEMORY_BYTES
        );
        Err(Error::backend(message).hint(hint))
    }

    /// Something was decided, and with it something may have expired: those who wait for memory look again.
    ///
    /// Costs one atomic operation where nobody waits.
    pub(crate) fn wake_short(self: &Arc<Self>) {
        if self.memory.waiting.swap(0, Ordering::SeqCst) > 0 {
            for query in self.queries.all().iter().filter(|q| q.waits_for_memory(false)) {
                self.wake(query);
            }
        }
    }
}
