//! The contents of a run, which stand at the end of its file: statistics of its sections, and the upper level of its index.

use super::Section;
use super::format::{HEAD, RunFile, Trailer};
use super::key::{self, SECTION};
use crate::error::{Error, Result};
use crate::state::BucketId;
use crate::types::row::{Input, put_varint};

/// What a run holds of a section.
///
/// Read with the run and kept in memory. The policy of merges and the question whether a run is dead need nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SectionStats {
    /// The section that is described.
    pub section: Section,
    /// The number of entries, tombstones among them.
    ///
    /// Of several runs together this counts a key once for each run.
    pub entries: u64,
    /// The number of entries that only say that a key is gone.
    pub tombstones: u64,
    /// The bytes of the entries in the file.
    pub bytes: u64,
    /// The least bucket that has an entry.
    pub least: BucketId,
    /// The greatest bucket that has an entry.
    pub greatest: BucketId,
    /// The same by buckets, in ascending order; where there are many buckets, neighbours are counted together.
    pub spans: Vec<Span>,
    /// The bytes of the file that hold the blocks with these entries.
    ///
    /// Where the first block with an entry of the section starts. That block may begin with entries of the section
    /// before.
    pub(super) from: u64,
    /// Where the last block with an entry of the section ends.
    pub(super) to: u64,
}

/// What a run holds of some neighbouring buckets of a section.
///
/// Both buckets are included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
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

/// The most spans of a section.
const MOST_SPANS: usize = 16;
/// The bytes of a separator that are kept.
///
/// Keys can have a gigabyte; what is kept in memory for each block and group must not.
const MOST_SEPARATOR: usize = 256;

/// Some neighbouring blocks with the index page that stands after them.
///
/// A group is what one look at the upper level of the index leads to: about 512 KiB of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Group {
    /// Where the first block starts.
    pub(super) from: u64,
    /// Where the page starts, and the blocks end.
    pub(super) page: u64,
    /// Where the page ends.
    pub(super) to: u64,
    pub(super) entries: u64,
    /// In the bytes of all separators.
    separator_end: u32,
    /// Whether bytes of the separator were left out.
    is_cut: bool,
}

/// All groups of a run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Groups {
    groups: Vec<Group>,
    /// The separators of all groups, one after the other.
    separators: Vec<u8>,
}

/// A key between the last full key before a block or group and the first one in it: greater than that, and not greater
/// than this. It is as short as that allows. If it would still be long, it is cut, and may then be less than keys before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Separator<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) is_cut: bool,
}

impl<'a> Separator<'a> {
    /// The separator before `first`, which has `shared` bytes in common with the key before it.
    pub(super) fn new(shared: usize, first: &'a [u8]) -> Self {
        let length = first.len().min(shared + 1);
        Separator { bytes: &first[..length.min(MOST_SEPARATOR)], is_cut: length > MOST_SEPARATOR }
    }

    /// Appends the separator to `out`.
    pub(super) fn encode(self, out: &mut Vec<u8>) {
        put_varint(out, (self.bytes.len() as u64) << 1 | u64::from(self.is_cut));
        out.extend_from_slice(self.bytes);
    }

    /// Reads what [`Separator::encode`] wrote.
    pub(super) fn decode(input: &mut Input<'a>) -> Result<Self> {
        let length = input.varint()?;
        Ok(Separator { bytes: input.take((length >> 1) as usize)?, is_cut: length & 1 == 1 })
    }

    /// Of some parts in ascending order, each with its separator, the first in which `key` may be.
    ///
    /// `count` may be 0; the result is then 0. Costs O(log count), and a step for each cut separator that the key
    /// starts with.
    pub(super) fn find<'s>(count: usize, separator: impl Fn(usize) -> Separator<'s>, key: &[u8]) -> usize {
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low.midpoint(high);
            if separator(middle).bytes <= key { low = middle + 1 } else { high = middle }
        }
        let mut at = low.saturating_sub(1);
        // Keys that start with a separator that was cut may stand before it.
        while at > 0 && separator(at).is_cut && key.starts_with(separator(at).bytes) {
            at -= 1;
        }
        at
    }
}

impl Groups {
    /// Adds a group that starts where the one before it ends.
    pub(super) fn push(&mut self, (page, to): (u64, u64), entries: u64, separator: Separator) {
        let from = self.end();
        self.separators.extend_from_slice(separator.bytes);
        let separator_end = self.separators.len() as u32;
        self.groups.push(Group { from, page, to, entries, separator_end, is_cut: separator.is_cut });
    }

    /// The group of a number.
    pub(super) fn get(&self, number: usize) -> Option<&Group> {
        self.groups.get(number)
    }

