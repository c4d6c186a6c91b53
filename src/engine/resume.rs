//! Where the reader of a push query stands, as a text with which a later query goes on behind the last row that was seen.
//!
//! A query can go on if each of its rows is made of one record alone: then the rows to come follow from the places in the
//! topic's partitions. A token names the topic and, for each partition, the next record and how many of its rows were
//! seen (more than one come of a record where a collection is unnested). It does not name the statement: another one
//! over the same topic may go on from there, too.
//!
//! ```text
//! token           "r1." and what follows in base64
//! topic           its id, varint
//! partitions      their number, varint
//! each of them    its number, the next offset, the rows of that record that were seen; varints
//! ```

use std::collections::BTreeMap;

use super::push::PushRow;
use crate::error::{Error, Result};
use crate::ids::TopicId;
use crate::plan::Node;
use crate::topics::{Offset, PartitionId};
use crate::types::parse::{base64_bytes, base64_text};
use crate::types::row::{Input, put_varint};

/// How a token begins: with the version of what follows.
const VERSION: &str = "r1.";

/// Where a reader stands in a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bookmark {
    topic: TopicId,
    partitions: BTreeMap<u32, Place>,
    /// Rows that come again although they were seen: those of the records that were seen in part.
    seen: BTreeMap<u32, Place>,
}

/// A place in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    /// The record of which the next row comes, if one comes of it.
    offset: Offset,
    /// How many of its rows were seen.
    rows: u64,
}

impl Bookmark {
    /// A reader that has seen nothing, at these places.
    pub(super) fn new(topic: TopicId, starts: impl Iterator<Item = (u32, Offset)>) -> Bookmark {
        let partitions = starts.map(|(partition, offset)| (partition, Place { offset, rows: 0 })).collect();
        Bookmark { topic, partitions, seen: BTreeMap::new() }
    }

    /// A reader that has seen nothing, at these places of one topic; nothing if there is none.
    pub(super) fn at(starts: &BTreeMap<PartitionId, Offset>) -> Option<Bookmark> {
        let (first, _) = starts.first_key_value()?;
        Some(Bookmark::new(first.topic, starts.iter().map(|(id, offset)| (id.partition, *offset))))
    }

    /// Whether a text looks like a token.
    pub fn is_token(text: &str) -> bool {
        text.starts_with(VERSION)
    }

    /// Reads a token.
    ///
    /// # Errors
    /// The text is no token.
    pub fn parse(token: &str) -> Result<Bookmark> {
        let invalid = || Error::invalid("this is no token of a push query");
        let bytes = token.strip_prefix(VERSION).and_then(base64_bytes).ok_or_else(invalid)?;
        let mut input = Input(&bytes);
        match Bookmark::read(&mut input) {
            Some(bookmark) if input.0.is_empty() => Ok(bookmark),
            _ => Err(invalid()),
        }
    }

    fn read(input: &mut Input) -> Option<Bookmark> {
        let topic = TopicId::new(input.varint().ok()?);
        let mut partitions = BTreeMap::new();
        for _ in 0..input.varint().ok()? {
            let partition = u32::try_from(input.varint().ok()?).ok()?;
            let offset = Offset::try_from(input.varint().ok()?).ok()?;
            partitions.insert(partition, Place { offset, rows: input.varint().ok()? });
        }
        Some(Bookmark { topic, seen: partitions.clone(), partitions })
    }

    /// The token.
    pub fn token(&self) -> String {
        let mut bytes = Vec::new();
        put_varint(&mut bytes, self.topic.get());
        put_varint(&mut bytes, self.partitions.len() as u64);
        for (partition, place) in &self.partitions {
            put_varint(&mut bytes, u64::from(*partition));
            put_varint(&mut bytes, place.offset as u64);
            put_varint(&mut bytes, place.rows);
        }
        format!("{VERSION}{}", base64_text(&bytes))
    }

    /// Whether a row that has come was seen before. To be asked once of each row, in their order.
    pub fn has_seen(&mut self, row: &PushRow) -> bool {
        let Some((partition, offset)) = row.record else { return false };
        let Some(seen) = self.seen.get_mut(&partition) else { return false };
        if seen.offset == offset && seen.rows > 0 {
            seen.rows -= 1;
            return true;
        }
        self.seen.remove(&partition);
        false
    }

    /// Steps over a row that has come and was not seen before.
    pub fn pass(&mut self, row: &PushRow) {
        let Some((partition, offset)) = row.record else { return };
        let place = self.partitions.entry(partition).or_insert(Place { offset, rows: 0 });
        if place.offset != offset {
            *place = Place { offset, rows: 0 };
        }
        place.rows += 1;
    }

