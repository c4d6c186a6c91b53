//! The stream time of an operator: the largest row time that has reached it, held back where a source may still bring
//! earlier rows.
//!
//! Two numbers are kept: the largest time that any row had (`seen`), and how far the operator lets its time go
//! (`time`). They differ while a limit holds time back. Example: rows come from two partitions, and the second one is
//! still at 10:00. A row of the first at 10:05 makes `seen` 10:05 and leaves `time` at 10:00. A window [10:00, 10:05)
//! stays open for rows of the second partition. When that partition has moved on, the limit rises and `time` follows.

use crate::error::Result;
use crate::types::row::Input;

/// The time of one input of an operator; never goes back.
///
/// Both times are milliseconds since the epoch, and `time ≤ seen` always holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OperatorTime {
    /// The largest row time that has come.
    seen: i64,
    time: i64,
}

impl Default for OperatorTime {
    fn default() -> Self {
        OperatorTime { seen: -1, time: -1 }
    }
}

impl OperatorTime {
    /// The stream time, −1 before the first row.
    pub fn now(&self) -> i64 {
        self.time
    }

    /// Applies time that an earlier limit held back, once all rows up to the new limit have come.
    ///
    /// `limit` is inclusive. Called when all rows of a turn have come.
    pub fn lift(&mut self, limit: i64) {
        self.time = self.time.max(self.seen.min(limit));
    }

    /// A row comes; the stream time with it. What an earlier limit held back is taken up only as far as `point` goes, the stream
    /// time of the source partition at the row: rows may follow that come from after it, and they are not late.
    ///
    /// Returns the stream time after the row. `limit` is that of the port in this turn, inclusive. `point` is only
    /// called where time was held back.
    #[inline]
    pub fn advance(&mut self, row_time: i64, limit: i64, point: impl FnOnce() -> i64) -> i64 {
        let limit = if self.seen > self.time { limit.min(point()) } else { limit };
        self.seen = self.seen.max(row_time);
        self.time = self.time.max(self.seen.min(limit));
        self.time
    }

    /// Appends both times.
    ///
    /// 16 bytes: `seen`, then `time`, each as a little-endian 64-bit number.
    pub fn save(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.seen.to_le_bytes());
        out.extend_from_slice(&self.time.to_le_bytes());
    }

    /// Reads what [`OperatorTime::save`] wrote.
    ///
    /// # Errors
    /// Fewer than 16 bytes are left.
    pub fn load(input: &mut Input) -> Result<Self> {
        Ok(OperatorTime { seen: input.i64()?, time: input.i64()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_holds_time_back_until_it_is_lifted() {
        let mut time = OperatorTime::default();
        let held = || panic!("nothing is held back");
        assert_eq!(time.advance(10, i64::MAX, held), 10);
        assert_eq!(time.advance(50, 20, held), 20);
        assert_eq!(time.advance(15, 20, || 25), 20);
        // The row of a partition that was behind: those that follow it may come from 26 on.
        assert_eq!(time.advance(26, i64::MAX, || 26), 26);
        time.lift(30);
        assert_eq!(time.now(), 30);
        time.lift(i64::MAX);
        assert_eq!(time.now(), 50);
    }
}
