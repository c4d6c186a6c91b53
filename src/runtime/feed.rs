//! Feeds: a partition that is read and decoded once for all queries that stand near the same place of it.
//!
//! A feed belongs to a partition and a declaration (a stream or table over its topic). It knows where its readers stand. Rows that
//! one of them had decoded are kept as long as another one will come by, within a bound; a reader that finds none
//! decodes the next ones, with all columns that the readers near it want.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Condvar, Mutex, Weak};

use super::decode::{Decode, Decoded, Most, Place, Wanted};
use super::placement::Placement;
use crate::catalog::Source;
use crate::error::Result;
use crate::ids::Version;
use crate::locks::{lock, wait};
use crate::topics::{Offset, PartitionId, Reader, Topics};

/// About how many bytes are read at once, of all partitions of a topic together and of one.
const READ_BYTES: usize = 32 << 20;
const LEAST_READ_BYTES: usize = 128 << 10;
const MOST_READ_BYTES: usize = 1 << 20;

/// About how many bytes of decoded rows the feeds of a topic keep for readers that will come by.
const KEPT_BYTES: usize = 32 << 20;
/// The least that a feed keeps of them, in batches.
const KEPT_BATCHES: usize = 2;
/// Readers that are no further apart than this, in records, have the same columns decoded.
const NEAR: Offset = 64 << 10;
/// Batches of fewer records than `FEW` are decoded again, together with later ones, once those are `MORE` times as
/// many. Otherwise a reader that falls behind would take small batches one by one.
const FEW: Offset = 64;
const MORE: Offset = 4;
/// About how many bytes a batch takes besides its rows.
const BATCH_BYTES: usize = 1 << 10;
/// How many readings a feed keeps open.
const READINGS: usize = 4;

/// The feeds of a process.
pub struct Feeds {
    topics: Arc<dyn Topics>,
    placement: Arc<dyn Placement>,
    /// By partition and by the version of the catalog at which the source was made.
    ///
    /// The version distinguishes a source that was dropped and made again with other columns. A feed lives as long as a
    /// cursor holds it.
    open: Mutex<HashMap<(PartitionId, Version), Weak<Feed>>>,
}

/// A partition under a declaration.
pub(super) struct Feed {
    id: PartitionId,
    source: Arc<Source>,
    topics: Arc<dyn Topics>,
    /// About how many bytes are read at once.
    ///
    /// Between 128 KiB and 1 MiB; the more partitions, the less.
    read_bytes: usize,
    /// About how many bytes of decoded rows are kept.
    most_kept: usize,
    shared: Mutex<Shared>,
    /// Signalled when a decoding ends.
    decoded: Condvar,
}

/// What a reader finds at its place.
pub(super) enum Next {
    /// Rows, which may begin before the place.
    Rows(Arc<Decoded>),
    /// The decided end.
    End,
    /// The records there were deleted: the partition starts only at this offset.
    Deleted(Offset),
}

/// What the readers of a feed share.
#[derive(Default)]
struct Shared {
    /// By number; `None` for a reader that has left.
    readers: Vec<Option<Standing>>,
    /// What all readers want together.
    wanted: Arc<Wanted>,
    /// Readings that are not in use, the most recently used last.
    readings: Vec<Reading>,
    /// From where on rows are being decoded now, and how many readers wait for that.
    ///
    /// Readers that want the same rows wait for them instead of decoding again.
    decoding: Vec<Offset>,
    waiting: usize,
    /// Decoded rows by their first offset.
    ///
    /// They do not overlap, except where a small batch was decoded anew with those after it.
    kept: BTreeMap<Offset, Kept>,
    kept_bytes: usize,
    /// Counts the uses of kept rows.
    uses: u64,
    /// Counts the compactions: what was read before one is not kept after it.
    compactions: u64,
}

/// Where a reader stands, and what it reads.
struct Standing {
    position: Offset,
    wanted: Arc<Wanted>,
}

struct Kept {
    decoded: Arc<Decoded>,
    /// When they were used last.
    used: u64,
    /// Whether they were all that there was when they were decoded.
    is_all_there_was: bool,
}

impl Kept {
    /// About how many bytes they take; a batch takes some however few rows it has.
    fn bytes(&self) -> usize {
        self.decoded.bytes + BATCH_BYTES
    }
}

/// A reader of the topic with its decoder, and the place where both stand.
struct Reading {
    reader: Box<dyn Reader>,
    decode: Decode,
    fetched: Option<Arc<Vec<u8>>>,
    place: Place,
}

