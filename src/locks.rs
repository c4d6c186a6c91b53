//! One way to take a lock.
//!
//! A lock is poisoned when a thread panics while it holds it. The engine contains a panic to the query that caused it, so whoever
//! comes next takes the lock all the same. This asks something of all who change what a lock guards: between two steps that
//! may panic, it must be in a state that others can use.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

/// Takes a mutex.
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A mutex whose holder can hand it to whoever waits for it.
///
/// A thread that gives back a [`Mutex`] and takes it again at once may never let others have it.
pub struct FairMutex<T> {
    mutex: parking_lot::Mutex<T>,
    waiting: Arc<AtomicUsize>,
}

impl<T> FairMutex<T> {
    /// A mutex that guards this.
    pub fn new(value: T) -> Self {
        FairMutex { mutex: parking_lot::Mutex::new(value), waiting: Arc::default() }
    }

    /// How many threads wait for the mutex, as of now and later.
    pub fn waiting(&self) -> &Arc<AtomicUsize> {
        &self.waiting
    }

    /// Takes the mutex.
    pub fn lock(&self) -> FairGuard<'_, T> {
        self.try_lock().unwrap_or_else(|| {
            self.waiting.fetch_add(1, Ordering::Relaxed);
            let guard = self.mutex.lock();
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            guard
        })
    }

    /// Takes the mutex if it is free.
    pub fn try_lock(&self) -> Option<FairGuard<'_, T>> {
        self.mutex.try_lock()
    }
}

/// A [`FairMutex`] that is held.
pub type FairGuard<'a, T> = parking_lot::MutexGuard<'a, T>;

/// Hands a mutex to a thread that waits for it, if there is one, and takes it again after that.
pub fn let_others<T>(guard: &mut FairGuard<'_, T>) {
    parking_lot::MutexGuard::bump(guard);
}

/// Takes a lock for reading.
pub fn read<T: ?Sized>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

/// Takes a lock for writing.
pub fn write<T: ?Sized>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

/// Gives a mutex back until somebody says that it has changed.
pub fn wait<'a, T>(changed: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    changed.wait(guard).unwrap_or_else(PoisonError::into_inner)
}

/// Gives a mutex back until somebody says that it has changed, or a time is over; whether that was first.
pub fn wait_for<'a, T>(changed: &Condvar, guard: MutexGuard<'a, T>, most: Duration) -> (MutexGuard<'a, T>, bool) {
    let (guard, waited) = changed.wait_timeout(guard, most).unwrap_or_else(PoisonError::into_inner);
    (guard, waited.timed_out())
}

/// Gives a mutex back as long as `holds` of what it guards, or a time is not over.
pub fn wait_while<'a, T>(
    changed: &Condvar,
    guard: MutexGuard<'a, T>,
    most: Duration,
    holds: impl FnMut(&mut T) -> bool,
) -> MutexGuard<'a, T> {
    changed.wait_timeout_while(guard, most, holds).unwrap_or_else(PoisonError::into_inner).0
}
