//! Upkeep: the threads that make checkpoints and spare files, merge runs, return free memory, and clean up topics, when it is
//! time.
//!
//! A checkpoint is due when the journal has grown past `tidemill.checkpoint.bytes`. If it fails, the old one stays and
//! it is tried again after 100 ms, 200 ms and so on up to a minute; a failed sync ends the engine. Spare files are made
//! in small pieces in between, so that a commit seldom waits for the disk.

use std::cell::Cell;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use tracing::warn;

use super::memory::give_back_much;
use super::{Engine, Shared};
use crate::config;
use crate::error::{Error, Result};
use crate::journal::Haste;
use crate::locks::{lock, wait_while};
use crate::process::give_back;

/// Journals smaller than this are left to be read at the next start.
const SMALL_BYTES: u64 = 1 << 20;
/// How long to wait before something that failed is tried again, the first time and at most.
///
/// It doubles each time.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(60));
/// The longest such wait while epochs wait for a checkpoint.
const PRESSED_PAUSE: Duration = Duration::from_millis(500);
/// How long the threads wait at most before they look whether there is something to do.
const REST: Duration = Duration::from_millis(500);
/// How often free memory is returned to the system, besides after checkpoints and merges.
///
/// Ten seconds.
const GIVE_BACK_NS: u64 = 10_000_000_000;
/// While there is time, the making of a spare pauses this many times as long as it uses the disk.
const SPARE_PAUSES: u32 = 8;
/// The longest such pause: the end of the engine waits for it.
const MOST_PAUSE: Duration = Duration::from_millis(50);

/// Wakes the threads of the upkeep.
#[derive(Default)]
pub(super) struct Upkeep {
    checkpoint: Bell,
    merge: Bell,
    pub(super) cleanup: Bell,
    /// Held while topics are cleaned up.
    pub(super) cleaning: Mutex<()>,
    /// Why the last checkpoint failed, if it did.
    failure: Mutex<Option<String>>,
}

/// Wakes a thread of the upkeep. Ringing twice before it is heard is the same as once.
#[derive(Default)]
pub(super) struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    fn ring(&self) {
        *lock(&self.rung) = true;
        self.changed.notify_all();
    }

    /// Waits until it is rung, or a while.
    ///
    /// Afterwards it is silent again.
    fn wait(&self, most: Duration) {
        *wait_while(&self.changed, lock(&self.rung), most, |rung| !*rung) = false;
    }
}

impl Upkeep {
    /// There is a checkpoint or a spare file to be made.
    pub(super) fn poke(&self) {
        self.checkpoint.ring();
    }

    /// Wakes all threads, so that they see that the engine ends.
    pub(super) fn close(&self) {
        self.checkpoint.ring();
        self.merge.ring();
        self.cleanup.ring();
    }
}

impl Engine {
    /// Makes a checkpoint now, whatever the length of the journal, and merges what is to be merged.
    ///
    /// # Errors
    /// The disk is full or fails; the old checkpoint still counts.
    pub fn checkpoint(&self) -> Result<()> {
        self.shared.checkpoint_over(0)?;
        self.shared.merge_all()
    }
}

impl Shared {
    /// How long the journal may become before a checkpoint is made.
    pub(crate) fn checkpoint_bytes(&self) -> u64 {
        self.settings.properties.size(config::CHECKPOINT_BYTES) as u64
    }

    /// The work of the checkpoint's thread.
    pub(crate) fn checkpoint_loop(self: &Arc<Self>) {
        self.tend(&self.upkeep.checkpoint, || self.checkpoint_if_due() && self.make_spare_if_wanted());
    }

    /// The work of the merging thread, which also returns free memory now and then.
    pub(crate) fn merge_loop(self: &Arc<Self>) {
        let given_back = Cell::new(self.now().monotonic_ns);
        let merge = || {
            let now = self.now().monotonic_ns;
            if now - given_back.get() >= GIVE_BACK_NS {
                given_back.set(now);
                give_back_much();
            }
            self.merge_all().map_err(|error| self.failed_upkeep("merging runs of state", error)).is_ok()
        };
        self.tend(&self.upkeep.merge, merge);
    }

    /// Works whenever the bell rings, or a while has passed; after a failure, again after a pause that becomes longer each time.
    pub(super) fn tend(&self, bell: &Bell, work: impl Fn() -> bool) {
        let mut pause = PAUSE.0;
        while !self.progress.is_closing() {
            bell.wait(REST);
            if self.progress.is_closing() || work() {
                pause = PAUSE.0;
                continue;
            }
            // In short pieces: the end of the engine, and epochs that wait for a checkpoint, cut it short.
            let mut waited = Duration::ZERO;
            let most = || if self.commit.is_pressed() { pause.min(PRESSED_PAUSE) } else { pause };
            while !self.progress.is_closing() && waited < most() {
                self.settings.clock.sleep(MOST_PAUSE);
                waited += MOST_PAUSE;
            }
            pause = (pause * 2).min(PAUSE.1);
        }
    }