impl Feeds {
    /// No feeds yet over these topics.
    pub fn new(topics: Arc<dyn Topics>, placement: Arc<dyn Placement>) -> Self {
        Feeds { topics, placement, open: Mutex::default() }
    }

    /// The topics that are read.
    pub fn topics(&self) -> &Arc<dyn Topics> {
        &self.topics
    }

    /// Where rows go.
    pub fn placement(&self) -> &Arc<dyn Placement> {
        &self.placement
    }

    /// Forgets what was read of a partition so far: its records were compacted, and a query that is made from now on must
    /// not get those that are gone.
    pub fn forget(&self, id: PartitionId) {
        let open = lock(&self.open);
        let feeds = open.iter().filter(|((own, _), _)| *own == id).filter_map(|(_, feed)| feed.upgrade());
        feeds.for_each(|feed| lock(&feed.shared).forget_all());
    }

    /// The feed of a partition, one of so many, under a declaration.
    pub(super) fn open(&self, id: PartitionId, source: &Arc<Source>, partitions: u32) -> Arc<Feed> {
        let mut open = lock(&self.open);
        let place = (id, source.made_at);
        if let Some(feed) = open.get(&place).and_then(Weak::upgrade).filter(|feed| feed.source.name == source.name) {
            return feed;
        }
        open.retain(|_, feed| feed.strong_count() > 0);
        let partitions = partitions.max(1) as usize;
        let feed = Arc::new(Feed {
            id,
            read_bytes: (READ_BYTES / partitions).clamp(LEAST_READ_BYTES, MOST_READ_BYTES),
            source: source.clone(),
            topics: self.topics.clone(),
            most_kept: KEPT_BYTES / partitions,
            shared: Mutex::default(),
            decoded: Condvar::new(),
        });
        open.insert(place, Arc::downgrade(&feed));
        feed
    }
}

impl Feed {
    /// A further query reads the feed, from an offset on.
    pub(super) fn reader(self: &Arc<Self>, position: Offset, wanted: &Arc<Wanted>) -> FeedReader {
        FeedReader { number: self.join(position, wanted), feed: self.clone() }
    }

    /// A further reader: its number.
    fn join(&self, position: Offset, wanted: &Arc<Wanted>) -> usize {
        let mut shared = lock(&self.shared);
        let standing = Some(Standing { position, wanted: wanted.clone() });
        let free = shared.readers.iter().position(Option::is_none);
        let number = free.unwrap_or(shared.readers.len());
        match free {
            Some(free) => shared.readers[free] = standing,
            None => shared.readers.push(standing),
        }
        shared.want();
        number
    }

    /// A reader reads no more.
    fn leave(&self, number: usize) {
        let mut shared = lock(&self.shared);
        shared.readers[number] = None;
        shared.want();
        shared.forget(self.most_kept);
    }

    /// The rows from an offset on: those that are kept, or else the next ones, decoded now.
    ///
    /// `number` is the one that [`Feed::join`] gave. What comes back may begin before `from`: the caller skips those
    /// rows. Decoding goes on without the lock, so readers elsewhere in the feed are not held up.
    ///
    /// # Errors
    /// The topic cannot be read. The others who wait try for themselves.
    fn next(&self, number: usize, from: Offset, most: Most) -> Result<Next> {
        let end = self.topics.end(self.id)?;
        let mut shared = lock(&self.shared);
        shared.stand(number, from);
        if from >= end {
            return Ok(Next::End);
        }
        loop {
            if let Some(found) = shared.find(number, from) {
                let (found, is_all_there_was) = found;
                let is_small = is_all_there_was && found.next - found.from < FEW;
                if !is_small || end - from < MORE * (found.next - from) {
                    return Ok(Next::Rows(found));
                }
            }
            if !shared.decoding.contains(&from) {
                break;
            }
            shared.waiting += 1;
            shared = wait(&self.decoded, shared);
            shared.waiting -= 1;
        }
        let wanted = shared.wanted_near(number, from);
        let at = shared.readings.iter().rposition(|reading| reading.place.offset == from);
        let reading = at.map(|at| shared.readings.remove(at));
        shared.decoding.push(from);
        let compactions = shared.compactions;
        drop(shared);
        // However this ends, nobody waits for it any more.
        let _begun = Begun { feed: self, from };
        let mut reading = match reading {
            Some(reading) => reading,
            None => self.reading(from, wanted.clone())?,
        };
        if reading.decode.wanted() != &wanted {
            reading.decode = Decode::new(self.source.clone(), self.id.partition, wanted);
        }
        let next = reading.next(most, self.read_bytes)?;
        let mut shared = lock(&self.shared);
        if shared.compactions != compactions {
            return Ok(next);
        }
        if shared.readings.len() >= READINGS {
            shared.readings.remove(0);
        }
        shared.readings.push(reading);
        if let Next::Rows(decoded) = &next {
            shared.keep(number, (decoded, decoded.next >= end), self.most_kept);
        }
        Ok(next)
    }