    /// The number of groups.
    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }

    /// Where the last group ends.
    pub(super) fn end(&self) -> u64 {
        self.groups.last().map_or(HEAD as u64, |group| group.to)
    }

    /// The separator before a group, which must exist.
    pub(super) fn separator(&self, number: usize) -> Separator<'_> {
        let start = number.checked_sub(1).map_or(0, |before| self.groups[before].separator_end);
        let group = &self.groups[number];
        Separator { bytes: &self.separators[start as usize..group.separator_end as usize], is_cut: group.is_cut }
    }

    /// The first group in which `key` may be, or the entry that follows where it would be.
    pub(super) fn find(&self, key: &[u8]) -> usize {
        Separator::find(self.groups.len(), |number| self.separator(number), key)
    }

    /// The group that has the byte of the file at `offset`.
    ///
    /// The number of groups if the offset is after the last one.
    pub(super) fn at(&self, offset: u64) -> usize {
        self.groups.partition_point(|group| group.to <= offset)
    }
}

/// Counts the entries of a section while they are written, bucket after bucket.
pub(super) struct SectionCounter {
    section: Section,
    /// At most 16 for a section.
    spans: Vec<Span>,
    /// How many buckets a span has, and how many the last one has already.
    ///
    /// A power of two: it doubles whenever there would be more than 16 spans.
    width: usize,
    in_last: usize,
    from: u64,
}

impl SectionCounter {
    /// The counter of a section whose first block starts at `from`.
    pub(super) fn new(section: Section, from: u64) -> Self {
        SectionCounter { section, spans: Vec::new(), width: 1, in_last: 1, from }
    }

    /// Counts entries of a bucket, which is not less than the one before.
    ///
    /// Costs O(1) over time, whatever the number of buckets.
    pub(super) fn add(&mut self, added: Span) {
        match self.spans.last_mut() {
            Some(last) if last.greatest == added.greatest => last.add(added),
            Some(last) if self.in_last < self.width => {
                last.add(added);
                self.in_last += 1;
            }
            _ => {
                self.spans.push(added);
                self.in_last = 1;
                self.join();
            }
        }
    }

    /// Joins neighbours if there are too many spans.
    fn join(&mut self) {
        if self.spans.len() <= MOST_SPANS {
            return;
        }
        self.width *= 2;
        let pairs = self.spans.chunks(2).map(|pair| {
            let mut joined = pair[0];
            pair[1..].iter().for_each(|span| joined.add(*span));
            joined
        });
        self.spans = pairs.collect();
        // There was one span too many, so that the last one is alone.
    }

    /// The statistics of the section, whose last block ends at `to`.
    ///
    /// `None` if nothing was counted.
    pub(super) fn finish(self, to: u64) -> Option<SectionStats> {
        SectionStats::new(self.section, self.spans, (self.from, to))
    }
}

impl Span {
    fn add(&mut self, next: Span) {
        self.greatest = next.greatest;
        self.entries += next.entries;
        self.tombstones += next.tombstones;
        self.bytes += next.bytes;
    }
}

impl SectionStats {
    fn new(section: Section, spans: Vec<Span>, (from, to): (u64, u64)) -> Option<Self> {
        let sum = |of: fn(&Span) -> u64| spans.iter().map(of).fold(0, u64::saturating_add);
        Some(SectionStats {
            section,
            entries: sum(|span| span.entries),
            tombstones: sum(|span| span.tombstones),
            bytes: sum(|span| span.bytes),
            least: spans.first()?.least,
            greatest: spans.last()?.greatest,
            spans,
            from,
            to,
        })
    }
}

/// The contents of a run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) sections: Vec<SectionStats>,
    pub(super) groups: Groups,
}

