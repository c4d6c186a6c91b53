//! Which runs are merged, and when.

use std::ops::Range;

use super::{Section, SectionStats};
use crate::state::BucketId;

/// What is known of a run, to decide what is merged.
///
/// Counted from the statistics in memory; no file is read for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// The length of the file.
    ///
    /// In bytes, dead entries and index included.
    pub bytes: u64,
    /// The entries that are not dead, in ascending order of section and bucket.
    ///
    /// A part that is only partly dead counts whole.
    pub parts: Vec<Part>,
}

/// What a run holds of some neighbouring buckets of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The section that is described.
    pub section: Section,
    /// The least bucket that has an entry.
    pub least: BucketId,
    /// The greatest bucket that has an entry.
    pub greatest: BucketId,
    /// The number of entries, tombstones among them.
    pub entries: u64,
    /// The number of entries that only say that a key is gone.
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

    /// Whether all entries of the run are dead: it can be removed unread.
    pub fn is_dead(&self) -> bool {
        self.parts.is_empty()
    }

    /// The bytes of the entries that are not dead.
    ///
    /// Of the entries only, without index and filters.
    pub fn live_bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes).sum()
    }
}

/// A merge of neighbours is worth its bytes where the result is this many times as large as the largest of them: what is written
/// again has then moved up so far that it will not be written often.
const GROWTH: u64 = 5;
/// The oldest run is written again where the newer ones hold at least one part in this many of its bytes.
const FULL: u64 = 2;
/// The fewest runs that are worth a merge with the oldest.
const FEWEST: usize = 4;
/// A file of which more than one part in this many is dead is written again without it.
const DEAD: u64 = 2;
/// What is dead in files smaller than this is left to the merges to come.
const SMALL_BYTES: u64 = 4 << 20;
/// More runs than this are never left: each is asked in a look up.
const MOST_RUNS: usize = 32;

