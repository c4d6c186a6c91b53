//! Who is to take turns: no wish gets lost between the end of a turn and the next one.
//!
//! One number does it: 0 means that no job is in line. The thread that raises it from 0 sends a job, which reads the
//! number, works, and sets it back to 0 only if it is still the same.

use std::sync::atomic::{AtomicU64, Ordering};

/// The wishes that a query take turns, counted since it last had none.
#[derive(Default)]
pub(super) struct Wakes(AtomicU64);

impl Wakes {
    /// Adds a wish; whether it is the first, so that somebody must be sent.
    pub(super) fn add(&self) -> bool {
        self.0.fetch_add(1, Ordering::SeqCst) == 0
    }

    /// The wishes so far: whoever was sent looks before it takes turns.
    pub(super) fn seen(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    /// Whoever was sent has done what `seen` wishes are about; `false` if others have come since, and it must go again.
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
    fn a_wish_that_comes_behind_the_turn_is_not_lost() {
        let wakes = Wakes::default();
        assert!(wakes.add() && !wakes.add());
        let seen = wakes.seen();
        assert!(!wakes.add(), "somebody is at work");
        assert!(!wakes.done(seen), "and has to go again");
        assert!(wakes.done(wakes.seen()));
        assert!(wakes.add(), "somebody must be sent again");
    }
}