impl Contents {
    /// The bytes of the contents.
    ///
    /// ```text
    /// number of sections                        varint
    ///   section                                 16 bytes, see `key::encode`
    ///   where its blocks start, how many bytes  varint each
    ///   number of spans                         varint
    ///     least, greatest bucket                8 bytes each, little-endian
    ///     entries, tombstones, bytes            varint each
    /// number of groups                          varint
    ///   bytes of blocks, bytes of the page      varint each
    ///   entries                                 varint
    ///   separator                               length × 2, + 1 if it was cut, as a varint; bytes
    /// ```
    ///
    /// Groups follow each other from the head of the file on, so only their lengths are written.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, self.sections.len() as u64);
        for section in &self.sections {
            out.extend_from_slice(&key::encode(section.section));
            put_varint(&mut out, section.from);
            put_varint(&mut out, section.to - section.from);
            put_varint(&mut out, section.spans.len() as u64);
            for span in &section.spans {
                out.extend_from_slice(&span.least.to_le_bytes());
                out.extend_from_slice(&span.greatest.to_le_bytes());
                for number in [span.entries, span.tombstones, span.bytes] {
                    put_varint(&mut out, number);
                }
            }
        }
        put_varint(&mut out, self.groups.len() as u64);
        for (number, group) in self.groups.groups.iter().enumerate() {
            for number in [group.page - group.from, group.to - group.page, group.entries] {
                put_varint(&mut out, number);
            }
            self.groups.separator(number).encode(&mut out);
        }
        out
    }

    /// The contents that these bytes describe, in a file with this trailer.
    ///
    /// # Errors
    /// Kind `Backend`: the bytes are malformed, or the counts of entries and the end of the last group do not fit the
    /// trailer.
    pub(super) fn decode(bytes: &[u8], file: &RunFile, trailer: &Trailer) -> Result<Self> {
        let offset = trailer.contents;
        let contents = decode(bytes).map_err(|_| file.damage(offset, "its contents are malformed"))?;
        let in_sections: u64 = contents.sections.iter().map(|section| section.entries).sum();
        let in_groups: u64 = contents.groups.groups.iter().map(|group| group.entries).sum();
        if contents.groups.end() != offset || in_sections != trailer.entries || in_groups != trailer.entries {
            return Err(file.damage(offset, "its parts do not belong together"));
        }
        Ok(contents)
    }
}

fn decode(bytes: &[u8]) -> Result<Contents> {
    let mut input = Input(bytes);
    let mut contents = Contents::default();
    for _ in 0..input.varint()? {
        contents.sections.push(decode_section(&mut input)?);
    }
    for _ in 0..input.varint()? {
        let page = add(contents.groups.end(), input.varint()?)?;
        let to = add(page, input.varint()?)?;
        let entries = input.varint()?;
        contents.groups.push((page, to), entries, Separator::decode(&mut input)?);
    }
    if input.0.is_empty() { Ok(contents) } else { Err(malformed()) }
}

fn decode_section(input: &mut Input) -> Result<SectionStats> {
    let section = key::decode(&input.array::<SECTION>()?).ok_or_else(malformed)?;
    let from = input.varint()?;
    let to = add(from, input.varint()?)?;
    let mut spans = Vec::new();
    for _ in 0..input.varint()? {
        spans.push(Span {
            least: input.i64()?,
            greatest: input.i64()?,
            entries: input.varint()?,
            tombstones: input.varint()?,
            bytes: input.varint()?,
        });
    }
    SectionStats::new(section, spans, (from, to)).ok_or_else(malformed)
}

fn add(a: u64, b: u64) -> Result<u64> {
    a.checked_add(b).ok_or_else(malformed)
}

fn malformed() -> Error {
    Error::bug("malformed contents")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::QueryNumber;
    use crate::state::{OperatorId, OperatorKind, OperatorTask};

    fn section() -> Section {
        let operator = OperatorId { kind: OperatorKind::Aggregate, number: 0 };
        Section { query: QueryNumber::new(1), place: OperatorTask { operator, task: 0 } }
    }

    #[test]
    fn many_buckets_are_counted_in_few_spans() {
        for count in [1, 16, 17, 33, 1000] {
            let mut counter = SectionCounter::new(section(), 24);
            for bucket in 0..count {
                let one = Span { least: bucket, greatest: bucket, entries: 1, tombstones: 0, bytes: 10 };
                counter.add(one);
                counter.add(Span { tombstones: 1, ..one });
            }
            let stats = counter.finish(100).expect("entries");
            assert!(stats.spans.len() <= MOST_SPANS && stats.spans.len() >= (count as usize).min(MOST_SPANS / 2));
            assert!(stats.spans.is_sorted_by(|a, b| a.greatest < b.least));
            assert_eq!((stats.least, stats.greatest), (0, count - 1));
            let count = count as u64;
            assert_eq!((stats.entries, stats.tombstones, stats.bytes), (2 * count, count, 20 * count));
        }
    }

    #[test]
    fn a_key_is_looked_for_where_it_may_be() {
        let long = [b'a'; 400];
        let keys: [&[u8]; 4] = [&[], b"a", &long, b"b"];
        let separators = [0, 0, 399, 0].map(|shared| shared);
        let separator = |number: usize| Separator::new(separators[number], keys[number]);
        assert_eq!(separator(2).bytes.len(), MOST_SEPARATOR);
        let find = |key: &[u8]| Separator::find(4, separator, key);
        assert_eq!(find(b""), 0);
        assert_eq!(find(b"A"), 0);
        assert_eq!(find(b"aa"), 1);
        assert_eq!(find(&long), 1, "the separator was cut: keys like it may stand before it");
        assert_eq!(find(b"c"), 3);
    }
}
