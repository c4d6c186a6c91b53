//! Which files a partition consists of, as the journal has decided it: where it begins, and what was compacted.

use std::collections::BTreeMap;

use super::front::Front;
use crate::topics::Offset;

/// What of a partition was deleted and compacted. By default nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Where it begins.
    pub front: Front,
    /// Files that took the place of segments, by the base offset of the first of these, which is theirs too. They do not
    /// overlap.
    pub compacted: BTreeMap<Offset, Compacted>,
}

/// A file that has taken the place of one or more segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compacted {
    /// The base offset of the segment after those.
    pub end: Offset,
    /// The number in the name of the file: later ones are larger.
    pub generation: u64,
    /// The bytes of the file.
    pub length: u64,
}

impl Layout {
    /// A front was decided.
    pub fn trim(&mut self, front: Front) {
        self.front = self.front.later(front);
        self.compacted.retain(|first, _| *first >= self.front.segment);
    }

    /// A file took the place of the segments from `first` on.
    pub fn compact(&mut self, first: Offset, compacted: Compacted) {
        self.compacted.retain(|other, _| !(first..compacted.end).contains(other));
        self.compacted.insert(first, compacted);
    }

    /// The first segment of those whose place was taken together with a segment's; itself if its place was not taken.
    pub fn first_of(&self, segment: Offset) -> Offset {
        let before = self.compacted.range(..=segment).next_back();
        before.filter(|(_, compacted)| segment < compacted.end).map_or(segment, |(first, _)| *first)
    }

    /// Whether a segment is part of the log as it was written.
    pub fn keeps(&self, segment: Offset) -> bool {
        segment >= self.front.segment
            && self.compacted.range(..=segment).next_back().is_none_or(|(_, compacted)| segment >= compacted.end)
    }

    /// Whether a file is part of the log; generation 0 is that of segments as they were written.
    pub(super) fn has_file(&self, (base, generation): (Offset, u64)) -> bool {
        match self.compacted.get(&base) {
            Some(compacted) => compacted.generation == generation,
            None => generation == 0 && self.keeps(base),
        }
    }

    /// Up to which offset it was compacted, if it was.
    pub(super) fn compacted_to(&self) -> Option<Offset> {
        self.compacted.values().next_back().map(|compacted| compacted.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_takes_the_place_of_segments_and_of_files_that_took_it_before() {
        let mut layout = Layout::default();
        let compacted = |end, generation| Compacted { end, generation, length: 1 };
        layout.compact(0, compacted(6, 1));
        layout.compact(6, compacted(9, 2));
        assert_eq!([0, 5, 6, 8, 9].map(|segment| layout.keeps(segment)), [false, false, false, false, true]);
        assert_eq!([0, 5, 7, 9].map(|segment| layout.first_of(segment)), [0, 0, 6, 9]);
        assert!(layout.has_file((0, 1)) && layout.has_file((9, 0)));
        assert!(!layout.has_file((0, 0)) && !layout.has_file((3, 0)) && !layout.has_file((9, 1)));
        layout.compact(0, compacted(9, 3));
        assert_eq!((layout.compacted.len(), layout.compacted_to()), (1, Some(9)));
        layout.trim(Front { start: 12, segment: 9 });
        assert!(layout.compacted.is_empty() && !layout.has_file((0, 3)) && layout.has_file((9, 0)));
    }
}