/// The runs to merge into one, as a range of `runs`, which are given from the oldest to the newest; `None` if they are well as
/// they are. Where the range starts at 0, the merge may drop tombstones.
///
/// Runs are merged with their neighbours only, since a newer run overrides an older one. Each entry is written once by its
/// checkpoint, once for each factor `GROWTH` between the size of a checkpoint and that of all state, and at most
/// `1 + FULL` times with the oldest run: less than six times where a checkpoint changes a hundredth.
///
/// Called again after each merge until it says `None`. Costs O(r²) ranges of `r` runs, of which there are at most about
/// 32.
pub fn choose(runs: &[Stats]) -> Option<Range<usize>> {
    let bytes: Vec<u64> = runs.iter().map(Stats::live_bytes).collect();
    let newer: u64 = bytes.iter().skip(1).sum();
    if runs.len() >= FEWEST && newer >= bytes[0] / FULL {
        return Some(0..runs.len());
    }
    let is_mostly_dead = |run: &Stats| run.bytes > SMALL_BYTES && run.live_bytes() < run.bytes / DEAD;
    if let Some(at) = runs.iter().position(is_mostly_dead) {
        return Some(at..at + 1);
    }
    let ranges = || (0..runs.len()).flat_map(|start| (start + 2..=runs.len()).map(move |end| start..end));
    let total = |range: &Range<usize>| bytes[range.clone()].iter().sum::<u64>();
    let largest = |range: &Range<usize>| bytes[range.clone()].iter().max().copied().unwrap_or_default();
    let worth = ranges().filter(|range| total(range) >= GROWTH * largest(range));
    // The cheapest first; of several that cost as much the longest.
    let best = worth.min_by_key(|range| (total(range), usize::MAX - range.len()));
    if best.is_some() || runs.len() <= MOST_RUNS {
        return best;
    }
    // Too many, and none fits another: where a merge of eight costs least.
    (0..=runs.len() - 8).map(|start| start..start + 8).min_by_key(total)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::disk::double::Random;
    use crate::ids::QueryNumber;
    use crate::state::{OperatorId, OperatorKind, OperatorTask};

    /// Runs that are sets of keys, in place of files: how large each is, and what has been written.
    struct Model {
        runs: Vec<BTreeSet<u64>>,
        /// Keys less than this are dead.
        horizon: u64,
        written: u64,
        changed: u64,
        most_runs: usize,
        most_space: u64,
    }

    impl Model {
        fn new(first: BTreeSet<u64>) -> Self {
            Model { runs: vec![first], horizon: 0, written: 0, changed: 0, most_runs: 0, most_space: 0 }
        }

        fn stats(&self, run: &BTreeSet<u64>) -> Stats {
            // A size at which a run that is mostly dead counts.
            const BYTES: u64 = 1 << 16;
            let live = run.range(self.horizon..).count() as u64;
            let operator = OperatorId { kind: OperatorKind::Aggregate, number: 0 };
            let place = OperatorTask { operator, task: 0 };
            let section = Section { query: QueryNumber::new(1), place };
            let part = Part { section, least: 0, greatest: 0, entries: live, tombstones: 0, bytes: live * BYTES };
            Stats { bytes: run.len() as u64 * BYTES, parts: if live > 0 { vec![part] } else { Vec::new() } }
        }

        /// A checkpoint of these keys, and the merges after it.
        fn checkpoint(&mut self, keys: BTreeSet<u64>) {
            self.changed += keys.len() as u64;
            self.written += keys.len() as u64;
            self.runs.push(keys);
            loop {
                let horizon = self.horizon;
                self.runs.retain(|run| run.range(horizon..).next().is_some());
                let stats: Vec<Stats> = self.runs.iter().map(|run| self.stats(run)).collect();
                let Some(range) = choose(&stats) else { break };
                let merged: BTreeSet<u64> =
                    self.runs[range.clone()].iter().flat_map(|run| run.range(horizon..)).copied().collect();
                self.written += merged.len() as u64;
                self.runs.splice(range, [merged]);
            }
            self.most_runs = self.most_runs.max(self.runs.len());
            let live: BTreeSet<u64> = self.runs.iter().flat_map(|run| run.range(self.horizon..)).copied().collect();
            let space: usize = self.runs.iter().map(BTreeSet::len).sum();
            self.most_space = self.most_space.max(space as u64 * 100 / live.len().max(1) as u64);
        }

        /// How many bytes are written for one that has changed, in hundredths.
        fn amplification(&self) -> u64 {
            self.written * 100 / self.changed
        }
    }

    fn touched(random: &mut Random, count: usize, below: u64) -> BTreeSet<u64> {
        let mut keys = BTreeSet::new();
        while keys.len() < count {
            keys.insert(random.below(below));
        }
        keys
    }

    #[test]
    fn a_hundredth_of_the_keys_touched_each_time_is_written_less_than_six_times() {
        let random = &mut Random::new(1);
        let mut model = Model::new((0..20_000).collect());
        (0..400).for_each(|_| model.checkpoint(touched(random, 200, 20_000)));
        assert!(model.amplification() <= 600, "{}", model.amplification());
        assert!(model.most_space <= 160 && model.most_runs <= MOST_RUNS, "{} {}", model.most_space, model.most_runs);
    }

    #[test]
    fn one_key_touched_again_and_again_costs_next_to_nothing_beside_much_that_rests() {
        let mut model = Model::new((0..20_000).collect());
        (0..400).for_each(|_| model.checkpoint(BTreeSet::from([7])));
        assert!(model.amplification() <= 300, "{}", model.amplification());
        assert!(model.most_runs <= 12, "{}", model.most_runs);
    }

    #[test]
    fn what_grows_from_nothing_is_written_less_than_six_times() {
        let mut model = Model::new(BTreeSet::from([u64::MAX]));
        (0..400u64).for_each(|n| model.checkpoint((n * 100..n * 100 + 100).collect()));
        assert!(model.amplification() <= 600, "{}", model.amplification());
        assert!(model.most_runs <= MOST_RUNS, "{}", model.most_runs);
    }

    #[test]
    fn windows_that_come_and_go_take_twice_their_room_at_most() {
        let mut model = Model::new((0..2_000).collect());
        for n in 1..400u64 {
            model.horizon = n * 100;
            model.checkpoint((n * 100 + 1_900..n * 100 + 2_000).collect());
        }
        assert!(model.amplification() <= 600, "{}", model.amplification());
        assert!(model.most_space <= 250 && model.most_runs <= MOST_RUNS, "{} {}", model.most_space, model.most_runs);
    }

    #[test]
    fn sizes_that_no_merge_is_worth_are_merged_when_there_are_too_many() {
        let random = &mut Random::new(2);
        let mut model = Model::new((0..40_000).collect());
        for n in 0..200u32 {
            model.checkpoint(touched(random, 1 + 17 * (n % 23) as usize, 40_000));
        }
        assert!(model.most_runs <= MOST_RUNS, "{}", model.most_runs);
    }
}
