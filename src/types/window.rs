//! Windows over time: which ones a row belongs to, and when one is closed.
//!
//! With a size of 10 minutes and an advance of 5, a row at 10:02 falls into the windows [09:55, 10:05) and [10:00,
//! 10:10). The start is inside, the end is outside. Windows are aligned to the epoch, as in Kafka Streams, not to the
//! first row or to a time zone.
//!
//! A window takes rows until stream time reaches its end plus the grace period. Stream time is an argument here: this
//! module knows no clock.

/// A window of fixed size; times in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimeWindow {
    /// Its length.
    ///
    /// At least 1.
    pub size_ms: i64,
    /// From the start of a window to that of the next; equal to the size where windows do not overlap.
    ///
    /// From 1 to the size.
    pub advance_ms: i64,
    /// How long after its end a window still takes rows.
    ///
    /// 0 closes a window as soon as stream time reaches its end.
    pub grace_ms: i64,
    /// How long a window can be read, from its start.
    pub retention_ms: i64,
}

/// The default for how late a row may be, together with the size of the window.
pub const DEFAULT_SPAN_MS: i64 = 24 * 60 * 60 * 1000;

impl TimeWindow {
    /// The starts of the windows that contain `time`, the oldest first; none starts before the epoch.
    ///
    /// A row at `time` belongs to at most size / advance windows, rounded up. A negative time belongs to none.
    pub fn starts(&self, time: i64) -> impl Iterator<Item = i64> + use<> {
        let first = (time - self.size_ms + self.advance_ms).max(0) / self.advance_ms * self.advance_ms;
        let advance = self.advance_ms;
        std::iter::successors(Some(first), move |start| start.checked_add(advance))
            .take_while(move |start| *start <= time)
    }

    /// The end of the window that starts there; the end is outside.
    pub fn end(&self, start: i64) -> i64 {
        start.saturating_add(self.size_ms)
    }

    /// Whether the window that starts there takes no more rows at this stream time.
    ///
    /// With an end of 10:05 and a grace of 1 minute, it is open at stream time 10:05:59.999 and closed at 10:06.
    pub fn is_closed(&self, start: i64, stream_time: i64) -> bool {
        self.end(start) <= stream_time.saturating_sub(self.grace_ms)
    }

    /// Whether the window that starts there can neither be read nor take rows any more at this stream time.
    ///
    /// Only then may its state be dropped. Readers of the table see the window until then.
    pub fn is_expired(&self, start: i64, stream_time: i64) -> bool {
        start <= stream_time.saturating_sub(self.retention_ms) && self.is_closed(start, stream_time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(size_ms: i64, advance_ms: i64) -> TimeWindow {
        TimeWindow { size_ms, advance_ms, grace_ms: 5, retention_ms: size_ms + 5 }
    }

    #[test]
    fn a_row_is_in_every_window_around_it() {
        let starts = |w: TimeWindow, t| w.starts(t).collect::<Vec<_>>();
        assert_eq!(starts(window(10, 10), 19), [10]);
        assert_eq!(starts(window(10, 4), 9), [0, 4, 8]);
        assert_eq!(starts(window(10, 4), 10), [4, 8]);
        assert_eq!(starts(window(10, 5), 3), [0]);
        assert_eq!(starts(window(10, 10), i64::MAX), [i64::MAX / 10 * 10]);
        assert_eq!(starts(window(10, 5), i64::MAX).len(), 2);
    }

    #[test]
    fn a_window_closes_when_grace_is_over() {
        let tumbling = window(10, 10);
        assert!(!tumbling.is_closed(0, 14));
        assert!(tumbling.is_closed(0, 15));
        assert!(tumbling.is_expired(0, 15));
    }
}
