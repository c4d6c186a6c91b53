//! Time and chance as parameters: the only place that asks the system what time it is, and for a number nobody can foresee.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A source of time.
pub trait Clock: Send + Sync {
    /// Milliseconds since 1970-01-01T00:00:00Z; may jump.
    fn wall_ms(&self) -> i64;

    /// Nanoseconds since 1970-01-01T00:00:00Z, as exactly as they are known; may jump.
    fn wall_ns(&self) -> u64 {
        u64::try_from(self.wall_ms()).unwrap_or_default().saturating_mul(1_000_000)
    }

    /// Nanoseconds since some fixed instant of this process; never goes back.
    fn monotonic_ns(&self) -> u64;

    /// Has the calling thread rest for about this long.
    fn sleep(&self, pause: Duration) {
        std::thread::sleep(pause);
    }

    /// A number that nobody can foresee; another one each time.
    fn random(&self) -> u64 {
        RandomState::new().build_hasher().finish()
    }
}

/// The time of the machine.
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts now.
    pub fn new() -> Self {
        SystemClock { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn wall_ms(&self) -> i64 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => since.as_millis() as i64,
            Err(before) => -(before.duration().as_millis() as i64),
        }
    }

    fn wall_ns(&self) -> u64 {
        // Before 1970 no span has ever begun.
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
    }

    fn monotonic_ns(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }
}

/// A time that stands still until it is moved: for tests, which decide when something happens.
#[derive(Default)]
pub struct ManualClock {
    wall_ms: AtomicI64,
    monotonic_ns: AtomicU64,
}

impl ManualClock {
    /// A clock that stands at the epoch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves both times forward.
    pub fn advance_ms(&self, ms: u64) {
        self.wall_ms.fetch_add(ms as i64, Ordering::SeqCst);
        self.monotonic_ns.fetch_add(ms * 1_000_000, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn wall_ms(&self) -> i64 {
        self.wall_ms.load(Ordering::SeqCst)
    }

    fn monotonic_ns(&self) -> u64 {
        self.monotonic_ns.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = ManualClock::new();
        assert_eq!((clock.wall_ms(), clock.monotonic_ns()), (0, 0));
        clock.advance_ms(5);
        assert_eq!((clock.wall_ms(), clock.wall_ns(), clock.monotonic_ns()), (5, 5_000_000, 5_000_000));
    }
}