    fn reading(&self, from: Offset, wanted: Arc<Wanted>) -> Result<Reading> {
        Ok(Reading {
            reader: self.topics.reader(self.id)?,
            decode: Decode::new(self.source.clone(), self.id.partition, wanted),
            fetched: None,
            place: Place { offset: from, ..Place::default() },
        })
    }
}

/// A query that reads a feed, until it is dropped.
pub(super) struct FeedReader {
    feed: Arc<Feed>,
    number: usize,
}

impl FeedReader {
    /// The rows from an offset on. What comes back may begin before it: the caller skips those rows.
    ///
    /// # Errors
    /// The topic cannot be read.
    pub(super) fn next(&self, from: Offset, most: Most) -> Result<Next> {
        self.feed.next(self.number, from, most)
    }

    /// The decided end of the partition.
    ///
    /// # Errors
    /// The topic cannot be asked.
    pub(super) fn end(&self) -> Result<Offset> {
        self.feed.topics.end(self.feed.id)
    }
}

impl Drop for FeedReader {
    fn drop(&mut self) {
        self.feed.leave(self.number);
    }
}

/// Rows are being decoded.
///
/// Dropping it wakes those who wait, whether decoding succeeded, failed or panicked.
struct Begun<'a> {
    feed: &'a Feed,
    from: Offset,
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        let mut shared = lock(&self.feed.shared);
        shared.decoding.retain(|from| *from != self.from);
        if shared.waiting > 0 {
            self.feed.decoded.notify_all();
        }
    }
}

impl Shared {
    /// The readers have changed.
    ///
    /// Called when one joins or leaves; costs O(readers).
    fn want(&mut self) {
        let mut all = Wanted::default();
        self.readers.iter().flatten().for_each(|standing| all.add(&standing.wanted));
        self.wanted = Arc::new(all);
    }

    fn forget_all(&mut self) {
        self.kept.clear();
        self.kept_bytes = 0;
        self.readings.clear();
        self.compactions += 1;
    }

    fn stand(&mut self, number: usize, position: Offset) {
        if let Some(standing) = &mut self.readers[number] {
            standing.position = position;
        }
    }

    /// The kept rows that begin at an offset or go over it, if they have what the reader wants, and whether they were all that
    /// there was when they were decoded.
    fn find(&mut self, number: usize, from: Offset) -> Option<(Arc<Decoded>, bool)> {
        let wanted = &self.readers[number].as_ref()?.wanted;
        let (_, kept) = self.kept.range_mut(..=from).next_back()?;
        if kept.decoded.next <= from || !kept.decoded.wanted.covers(wanted) {
            return None;
        }
        self.uses += 1;
        kept.used = self.uses;
        Some((kept.decoded.clone(), kept.is_all_there_was))
    }

    /// What the readers near an offset want together with the one that stands there.
    fn wanted_near(&self, number: usize, from: Offset) -> Arc<Wanted> {
        let is_near = |standing: &&Standing| (standing.position - from).abs() <= NEAR;
        let standing = || self.readers.iter().flatten();
        let near = standing().filter(is_near).count();
        if near == standing().count() {
            return self.wanted.clone();
        }
        match &self.readers[number] {
            Some(own) if near <= 1 => own.wanted.clone(),
            _ => {
                let mut all = Wanted::default();
                standing().filter(is_near).for_each(|standing| all.add(&standing.wanted));
                Arc::new(all)
            }
        }
    }

    /// Keeps decoded rows if another reader will come by.
    ///
    /// Not kept if every other reader is past these rows: they never go back.
    fn keep(&mut self, number: usize, (decoded, is_all_there_was): (&Arc<Decoded>, bool), most_bytes: usize) {
        let comes = |(own, standing): (usize, &Option<Standing>)| {
            own != number && standing.as_ref().is_some_and(|standing| standing.position < decoded.next)
        };
        if self.readers.iter().enumerate().any(comes) {
            self.uses += 1;
            let is_replaced = |(from, kept): (&Offset, &Kept)| {
                (*from == decoded.from || kept.decoded.next <= decoded.next).then_some(*from)
            };
            let replaced: Vec<Offset> = self.kept.range(decoded.from..decoded.next).filter_map(is_replaced).collect();
            replaced.into_iter().for_each(|from| self.drop_kept(from));
            let kept = Kept { decoded: decoded.clone(), used: self.uses, is_all_there_was };
            self.kept_bytes += kept.bytes();
            self.kept.insert(decoded.from, kept);
        }
        self.forget(most_bytes);
    }

