//! Timers: what is to be called at a time of the monotonic clock.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use crate::clock::Clock;
use crate::locks::{lock, wait, wait_for};

/// What a timer calls.
type Call = Box<dyn FnOnce() + Send>;

/// Timers that wait, and the thread that calls them.
#[derive(Default)]
pub(super) struct Timers {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// By time, then in the order in which they were set.
    waiting: BinaryHeap<Reverse<Timer>>,
    next: u64,
    closed: bool,
}

struct Timer {
    at_ns: u64,
    number: u64,
    call: Call,
}

impl Timer {
    fn order(&self) -> (u64, u64) {
        (self.at_ns, self.number)
    }
}

impl PartialEq for Timer {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl Eq for Timer {}

impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timer {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

impl Timers {
    /// Has `call` called at a time of the monotonic clock, in nanoseconds. It must be short.
    ///
    /// A time in the past is called at once, by the timer's thread. There is no way to take a timer back: its call
    /// looks whether it is still needed.
    pub(super) fn set(&self, at_ns: u64, call: impl FnOnce() + Send + 'static) {
        let mut state = lock(&self.state);
        let number = state.next;
        state.next += 1;
        let is_first = state.waiting.peek().is_none_or(|first| at_ns < first.0.at_ns);
        state.waiting.push(Reverse(Timer { at_ns, number, call: Box::new(call) }));
        if is_first {
            self.changed.notify_all();
        }
    }

    /// Calls what is due, until the timers are closed.
    ///
    /// Returns when the timers are closed; what still waits is dropped.
    pub(super) fn run(&self, clock: &dyn Clock) {
        let mut state = lock(&self.state);
        while !state.closed {
            let now = clock.monotonic_ns();
            match state.waiting.peek().map(|first| first.0.at_ns) {
                None => state = wait(&self.changed, state),
                Some(at) if at > now => {
                    state = wait_for(&self.changed, state, Duration::from_nanos(at - now)).0;
                }
                Some(_) => {
                    let due = state.waiting.pop();
                    drop(state);
                    if let Some(Reverse(timer)) = due {
                        (timer.call)();
                    }
                    state = lock(&self.state);
                }
            }
        }
        state.waiting.clear();
    }

    /// Ends the thread that calls; nothing more is called.
    pub(super) fn close(&self) {
        lock(&self.state).closed = true;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use std::sync::Arc;
    use std::sync::mpsc::channel;

    #[test]
    fn timers_are_called_in_the_order_of_their_times() {
        let (timers, clock) = (Arc::new(Timers::default()), Arc::new(SystemClock::new()));
        let (send, receive) = channel();
        for (name, at) in [("third", 3_000_000), ("first", 0), ("second", 1)] {
            let send = send.clone();
            timers.set(at, move || send.send(name).expect("somebody listens"));
        }
        let thread = std::thread::spawn({
            let (timers, clock) = (timers.clone(), clock.clone());
            move || timers.run(clock.as_ref())
        });
        let names: Vec<&str> = receive.iter().take(3).collect();
        assert_eq!(names, ["first", "second", "third"]);
        timers.close();
        thread.join().expect("the thread ends");
    }
}