    /// The record with which the reading of a partition begins; nothing for a partition that was not there.
    ///
    /// `there` are the first record that the partition still has, and its end. `many` is whether several rows may come of a
    /// record: then those of one that was seen in part may be missing.
    ///
    /// # Errors
    /// The partition belongs to another topic, or ends before the place, or rows that were not seen can come no more, since
    /// their records were deleted.
    pub(super) fn start(&self, id: PartitionId, there: (Offset, Offset), many: bool) -> Result<Option<Offset>> {
        if id.topic != self.topic {
            return Err(Error::invalid(
                "the token is of another topic than that of the query, or of one that was dropped",
            ));
        }
        let Some(place) = self.partitions.get(&id.partition) else { return Ok(None) };
        let ((first, end), offset, partition) = (there, place.offset, id.partition);
        let seen = Offset::from(place.rows > 0);
        if offset.saturating_add(seen) > end {
            let message = format!("the token stands at offset {offset} of partition {partition}, which ends at {end}");
            return Err(Error::invalid(message).hint("it is of another data folder, or of a later state of this one"));
        }
        if offset + if many { 0 } else { seen } < first {
            let message = format!(
                "the token stands at offset {offset} of partition {partition}, and the records before offset {first} were \
                 deleted"
            );
            return Err(Error::invalid(message).hint("start the query without a token; it shows what is left"));
        }
        Ok(Some(offset.max(first)))
    }

    /// Whether there is a place in a partition that the topic does not have.
    pub(super) fn exceeds(&self, partitions: usize) -> bool {
        self.partitions.keys().any(|partition| *partition as usize >= partitions)
    }
}

/// Whether each row of a plan is made of one record alone, and rows of a partition come in the order of its records.
pub(super) fn is_row_by_row(node: &Node) -> bool {
    match node {
        Node::Source(_) => true,
        Node::Filter(_) | Node::Compute(_) | Node::Unnest(_) => node.as_node().inputs().into_iter().all(is_row_by_row),
        _ => false,
    }
}

/// Whether a plan unnests collections.
pub(super) fn unnests(node: &Node) -> bool {
    matches!(node, Node::Unnest(_)) || node.as_node().inputs().into_iter().any(unnests)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(partition: u32, offset: Offset) -> PushRow {
        PushRow { values: Vec::new(), is_deletion: false, record: Some((partition, offset)) }
    }

    #[test]
    fn rows_that_were_seen_come_once() {
        // Two rows come of each record, of the partitions in turns.
        let rows: Vec<PushRow> = (0..20).map(|i| row(i / 2 % 2, i64::from(i / 4))).collect();
        for seen in 0..=rows.len() {
            let mut first = Bookmark::new(TopicId::new(7), [(0, 0), (1, 0)].into_iter());
            rows[..seen].iter().for_each(|row| first.pass(row));
            let mut second = Bookmark::parse(&first.token()).expect("a token");
            let starts = [0, 1].map(|partition| {
                let id = PartitionId { topic: TopicId::new(7), partition };
                second.start(id, (0, 10), true).expect("a place")
            });
            let again = rows.iter().filter(|row| row.record.is_some_and(|(p, o)| Some(o) >= starts[p as usize]));
            let shown: Vec<&PushRow> = again.filter(|row| !second.has_seen(row)).collect();
            assert_eq!(shown, rows[seen..].iter().collect::<Vec<_>>(), "after {seen}");
        }
    }

    #[test]
    fn places_from_which_rows_would_be_missing_are_refused() {
        let topic = TopicId::new(7);
        let id = PartitionId { topic, partition: 0 };
        let mut bookmark = Bookmark::new(topic, [(0, 5)].into_iter());
        // At the record 5, of which no row was seen.
        assert_eq!(bookmark.start(id, (5, 5), true).ok(), Some(Some(5)));
        assert!(bookmark.start(id, (6, 9), false).is_err() && bookmark.start(id, (0, 4), false).is_err());
        bookmark.pass(&row(0, 5));
        // A row of it was seen: all of them, unless a record can have many.
        assert_eq!(bookmark.start(id, (6, 9), false).ok(), Some(Some(6)));
        assert!(bookmark.start(id, (6, 9), true).is_err());
        assert!(bookmark.start(id, (7, 9), false).is_err() && bookmark.start(id, (0, 5), false).is_err());
        assert!(bookmark.start(PartitionId { topic: TopicId::new(8), partition: 0 }, (5, 6), false).is_err());
        assert_eq!(bookmark.start(PartitionId { topic, partition: 1 }, (3, 6), false).ok(), Some(None));
        bookmark.pass(&row(0, Offset::MAX));
        assert!(bookmark.start(id, (0, 9), false).is_err());
        assert!(bookmark.exceeds(0) && !bookmark.exceeds(1));
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let token = Bookmark::new(TopicId::new(300), [(0, 5), (70_000, i64::MAX)].into_iter()).token();
        assert_eq!(Bookmark::parse(&token).expect("a token").token(), token);
        for text in ["", "r1.", "17", "r2.AAA", "r1.%", &token[..token.len() - 6], &format!("{token}AA")] {
            assert!(Bookmark::parse(text).is_err(), "{text}");
        }
    }
}