    /// Why epochs cannot be committed now; `None` if they can.
    ///
    /// The text of the disk's or the checkpoint's error.
    pub(crate) fn blocked(&self) -> Option<String> {
        let late = || lock(&self.upkeep.failure).clone().filter(|_| self.commit.is_pressed());
        self.commit.full().or_else(late)
    }

    /// Makes a checkpoint if the journal is long enough. `false` if that failed: the one before still counts, and what was
    /// tried can be tried again, unless it was a sync that failed.
    pub(crate) fn checkpoint_if_due(self: &Arc<Self>) -> bool {
        let done = self.checkpoint_over(self.checkpoint_bytes()).and_then(|()| match self.is_manual() {
            true => self.merge_all(),
            false => Ok(()),
        });
        done.map_err(|error| self.failed_upkeep("a checkpoint", error)).is_ok()
    }

    pub(super) fn failed_upkeep(&self, what: &str, error: Error) {
        if self.progress.is_closing() {
            return;
        }
        if self.syncs.as_ref().is_some_and(|syncs| syncs.has_failed()) {
            self.fail(error);
        } else {
            self.settings.tell(|| warn!("{what} failed and will be tried again: {error}"));
        }
    }

    /// Makes a spare file for the journal if one is wanted. `false` if there is no room for it: a round that needs one
    /// reports that.
    fn make_spare_if_wanted(&self) -> bool {
        let Some(journal) = self.commit.journal() else { return true };
        let Some(order) = lock(journal).spare_order() else { return true };
        let clock = &self.settings.clock;
        let mut last_ns = clock.monotonic_ns();
        // Made without the lock, so that no commit waits for it; and mostly the disk is left to the commits.
        let made = order.make_slowly(|| {
            let took = Duration::from_nanos(clock.monotonic_ns() - last_ns);
            if self.progress.is_closing() {
                return Err(io::Error::other("the engine is shutting down"));
            }
            let haste = lock(journal).needs_spare();
            if haste == Haste::No {
                clock.sleep((took * SPARE_PAUSES).min(MOST_PAUSE));
            }
            last_ns = clock.monotonic_ns();
            Ok(haste)
        });
        made.is_ok_and(|spare| lock(journal).add_spare(spare).is_ok())
    }

    /// Makes a checkpoint when the engine ends, unless there is little to read at the next start.
    pub(crate) fn checkpoint_at_end(self: &Arc<Self>) {
        let limit = self.checkpoint_bytes().min(SMALL_BYTES);
        if let Err(error) = self.checkpoint_over(limit) {
            self.settings.tell(|| warn!("no checkpoint at the end: {error}"));
        }
    }

    /// Makes a checkpoint, unless state is being restored or the journal has at most `limit` bytes.
    pub(super) fn checkpoint_over(self: &Arc<Self>, limit: u64) -> Result<()> {
        let (Some(checkpoints), Some(journal), Some(log)) = (&self.checkpoints, self.commit.journal(), &self.log)
        else {
            return Ok(());
        };
        // Those whose state is still to be read need the journal as it is.
        if self.commit.journal_bytes() <= limit || self.restoring.load(Ordering::SeqCst) > 0 {
            return Ok(());
        }
        let result = checkpoints.make(journal, log, &|| self.world.image());
        *lock(&self.upkeep.failure) = result.as_ref().err().map(Error::to_string);
        let result = result.map(|covered| {
            // Files that cannot be recycled now are so after the next checkpoint, or the next start.
            if let Err(error) = lock(journal).drop_before(covered.generation, covered.bytes) {
                let stay = "files of the journal that are not needed any more stay for now";
                self.settings.tell(|| warn!("{stay}: {error}"));
            }
            if self.commit.press(false) {
                self.queries.all().iter().for_each(|query| self.wake(query));
            }
        });
        self.upkeep.merge.ring();
        give_back();
        result
    }

    /// Merges runs until there is nothing to merge.
    fn merge_all(&self) -> Result<()> {
        let Some(checkpoints) = &self.checkpoints else { return Ok(()) };
        while checkpoints.merge(&|| self.progress.is_closing())? {
            give_back();
        }
        Ok(())
    }
}
