//! When time passes although no row comes: partitions that become idle, and operators that wait for the wall clock.
//!
//! Why it is needed: where rows of several partitions meet after an exchange, a partition that has nothing to read may
//! still bring rows with earlier times, so it holds the stream time of operators at its own. If it stays at its end for
//! `idle_ns`, it counts as idle and holds back nothing until it brings rows again. Rows that then come with earlier
//! times can be late.

use super::cursor::Cursor;
use super::query::{Now, QueryRun};
use super::task::Task;

impl QueryRun {
    /// How far each source lets the stream time of an operator go: a partition at its end may still bring earlier rows.
    ///
    /// Milliseconds since the epoch, one for each source; `i64::MAX` where no partition holds back.
    pub(super) fn limits(&self) -> Vec<i64> {
        let holds_back = |cursor: &&Cursor| !cursor.waits() && !cursor.idle;
        let limit = |partitions: &Vec<Cursor>| {
            partitions.iter().filter(holds_back).map(Cursor::stream_time).min().unwrap_or(i64::MAX)
        };
        self.cursors.iter().map(limit).collect()
    }

    /// Whether partitions at their ends hold back the time of others at all.
    ///
    /// Only after exchanges: elsewhere a task reads one partition, which cannot be ahead of itself.
    fn has_limits(&self) -> bool {
        self.program.stages.iter().flat_map(|stage| &stage.ports).any(|port| port.exchanged)
    }

    /// Notes which partitions have become idle. Returns whether that lets stream time advance.
    pub(super) fn note_idle(&mut self, now_ns: u64) -> bool {
        let (idle_ns, mut passes) = (self.options.idle_ns, false);
        let (matters, declared) = (self.has_limits(), std::mem::take(&mut self.idle_declared));
        for cursor in self.cursors.iter_mut().flatten() {
            if cursor.waits() {
                (cursor.idle, cursor.at_end_since) = (false, None);
                continue;
            }
            let since = *cursor.at_end_since.get_or_insert(now_ns);
            if !cursor.idle && (declared || now_ns.saturating_sub(since) >= idle_ns) {
                cursor.idle = true;
                passes |= matters;
            }
        }
        passes
    }

    /// Declares all partitions at their ends idle from the next turn on. Returns whether that lets stream time advance.
    ///
    /// Used when a drain has found all queries at their ends. If true, another turn must follow.
    pub fn declare_idle(&mut self) -> bool {
        let any = self.cursors.iter().flatten().any(|cursor| !cursor.waits() && !cursor.idle);
        self.idle_declared = any && self.has_limits();
        self.idle_declared
    }

    /// When a turn should be taken although no record has come, in nanoseconds of the clock that never goes back: when a
    /// partition becomes idle that holds back time.
    ///
    /// `None` if nothing waits for time. A time of the wall clock is turned into one of the other clock by the distance
    /// to now.
    pub fn next_wake(&self, now: Now) -> Option<u64> {
        let idle_ns = self.options.idle_ns;
        let largest = self.cursors.iter().flatten().map(Cursor::stream_time).max().unwrap_or(-1);
        let holds_back = |cursor: &&Cursor| !cursor.idle && !cursor.waits() && cursor.stream_time() < largest;
        let idle = self.cursors.iter().flatten().filter(holds_back).filter_map(|cursor| cursor.at_end_since);
        let idle = idle.map(|since| since.saturating_add(idle_ns)).min().filter(|_| self.has_limits());
        let wall = self.stages.iter().filter_map(Task::next_wake_ms).min();
        let wall = wall.map(|ms| now.monotonic_ns + (ms - now.wall_ms).max(0) as u64 * 1_000_000);
        idle.into_iter().chain(wall).min()
    }

    /// Whether an operator waits for a time of the wall clock that has come.
    pub(super) fn wakes(&self, wall_ms: i64) -> bool {
        self.stages.iter().filter_map(Task::next_wake_ms).any(|wake| wake <= wall_ms)
    }
}
