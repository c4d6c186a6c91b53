//! One way to take a lock.
//!
//! A lock is poisoned when a thread panics while it holds it. The engine contains a panic to the query that caused it, so whoever
//! comes next takes the lock all the same. This asks something of all who change what a lock guards: between two steps that
//! may panic, it must be in a state that others can use.

use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

/// Takes a mutex.
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A mutex whose holder can hand it to whoever waits for it, and does small errands for others meanwhile.
///
/// A thread that gives back a [`Mutex`] and takes it again at once may never let others have it.
pub struct FairMutex<T> {
    mutex: parking_lot::Mutex<T>,
    errands: Mutex<Vec<Errand<T>>>,
    waiting: Arc<AtomicUsize>,
    /// Whether its holder has done enough for others: who sends the next errand does it and those of the others.
    is_tired: AtomicBool,
}

/// Something short that is to be done with what a mutex guards, by whoever holds it.
pub type Errand<T> = Box<dyn FnOnce(&mut T) + Send>;

impl<T> FairMutex<T> {
    /// A mutex that guards this.
    pub fn new(value: T) -> Self {
        FairMutex {
            mutex: parking_lot::Mutex::new(value),
            errands: Mutex::default(),
            waiting: Arc::default(),
            is_tired: AtomicBool::new(false),
        }
    }

    /// How many threads and errands wait for the mutex, as of now and later.
    pub fn waiting(&self) -> &Arc<AtomicUsize> {
        &self.waiting
    }

    /// Takes the mutex.
    pub fn lock(&self) -> FairGuard<'_, T> {
        self.try_lock().unwrap_or_else(|| {
            self.waiting.fetch_add(1, Ordering::Relaxed);
            let guard = self.mutex.lock();
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            self.held(guard)
        })
    }

    /// Takes the mutex without hurry: it is not counted as waiting before that time is over.
    pub fn lock_within(&self, patience: Duration) -> FairGuard<'_, T> {
        self.mutex.try_lock_for(patience).map_or_else(|| self.lock(), |guard| self.held(guard))
    }

    /// Takes the mutex if it is free.
    fn try_lock(&self) -> Option<FairGuard<'_, T>> {
        self.mutex.try_lock().map(|guard| self.held(guard))
    }

    fn held<'a>(&'a self, guard: parking_lot::MutexGuard<'a, T>) -> FairGuard<'a, T> {
        FairGuard { of: self, guard: Some(guard) }
    }

    /// Has something done as soon as may be, without waiting for it: here if the mutex is free, and else by the thread that
    /// holds it, when it next lets others have it or gives it back. One that panics is dropped, and so are those that wait
    /// for a holder that panics.
    pub fn send(&self, errand: Errand<T>) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        lock(&self.errands).push(errand);
        // If somebody holds it, then they look for errands once more after they have given it back, and find this one:
        // both that look and the push above were under the lock of the errands, and the look was not before the push.
        drop(self.try_lock().or_else(|| self.take_over()));
    }

    /// Takes the mutex from a holder that does nothing but errands, and too many of them.
    fn take_over(&self) -> Option<FairGuard<'_, T>> {
        if !self.is_tired.load(Ordering::Relaxed) {
            return None;
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        // Somebody else may have come first, for longer; then that one looks for errands.
        let guard = self.mutex.try_lock_for(SHORT);
        // Seen by whoever looks for errands after this; who has looked before has given the mutex back.
        let errands = lock(&self.errands);
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        drop(errands);
        guard.map(|guard| self.held(guard)).or_else(|| self.try_lock())
    }

    /// Takes the errands that are there.
    fn take_errands(&self) -> Vec<Errand<T>> {
        let errands = std::mem::take(&mut *lock(&self.errands));
        self.waiting.fetch_sub(errands.len(), Ordering::Relaxed);
        errands
    }

    /// Whether there are errands, and nobody else is sure to look for them: a thread that waits for the mutex does so when it
    /// gives it back, and a sender tries to take the mutex after all. Both are counted before.
    fn is_left_alone(&self) -> bool {
        let errands = lock(&self.errands);
        !errands.is_empty() && self.waiting.load(Ordering::Relaxed) <= errands.len()
    }

    /// Does the errands that are there.
    fn run_errands(&self, value: &mut T) {
        for errand in self.take_errands() {
            // Nobody but its sender wants to know: what it would have answered with is dropped.
            let _ = catch_unwind(AssertUnwindSafe(|| errand(value)));
        }
    }
}

/// A [`FairMutex`] that is held.
pub struct FairGuard<'a, T> {
    of: &'a FairMutex<T>,
    /// None only while it is dropped.
    guard: Option<parking_lot::MutexGuard<'a, T>>,
}

impl<T> Deref for FairGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.guard.as_ref().unwrap_or_else(|| unreachable!("a guard that is dropped"))
    }
}

impl<T> DerefMut for FairGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.guard.as_mut().unwrap_or_else(|| unreachable!("a guard that is dropped"))
    }
}

/// How often a thread that gives a mutex back does errands that have come meanwhile, before the next sender takes over.
const ROUNDS: usize = 4;
/// How long a sender waits for that.
const SHORT: Duration = Duration::from_millis(1);