    /// Forgets the kept rows that no reader will come by, and of the others those that were used longest ago if there are too
    /// many.
    fn forget(&mut self, most_bytes: usize) {
        if self.kept.is_empty() {
            return;
        }
        let least = self.readers.iter().flatten().map(|standing| standing.position).min().unwrap_or(Offset::MAX);
        while let Some((from, _)) = self.kept.first_key_value().filter(|(_, kept)| kept.decoded.next <= least) {
            self.drop_kept(*from);
        }
        if self.kept_bytes <= most_bytes || self.kept.len() <= KEPT_BATCHES {
            return;
        }
        // Frees a little more than it must, so that the search does not run for each batch.
        let enough = most_bytes - most_bytes / 8;
        let mut by_use: Vec<(u64, Offset)> = self.kept.iter().map(|(from, kept)| (kept.used, *from)).collect();
        by_use.sort_unstable();
        for (_, from) in by_use {
            if self.kept_bytes <= enough || self.kept.len() <= KEPT_BATCHES {
                return;
            }
            self.drop_kept(from);
        }
    }

    fn drop_kept(&mut self, from: Offset) {
        self.kept_bytes -= self.kept.remove(&from).map_or(0, |gone| gone.bytes());
    }
}

impl Reading {
    /// Decodes the next records.
    fn next(&mut self, most: Most, read_bytes: usize) -> Result<Next> {
        loop {
            let Some(bytes) = self.fetched.take().filter(|bytes| self.place.byte < bytes.len()) else {
                let fetch = self.reader.read(self.place.offset, read_bytes)?;
                if let Some(start) = fetch.start {
                    return Ok(Next::Deleted(start));
                }
                if fetch.bytes.is_empty() {
                    return Ok(Next::End);
                }
                (self.place.byte, self.place.inside) = (0, None);
                self.fetched = Some(fetch.bytes);
                continue;
            };
            let decoded = self.decode.decode(&bytes, &mut self.place, most)?;
            self.fetched = Some(bytes);
            if let Some(decoded) = decoded {
                return Ok(Next::Rows(Arc::new(decoded)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::SourceKind;
    use crate::formats::{Encoding, find};
    use crate::ids::TopicId;
    use crate::operators::{Log, Reason};
    use crate::plan::node::SourceColumn;
    use crate::runtime::cursor::Cursor;
    use crate::runtime::placement::usual;
    use crate::runtime::points::Point;
    use crate::runtime::program::FeedSpec;
    use crate::topics::Topic;
    use crate::topics::memory::MemoryTopics;
    use crate::topics::record::BatchWriter;
    use crate::types::{Column, Schema, SqlType};

    const ID: PartitionId = PartitionId { topic: TopicId::new(0), partition: 0 };
    const MOST: Most = Most { records: 1000, bytes: 1 << 20 };

    fn source() -> Arc<Source> {
        let columns = [Column::value("V", SqlType::Bigint)];
        Arc::new(Source {
            name: "S".to_owned(),
            kind: SourceKind::Stream,
            schema: Schema::new(columns.clone()),
            topic: "s".to_owned(),
            key: Encoding::of_key(find("NONE").expect("a format"), &[]).expect("no columns"),
            value: Encoding::of_key(find("KAFKA").expect("a format"), &columns).expect("a column that fits"),
            timestamp: None,
            window: None,
            read_only: false,
            statement: String::new(),
            query: None,
            made_at: Version::default(),
        })
    }

    /// A partition in memory with its feed.
    struct Bed {
        topics: Arc<MemoryTopics>,
        feed: Arc<Feed>,
        wanted: Arc<Wanted>,
    }

    impl Bed {
        fn new() -> Bed {
            let topics = Arc::new(MemoryTopics::new());
            let topic = Topic { name: "s".to_owned(), id: TopicId::new(0), partitions: 1, config: BTreeMap::new() };
            topics.create(&topic).expect("created");
            let feed = Feeds::new(topics.clone(), usual()).open(ID, &source(), 1);
            let wanted = Wanted { columns: [SourceColumn::Declared(0)].into(), headers: false };
            Bed { topics, feed, wanted: Arc::new(wanted) }
        }

        fn append(&self, records: i64) {
            let mut writer = BatchWriter::new();
            (0..records).for_each(|number| writer.push(0, None, Some(&number.to_be_bytes()), &[]));
            self.topics.append(writer.finish().map(|batch| (ID, batch)).into_iter().collect()).expect("appended");
        }

        fn next(&self, reader: usize, from: Offset) -> Option<Arc<Decoded>> {
            match self.feed.next(reader, from, MOST).expect("readable") {
                Next::Rows(decoded) => Some(decoded),
                Next::End | Next::Deleted(_) => None,
            }
        }
    }

    #[test]
    fn what_one_reader_had_decoded_the_others_take() {
        let bed = Bed::new();
        let readers = [0; 3].map(|position| bed.feed.join(position, &bed.wanted));
        bed.append(500);
        let first = bed.next(readers[0], 0).expect("rows");
        for reader in &readers[1..] {
            assert!(Arc::ptr_eq(&first, &bed.next(*reader, 0).expect("rows")), "decoded once");
        }
        assert!(readers.iter().all(|reader| bed.next(*reader, 500).is_none()), "the end");
    }

    #[test]
    fn records_that_came_one_by_one_are_taken_together_by_who_comes_late() {
        let bed = Bed::new();
        let [early, late, last] = [0; 3].map(|position| bed.feed.join(position, &bed.wanted));
        for number in 0..100 {
            bed.append(1);
            let decoded = bed.next(early, number).expect("a row");
            assert_eq!((decoded.from, decoded.next), (number, number + 1));
        }
        let behind = bed.next(late, 0).expect("rows");
        assert_eq!((behind.from, behind.next), (0, 100), "and not one by one");
        assert!(Arc::ptr_eq(&behind, &bed.next(last, 0).expect("rows")), "decoded once");
        assert_eq!(bed.next(last, 40).expect("rows").next, 100, "also from the middle of it");
    }

    #[test]
    fn large_records_are_decoded_once() {
        let bed = Bed::new();
        let readers = [0; 3].map(|position| bed.feed.join(position, &bed.wanted));
        for _ in 0..1000 {
            let mut writer = BatchWriter::new();
            writer.push(0, None, Some(&[0; 2048]), &[]);
            bed.topics.append(writer.finish().map(|batch| (ID, batch)).into_iter().collect()).expect("appended");
        }
        let first = bed.next(readers[0], 0).expect("rows");
        assert!(first.next < FEW, "no more were read at once");
        for reader in &readers[1..] {
            assert!(Arc::ptr_eq(&first, &bed.next(*reader, 0).expect("rows")), "decoded once");
        }
    }

    #[test]
    fn the_bytes_that_are_kept_are_those_of_what_is_kept() {
        let bed = Bed::new();
        let readers = [0; 3].map(|position| bed.feed.join(position, &bed.wanted));
        bed.append(500);
        for (reader, records) in readers.into_iter().zip([10, 5]) {
            bed.feed.next(reader, 0, Most { records, bytes: 1 << 20 }).expect("readable");
        }
        let kept = || {
            let shared = lock(&bed.feed.shared);
            (shared.kept_bytes, shared.kept.values().map(Kept::bytes).sum::<usize>())
        };
        assert_eq!(kept().0, kept().1);
        for reader in readers {
            bed.feed.leave(reader);
        }
        assert_eq!(kept(), (0, 0), "nobody comes by");
    }

    #[test]
    fn a_bad_record_is_told_once_however_it_was_decoded() {
        let bed = Bed::new();
        let append = |value: &[u8]| {
            let mut writer = BatchWriter::new();
            writer.push(0, None, Some(value), &[]);
            bed.topics.append(writer.finish().map(|batch| (ID, batch)).into_iter().collect()).expect("appended");
        };
        let feeds = Feeds::new(bed.topics.clone(), usual());
        let spec =
            FeedSpec { source: source(), topic: TopicId::new(0), rank: 0, partitions: 1, wanted: bed.wanted.clone() };
        let [mut early, mut late, _last] = [0; 3].map(|position| Cursor::new(&feeds, &spec, 0, position, MOST));
        append(b"bad");
        assert!(early.fill().expect("readable"));
        (0..9i64).for_each(|number| append(&number.to_be_bytes()));
        assert!(late.fill().expect("readable"), "all in one batch");
        assert!(early.fill().expect("readable"), "from the middle of that batch");
        let mut log = Log::default();
        early.take(Point::END, Offset::MAX, &mut log);
        assert_eq!(log.counts().get(&Reason::Undecodable), Some(&1));
    }
}
