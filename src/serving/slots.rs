//! How many queries may show rows at once: each takes a slot before it begins, and gives it back when it is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The slots of a server.
#[derive(Default)]
pub(super) struct Slots(Arc<AtomicUsize>);

/// A slot that is taken; it is free again when this is dropped.
pub(super) struct Slot(Arc<AtomicUsize>);

impl Slots {
    /// Takes a slot if fewer than `limit` are taken.
    ///
    /// # Errors
    /// As many as may be are taken: how many that are.
    pub(super) fn take(&self, limit: usize) -> Result<Slot, usize> {
        let one_more = |taken| (taken < limit).then_some(taken + 1);
        let taken = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more);
        taken.map(|_| Slot(self.0.clone()))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_ask_at_once_no_more_slots_are_taken_than_there_are() {
        let slots = Slots::default();
        let taken: Vec<Slot> = std::thread::scope(|scope| {
            let takers: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| (0..100).filter_map(|_| slots.take(50).ok()).collect::<Vec<_>>()))
                .collect();
            takers.into_iter().flat_map(|taker| taker.join().expect("slots")).collect()
        });
        assert_eq!(taken.len(), 50);
        assert_eq!(slots.take(50).err(), Some(50));
        drop(taken);
        assert!(slots.take(1).is_ok());
    }
}