impl<T> Drop for FairGuard<'_, T> {
    fn drop(&mut self) {
        let mut guard = self.guard.take();
        for round in 1.. {
            let Some(mut held) = guard.take() else { return };
            self.of.is_tired.store(round >= ROUNDS, Ordering::Relaxed);
            match std::thread::panicking() {
                false => self.of.run_errands(&mut held),
                // What a panic has left half done is nobody's to look at.
                true => drop(self.of.take_errands()),
            }
            self.of.is_tired.store(false, Ordering::Relaxed);
            drop(held);
            // Of an errand that has come meanwhile, its sender has found the mutex taken.
            if self.of.is_left_alone() {
                guard = self.of.mutex.try_lock();
            }
        }
    }
}

/// Does the errands of others, hands the mutex to a thread that waits for it, if there is one, and takes it again after that.
pub fn let_others<T>(guard: &mut FairGuard<'_, T>) {
    let of = guard.of;
    of.run_errands(guard);
    guard.guard.iter_mut().for_each(parking_lot::MutexGuard::bump);
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

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn an_errand_is_done_whatever_the_holder_does_at_that_moment() {
        let mutex = FairMutex::new(0);
        let (send, receive) = mpsc::channel();
        let (start, rounds) = mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in rounds {
                    let mut guard = mutex.lock();
                    if round % 2 == 0 {
                        let_others(&mut guard);
                    }
                }
            });
            for round in 0..20_000 {
                let send = send.clone();
                start.send(round).expect("it goes on");
                mutex.send(Box::new(move |count| {
                    *count += 1;
                    send.send(*count).expect("somebody waits");
                }));
                // Nobody takes the mutex again before this has come.
                receive.recv_timeout(Duration::from_secs(30)).expect("it is done");
            }
            drop(start);
        });
        assert_eq!((*mutex.lock(), mutex.waiting().load(Ordering::SeqCst)), (20_000, 0));
    }

    #[test]
    fn who_is_in_no_hurry_does_not_count_as_waiting_before_that_time_is_over() {
        let mutex = FairMutex::new(0);
        let waiting = || mutex.waiting().load(Ordering::SeqCst);
        let mut guard = mutex.lock();
        let mut counted = 0;
        std::thread::scope(|scope| {
            let patient = scope.spawn(|| *mutex.lock_within(Duration::from_secs(3600)) += 1);
            // Long enough for the other thread to begin to wait.
            for _ in 0..10_000 {
                counted += waiting();
                std::thread::yield_now();
            }
            while *guard == 0 {
                let_others(&mut guard);
            }
            patient.join().expect("it is done");
            scope.spawn(|| *mutex.lock_within(Duration::ZERO) += 1);
            while waiting() == 0 {
                std::thread::yield_now();
            }
            while *guard == 1 {
                let_others(&mut guard);
            }
        });
        assert_eq!((counted, waiting()), (0, 0));
    }

    #[test]
    fn an_errand_that_comes_while_the_last_ones_are_done_is_done_too() {
        let mutex = Arc::new(FairMutex::new(0));
        let guard = mutex.lock();
        let again = mutex.clone();
        mutex.send(Box::new(move |count| {
            *count += 1;
            again.send(Box::new(|count| *count += 10));
        }));
        drop(guard);
        assert_eq!(mutex.waiting().load(Ordering::SeqCst), 0);
        assert_eq!(*mutex.lock(), 11);
    }

    #[test]
    fn whoever_holds_it_does_the_errands_of_others_and_outlives_their_panics() {
        let mutex = FairMutex::new(Vec::new());
        let mut guard = mutex.lock();
        for number in 0..3 {
            mutex.send(Box::new(move |done: &mut Vec<i32>| {
                assert_ne!(number, 1, "this one panics on purpose");
                done.push(number);
            }));
        }
        assert_eq!((guard.len(), mutex.waiting().load(Ordering::SeqCst)), (0, 3));
        let_others(&mut guard);
        assert_eq!((guard.as_slice(), mutex.waiting().load(Ordering::SeqCst)), (&[0, 2][..], 0));
        // Nobody looks at what was left half done, and no sender waits in vain.
        let (send, receive) = mpsc::channel();
        let failed = catch_unwind(AssertUnwindSafe(|| {
            let _held = guard;
            mutex.send(Box::new(move |done| {
                done.clear();
                send.send(()).expect("somebody waits");
            }));
            panic!("on purpose");
        }));
        assert!(failed.is_err() && mutex.waiting().load(Ordering::SeqCst) == 0);
        assert_eq!(receive.try_recv(), Err(mpsc::TryRecvError::Disconnected));
        assert_eq!(mutex.lock().as_slice(), [0, 2]);
    }

    #[test]
    fn whoever_gives_it_back_goes_on_however_many_errands_come() {
        let (mutex, stop) = (FairMutex::new(HashMap::<_, usize>::new()), AtomicBool::new(false));
        let me = std::thread::current().id();
        let mut done = 0;
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        let (send, receive) = mpsc::channel();
                        mutex.send(Box::new(move |done| {
                            *done.entry(std::thread::current().id()).or_default() += 1;
                            // Longer than it takes to send another one.
                            (0..2_000).for_each(|n| {
                                std::hint::black_box(n);
                            });
                            send.send(()).expect("somebody waits");
                        }));
                        receive.recv().expect("it is done");
                    }
                });
            }
            for _ in 0..100 {
                let guard = mutex.lock();
                let before = guard.get(&me).copied().unwrap_or_default();
                while mutex.waiting().load(Ordering::SeqCst) < 4 {
                    std::thread::yield_now();
                }
                drop(guard);
                done += mutex.lock().get(&me).copied().unwrap_or_default() - before;
            }
            stop.store(true, Ordering::Relaxed);
        });
        // A few rounds each time: the senders do the others.
        assert!(done < 10_000, "{done}");
    }
}
