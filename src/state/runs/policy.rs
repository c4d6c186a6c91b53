//! Which runs are merged, and when.

use std::ops::Range;

use super::{Section, SectionStats};
use crate::state::BucketId;

/// What is known of a run, to decide what is merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// The length of the file.
    pub bytes: u64,
    /// What it holds that is not dead, in ascending order of section and bucket.
    pub parts: Vec<Part>,
}

/// What a run holds of some neighbouring buckets of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    pub section: Section,
    /// The least and the greatest bucket that has an entry.
    pub least: BucketId,
    pub greatest: BucketId,
    pub entries: u64,
    pub tombstones: u64,
    /// The bytes of the entries in the file.
    pub bytes: u64,
}

impl Stats {
    pub(super) fn new(bytes: u64, sections: &[SectionStats], is_dead: &dyn Fn(Section, BucketId) -> bool) -> Self {
        let spans = sections.iter().flat_map(|stats| stats.spans.iter().map(|span| (stats.section, *span)));
        let alive = spans.filter(|(section, span)| !is_dead(*section, span.greatest));
        let parts = alive.map(|(section, span)| Part {
            section,
            least: span.least,
            greatest: span.greatest,
            entries: span.entries,
            tombstones: span.tombstones,
            bytes: span.bytes,
        });
        Stats { bytes, parts: parts.collect() }
    }

    /// Whether nobody needs an entry of the run any more: it can be removed unread.
    pub fn is_dead(&self) -> bool {
        self.parts.is_empty()
    }

    /// The bytes of the entries that are not dead.
    pub fn live_bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes).sum()
    }
}

/// The runs to merge into one, as a range of `runs`, which are given from the oldest to the newest; `None` if they are well as
/// they are. Where the range starts at 0, the merge may drop tombstones.
pub fn choose(runs: &[Stats]) -> Option<Range<usize>> {
    (runs.len() > 8).then_some(0..runs.len())
}
