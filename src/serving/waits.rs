//! Whether somebody still waits for what a thread computes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Held by the task of a request, which is dropped when its client goes.
#[derive(Default)]
pub(super) struct Waits(Arc<AtomicBool>);

impl Waits {
    /// Tells a thread whether the task is gone.
    pub(super) fn is_over(&self) -> impl Fn() -> bool + Send + 'static {
        let over = self.0.clone();
        move || over.load(Ordering::Relaxed)
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
