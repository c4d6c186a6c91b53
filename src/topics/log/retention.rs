//! Retention: which records of a partition are to go, by their age and by the size of the log.
//!
//! Whole segments go, the oldest first, as in Kafka: first those whose latest record is older than `retention.ms`, up to
//! the first that is not; then as many as leave at least `retention.bytes`. The newest segment can go too, if nothing in
//! it is young enough. Nothing is deleted here: what is found is submitted to the journal.

use super::partition::Partition;
use crate::error::Result;
use crate::topics::Offset;

/// A segment with its decided records.
struct Part {
    bytes: u64,
    /// The largest time of its records, if ages count.
    max_time: i64,
    /// The offset after its last record.
    next: Offset,
}

impl Partition {
    /// The offset before which all records are to go by the topic's settings at this time, in ms since the epoch. `None`
    /// if nothing is to go.
    ///
    /// Reads the heads of batches in segments that were not indexed yet, of the oldest ones only.
    ///
    /// # Errors
    /// A segment cannot be read, or a batch is damaged.
    pub fn expired(&self, now_ms: i64) -> Result<Option<Offset>> {
        let settings = self.settings();
        if settings.retention_ms.is_none() && settings.retention_bytes.is_none() {
            return Ok(None);
        }
        let (segments, decided) = self.decided_segments();
        let nexts = segments.iter().skip(1).map(|segment| segment.base).chain([decided.offset]);
        let mut parts = Vec::new();
        let mut is_old = settings.retention_ms.is_some();
        for (segment, next) in segments.iter().zip(nexts) {
            let bytes = if segment.base == decided.segment { decided.byte } else { segment.len()? };
            // After the first that is young enough no age counts.
            let max_time = if is_old { segment.max_time(bytes)? } else { i64::MAX };
            is_old = is_old && settings.retention_ms.is_some_and(|most| now_ms.saturating_sub(max_time) > most);
            parts.push(Part { bytes, max_time, next });
        }
        let aged = |part: &&Part| settings.retention_ms.is_some_and(|most| now_ms.saturating_sub(part.max_time) > most);
        let old = parts.iter().take_while(aged).count();
        let rest = &parts[old..];
        let total: u64 = rest.iter().map(|part| part.bytes).sum();
        let mut excess = settings.retention_bytes.and_then(|most| total.checked_sub(most));
        let beyond = |part: &&Part| {
            excess = excess.and_then(|excess| excess.checked_sub(part.bytes));
            excess.is_some()
        };
        let large = rest.iter().take_while(beyond).count();
        let last = (old + large).checked_sub(1).map(|last| parts[last].next);
        Ok(last.filter(|before| *before > self.front().start))
    }
}
