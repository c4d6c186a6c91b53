//! Wake-ups of a query: none gets lost between the end of a turn and the next one.
//!
//! One number does it: 0 means that no job is in line. The thread that raises it from 0 sends a job, which reads the
//! number, works, and sets it back to 0 only if it is still the same.

use std::sync::atomic::{AtomicU64, Ordering};

/// The wake-ups of a query since its last job ended.
#[derive(Default)]
pub(super) struct Wakes(AtomicU64);

impl Wakes {
    /// Adds a wake-up. `true` if it is the first, so that a job must be sent.
    pub(super) fn add(&self) -> bool {
        self.0.fetch_add(1, Ordering::SeqCst) == 0
    }

    /// The wake-ups so far. The job reads the number before it takes turns.
    pub(super) fn seen(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    /// Clears the wake-ups seen so far. `false` if more have arrived: then the job must run again.
    ///
    /// After `false` the number stays, so that no second job is sent meanwhile.
    pub(super) fn done(&self, seen: u64) -> bool {
        self.0.compare_exchange(seen, 0, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_up_that_comes_after_the_turn_is_not_lost() {
        let wakes = Wakes::default();
        assert!(wakes.add() && !wakes.add());
        let seen = wakes.seen();
        assert!(!wakes.add(), "a job is at work");
        assert!(!wakes.done(seen), "it has to run again");
        assert!(wakes.done(wakes.seen()));
        assert!(wakes.add(), "a job must be sent again");
    }
}
